//! Logs: text or JSON, on stderr. Never holds a secret: nothing that is logged anywhere in the house may.

mod printable;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use self::printable::{Escape, Escaping};
pub use self::printable::{printable, printable_json};

use crate::config::{LogFormat, Logging};

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("{name} is no log filter ({message}): give a level like info, or directives like warn,vpn_operator=debug")]
    Filter {
        /// Where the filter came from.
        name: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Logging was started before in this process.
    #[error("logging was started twice")]
    Twice,
}

/// Starts logging. `default_level` counts when neither `LOG_LEVEL` nor `RUST_LOG` says what is logged.
///
/// # Errors
/// A filter that cannot be read; a second call.
pub fn start(logging: &Logging, default_level: &str) -> Result<(), TelemetryError> {
    let given = logging.log_level.clone().filter(|level| !level.is_empty());
    let rust_log = std::env::var("RUST_LOG").ok().filter(|level| !level.is_empty());
    let (name, text) = match (given, rust_log) {
        (Some(text), _) => ("--log-level (LOG_LEVEL)", text),
        (None, Some(text)) => ("RUST_LOG", text),
        (None, None) => ("the default", default_level.to_owned()),
    };
    let filter = EnvFilter::try_new(text).map_err(|error| TelemetryError::Filter {
        name,
        message: error.to_string(),
    })?;
    let how = match logging.log_format {
        LogFormat::Text => Escape::Text,
        LogFormat::Json => Escape::Json,
    };
    let stderr = move || Escaping {
        to: std::io::stderr(),
        how,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        // A line that cannot be written is lost. To say so where it cannot be written either would panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match logging.log_format {
        LogFormat::Text => builder.try_init(),
        // No span stands within another, so the list of them would say everything twice.
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    }
    .map_err(|_| TelemetryError::Twice)
}

/// The first line of a run: which version this is.
pub fn announce() {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        "vpn-operator starts"
    );
}
