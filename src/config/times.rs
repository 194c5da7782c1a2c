//! Time limits.

use std::time::Duration;

use clap::Args;

use super::values;

/// Time limits.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Times")]
pub struct Times {
    /// How old the last known state may be to decide logins while desired state cannot be read
    #[arg(long, env = "LAST_KNOWN_MAX_AGE", value_name = "TIME", default_value = "24h", value_parser = values::duration)]
    pub last_known_max_age: Duration,
    /// Pause between two polls of a node
    #[arg(
        long,
        env = "HYSTERIA_POLL_INTERVAL",
        value_name = "TIME",
        default_value = "5s",
        value_parser = values::poll_interval
    )]
    pub hysteria_poll_interval: Duration,
}
