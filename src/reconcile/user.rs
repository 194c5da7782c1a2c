//! Carries out the plan for one user.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use secrecy::SecretString;

use super::{
    core::Core,
    origin,
    plan::{Facts, FinalizerStep, PAUSE, Plan, SecretOutcome, is_set, plan},
    see_off, tell,
};
use crate::{
    desired::{DesiredError, connection_secrets::SecretState},
    gateway::Observation,
    history::{AuditEntry, RevocationRow},
    metrics::{ReconcileOutcome, RevocationStage},
    model::{
        access::{Access, Period, Reason},
        session::Epoch,
        user::{VpnUser, VpnUserStatus},
    },
    roster::Person,
};

/// Why a user could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The source of desired state refused a write.
    #[error("writing desired state: {0}")]
    Desired(#[from] DesiredError),
    /// The source did not answer in time.
    #[error("desired state did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    /// The task ended before its time.
    #[error("the reconcile was aborted")]
    Aborted,
}

impl ReconcileError {
    /// How it stands in the metrics.
    #[must_use]
    pub const fn outcome(&self) -> ReconcileOutcome {
        match self {
            Self::Desired(error) if !error.is_retryable() => ReconcileOutcome::Terminal,
            Self::Desired(_) | Self::Timeout | Self::Aborted => ReconcileOutcome::Retryable,
        }
    }
}

/// Longest time that one user's writes may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reconciles one user: plan, hand over, report. Never waits for a gateway.
///
/// # Errors
/// A write to the source of desired state failed; it is to be tried again.
pub async fn reconcile(user: Arc<VpnUser>, ctx: Arc<Core>) -> Result<Action, ReconcileError> {
    let Some(look) = Look::take(user, &ctx) else {
        return Ok(Action::await_change());
    };
    let next = look.hand_over();
    let carried_out = tokio::time::timeout(TIMEOUT, look.carry_out(next));
    carried_out.await.map_err(|_| ReconcileError::Timeout)??;
    ctx.backoff.forget(&look.user.name_any());
    Ok(Action::await_change())
}

/// One user, and what is known about it in one reconcile.
struct Look<'a> {
    user: Arc<VpnUser>,
    person: Person,
    used: Option<(u64, Period)>,
    unreadable: Option<String>,
    password: Option<SecretString>,
    refused: Vec<(String, String)>,
    now: Timestamp,
    ctx: &'a Arc<Core>,
}

impl<'a> Look<'a> {
    /// `None` while nothing that is decided speaks of this version of the user. It is asked for when something does.
    fn take(user: Arc<VpnUser>, ctx: &'a Arc<Core>) -> Option<Self> {
        if !ctx.roster.is_loaded() {
            return None;
        }
        let user = ctx.status_writes.newest(user);
        let person = ctx.roster.person_by_user(&user.name_any())?;
        if person.generation != user.metadata.generation.unwrap_or(0) {
            return None;
        }
        let now = ctx.clock.now();
        let used = user.spec.traffic.as_ref().map(|limit| {
            let usage = ctx.usage.usage(&person.account);
            (usage.in_period(limit.period, now), limit.period)
        });
        Some(Self {
            used,
            unreadable: ctx.imported.failure(&user),
            password: ctx.imported.or_derived(&user),
            refused: refusals(&user, ctx),
            now,
            person,
            user,
            ctx,
        })
    }

    /// What is to be done and reported, by what the gateways show now.
    fn plan(&self, secret: &SecretOutcome) -> Plan {
        let facts = Facts {
            person: &self.person,
            used: self.used,
            gateways: &observe(&self.user, &self.person, self.ctx),
            refused: &self.refused,
            secret,
            password: self.password.clone(),
            unreadable: self.unreadable.as_deref(),
        };
        plan(&self.user, &facts, self.now)
    }

    /// Hands targets to the gateways, and answers what is left to be done.
    fn hand_over(&self) -> Plan {
        let secret = match self.ctx.cluster_outputs() {
            Some(_) => SecretOutcome::Unchanged,
            None => SecretOutcome::NotStored,
        };
        let next = self.plan(&secret);
        if next.targets.is_empty() {
            return next;
        }
        for (gateway, target) in &next.targets {
            if let Some(gateway) = self.ctx.gateways.get(gateway) {
                gateway.submit(&self.person.account, target.clone());
            }
        }
        // What a gateway knows at once is not announced: look again.
        self.plan(&secret)
    }

    /// Writes what is to be written.
    async fn carry_out(&self, mut next: Plan) -> Result<(), DesiredError> {
        let Self { user, person, ctx, .. } = self;
        ctx.verdict_kept(person.verdict).await;
        match next.finalizer {
            FinalizerStep::Release => return release(user, &person.account, next, ctx).await,
            FinalizerStep::Add => ctx.desired.add_user_finalizer(user).await?,
            FinalizerStep::Keep => {}
        }
        let mut failed = None;
        if ctx.cluster_outputs().is_some() {
            let (secret, error) = store_secret(user, ctx).await;
            failed = error;
            next = self.plan(&secret);
        }
        report(user, &person.account, next.status, ctx).await?;
        failed.map_or(Ok(()), Err)
    }
}

/// Why gateways that the user names do not run as they are declared.
fn refusals(user: &VpnUser, ctx: &Core) -> Vec<(String, String)> {
    let named = user.spec.gateway_names().into_iter();
    named
        .filter_map(|name| ctx.gateways.refusal(&name).map(|why| (name, why)))
        .collect()
}

fn observe(user: &VpnUser, person: &Person, ctx: &Core) -> Vec<(String, Option<Observation>)> {
    let mut names = user.spec.gateway_names();
    names.extend(
        person
            .kept_gateways
            .iter()
            .flatten()
            .filter(|name| !user.spec.gateway_names().contains(name))
            .cloned(),
    );
    for state in user.status.iter().flat_map(|status| &status.gateways) {
        if !names.contains(&state.name) {
            names.push(state.name.clone());
        }
    }
    names
        .into_iter()
        .map(|name| {
            let observation = ctx.gateways.get(&name).map(|gateway| gateway.observe(&person.account));
            (name, observation)
        })
        .collect()
}

/// Lets go of a user whose access is proved gone.
async fn release(user: &Arc<VpnUser>, account: &str, plan: Plan, ctx: &Arc<Core>) -> Result<(), DesiredError> {
    let name = user.name_any();
    let before = user.status.clone().unwrap_or_default();
    let before = ctx.status_writes.remembered(&name).unwrap_or(before);
    let status = plan.status.clone();
    if plan.status != before {
        let changed = ctx.origins.take(&user.name_any());
        remember(user, account, [&before, &plan.status], changed, ctx).await;
        announce(user, &before, &plan.status, ctx);
        // Told only once, however often letting go has to be tried.
        ctx.status_writes.failed(&name, plan.status);
    }
    if let Some(outputs) = ctx.cluster_outputs() {
        // It goes with the user by its owner, which somebody may have taken away.
        outputs.secrets.settle(user, account).await?;
    }
    let deleted_at = user.metadata.deletion_timestamp.as_ref().map(|at| at.0);
    let row = row(user, account, &status).map(|row| RevocationRow { deleted_at, ..row });
    if let Some(row) = &row {
        // Before the object goes: the record is all that is left then.
        record(row, ctx).await;
    }
    ctx.desired.remove_user_finalizer(&name).await?;
    match row.filter(|row| row.sessions_zero_at.is_none()) {
        Some(row) => see_off::begin(row, ctx),
        None => see_off::forget(account, ctx),
    }
    if let Some(outputs) = ctx.cluster_outputs() {
        outputs.secrets.forget(user);
    }
    ctx.status_writes.forget(&name);
    Ok(())
}

/// Sees to it that what the user needs to connect is kept where others read it. An error is one that may go away.
async fn store_secret(user: &VpnUser, ctx: &Core) -> (SecretOutcome, Option<DesiredError>) {
    let Some(outputs) = ctx.cluster_outputs() else {
        return (SecretOutcome::NotStored, None);
    };
    if user.metadata.deletion_timestamp.is_some() {
        return (SecretOutcome::Unchanged, None);
    }
    let Some(wanted) = ctx.issuer.connection_secret(user) else {
        let state = if ctx.imported.is_awaited(user) {
            SecretOutcome::Failing("the password in spec.credentialsFrom is being read".to_owned())
        } else {
            SecretOutcome::Unchanged
        };
        return (state, None);
    };
    let secrets = &outputs.secrets;
    let name = secrets.name(user);
    let state = secrets.compare(user, &wanted);
    match state {
        SecretState::Same => return (SecretOutcome::Stored(name), None),
        // It is looked at again when they are listed. What was there at the last report is likely to be there still.
        SecretState::Unknown if user.status.as_ref().is_some_and(|status| status.secret_name.is_some()) => {
            return (SecretOutcome::Unchanged, None);
        }
        SecretState::Unknown => {
            let why = "the Secrets of the namespace are not listed yet".to_owned();
            return (SecretOutcome::Failing(why), None);
        }
        SecretState::Missing | SecretState::Outdated | SecretState::Drifted if is_set(user, PAUSE) => {
            return (SecretOutcome::Withheld, None);
        }
        SecretState::Missing | SecretState::Outdated | SecretState::Drifted => {}
    }
    match secrets.put(user, &wanted).await {
        Ok(()) => {
            if state == SecretState::Drifted {
                ctx.metrics.drift_repaired();
                outputs.announcer.announce(user, tell::restored(&name));
            }
            (SecretOutcome::Stored(name), None)
        }
        Err(DesiredError::NotEditable { message, .. }) => {
            let message = format!("Secret {name} belongs to somebody else, delete or rename it: {message}");
            (SecretOutcome::Conflict(message), None)
        }
        Err(error) => (SecretOutcome::Failing(error.to_string()), Some(error)),
    }
}

/// Reports a status that differs from the one that was reported last.
async fn report(user: &VpnUser, account: &str, status: VpnUserStatus, ctx: &Core) -> Result<(), DesiredError> {
    let before = user.status.clone().unwrap_or_default();
    let name = user.name_any();
    let changed = ctx.origins.take(&name);
    if status == before {
        return Ok(());
    }
    // What could not be reported the last time was remembered then.
    let remembered = ctx.status_writes.remembered(&name).unwrap_or_else(|| before.clone());
    if status != remembered {
        remember(user, account, [&remembered, &status], changed, ctx).await;
    }
    match ctx.desired.report_user(user, status.clone()).await {
        Ok(version) => {
            announce(user, &before, &status, ctx);
            ctx.status_writes.report(user, version, status);
            Ok(())
        }
        // Gone in the meantime: its own event follows.
        Err(DesiredError::NotFound { .. }) => Ok(()),
        Err(error) => {
            ctx.status_writes.failed(&name, status);
            Err(error)
        }
    }
}

fn announce(user: &VpnUser, before: &VpnUserStatus, after: &VpnUserStatus, ctx: &Core) {
    let Some(outputs) = ctx.cluster_outputs() else { return };
    for announcement in tell::announcements(before, after) {
        outputs.announcer.announce(user, announcement);
    }
}

/// Writes what changed to the history. A history that cannot be written holds nothing up: it keeps what it is given
/// until it can.
async fn remember(
    user: &VpnUser,
    account: &str,
    [before, after]: [&VpnUserStatus; 2],
    changed: Option<String>,
    ctx: &Core,
) {
    if (before.access, before.reason) != (after.access, after.reason) {
        let state = |status: &VpnUserStatus| {
            status
                .access
                .map(|access| format!("{access:?}: {}", status.reason.map_or("", Reason::as_str)))
        };
        let entry = AuditEntry {
            actor: "vpn-operator".to_owned(),
            source: ctx.source.to_owned(),
            action: if after.access == Some(Access::Granted) {
                "access.granted"
            } else {
                "access.denied"
            }
            .to_owned(),
            corporate_id: Some(user.spec.corporate_id.to_string()),
            before: state(before),
            after: state(after),
            reason: after
                .conditions
                .iter()
                .find(|c| c.type_ == "Granted")
                .map(|c| c.message.to_string()),
            address: origin::of(changed, user, after, ctx).await,
            ..AuditEntry::default()
        };
        ctx.history.audit_or_spool(vec![entry]).await;
    }
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
fn row(user: &VpnUser, account: &str, status: &VpnUserStatus) -> Option<RevocationRow> {
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

async fn record(row: &RevocationRow, ctx: &Core) {
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
