//! The tasks of the process: each is joined, and if one ends before its time all others drain.

use std::{fmt::Display, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long each half has to end once it was told to.
const DRAIN: Duration = Duration::from_secs(15);

/// Running tasks with their names, in two halves: the front takes requests, the core does what they ask for. The front
/// drains first.
#[derive(Default)]
pub struct Tasks {
    front: JoinSet<&'static str>,
    core: JoinSet<&'static str>,
    front_token: CancellationToken,
    core_token: CancellationToken,
}

impl Tasks {
    /// No tasks. All that are spawned are expected to end when the token of their half is cancelled, and not before.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the front.
    pub fn front_token(&self) -> CancellationToken {
        self.front_token.clone()
    }

    /// Ends the core.
    pub fn core_token(&self) -> CancellationToken {
        self.core_token.clone()
    }

    /// Starts a task of the front.
    pub fn front(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.front.spawn(named(name, task));
    }

    /// Starts a task of the core.
    pub fn core(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.core.spawn(named(name, task));
    }

    /// Waits for `shutdown`, or for a task that ends unexpectedly, whose name it answers. Then ends and joins the front,
    /// waits for `work` that the front began, and ends and joins the core.
    pub async fn until(mut self, shutdown: CancellationToken, work: impl Future<Output = ()>) -> Option<&'static str> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            Some(ended) = self.front.join_next() => Some(ended),
            Some(ended) = self.core.join_next() => Some(ended),
        };
        let ended = ended.map(|joined| {
            joined.unwrap_or_else(|error| {
                tracing::error!(%error, "a task failed");
                "a task"
            })
        });
        if let Some(name) = ended {
            tracing::error!(task = name, "ended unexpectedly: draining");
        }
        self.front_token.cancel();
        join(&mut self.front).await;
        if tokio::time::timeout(DRAIN, work).await.is_err() {
            tracing::warn!("changes that did not end in time are abandoned");
        }
        self.core_token.cancel();
        join(&mut self.core).await;
        ended
    }
}

async fn named(name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> &'static str {
    task.await;
    name
}

async fn join(tasks: &mut JoinSet<&'static str>) {
    let joined = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
    if joined.is_err() {
        tracing::warn!(left = tasks.len(), "tasks that did not end in time are abandoned");
        tasks.abort_all();
    }
}

/// Says why a task failed; that it ended is noticed by whoever joins it.
pub async fn log_failure<E: Display>(task: impl Future<Output = Result<(), E>>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a part of the operator failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_early_ends_the_others_and_is_named() {
        let mut tasks = Tasks::new();
        let (front, core) = (tasks.front_token(), tasks.core_token());
        tasks.front("the steady one", front.clone().cancelled_owned());
        tasks.core("the early one", async {});
        assert_eq!(
            tasks.until(CancellationToken::new(), async {}).await,
            Some("the early one")
        );
        assert!(front.is_cancelled() && core.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_noticed() {
        let mut tasks = Tasks::new();
        tasks.core("the bad one", async { panic!("on purpose") });
        assert_eq!(tasks.until(CancellationToken::new(), async {}).await, Some("a task"));
    }

    #[tokio::test]
    async fn the_core_works_on_until_what_the_front_began_is_done() {
        let mut tasks = Tasks::new();
        let (front, core) = (tasks.front_token(), tasks.core_token());
        tasks.front("the front", front.clone().cancelled_owned());
        tasks.core("the core", core.clone().cancelled_owned());
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let work = async {
            assert!(front.is_cancelled(), "no new requests by now");
            assert!(!core.is_cancelled(), "the core is still needed");
        };
        assert_eq!(tasks.until(shutdown, work).await, None);
    }
}
