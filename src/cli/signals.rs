//! The one source of signals.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, report};

/// Cancels `shutdown` on the first SIGINT or SIGTERM; the second one ends the process at once.
///
/// The task that listens ends with the process.
///
/// # Errors
/// The operating system refuses the handlers.
pub(super) fn cancel_on_signal(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        for number in 0.. {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            };
            if number > 0 {
                end(name);
            }
            tracing::info!(signal = name, "draining; a second signal ends at once");
            shutdown.cancel();
        }
    });
    Ok(())
}

#[expect(clippy::exit, reason = "a second signal asks for exactly this")]
fn end(name: &str) {
    let exit = report(&format!("ended at once by a second signal ({name})"), Exit::Failed);
    std::process::exit(i32::from(exit as u8));
}
