//! Where desired state lives. One trait, several sources; the rest of the house does not know which it has.
//!
//! A source behaves as an API server does: it gives out uid, generation and resource version, keeps a deleted object as
//! a tombstone (an object with a `deletionTimestamp`) until its finalizer is released, and reports every change, its own
//! included, as a watch event. It never touches a gateway, and knows nothing of access decisions.

pub mod announcement;
pub mod connection_secrets;
mod event;
pub mod folder;
pub mod id_claims;
pub mod kubernetes;
pub mod memory;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use self::event::{Event, Unreadable};
use crate::model::{
    ORDERED_BY,
    gateway::{VpnGateway, VpnGatewayStatus},
    hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
    hr::{HR_EVENT_AT, HrMarks, HrMarksPatch},
    user::{VpnUser, VpnUserSpec, VpnUserStatus},
};

/// Who writes. In Kubernetes the field manager; in the folder it is named in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldManager {
    /// The reconciler itself.
    Operator,
    /// The HR webhook.
    Hr,
    /// The HTTP API.
    Api,
    /// The Telegram bot.
    Bot,
}

impl FieldManager {
    const ALL: [Self; 4] = [Self::Operator, Self::Hr, Self::Api, Self::Bot];

    /// Whether this is the name of one of them.
    #[must_use]
    pub fn is_one(name: &str) -> bool {
        Self::ALL.into_iter().any(|manager| manager.as_str() == name)
    }

    /// Name of the manager.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "vpn-operator",
            Self::Hr => "vpn-operator-hr",
            Self::Api => "vpn-operator-api",
            Self::Bot => "vpn-operator-bot",
        }
    }
}

/// A change of single fields of a `VpnUser`. `None` leaves the field alone; everything else in the document stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// New `spec.active`.
    pub active: Option<bool>,
    /// New `spec.role`.
    pub role: Option<String>,
    /// New `spec.credentialGeneration`.
    pub credential_generation: Option<i64>,
    /// New `spec.subscriptionGeneration`.
    pub subscription_generation: Option<i64>,
    /// What an event of HR leaves beside the spec. Never part of a document that people write.
    pub hr: HrMarksPatch,
}

impl UserPatch {
    /// The spec as this patch leaves it.
    #[must_use]
    pub fn applied_to(&self, spec: &VpnUserSpec) -> VpnUserSpec {
        let mut spec = spec.clone();
        spec.active = self.active.unwrap_or(spec.active);
        spec.role = self.role.clone().or(spec.role);
        spec.credential_generation = self.credential_generation.unwrap_or(spec.credential_generation);
        spec.subscription_generation = self.subscription_generation.unwrap_or(spec.subscription_generation);
        spec
    }

    /// Whether it says anything about the spec.
    #[must_use]
    pub const fn changes_spec(&self) -> bool {
        self.active.is_some()
            || self.role.is_some()
            || self.credential_generation.is_some()
            || self.subscription_generation.is_some()
    }

    /// The marks of HR as this patch leaves them on a user.
    #[must_use]
    pub fn marks_on(&self, user: &VpnUser) -> HrMarks {
        let active = self.active.unwrap_or(user.spec.active);
        HrMarks::of(user.metadata.annotations.as_ref()).patched(self.hr, active)
    }
}

/// What is noted of a hold beside its spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldNotes<'a> {
    /// Who ordered it: [`crate::model::ORDERED_BY`].
    pub ordered_by: &'a str,
    /// The moment of the event of HR that placed it: [`crate::model::hr::HR_EVENT_AT`].
    pub hr_event_at: Option<Timestamp>,
}

impl<'a> HoldNotes<'a> {
    /// Of a hold that somebody ordered.
    #[must_use]
    pub const fn by(ordered_by: &'a str) -> Self {
        Self {
            ordered_by,
            hr_event_at: None,
        }
    }

    /// The annotations that say this.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let event = self.hr_event_at.map(|at| (HR_EVENT_AT.to_owned(), at.to_string()));
        [(ORDERED_BY.to_owned(), self.ordered_by.to_owned())]
            .into_iter()
            .chain(event)
            .collect()
    }
}

/// Why a source could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DesiredError {
    /// No object of that name.
    #[error("there is no {kind} named {name}")]
    NotFound {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// An object of that name exists, and differs from the one that was to be created.
    #[error("a {kind} named {name} exists already")]
    AlreadyExists {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
    },
    /// Somebody else changed the object at the same time.
    #[error("{kind} {name} was changed by somebody else at the same time: {message}")]
    Conflict {
        /// Kind of the object.
        kind: &'static str,
        /// Name of the object.
        name: String,
        /// What was in the way.
        message: String,
    },
    /// The change cannot be made safely here (read-only file, YAML anchors or aliases, …). Nothing was changed.
    #[error("{name} cannot be edited: {message}")]
    NotEditable {
        /// Name of the object.
        name: String,
        /// Why, and what to do.
        message: String,
    },
    /// The object breaks a rule of its kind.
    #[error("{0}")]
    Invalid(String),
    /// The source cannot be read or written now. Trying again may help.
    #[error("desired state is unavailable: {0}")]
    Unavailable(String),
}

impl DesiredError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } | Self::Unavailable(_) => true,
            Self::NotFound { .. } | Self::AlreadyExists { .. } | Self::NotEditable { .. } | Self::Invalid(_) => false,
        }
    }
}

/// Result of a call to a source.
pub type Result<T, E = DesiredError> = std::result::Result<T, E>;

/// Version of an object: a later write has a higher one. 0 where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// Version of an object as a source showed it. Kubernetes promises that resource versions of one kind are numbers that
    /// can be compared.
    pub fn of<K: kube::Resource>(object: &K) -> Self {
        let version = object.meta().resource_version.as_deref();
        Self(version.and_then(|version| version.parse().ok()).unwrap_or(0))
    }
}

/// Watch events of one kind. Begins with `Init`, the objects, `InitDone`; a later `Init` replaces everything. An object that
/// cannot be read is said all the same: what is left out of a list is gone.
pub type Events<K> = BoxStream<'static, Event<K>>;

/// The three streams of a source. Taken once.
pub struct Watches {
    /// People.
    pub users: Events<VpnUser>,
    /// Standing denials.
    pub holds: Events<VpnHold>,
    /// Where accounts live.
    pub gateways: Events<VpnGateway>,
}

/// Whether a source can be read, and what in it is wrong. For `/readyz`, `doctor` and metrics.
#[derive(Debug, Clone, Default)]
pub struct SourceHealth {
    /// The first full load is over.
    pub synced: bool,
    /// The source itself cannot be read since then; what was known last is in force.
    pub unreadable_since: Option<Timestamp>,
    /// One line a problem, naming file, line, column and field where there are any.
    pub problems: Vec<Arc<str>>,
    /// Edits of `active`, `validUntil` or a hold that are refused because their document is faulty, one line each: the last
    /// good version stays in force, so that somebody who left may stay in.
    pub refused_edits: Vec<Arc<str>>,
}

/// A place where desired state lives.
///
/// Every write is durable when it returns, and its watch event follows (the caller must not count on it having arrived).
#[async_trait]
pub trait DesiredState: Send + Sync + 'static {
    /// Starts watching. To be called once.
    fn watch(&self) -> Watches;

    /// Health of the source.
    fn health(&self) -> SourceHealth;

    /// Reads one user, tombstones included, as the source has it now.
    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>>;

    /// Where an object is written down, for people: a file under the folder. `None` where there is no such place.
    async fn place(&self, _kind: crate::model::Kind, _name: &str) -> Option<String> {
        None
    }

    /// Clears what objects that are gone or changed left behind in files that the source keeps for itself.
    async fn scrub(&self) -> Result<()> {
        Ok(())
    }

    /// Creates a user. Answers the object as stored. Creating one that exists with the same spec succeeds.
    async fn create_user(&self, name: &str, spec: VpnUserSpec, manager: FieldManager) -> Result<VpnUser>;

    /// Changes single fields of a user and nothing else. A patch that changes nothing writes nothing.
    async fn patch_user(&self, name: &str, patch: UserPatch, manager: FieldManager) -> Result<VpnUser>;

    /// Deletes a user: it becomes a tombstone until its finalizer is released.
    async fn delete_user(&self, name: &str, manager: FieldManager) -> Result<()>;

    /// Creates a hold with these notes as annotations. Creating one that exists with the same spec succeeds, whatever is noted of
    /// that one: the answer shows it.
    async fn create_hold(
        &self,
        name: &str,
        spec: VpnHoldSpec,
        notes: HoldNotes<'_>,
        manager: FieldManager,
    ) -> Result<VpnHold>;

    /// Lifts a hold, finalizer and all: an explicit release is not a loss. `NotFound` if there is none.
    async fn lift_hold(&self, name: &str, manager: FieldManager) -> Result<()>;

    /// Writes a user's status. The caller has checked that it differs. `user` is the object that the status speaks of: of
    /// another one by the same name nothing is written, and the answer is [`DesiredError::Conflict`].
    ///
    /// Answers the version that shows it: an object of an older version still has the status before.
    async fn report_user(&self, user: &VpnUser, status: VpnUserStatus) -> Result<Version>;

    /// Writes a hold's status.
    async fn report_hold(&self, hold: &VpnHold, status: VpnHoldStatus) -> Result<()>;

    /// Writes a gateway's status.
    async fn report_gateway(&self, gateway: &VpnGateway, status: VpnGatewayStatus) -> Result<()>;

    /// Adds [`crate::model::FINALIZER`] to a user that lacks it.
    async fn add_user_finalizer(&self, user: &VpnUser) -> Result<()>;

    /// Adds [`crate::model::FINALIZER`] to a hold that lacks it.
    async fn add_hold_finalizer(&self, hold: &VpnHold) -> Result<()>;

    /// Adds [`crate::model::FINALIZER`] to a gateway that lacks it.
    async fn add_gateway_finalizer(&self, gateway: &VpnGateway) -> Result<()>;

    /// Deletes a gateway: it becomes a tombstone until its finalizer is released.
    async fn delete_gateway(&self, name: &str) -> Result<()>;

    /// Lets a tombstone go. That it is gone already is success.
    async fn remove_user_finalizer(&self, name: &str) -> Result<()>;

    /// Lets a hold's tombstone go after its loss was confirmed. That it is gone already is success.
    async fn remove_hold_finalizer(&self, name: &str) -> Result<()>;

    /// Lets a gateway's tombstone go. That it is gone already is success.
    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()>;
}
