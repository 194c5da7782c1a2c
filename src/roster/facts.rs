//! What the roster keeps of an object: the few facts that decide, not the object.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use super::{reported::Reported, spec_terms::SpecTerms};
use crate::model::{
    LET_GO, OWN, RELEASED,
    access::HoldSpan,
    corporate_id::{CorporateId, MAX_ACCOUNT_LEN},
    guard::{Feed, WaitingHold},
    hold::{HoldPhase, VpnHold},
    user::VpnUser,
};

/// The account of a user. See [`VpnUserSpec::account`](crate::model::user::VpnUserSpec::account).
#[must_use]
pub fn account_of(user: &VpnUser) -> String {
    user.spec.account()
}

pub(super) struct UserFacts {
    pub(super) name: Arc<str>,
    pub(super) id: CorporateId,
    pub(super) account: Arc<str>,
    pub(super) uid: Box<str>,
    pub(super) generation: i64,
    /// Far in the future when the source says nothing: such an object claims last.
    pub(super) created: Timestamp,
    pub(super) deleted: bool,
    /// It carries [`LET_GO`].
    pub(super) let_go: bool,
    pub(super) spec: SpecTerms,
    pub(super) max_devices: Option<u32>,
    pub(super) credential_generation: i64,
    pub(super) imported: bool,
    /// From the status, as it was written last.
    pub(super) reported: Reported,
}

impl UserFacts {
    pub(super) fn of(user: &VpnUser) -> Self {
        let (meta, spec) = (&user.metadata, &user.spec);
        let terms = SpecTerms::of(user);
        Self {
            name: user.name_any().into(),
            id: spec.corporate_id.clone(),
            account: account_of(user).into(),
            uid: uid_of(user),
            generation: meta.generation.unwrap_or(0),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
            deleted: meta.deletion_timestamp.is_some(),
            let_go: user.annotations().get(LET_GO).is_some_and(|value| value == "true"),
            max_devices: spec.max_devices,
            credential_generation: spec.credential_generation,
            imported: spec.credentials_from.is_some(),
            reported: Reported::of(user, &terms.gateways),
            spec: terms,
        }
    }

    /// Whether session ids and client links can carry the account's name.
    pub(super) fn has_usable_account(&self) -> bool {
        (1..=MAX_ACCOUNT_LEN).contains(&self.account.len())
            && self
                .account
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'@' | b'+'))
    }

    /// Who comes first of those that claim the same account or ID.
    pub(super) fn claim(&self) -> (Timestamp, &str) {
        (self.created, &self.name)
    }
}

/// The uid of an object, or its name where the source gives out none.
fn uid_of<K: Resource>(object: &K) -> Box<str> {
    object.meta().uid.clone().unwrap_or_else(|| object.name_any()).into()
}

pub(super) struct HoldFacts {
    pub(super) name: Box<str>,
    pub(super) id: CorporateId,
    pub(super) uid: Box<str>,
    pub(super) span: HoldSpan,
    pub(super) deleted: bool,
    pub(super) released: bool,
    /// The feed that placed it; `None`: it is an order.
    pub(super) feed: Option<Feed>,
    pub(super) source: Box<str>,
    /// The operator keeps the file itself, so that nobody lifts the hold by removing it.
    pub(super) own: bool,
    /// What its status says; `None` before the first report.
    pub(super) reported: Option<Box<ReportedHold>>,
}

/// What the status of a hold says.
pub(super) struct ReportedHold {
    pub(super) phase: HoldPhase,
    pub(super) held_back: Option<WaitingHold>,
    pub(super) lost: Option<WaitingHold>,
}

impl HoldFacts {
    pub(super) fn of(hold: &VpnHold) -> Self {
        let reported = hold.status.as_ref().and_then(|status| {
            Some(Box::new(ReportedHold {
                phase: status.phase?,
                held_back: status.held_back.clone(),
                lost: status.lost.clone(),
            }))
        });
        Self {
            name: hold.name_any().into(),
            id: hold.spec.corporate_id.clone(),
            uid: uid_of(hold),
            span: HoldSpan {
                from: hold.spec.from,
                until: hold.spec.until,
            },
            deleted: hold.metadata.deletion_timestamp.is_some(),
            released: hold.annotations().contains_key(RELEASED),
            feed: Feed::of_source(&hold.spec.source),
            source: hold.spec.source.as_str().into(),
            own: hold.annotations().contains_key(OWN),
            reported,
        }
    }
}
