//! The tasks of the process: each is joined, and if one ends before its time all others drain.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long tasks have to end once they were told to.
const DRAIN: Duration = Duration::from_secs(20);

/// Running tasks with their names.
pub struct Tasks {
    running: JoinSet<&'static str>,
    cancel: CancellationToken,
}

impl Tasks {
    /// No tasks; all that are spawned are expected to end on `cancel`, and not before.
    pub fn new(cancel: CancellationToken) -> Self {
        Self {
            running: JoinSet::new(),
            cancel,
        }
    }

    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits for `shutdown`, or for a task that ends unexpectedly, whose name it answers. Then ends and joins the rest.
    pub async fn until(mut self, shutdown: CancellationToken) -> Option<&'static str> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            ended = self.running.join_next() => Some(match ended {
                Some(Ok(name)) => name,
                Some(Err(error)) => {
                    tracing::error!(%error, "a task failed");
                    "a task"
                }
                None => "everything",
            }),
        };
        if let Some(name) = ended {
            tracing::error!(task = name, "ended unexpectedly: draining");
        }
        self.cancel.cancel();
        let joined = tokio::time::timeout(DRAIN, async { while self.running.join_next().await.is_some() {} }).await;
        if joined.is_err() {
            tracing::warn!(
                left = self.running.len(),
                "tasks that did not end in time are abandoned"
            );
            self.running.abort_all();
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_early_ends_the_others_and_is_named() {
        let cancel = CancellationToken::new();
        let mut tasks = Tasks::new(cancel.clone());
        tasks.spawn("the steady one", cancel.clone().cancelled_owned());
        tasks.spawn("the early one", async {});
        assert_eq!(tasks.until(CancellationToken::new()).await, Some("the early one"));
        assert!(cancel.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_noticed() {
        let mut tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("the bad one", async { panic!("on purpose") });
        assert_eq!(tasks.until(CancellationToken::new()).await, Some("a task"));
    }

    #[tokio::test]
    async fn a_shutdown_is_no_failure() {
        let cancel = CancellationToken::new();
        let mut tasks = Tasks::new(cancel.clone());
        tasks.spawn("the steady one", cancel.cancelled_owned());
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        assert_eq!(tasks.until(shutdown).await, None);
    }
}
