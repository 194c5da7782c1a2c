//! What every part of this room shares.

use std::{sync::Arc, time::Duration};

use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc;

use super::{
    access_record::AccessRecord,
    backoff::Backoff,
    denials::{self, Orders},
    gateways::Gateways,
    hold_work::HoldWork,
    imported::{Imported, Reader},
    linked::LinkedPeople,
    overdue::Unobserved,
    plan::at_once,
    status_write_cache::StatusWriteCache,
    usage::UsageBook,
};
use crate::{
    clock::SharedClock,
    desired::{DesiredState, announcement::Announcer, connection_secrets::ConnectionSecrets},
    fence::Fence,
    gateway::Revoke,
    history::History,
    issue::Issuer,
    metrics::{Metrics, OrderSource},
    model::{
        access::Access,
        gateway::VpnGateway,
        hold::VpnHold,
        user::{VpnUser, VpnUserStatus},
    },
    roster::{Input, Roster, Transition},
    verdicts::VerdictStore,
};

/// How long a report waits for the guard's store.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(2);

/// What every part of this room shares.
pub struct Core {
    /// Where desired state lives.
    pub desired: Arc<dyn DesiredState>,
    /// Who may log in.
    pub roster: Arc<Roster>,
    /// The running gateways.
    pub gateways: Arc<Gateways>,
    /// What happened.
    pub history: History,
    /// Traffic.
    pub usage: Arc<UsageBook>,
    /// The clock.
    pub clock: SharedClock,
    /// Numbers for whoever is on call.
    pub metrics: Arc<Metrics>,
    /// Users as the source last showed them.
    pub users: Store<VpnUser>,
    /// Holds as the source last showed them.
    pub holds: Store<VpnHold>,
    /// Gateways as the source last showed them.
    pub declared_gateways: Store<VpnGateway>,
    /// Users to be reconciled.
    pub queue: Queue,
    /// Passwords that are not derived.
    pub imported: Arc<Imported>,
    /// Holds whose phase is to be reported.
    pub hold_work: HoldWork,
    /// How access changed, for the history.
    pub access_record: AccessRecord,
    /// People who are linked to a chat, and of whom something changed.
    pub linked: Arc<LinkedPeople>,
    /// Who gives orders just now.
    pub orders: Arc<Orders>,
    /// Waits of users that failed.
    pub backoff: Backoff,
    /// What the guard decided, for the next process.
    pub verdicts: Arc<VerdictStore>,
    /// Namespace of every object.
    pub namespace: String,
    /// Word for the source of desired state in the audit: `folder` or `kubernetes`.
    pub source: &'static str,
    /// Open while this process may act.
    pub fence: Fence,
    /// What was reported last, until the source shows it.
    pub status_writes: StatusWriteCache,
    /// What nobody has reported about for too long.
    pub unobserved: Unobserved,
    /// Makes what people need to connect.
    pub issuer: Issuer,
    /// What a folder does not have.
    pub cluster_outputs: Option<ClusterOutputs>,
}

/// What Kubernetes has and a folder has not.
pub struct ClusterOutputs {
    /// Keeps what people need to connect.
    pub secrets: Arc<dyn ConnectionSecrets>,
    /// Tells what happened.
    pub announcer: Arc<dyn Announcer>,
}

/// Users to be reconciled. Sending never blocks.
#[derive(Debug, Clone)]
pub struct Queue(pub mpsc::UnboundedSender<ObjectRef<VpnUser>>);

impl Queue {
    /// Asks for one user to be reconciled.
    pub fn push(&self, name: &str, namespace: &str) {
        // The receiver is gone only while the process drains.
        let _ = self.0.send(ObjectRef::new(name).within(namespace));
    }
}

impl Core {
    /// What Kubernetes has and a folder has not.
    #[must_use]
    pub fn cluster_outputs(&self) -> Option<&ClusterOutputs> {
        self.cluster_outputs.as_ref()
    }

    /// The user of this name, as the source last showed it.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        self.users.get(&ObjectRef::new(name).within(&self.namespace))
    }

    /// Has the traffic book tell the roster what was used, from now on.
    pub fn follow_usage(self: &Arc<Self>) {
        let core = Arc::downgrade(self);
        self.usage.attach(Box::new(move |inputs| {
            if let Some(core) = core.upgrade() {
                core.dispatch(core.roster.apply(inputs));
            }
        }));
    }

    /// Has the nodes asked when a login would be refused for too many devices, from now on.
    pub fn answer_inquiries(self: &Arc<Self>) {
        let core = Arc::downgrade(self);
        self.roster.index().inquiry().ask_with(move || {
            if let Some(core) = core.upgrade() {
                for gateway in core.gateways.all() {
                    gateway.look();
                }
            }
        });
    }

    /// Acts on what the roster decided: sessions that must end go to the gateways at once, then the users are queued.
    pub fn dispatch(&self, transitions: Vec<Transition>) {
        for transition in &transitions {
            if let Some(revoke) = &transition.revoke {
                self.revoke(transition, revoke);
            }
        }
        self.access_record.collect(&self.roster);
        self.linked.collect(&transitions);
        denials::tell(&transitions, &self.orders, |name| {
            self.holds.get(&ObjectRef::new(name).within(&self.namespace))
        });
        for transition in transitions {
            self.queue.push(&transition.user, &self.namespace);
        }
        for source in self.roster.take_orders() {
            self.metrics.order(OrderSource::of(&source));
        }
        for hold in self.roster.take_changed_holds() {
            self.hold_work.touched(hold);
        }
    }

    /// Waits until a verdict would outlive a crash: before that nothing that depends on it is reported. A store that cannot be
    /// written holds nothing up for long: the status that is written then says what was decided.
    pub async fn verdict_kept(&self, number: u64) {
        let mut kept = self.verdicts.kept();
        // The sender is gone only while the process drains.
        let waiting = tokio::time::timeout(VERDICT_TIMEOUT, kept.wait_for(|kept| *kept >= number));
        if waiting.await.is_err() {
            tracing::warn!("a verdict of the guard is reported before its store could keep it");
        }
    }

    fn revoke(&self, transition: &Transition, revoke: &Revoke) {
        let user = self.user(&transition.user);
        let status = user.as_ref().and_then(|user| user.status.as_ref());
        if revoke.known.is_empty() && status.is_some_and(|status| is_settled(status, revoke)) {
            return;
        }
        let person = self.roster.person_by_user(&transition.user);
        let granted = person.as_ref().is_some_and(|p| p.effective.access == Access::Granted);
        let kept = person.and_then(|person| person.kept_gateways);
        let named = user
            .as_ref()
            .map(|user| kept.unwrap_or_else(|| user.spec.gateway_names()));
        let mut revoke = revoke.clone();
        // Who was left out of this very revocation stays so over a restart.
        let recorded = status
            .filter(|status| is_of(status, &revoke))
            .and_then(|status| status.revocation.as_ref());
        revoke.left_out.extend(
            recorded
                .iter()
                .flat_map(|revocation| revocation.left_out.iter().cloned()),
        );
        for gateway in self.gateways.all() {
            let revoke = revoke.clone();
            let Some(target) = at_once(gateway.name(), user.as_deref(), named.as_deref(), granted, revoke) else {
                continue;
            };
            gateway.submit(&transition.account, target);
        }
    }
}

impl Reader for Core {
    fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        Self::user(self, name)
    }

    fn was_read(&self, user: &str, password: Input, new: bool) {
        self.dispatch(self.roster.apply(vec![password]));
        if new {
            // Who may log in is the same, but what the user is handed out is not.
            self.queue.push(user, &self.namespace);
        }
    }

    fn failure_changed(&self, name: &str) {
        self.queue.push(name, &self.namespace);
    }

    fn imported(&self) -> &Imported {
        &self.imported
    }
}

/// Whether a former process proved already that nothing is left of what is to be cut.
fn is_settled(status: &VpnUserStatus, revoke: &Revoke) -> bool {
    is_of(status, revoke)
        && status
            .revocation
            .as_ref()
            .is_some_and(|revocation| revocation.sessions_zero_at.is_some())
}

/// Whether a status speaks of this denial.
fn is_of(status: &VpnUserStatus, revoke: &Revoke) -> bool {
    status.access == Some(Access::Denied)
        && u64::try_from(status.epoch.unwrap_or(0)).is_ok_and(|epoch| epoch >= revoke.below.0)
}
