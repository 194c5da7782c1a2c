//! Runs [`super::user::reconcile`] for whatever is queued, until the queue ends.

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::runtime::{
    applier,
    controller::{Action, Config, Error},
    reflector::{ObjectRef, Store},
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    core::Core,
    user::{ReconcileError, reconcile},
};
use crate::{metrics::ReconcileOutcome, model::user::VpnUser};

/// Users reconciled at the same time. Nothing in a reconcile waits for a gateway, so this only bounds writes, and how long a
/// denial may wait for its turn on a core.
const CONCURRENCY: u16 = 16;

/// Users that wait in the scheduler. It never gives memory back, and a first load queues everybody.
const WAITING: usize = 512;

/// Who waits in the scheduler. Several requests for one of them are one.
#[derive(Default)]
struct Waiting {
    names: Mutex<HashSet<String>>,
    fewer: Notify,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room.
    async fn room(&self) {
        while self.lock().len() >= WAITING {
            // One waiter, so a permit that is stored in between is not lost.
            self.fewer.notified().await;
        }
    }

    /// Answers whether the user did not wait already.
    fn add(&self, name: &str) -> bool {
        self.lock().insert(name.to_owned())
    }

    fn remove(&self, name: &str) {
        self.lock().remove(name);
        self.fewer.notify_one();
    }

    /// A user was looked for and not found. Answers whether there is one by now: it came (again) between the look and this
    /// moment, and the request for it was taken for the one that is over.
    fn missed(&self, name: &str, namespace: Option<&str>, store: &Store<VpnUser>) -> bool {
        self.remove(name);
        let mut user = ObjectRef::new(name);
        user.namespace = namespace.map(str::to_owned);
        store.get(&user).is_some()
    }
}

/// Reconciles until `cancel`, then finishes what was begun.
pub async fn run(ctx: Arc<Core>, queue: mpsc::UnboundedReceiver<ObjectRef<VpnUser>>, cancel: CancellationToken) {
    let store = ctx.users.clone();
    let asker = Arc::clone(&ctx);
    let waiting = Arc::new(Waiting::default());
    let begun = Arc::clone(&waiting);
    let outcomes = applier(
        move |user: Arc<VpnUser>, ctx: Arc<Core>| {
            begun.remove(user.metadata.name.as_deref().unwrap_or_default());
            let began = Instant::now();
            // Its own task, so that users are reconciled on every core; aborted if the runner is dropped.
            let task = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(reconcile(user, Arc::clone(&ctx))));
            task.map(move |joined| {
                let result = joined.unwrap_or(Err(ReconcileError::Aborted));
                let outcome = result
                    .as_ref()
                    .map_or_else(ReconcileError::outcome, |_| ReconcileOutcome::Done);
                ctx.metrics.reconciled(outcome, began.elapsed());
                result
            })
            .boxed()
        },
        |user, error, ctx| {
            let name = user.metadata.name.as_deref().unwrap_or_default();
            let wait = ctx.backoff.failed(name);
            tracing::warn!(user = name, %error, retry_in_ms = wait.as_millis(), "reconcile failed");
            Action::requeue(wait)
        },
        ctx,
        store,
        requests(queue, Arc::clone(&waiting), cancel),
        Config::default().concurrency(CONCURRENCY),
    );
    outcomes
        .for_each(|outcome| async {
            // A user that is gone from the store was deleted while queued; its events were handled.
            if let Err(Error::ObjectNotFound(user)) = &outcome
                && waiting.missed(&user.name, user.namespace.as_deref(), &asker.users)
            {
                asker.queue.push(&user.name, &asker.namespace);
            }
            if let Err(error) = outcome {
                tracing::debug!(%error, "not reconciled");
            }
        })
        .await;
}

fn requests(
    queue: mpsc::UnboundedReceiver<ObjectRef<VpnUser>>,
    waiting: Arc<Waiting>,
    cancel: CancellationToken,
) -> impl Stream<Item = Result<ObjectRef<VpnUser>, Infallible>> {
    futures::stream::unfold((queue, waiting), |(mut queue, waiting)| async {
        loop {
            waiting.room().await;
            let next = queue.recv().await?;
            if waiting.add(&next.name) {
                return Some((Ok(next), (queue, waiting)));
            }
        }
    })
    .take_until(cancel.cancelled_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kube::runtime::{reflector, watcher::Event};

    use super::*;

    #[test]
    fn a_user_who_comes_again_while_nobody_was_found_is_asked_for_again() {
        let waiting = Waiting::default();
        let (store, mut writer) = reflector::store::<VpnUser>();
        assert!(waiting.add("ab123456"));
        assert!(!waiting.missed("ab123456", Some("vpn"), &store), "deleted");
        assert!(waiting.add("ab123456"), "nobody waits");
        let user = serde_json::from_value(serde_json::json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser",
            "metadata": { "name": "ab123456", "namespace": "vpn" }, "spec": { "corporateId": "AB123456" },
        }));
        writer.apply_watcher_event(&Event::Apply(user.unwrap()));
        assert!(
            !waiting.add("ab123456"),
            "the request for the new one is taken for the old one"
        );
        assert!(waiting.missed("ab123456", Some("vpn"), &store));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_handed_over_bit_by_bit_and_nobody_twice() {
        let (sender, queue) = mpsc::unbounded_channel();
        for number in 0..WAITING + 10 {
            for _ in 0..2 {
                sender
                    .send(ObjectRef::new(&number.to_string()).within("default"))
                    .unwrap();
            }
        }
        let waiting = Arc::new(Waiting::default());
        let mut requests = Box::pin(requests(queue, Arc::clone(&waiting), CancellationToken::new()));
        let mut taken = Vec::new();
        let pause = Duration::from_secs(1);
        while let Ok(Some(Ok(user))) = tokio::time::timeout(pause, requests.next()).await {
            taken.push(user.name);
        }
        assert_eq!(taken.len(), WAITING, "no more than so many wait");
        for name in &taken {
            waiting.remove(name);
        }
        while let Ok(Some(Ok(user))) = tokio::time::timeout(pause, requests.next()).await {
            taken.push(user.name);
        }
        taken.sort_unstable();
        let all = taken.len();
        taken.dedup();
        assert_eq!(
            (taken.len(), all),
            (WAITING + 10, WAITING + 11),
            "only one had begun in between"
        );
    }
}
