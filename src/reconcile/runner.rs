//! Runs [`super::user::reconcile`] for whatever is queued, until the queue ends.

use std::{convert::Infallible, sync::Arc, time::Instant};

use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::runtime::{
    applier,
    controller::{Action, Config},
    reflector::ObjectRef,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    context::Context,
    user::{ReconcileError, reconcile},
};
use crate::{metrics::ReconcileOutcome, model::user::VpnUser};

/// Users reconciled at the same time. Nothing in a reconcile waits for a gateway, so this only bounds writes.
const CONCURRENCY: u16 = 64;

/// Reconciles until `cancel`, then finishes what was begun.
pub async fn run(ctx: Arc<Context>, queue: mpsc::UnboundedReceiver<ObjectRef<VpnUser>>, cancel: CancellationToken) {
    let store = ctx.users.clone();
    let outcomes = applier(
        |user, ctx: Arc<Context>| {
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
        requests(queue, cancel),
        Config::default().concurrency(CONCURRENCY),
    );
    outcomes
        .for_each(|outcome| async {
            // A user that is gone from the store was deleted while queued; its events were handled.
            if let Err(error) = outcome {
                tracing::debug!(%error, "not reconciled");
            }
        })
        .await;
}

fn requests(
    queue: mpsc::UnboundedReceiver<ObjectRef<VpnUser>>,
    cancel: CancellationToken,
) -> impl Stream<Item = Result<ObjectRef<VpnUser>, Infallible>> {
    futures::stream::unfold(queue, |mut queue| async {
        queue.recv().await.map(|next| (Ok(next), queue))
    })
    .take_until(cancel.cancelled_owned())
}
