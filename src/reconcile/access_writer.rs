//! Writes down every change of anybody's access.
//!
//! What the roster has in force is compared with what history knows when the load is over: what changed while no process ran,
//! or was lost with a crash or with the history itself, is written then.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{core::Core, plan::why};
use crate::{
    history::{ACCESS_DENIED, ACCESS_GONE, ACCESS_GRANTED, AuditEntry, HistoryError},
    model::access::{Access, Reason},
    roster::AccessChange,
};

/// Most changes that are written in one transaction.
const BATCH: usize = 500;

/// How long the comparison waits for a history that cannot be read or written.
const PAUSE: Duration = Duration::from_secs(2);

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
            let entries = batch.iter().map(|change| (change.at, entry(&ctx, change, None)));
            ctx.history.record_access(entries.collect()).await;
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
        let mut entry = entry(ctx, change, Some(FOUND));
        let plain = why(change.reason, &change.holds);
        // What was found at an earlier start and did not change since is no news.
        let same_why =
            |why: &str| why == plain || why.strip_suffix(FOUND).and_then(|it| it.strip_suffix("; ")) == Some(&*plain);
        let same = before
            .as_ref()
            .is_some_and(|it| Some(&it.state) == entry.after.as_ref() && it.why.as_deref().is_some_and(same_why));
        if !same {
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

fn state(reason: Reason) -> (Access, String) {
    let access = match reason {
        Reason::Active | Reason::GuardHeldBack => Access::Granted,
        _ => Access::Denied,
    };
    (access, format!("{}: {}", access.as_str(), reason.as_str()))
}

fn entry(ctx: &Core, change: &AccessChange, how: Option<&str>) -> AuditEntry {
    let (access, after) = state(change.reason);
    let action = if access == Access::Granted {
        ACCESS_GRANTED
    } else {
        ACCESS_DENIED
    };
    let why = why(change.reason, &change.holds);
    AuditEntry {
        before: change.before.map(|reason| state(reason).1),
        after: Some(after),
        reason: Some(how.map_or_else(|| why.clone(), |how| format!("{why}; {how}"))),
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
