//! The queue of holds whose phase is to be reported.

use tokio::sync::mpsc;

/// Where the names of changed holds go.
#[derive(Debug, Clone)]
pub struct HoldWork(mpsc::UnboundedSender<String>);

impl HoldWork {
    /// A way in, and the end that [`super::holds::run`] takes.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// A hold is new or changed.
    pub fn touched(&self, name: String) {
        // The receiver is gone only while the process drains.
        let _ = self.0.send(name);
    }
}
