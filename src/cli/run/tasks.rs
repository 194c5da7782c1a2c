//! The tasks of the process: each is joined, and if one ends before its time all others drain.

use std::time::Duration;

use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long the tasks of each half have to end once they were told to.
const DRAIN: Duration = Duration::from_secs(15);

/// Running tasks with their names, in two halves: the front takes requests, and the back carries them out. The front ends
/// first, so that what was begun is carried out and answered as at any other time.
pub struct Tasks {
    front: Half,
    back: Half,
}

struct Half {
    running: JoinSet<&'static str>,
    cancel: CancellationToken,
}

impl Tasks {
    /// No tasks; those of the front are expected to end on `front`, the others on `back`, and none before.
    pub fn new(front: CancellationToken, back: CancellationToken) -> Self {
        let half = |cancel| Half {
            running: JoinSet::new(),
            cancel,
        };
        Self {
            front: half(front),
            back: half(back),
        }
    }

    /// Starts a task of the back.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.back.spawn(name, task);
    }

    /// Starts a task that takes requests.
    pub fn spawn_front(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.front.spawn(name, task);
    }

    /// Waits for `shutdown`, or for a task that ends unexpectedly, whose name it answers. Then ends and joins the front,
    /// waits for `begun` (what requests have begun), and ends and joins the back.
    pub async fn until(mut self, shutdown: CancellationToken, begun: impl Future<Output = ()>) -> Option<&'static str> {
        let ended = tokio::select! {
            () = shutdown.cancelled() => None,
            name = self.front.next() => Some(name),
            name = self.back.next() => Some(name),
        };
        if let Some(name) = ended {
            tracing::error!(task = name, "ended unexpectedly: draining");
        }
        self.front.end().await;
        if timeout(DRAIN, begun).await.is_err() {
            tracing::warn!("work that did not end in time is abandoned");
        }
        self.back.end().await;
        ended
    }
}

impl Half {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits for a task to end; for ever, when there are none.
    async fn next(&mut self) -> &'static str {
        match self.running.join_next().await {
            Some(Ok(name)) => name,
            Some(Err(error)) => {
                tracing::error!(%error, "a task failed");
                "a task"
            }
            None => std::future::pending().await,
        }
    }

    async fn end(&mut self) {
        self.cancel.cancel();
        let joined = timeout(DRAIN, async { while self.running.join_next().await.is_some() {} }).await;
        if joined.is_err() {
            tracing::warn!(
                left = self.running.len(),
                "tasks that did not end in time are abandoned"
            );
            self.running.abort_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use super::*;

    fn tokens() -> (CancellationToken, CancellationToken) {
        (CancellationToken::new(), CancellationToken::new())
    }

    #[tokio::test]
    async fn a_task_that_ends_early_ends_the_others_and_is_named() {
        let (front, back) = tokens();
        let mut tasks = Tasks::new(front.clone(), back.clone());
        tasks.spawn("the steady one", back.clone().cancelled_owned());
        tasks.spawn_front("the steady listener", front.clone().cancelled_owned());
        tasks.spawn("the early one", async {});
        let ended = tasks.until(CancellationToken::new(), ready(())).await;
        assert_eq!(ended, Some("the early one"));
        assert!(front.is_cancelled() && back.is_cancelled());
    }

    #[tokio::test]
    async fn a_panic_is_noticed() {
        let (front, back) = tokens();
        let mut tasks = Tasks::new(front, back);
        tasks.spawn_front("the bad one", async { panic!("on purpose") });
        assert_eq!(tasks.until(CancellationToken::new(), ready(())).await, Some("a task"));
    }

    #[tokio::test]
    async fn a_shutdown_is_no_failure_and_what_was_begun_is_carried_out_by_the_back() {
        let (front, back) = tokens();
        let mut tasks = Tasks::new(front.clone(), back.clone());
        let answered = Arc::new(AtomicBool::new(false));
        tasks.spawn("the back", back.clone().cancelled_owned());
        tasks.spawn_front("the listener", {
            let (answered, back) = (Arc::clone(&answered), back.clone());
            async move {
                front.cancelled().await;
                // The last request is still to be answered.
                tokio::task::yield_now().await;
                answered.store(!back.is_cancelled(), Ordering::SeqCst);
            }
        });
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let begun = async { assert!(!back.is_cancelled(), "begun work needs the back") };
        assert_eq!(tasks.until(shutdown, begun).await, None);
        assert!(answered.load(Ordering::SeqCst) && back.is_cancelled());
    }
}
