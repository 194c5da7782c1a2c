//! What is said to the roster, and what it answers.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::{
    credentials::MasterKey,
    gateway::Revoke,
    model::{
        access::{Access, Decision, Reason, Usage},
        corporate_id::CorporateId,
        guard::{Budget, BudgetReport, HeldBackCause, WaitingHold},
        hold::VpnHold,
        session::Epoch,
        user::VpnUser,
    },
};

/// Something that a source, a poll or a person said.
pub enum Input {
    /// A user as it is now (new, changed, or a tombstone).
    User(Arc<VpnUser>),
    /// The user object of this name is gone for good (its finalizer was removed).
    UserGone(String),
    /// A hold as it is now. A tombstone is a hold that disappeared, unless it carries [`crate::model::RELEASED`].
    Hold(Arc<VpnHold>),
    /// The hold object of this name is gone for good.
    HoldGone {
        /// Name of the `VpnHold`.
        name: String,
        /// Somebody lifted it on purpose.
        released: bool,
    },
    /// A password that is not derived was read.
    Password {
        /// Name of the `VpnUser`.
        user: String,
        /// Generation of the `VpnUser` that names the source it was read from. Of another version it says nothing.
        generation: i64,
        /// The password.
        password: SecretString,
    },
    /// Usage of an account. Bytes of a lifetime only grow: what says less was counted earlier, and is passed over.
    Usage {
        /// Account on the gateway.
        account: String,
        /// Bytes so far.
        usage: Usage,
    },
}

/// What a batch of inputs did to one account.
#[derive(Debug, Clone)]
pub struct Transition {
    /// Name of the `VpnUser`, to be reconciled.
    pub user: String,
    /// Account on the gateway.
    pub account: String,
    /// Set when sessions must end: a denial, a rotation. To be handed to the gateways at once.
    pub revoke: Option<Revoke>,
    /// Set when the person lost access by it, or would have without the guard.
    pub loss: Option<Box<Loss>>,
}

/// How the access of one person stands from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessChange {
    /// Whose it is.
    pub corporate_id: CorporateId,
    /// Name of the `VpnUser`.
    pub user: Arc<str>,
    /// From when on.
    pub at: Timestamp,
    /// Why; access is granted for [`Reason::Active`] and [`Reason::GuardHeldBack`] alone.
    pub reason: Reason,
    /// What it was before, if this process knows.
    pub before: Option<Reason>,
    /// Names of the holds that deny, when it is they who do.
    pub holds: Vec<String>,
}

/// A loss of access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Whose it is.
    pub corporate_id: CorporateId,
    /// The cause that is named first. [`Reason::Active`]: a gateway would be taken away.
    pub reason: Reason,
    /// Names of the holds that it rests on.
    pub holds: Vec<String>,
    /// The guard holds it back: access goes on.
    pub held_back: bool,
}

/// What is known of one person.
#[derive(Debug, Clone)]
pub struct Person {
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// Name of the `VpnUser`; `None` if only holds exist.
    pub user: Option<String>,
    /// Account on the gateway.
    pub account: String,
    /// What auth does now.
    pub effective: Decision,
    /// What desired state says; differs from `effective` only while the guard holds a denial back.
    pub declared: Decision,
    /// Since when access is granted only because the guard holds something back.
    pub held_back_since: Option<Timestamp>,
    /// What of the user object the guard holds back, whether or not it makes a difference at present.
    pub held_back: Vec<HeldBackCause>,
    /// While a change of `spec.gateways` is held back: the gateways that stay in force.
    pub kept_gateways: Option<Vec<String>>,
    /// Names of the holds that deny.
    pub live_holds: Vec<String>,
    /// Names of feeds' holds that would deny and that the guard holds back.
    pub held_back_holds: Vec<String>,
    /// Those of them that a person rejected.
    pub rejected_holds: Vec<String>,
    /// Names of holds that are gone without having been lifted, and that the guard keeps in force.
    pub lost_holds: Vec<String>,
    /// Names of holds that do not deny now, and that no guard holds back: they begin later, or are over.
    pub other_holds: Vec<String>,
    /// The guard's change that has to be kept before anything that depends on this may be reported (see
    /// [`super::Roster::guard_changes`]); 0 when there is none.
    pub verdict: u64,
    /// The password is known: without it nobody can log in, whatever is decided.
    pub has_password: bool,
    /// Generation of the `VpnUser` that this speaks of; 0 if there is none.
    pub generation: i64,
    /// Present epoch.
    pub epoch: Epoch,
    /// Sessions that were handed out and are not known to be gone.
    pub sessions: u32,
}

impl Person {
    /// The reason to be shown: that of auth's decision, unless access is granted only because of the guard.
    #[must_use]
    pub fn reason(&self) -> Reason {
        if self.effective.access == Access::Granted && self.held_back_since.is_some() {
            Reason::GuardHeldBack
        } else {
            self.effective.reason
        }
    }

    /// Whether the guard holds back what the user object says, so that the version before stays in force.
    #[must_use]
    pub fn keeps_declared(&self) -> bool {
        self.held_back.iter().any(|held| held.cause == Budget::Declared)
    }
}

/// What the guard makes of one hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldVerdict {
    /// It does not deny until a person confirms it.
    pub held_back: Option<WaitingHold>,
    /// It is gone without having been lifted, and stays in force until a person confirms that.
    pub lost: Option<WaitingHold>,
    /// As [`Person::verdict`].
    pub verdict: u64,
}

/// What the guard holds back, and how much more it lets through.
#[derive(Debug, Clone)]
pub struct GuardReport {
    /// Denials and lost holds that wait for a person.
    pub pending: Several<PendingDenial>,
    /// Denials that a person rejected, of people whose objects are deleted for good: they keep access until somebody confirms.
    pub rejected: Several<PendingDenial>,
    /// Each budget, in the order of [`Budget::ALL`].
    pub budgets: Vec<BudgetReport>,
    /// People who were denied by orders within the window.
    pub orders: usize,
    /// The time over which is counted.
    pub window: SignedDuration,
}

/// The first few of what may be very many, and how many there are.
#[derive(Debug, Clone)]
pub struct Several<T> {
    /// The first, in the order in which they were found.
    pub first: Vec<T>,
    /// How many there are, those of `first` included.
    pub total: usize,
}

impl<T> Several<T> {
    /// None so far.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            first: Vec::new(),
            total: 0,
        }
    }

    /// Counts one more, and keeps it while there are fewer than `most`.
    pub fn add(&mut self, most: usize, one: impl FnOnce() -> T) {
        self.total += 1;
        if self.first.len() < most {
            self.first.push(one());
        }
    }

    /// The same, each made into something else.
    #[must_use]
    pub fn map<U>(self, made: impl FnMut(T) -> U) -> Several<U> {
        Several {
            first: self.first.into_iter().map(made).collect(),
            total: self.total,
        }
    }
}

/// One thing that the guard holds back.
#[derive(Debug, Clone)]
pub struct PendingDenial {
    /// Whom it concerns.
    pub corporate_id: CorporateId,
    /// Why the person would be denied: a reason, or the name of a hold. For a lost hold, its name.
    pub cause: String,
    /// What it was judged against.
    pub budget: Budget,
    /// Since when.
    pub since: Timestamp,
}

/// Passwords that are not derived: those of users with `spec.credentialsFrom`. `None`: not known (yet), so that nobody can
/// log in to the account; saying the user again asks again, and [`Input::Password`] tells it. Must answer from memory.
pub type Passwords = Arc<dyn Fn(&VpnUser) -> Option<SecretString> + Send + Sync>;

/// What is derived from the master key.
pub trait Derivation: Send + Sync + 'static {
    /// See [`MasterKey::password`].
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString;
}

impl Derivation for MasterKey {
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        Self::password(self, id, generation)
    }
}
