//! Writes down every change of anybody's access.
//!
//! What the roster has in force is compared with what history knows when the load is over: what changed while no process ran,
//! or was lost with a crash or with the history itself, is written then.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{access_cause::cause, core::Core, plan::why};
use crate::{
    history::{ACCESS_DENIED, ACCESS_GONE, ACCESS_GRANTED, AuditEntry, HistoryError, KnownAccess},
    model::access::{Access, Reason},
    roster::AccessChange,
};

/// Most changes that are written in one transaction.
const BATCH: usize = 500;

/// How long the comparison waits for a history that cannot be read or written.
const PAUSE: Duration = Duration::from_secs(2);

/// What stands between why access is as it is, and who stands behind it. No plain reason has it.
const MORE: &str = "; ";

/// How a row that was found at the start ends.
const FOUND: &str = "found when the operator started";

/// Writes what is collected, until `cancel`, and then what is left.
pub async fn run(ctx: Arc<Core>, cancel: CancellationToken) {
    let mut compared = true;
    loop {
        let retry = tokio::time::sleep(PAUSE);
        tokio::select! {
            () = cancel.cancelled() => {}
            () = ctx.access_record.news.notified() => {}
            () = retry, if !compared => ctx.access_record.loaded(&ctx.roster),
        }
        let (load, changes) = ctx.access_record.take();
        if let Some(load) = load {
            compared = match compare(&ctx, load).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(%error, "what history knows about who has access could not be compared yet");
                    false
                }
            };
        }
        for batch in changes.chunks(BATCH) {
            let mut entries = Vec::with_capacity(batch.len());
            for change in batch {
                entries.push((change.at, entry(&ctx, change, None).await));
            }
            ctx.history.record_access(entries).await;
        }
        if cancel.is_cancelled() {
            return;
        }
    }
}

/// Writes where history does not agree with what is in force.
async fn compare(ctx: &Core, load: Vec<AccessChange>) -> Result<(), HistoryError> {
    let known = ctx.history.known_access().await?;
    let mut known: HashMap<String, _> = known
        .into_iter()
        .map(|it| (it.corporate_id.to_ascii_lowercase(), it))
        .collect();
    let now = ctx.clock.now();
    let mut differs = Vec::new();
    for change in &load {
        let before = known.remove(change.corporate_id.key());
        let same = before.as_ref().is_some_and(|it| is_known(it, change));
        if !same {
            let mut entry = entry(ctx, change, Some(FOUND)).await;
            entry.before = before.map(|it| it.state);
            differs.push((now, entry));
        }
    }
    for gone in known.into_values() {
        differs.push((now, left(ctx, gone.corporate_id, gone.state)));
    }
    for batch in differs.chunks(BATCH) {
        ctx.history.record_access(batch.to_vec()).await;
    }
    ctx.history.access_is_complete().await
}

/// Whether history knows this already. Who stands behind it is told once, when it is new; of somebody who was forgotten history
/// has no reason any more, and that is no news either.
fn is_known(known: &KnownAccess, change: &AccessChange) -> bool {
    let plain = why(change.reason, &change.holds);
    let same_why = |why: &str| {
        why.strip_prefix(&*plain)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(MORE))
    };
    known.state == state(change.reason).1 && known.why.as_deref().is_none_or(same_why)
}

fn state(reason: Reason) -> (Access, String) {
    let access = match reason {
        Reason::Active | Reason::GuardHeldBack => Access::Granted,
        _ => Access::Denied,
    };
    (access, format!("{}: {}", access.as_str(), reason.as_str()))
}

async fn entry(ctx: &Core, change: &AccessChange, how: Option<&str>) -> AuditEntry {
    let (access, after) = state(change.reason);
    let action = if access == Access::Granted {
        ACCESS_GRANTED
    } else {
        ACCESS_DENIED
    };
    let mut reason = why(change.reason, &change.holds);
    for more in cause(ctx, change).await.iter().map(String::as_str).chain(how) {
        reason.push_str(MORE);
        reason.push_str(more);
    }
    AuditEntry {
        before: change.before.map(|reason| state(reason).1),
        after: Some(after),
        reason: Some(reason),
        ..row(ctx, action, change.corporate_id.to_string())
    }
}

/// The row of somebody who is declared no more.
fn left(ctx: &Core, corporate_id: String, before: String) -> AuditEntry {
    AuditEntry {
        before: Some(before),
        after: Some(ACCESS_GONE.to_owned()),
        reason: Some(format!("there is no VpnUser any more; {FOUND}")),
        ..row(ctx, ACCESS_DENIED, corporate_id)
    }
}

fn row(ctx: &Core, action: &str, corporate_id: String) -> AuditEntry {
    AuditEntry {
        actor: "vpn-operator".to_owned(),
        source: ctx.source.to_owned(),
        action: action.to_owned(),
        corporate_id: Some(corporate_id),
        ..AuditEntry::default()
    }
}
