//! People as they are to be declared, from whichever system they come.

use jiff::Timestamp;
use secrecy::SecretString;

use crate::model::{
    access::Period,
    corporate_id::CorporateId,
    hold::{VpnHoldSpec, hold_name},
    quantity::Bytes,
    secret_source::SecretSource,
    user::{Adopt, DeletionPolicy, TrafficLimit, VpnUserSpec},
};

/// In whose name imported holds stand.
pub const SOURCE: &str = "import";
/// Most bytes of a password: as many as the operator takes from anywhere.
const MAX_PASSWORD_LEN: usize = 4096;
/// What a password that was sealed begins with.
const SEALED: &str = "sealed:";

/// A person as they are to be declared.
#[derive(Debug, Clone)]
pub struct Person {
    /// Corporate ID.
    pub id: CorporateId,
    /// Account on the gateways. Differs from that of every other person.
    pub username: String,
    /// The password that they have.
    pub password: SecretString,
    /// Whose access it is, if anything says so.
    pub owner: Option<String>,
    /// Until when, how much and where.
    pub terms: Terms,
    /// What keeps them out.
    pub holds: Vec<PlannedHold>,
}

/// Until when, how much and where somebody has access. By default as long and as much as they like, on the gateway `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Access ends at this moment.
    pub valid_until: Option<Timestamp>,
    /// Bytes that may be moved in all, both directions added up.
    pub limit: Option<u64>,
    /// Names of the gateways; `default` alone when absent.
    pub gateways: Option<Vec<String>>,
}

/// A hold as it is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHold {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: VpnHoldSpec,
}

impl PlannedHold {
    pub(super) fn new(cause: &str, id: &CorporateId, reason: String, until: Option<Timestamp>) -> Self {
        Self {
            name: hold_name(SOURCE, cause, id),
            spec: VpnHoldSpec {
                corporate_id: id.clone(),
                source: SOURCE.to_owned(),
                reason: Some(reason),
                from: None,
                until,
            },
        }
    }
}

impl Person {
    /// The declaration, with where the password is read from.
    #[must_use]
    pub fn spec(&self, password: SecretSource) -> VpnUserSpec {
        VpnUserSpec {
            corporate_id: self.id.clone(),
            owner: self.owner.clone(),
            email: None,
            role: None,
            active: true,
            valid_from: None,
            valid_until: self.terms.valid_until,
            traffic: self.terms.limit.map(|bytes| TrafficLimit {
                limit: Bytes::exact(bytes),
                period: Period::Lifetime,
            }),
            max_devices: None,
            gateways: self.terms.gateways.clone(),
            username: Some(self.username.clone()),
            credentials_from: Some(password),
            credential_generation: 1,
            subscription_generation: 1,
            deletion_policy: DeletionPolicy::default(),
            // On a panel the account is there, and it is theirs.
            adopt: Adopt::IfExists,
        }
    }
}

/// A password that is to be kept as it is.
///
/// # Errors
/// What is wrong with it, after its subject.
pub(super) fn kept_password(text: &str) -> Result<SecretString, &'static str> {
    if text.len() > MAX_PASSWORD_LEN {
        Err("is longer than 4096 bytes")
    } else if text.chars().any(char::is_control) || text.starts_with('\u{feff}') {
        Err("has control characters")
    } else if text.starts_with(SEALED) {
        Err("begins with `sealed:`")
    } else {
        Ok(SecretString::from(text))
    }
}
