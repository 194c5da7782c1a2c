//! `vpn-operator run`: wires the rooms together and joins every task.

use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Why the operator could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The rooms are not wired together.
    #[error("this build cannot run the operator")]
    NotWired,
}

/// Runs the operator until `shutdown` is cancelled, then drains.
///
/// # Errors
/// It could not start, or a part of it ended unexpectedly.
#[expect(clippy::unused_async, reason = "waits for its tasks once they are wired")]
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    drop((config, shutdown));
    Err(RunError::NotWired)
}
