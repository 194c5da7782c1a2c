//! What a report changes, as the history keeps it.

use std::time::Duration;

use jiff::Timestamp;

use super::core::Core;
use crate::{
    history::RevocationRow,
    metrics::RevocationStage,
    model::{
        access::Access,
        session::Epoch,
        user::{VpnUser, VpnUserStatus},
    },
};

/// Writes what changed of a revocation to the history. A history that cannot be written holds nothing up.
pub(super) async fn remember(user: &VpnUser, account: &str, before: &VpnUserStatus, after: &VpnUserStatus, ctx: &Core) {
    if let Some(revocation) = after
        .revocation
        .as_ref()
        .filter(|_| before.revocation != after.revocation)
    {
        observe_times(
            before,
            revocation.denied_at,
            revocation.contained_at,
            revocation.sessions_zero_at,
            ctx,
        );
        if let Some(row) = row(user, account, after) {
            record(&row, ctx).await;
        }
    }
}

/// The revocation of a status as it is recorded.
pub(super) fn row(user: &VpnUser, account: &str, status: &VpnUserStatus) -> Option<RevocationRow> {
    let revocation = status.revocation.as_ref()?;
    let reason = match (status.access, status.reason) {
        (Some(Access::Denied), Some(reason)) => reason.as_str(),
        _ => "Rotated",
    };
    Some(RevocationRow {
        corporate_id: user.spec.corporate_id.to_string(),
        account: account.to_owned(),
        epoch: status
            .epoch
            .unwrap_or_else(|| i64::try_from(Epoch::default().0).unwrap_or_default()),
        reason: reason.to_owned(),
        denied_at: revocation.denied_at,
        contained_at: revocation.contained_at,
        sessions_zero_at: revocation.sessions_zero_at,
        left_out: revocation.left_out.clone(),
        withdrawn_at: revocation.withdrawn_at,
        deleted_at: None,
    })
}

pub(super) async fn record(row: &RevocationRow, ctx: &Core) {
    if let Err(error) = ctx.history.record_revocation(row.clone()).await {
        tracing::warn!(%error, corporate_id = row.corporate_id, "a revocation could not be written to the history");
    }
}

fn observe_times(
    before: &VpnUserStatus,
    denied_at: Timestamp,
    contained_at: Option<Timestamp>,
    zero_at: Option<Timestamp>,
    ctx: &Core,
) {
    let known = before.revocation.as_ref().filter(|r| r.denied_at == denied_at);
    let after = |at: Timestamp| Duration::try_from(at.duration_since(denied_at)).unwrap_or_default();
    if let (Some(at), None) = (contained_at, known.and_then(|r| r.contained_at)) {
        ctx.metrics.revocation(RevocationStage::Contained, after(at));
    }
    if let (Some(at), None) = (zero_at, known.and_then(|r| r.sessions_zero_at)) {
        ctx.metrics.revocation(RevocationStage::Zero, after(at));
    }
}
