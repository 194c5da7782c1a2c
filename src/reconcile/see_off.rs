//! Follows the sessions of people who are gone to their end, so that the history says when that was. Nobody waits for it.
//!
//! The history is where an open one is kept: what a process did not see the end of, the next one goes on with.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::core::Core;
use crate::{
    gateway::{Gateway, RevocationProgress, Revoke, Target, TargetAccess, WhyUnprovable},
    history::RevocationRow,
    metrics::RevocationStage,
    model::{corporate_id::CorporateId, session::Epoch},
};

/// First and longest pause between looks at what the gateways know.
const SHORTEST: Duration = Duration::from_millis(500);
/// See [`SHORTEST`].
const LONGEST: Duration = Duration::from_secs(10);
/// How long after a deletion the last session is looked for. Longer than a node is down for a weekend and a day.
const PATIENCE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Most people whose sessions are followed again after a start: those who were deleted last.
const MOST: u32 = 10_000;
/// Pause before a history that cannot be read is asked again.
const AGAIN: Duration = Duration::from_secs(10);

/// What is known of the sessions of somebody who is gone.
enum Sight {
    /// No node shows one, from then on; with everything that the nodes proved.
    Zero(Box<RevocationRow>),
    /// Some node has not said it yet.
    Open,
    /// Some node never will.
    Never,
}

/// Follows the sessions of somebody whose object was just let go.
pub(super) fn begin(row: RevocationRow, ctx: &Arc<Core>) {
    tokio::spawn(follow(row, false, Arc::downgrade(ctx)));
}

/// Nothing of the account is left to be known.
pub(super) fn forget(account: &str, ctx: &Core) {
    for gateway in ctx.gateways.all() {
        gateway.forget(account);
    }
}

/// Goes on with everybody of whom the process before this one had not seen the end, once desired state is loaded. Ends with
/// `cancel`.
pub async fn resume(ctx: Arc<Core>, cancel: CancellationToken) {
    let gone = async {
        ctx.roster.index().wait_loaded().await;
        loop {
            let since = ctx.clock.now().checked_sub(PATIENCE).unwrap_or(Timestamp::MIN);
            match ctx.history.unseen_zeros(since, MOST).await {
                Ok(rows) => return rows,
                // That it cannot be read is told by its health.
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    };
    if let Some(rows) = cancel.run_until_cancelled(gone).await {
        // Whose object is still there is let go by the reconciler, which begins anew.
        for row in rows.into_iter().filter(|row| owners(row, &ctx).next().is_none()) {
            tokio::spawn(follow(row, true, Arc::downgrade(&ctx)));
        }
        cancel.cancelled().await;
    }
}

/// `anew`: the gateways of this process know nothing of it yet.
async fn follow(row: RevocationRow, anew: bool, ctx: Weak<Core>) {
    let mut pause = SHORTEST;
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause + pause / 16).min(LONGEST);
        {
            let Some(ctx) = ctx.upgrade() else { return };
            if owners(&row, &ctx).any(|user| anew || is_living(&user, &ctx)) {
                // What is known of the account is theirs.
                return;
            }
            match look(&row, anew, &ctx) {
                Sight::Open if is_recent(&row, ctx.clock.now()) => {}
                Sight::Open | Sight::Never => return part(&row, &ctx),
                Sight::Zero(seen) => {
                    if let Err(error) = ctx.history.record_revocation((*seen).clone()).await {
                        tracing::warn!(
                            %error, corporate_id = row.corporate_id,
                            "when the last session was gone could not be written to the history: it is tried again"
                        );
                    } else {
                        observe(&row, &seen, &ctx);
                        return part(&row, &ctx);
                    }
                }
            }
        }
    }
}

/// Nothing more is to be learned about a person who is gone. Who was declared anew since it was looked is asked for again: what
/// the gateways were just told of the account may be forgotten with the rest.
fn part(row: &RevocationRow, ctx: &Core) {
    if owners(row, ctx).any(|user| is_living(&user, ctx)) {
        return;
    }
    forget(&row.account, ctx);
    for user in owners(row, ctx) {
        ctx.queue.push(&user, &ctx.namespace);
    }
}

fn is_recent(row: &RevocationRow, now: Timestamp) -> bool {
    now.duration_since(row.deleted_at.unwrap_or(row.denied_at)) < PATIENCE
}

/// Objects that have the account or the ID.
fn owners(row: &RevocationRow, ctx: &Core) -> impl Iterator<Item = String> {
    let by_account = ctx.roster.person_by_account(&row.account);
    let by_id = CorporateId::parse(&row.corporate_id)
        .ok()
        .and_then(|id| ctx.roster.person(&id));
    [by_account, by_id]
        .into_iter()
        .flatten()
        .filter_map(|person| person.user)
}

/// Whether an object was declared anew. The one that was let go may still be seen for a moment.
fn is_living(user: &str, ctx: &Core) -> bool {
    ctx.user(user)
        .is_some_and(|user| user.metadata.deletion_timestamp.is_none())
}

fn look(row: &RevocationRow, anew: bool, ctx: &Core) -> Sight {
    let below = Epoch(u64::try_from(row.epoch).unwrap_or_default());
    let mut seen = Vec::new();
    for gateway in ctx.gateways.all() {
        let observation = gateway.observe(&row.account);
        match observation.revocation.filter(|progress| progress.below >= below) {
            Some(progress) => {
                let mute = |node: &String| {
                    let mut unprovable = observation.unprovable.iter();
                    unprovable.any(|it| it.node == *node && it.why == WhyUnprovable::NoStatistics)
                };
                if progress.sessions_zero_at.is_none() && progress.waiting_for.iter().all(mute) {
                    return Sight::Never;
                }
                seen.push(progress);
            }
            None if anew => {
                order_anew(row, below, &*gateway);
                return Sight::Open;
            }
            None => {}
        }
    }
    let zeros: Option<Vec<Timestamp>> = seen.iter().map(|it| it.sessions_zero_at).collect();
    zeros
        .and_then(|zeros| zeros.into_iter().max())
        .map_or(Sight::Open, |zero| Sight::Zero(Box::new(proved(row, &seen, zero))))
}

/// Hands the revocation to a gateway of this process. Which sessions there were is not known: every one that a node shows goes.
fn order_anew(row: &RevocationRow, below: Epoch, gateway: &dyn Gateway) {
    let revoke = Revoke {
        below,
        denied_at: row.denied_at,
        known: Vec::new(),
        left_out: row.left_out.clone(),
    };
    let target = Target {
        access: TargetAccess::Denied,
        epoch: below,
        account: Arc::default(),
        revoke: Some(revoke),
    };
    gateway.submit(&row.account, target);
}

/// The record with what the nodes proved by `zero`.
fn proved(row: &RevocationRow, seen: &[RevocationProgress], zero: Timestamp) -> RevocationRow {
    let contained: Option<Vec<Timestamp>> = seen.iter().map(|it| it.contained_at).collect();
    let withdrawn = seen.iter().filter_map(|it| it.withdrawn_at).max();
    RevocationRow {
        contained_at: contained.and_then(|times| times.into_iter().max()),
        sessions_zero_at: Some(zero),
        withdrawn_at: withdrawn.max(row.withdrawn_at),
        ..row.clone()
    }
}

fn observe(before: &RevocationRow, seen: &RevocationRow, ctx: &Core) {
    let after = |at: Timestamp| Duration::try_from(at.duration_since(seen.denied_at)).unwrap_or_default();
    if let (None, Some(at)) = (before.contained_at, seen.contained_at) {
        ctx.metrics.revocation(RevocationStage::Contained, after(at));
    }
    if let Some(at) = seen.sessions_zero_at {
        ctx.metrics.revocation(RevocationStage::Zero, after(at));
    }
}
