//! Why a use case was not carried out.

use jiff::Timestamp;

use super::proof::Proof;
use crate::{
    desired::DesiredError,
    inbox::{State, signature::Refusal},
    model::{access::Reason, corporate_id::CorporateId},
    registry::{BadLine, FindError, Invalid, Status, StepError, StoreError},
};

/// Why a person is denied, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Whom it concerns.
    pub corporate_id: CorporateId,
    /// The cause that is named first.
    pub reason: Reason,
    /// Names of the holds that are live.
    pub holds: Vec<String>,
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = &self.corporate_id;
        match self.reason {
            Reason::Held if self.holds.is_empty() => write!(f, "{id} is revoked: ask whoever issued it"),
            Reason::Held => write!(
                f,
                "{id} is denied by {}: whoever placed it has to lift it",
                self.holds.join(", ")
            ),
            Reason::Inactive => write!(f, "{id} is not active: activate the person first"),
            Reason::Expired => write!(f, "the access of {id} has expired: extend validUntil first"),
            Reason::NotYetValid => write!(f, "the access of {id} has not begun: see validFrom"),
            Reason::OverQuota => write!(
                f,
                "{id} has used up the traffic limit: raise it or wait for the next period"
            ),
            Reason::Deleted => write!(f, "{id} is being deleted: wait until the object is gone"),
            Reason::Conflict => write!(
                f,
                "another object had the ID or the account of {id} first: remove one of the two"
            ),
            Reason::Active | Reason::GuardHeldBack => write!(f, "{id} has access"),
        }
    }
}

/// Somebody of whom nothing but the record is left.
#[derive(Debug, Clone)]
pub struct Former {
    /// Whom it concerns.
    pub corporate_id: CorporateId,
    /// When the object was deleted, as far as it is known.
    pub deleted_at: Option<Timestamp>,
    /// The last revocation, with what is still waited for; `None` if there was none.
    pub revocation: Option<Proof>,
    /// What happened last, for people.
    pub last: String,
}

impl std::fmt::Display for Former {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { corporate_id, last, .. } = self;
        write!(
            f,
            "nobody is declared with the corporate ID {corporate_id} any more: {last}. GET /audit?corporate_id={corporate_id} has the rest"
        )
    }
}

/// What became of `spec.active` beside a hold.
#[derive(Debug)]
pub enum Flip {
    /// It is false.
    Done,
    /// It is left as it was: the guard holds the hold back, and this would take the access away all the same.
    Waits,
    /// It is left as it was: a feed ordered this, and what is declared is judged by another budget.
    OfFeed,
    /// There is no object.
    Undeclared,
    /// It could not be set.
    Failed(DesiredError),
}

impl std::fmt::Display for Flip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OfFeed => f.write_str("spec.active is left as it was, because what a feed denies is its hold alone"),
            Self::Done => f.write_str("spec.active is false and denies until somebody sets it back"),
            Self::Waits => f.write_str("spec.active is left as it was until the guard's question is answered"),
            Self::Undeclared => f.write_str("there is no object in which spec.active could deny instead"),
            Self::Failed(error) => write!(f, "spec.active could not be set to false either: {error}"),
        }
    }
}

fn obstacles(why: &[String]) -> String {
    if why.is_empty() {
        "none of the person's gateways has a node yet".to_owned()
    } else {
        why.join("; ")
    }
}

const fn not_discardable(state: State) -> &'static str {
    match state {
        State::HeldBack => "vpn-operator guard cancel drops it, and vpn-operator guard confirm lets it happen",
        _ => "what was done is undone by its opposite, an activation or a deactivation",
    }
}

fn minutes(seconds: u64) -> String {
    match seconds {
        0..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

fn bad_lines(bad: &[BadLine]) -> String {
    let first = bad.first().map(ToString::to_string).unwrap_or_default();
    match bad.len() {
        0 | 1 => format!("nothing was changed: {first}"),
        count => format!("nothing was changed: {count} lines cannot be taken; {first}"),
    }
}

impl From<Invalid> for AccessError {
    fn from(Invalid { field, message }: Invalid) -> Self {
        Self::Invalid { field, message }
    }
}

/// Why a use case was not carried out. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A value breaks a rule.
    #[error("{field}: {message}")]
    Invalid {
        /// Field that is wrong.
        field: &'static str,
        /// What is wrong with it and how to do better.
        message: String,
    },
    /// Nothing is known of this ID.
    #[error("nobody is declared with the corporate ID {0}")]
    UnknownPerson(CorporateId),
    /// Nobody is declared with this ID any more.
    #[error("{0}")]
    Former(Box<Former>),
    /// Nothing is known of this ID, and somebody wants it denied.
    #[error(
        "nobody is declared with the corporate ID {corporate_id}, so nobody was put out. To keep out whoever is declared with it \
         later, place the hold {hold}: POST /holds, or vpn-operator hold create {corporate_id}"
    )]
    NobodyToDeny {
        /// Whom it concerns.
        corporate_id: CorporateId,
        /// The hold that does.
        hold: String,
    },
    /// The person is declared already, with something else than a grant gives.
    #[error(
        "{corporate_id} is declared already, with another {}: nothing was changed. Edit the object, or leave that out",
        fields.join(", ")
    )]
    DeclaredOtherwise {
        /// Whom it concerns.
        corporate_id: CorporateId,
        /// What differs.
        fields: Vec<&'static str>,
    },
    /// No gateway of that name.
    #[error("there is no gateway named {0}: GET /gateways lists those that there are")]
    UnknownGateway(String),
    /// No hold of that name.
    #[error("there is no hold named {0}")]
    UnknownHold(String),
    /// A grant was asked for somebody who is denied. Nothing was changed.
    #[error("granting does not lift a denial: {0}")]
    Conflict(Denial),
    /// Something was asked that only a person with access gets.
    #[error("{0}")]
    Denied(Denial),
    /// No hold keeps the denial that was ordered.
    #[error(
        "no hold keeps {corporate_id} out, because it could not be placed: {error}. {flip}. Once the cause is mended, deactivate again"
    )]
    NotHeld {
        /// Whom it concerns.
        corporate_id: CorporateId,
        /// Why there is no hold.
        error: DesiredError,
        /// What became of `spec.active`, which was to follow the hold.
        flip: Box<Flip>,
    },
    /// A hold of another source.
    #[error("the hold {name} was placed by {source_name}: only {source_name} lifts it")]
    ForeignHold {
        /// Name of the hold.
        name: String,
        /// Who placed it.
        source_name: String,
    },
    /// The password of the person does not come from here.
    #[error(
        "the password of {0} is declared in spec.credentialsFrom: change it there, and raise spec.credentialGeneration"
    )]
    ImportedPassword(CorporateId),
    /// The person has access, but there is nothing to connect to, or the password cannot be read.
    #[error("{id} has access, but there is no link: {}", obstacles(.why))]
    NoLink {
        /// Whom it concerns.
        id: CorporateId,
        /// What is in the way, one line each.
        why: Vec<String>,
    },
    /// Desired state did not take the change.
    #[error(transparent)]
    Desired(#[from] DesiredError),
    /// No event of that number.
    #[error("there is no HR event with the number {0}: GET /webhooks/events lists them")]
    UnknownEvent(i64),
    /// An event is not in a state in which that can be done.
    #[error("HR event {id} is {}: {}", .state.as_str(), not_discardable(*.state))]
    EventState {
        /// Number of the event.
        id: i64,
        /// Its state.
        state: State,
    },
    /// Nobody said how events of HR are signed.
    #[error(
        "events of HR are not taken here, because no secret is configured: set WEBHOOK_SECRET or WEBHOOK_SECRETS, or, for a sender \
         that cannot sign, WEBHOOK_ALLOW_UNSIGNED=true"
    )]
    NoWebhookSecret,
    /// An event is not signed as it has to be. It is not kept.
    #[error(transparent)]
    WebhookRefused(#[from] Refusal),
    /// History or the registry of corporate IDs is unavailable, and without them nobody is let in; or the inbox of HR events, and
    /// without it no event is taken.
    #[error("{0}; nothing was changed")]
    Store(#[from] StoreError),
    /// No such ID.
    #[error("the registry has no ID {0}")]
    UnknownId(CorporateId),
    /// No such ID, and somebody wants it denied.
    #[error(
        "the registry has no ID {corporate_id}, and nobody is declared with it, so nobody was put out. To keep out whoever is declared \
         with it later, place the hold {hold}: POST /holds, or vpn-operator hold create {corporate_id}"
    )]
    NoIdToRevoke {
        /// Which ID.
        corporate_id: CorporateId,
        /// The hold that denies it.
        hold: String,
    },
    /// The status of the ID does not allow it.
    #[error(transparent)]
    IdStep(#[from] StepError),
    /// No ID could be found that is free.
    #[error("no ID was issued: {0}")]
    Find(#[from] FindError),
    /// Somebody else was given the ID in the same moment.
    #[error("no ID was issued: each that was found was given to somebody else in the same moment; try again")]
    IdTaken,
    /// The key of a request was used for another one.
    #[error(
        "Idempotency-Key: an ID was issued by this key already, for somebody else: give every request a key of its own"
    )]
    RequestKeyUsed,
    /// Lines of a file cannot be taken. Nothing was changed.
    #[error("{}", bad_lines(.0))]
    BadLines(Vec<BadLine>),
    /// The hold denies, and the registry could not record why.
    #[error(
        "the hold {hold} keeps {corporate_id} out, but the registry could not record that the ID is revoked: {error}. Revoke it again"
    )]
    RevokedUnrecorded {
        /// Which ID.
        corporate_id: CorporateId,
        /// The hold that denies.
        hold: String,
        /// Why it is not recorded.
        error: StoreError,
    },
    /// Somebody wants to declare a person with an ID that was taken away.
    #[error(
        "the ID {corporate_id} is {status}: nobody is let in with it. Issue another one, or reinstate it if it is revoked: id activate {corporate_id} --reinstate"
    )]
    RevokedId {
        /// Which ID.
        corporate_id: CorporateId,
        /// Its status.
        status: Status,
    },
    /// Somebody revoked an ID while it was being given back.
    #[error("{0} was revoked again while it was being reinstated: it stays revoked")]
    Overtaken(CorporateId),
    /// Too many wrong codes, or too many that were asked for, of this ID or by this account.
    #[error("too many tries: wait {}", minutes(*.seconds))]
    LinkLocked {
        /// How long still.
        seconds: u64,
    },
    /// A code for linking is not right.
    #[error(
        "the code is wrong, or it is not good any more: it is good once, for a few minutes, and in the chat alone that asked for it. Send          the corporate ID again for another one"
    )]
    WrongLinkCode,
    /// There is no link.
    #[error("no Telegram account is linked here")]
    NotLinked,
    /// Somebody who is known, and has no access because nobody is declared with their ID.
    #[error("nobody is declared with the corporate ID {0}, so it gives no access: ask whoever issued it")]
    Undeclared(CorporateId),
    /// A person has no such link.
    #[error(
        "{id} has no handed-over link with the number {number}: GET /user/{id}/links lists those that can be opened"
    )]
    UnknownHandover {
        /// Whose page it would open.
        id: CorporateId,
        /// Its number.
        number: i64,
    },
    /// This process links no accounts.
    #[error("Telegram accounts are not linked in this process")]
    NoLinks,
    /// The work was cut off inside.
    #[error("the work was cut off by an internal error: look at the state before trying again")]
    Interrupted,
}
