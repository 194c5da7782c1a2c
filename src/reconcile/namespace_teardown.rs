//! The end of a namespace: everything in it is deleted, the operator's own process among the first.
//!
//! Objects with a finalizer would be waited for by a namespace whose operator is gone, for ever. So who is told to end in a
//! namespace that is being deleted first deletes what is going to be deleted anyway, and sees it through.

use std::{sync::Arc, time::Duration};

use kube::ResourceExt;
use tokio::time::{Instant, sleep};

use super::core::Core;
use crate::{
    desired::{DesiredError, FieldManager},
    model::guard::Budget,
};

/// Longest time for all of it. A pod is given 30 s by default.
const DELETION_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause between two looks at what is left.
const GLANCE: Duration = Duration::from_millis(50);

/// Deletes everything that is declared, and waits until it is gone. More people than the guard lets pass are left alone.
pub async fn delete_everything(ctx: Arc<Core>) {
    if !ctx.roster.is_loaded() {
        return;
    }
    let users = ctx.users.state();
    let most = ctx.roster.allowed(Budget::Declared, users.len());
    if let Some(most) = most.filter(|most| users.len() > *most) {
        tracing::error!(
            users = users.len(),
            most,
            "the namespace is being deleted with more people in it than may lose access at once: their finalizers stay, and the namespace waits"
        );
        return;
    }
    tracing::warn!(
        users = users.len(),
        "the namespace is being deleted: so is everybody's access"
    );
    let until = Instant::now() + DELETION_TIMEOUT;
    for user in users {
        log_deletion_failure(
            "VpnUser",
            ctx.desired.delete_user(&user.name_any(), FieldManager::Operator).await,
        );
    }
    while !ctx.users.is_empty() && Instant::now() < until {
        sleep(GLANCE).await;
    }
    if !ctx.users.is_empty() {
        tracing::error!(
            left = ctx.users.len(),
            "access is not proved gone in time: the namespace waits for these finalizers"
        );
        return;
    }
    // Only now: a hold that goes first would let somebody in.
    for hold in ctx.holds.state() {
        log_deletion_failure(
            "VpnHold",
            ctx.desired.lift_hold(&hold.name_any(), FieldManager::Operator).await,
        );
    }
    for gateway in ctx.declared_gateways.state() {
        log_deletion_failure("VpnGateway", ctx.desired.delete_gateway(&gateway.name_any()).await);
    }
    ctx.gateways.changed();
    let left = || ctx.users.len() + ctx.holds.len() + ctx.declared_gateways.len();
    while left() > 0 && Instant::now() < until {
        sleep(GLANCE).await;
    }
    if left() > 0 {
        tracing::error!(
            left = left(),
            "objects are left whose access is not proved gone: the namespace waits for their finalizers"
        );
    }
}

fn log_deletion_failure(kind: &str, outcome: Result<(), DesiredError>) {
    match outcome {
        Ok(()) | Err(DesiredError::NotFound { .. }) => {}
        Err(error) => tracing::warn!(kind, %error, "an object could not be deleted"),
    }
}
