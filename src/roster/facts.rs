//! What the roster keeps of an object: the few facts that decide, not the object.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::follow::Word;
use crate::{
    auth::words::Gateways,
    model::{
        LET_GO, RELEASED,
        access::{Access, HoldSpan, Quota},
        corporate_id::{CorporateId, MAX_ACCOUNT_LEN},
        hold::VpnHold,
        session::Epoch,
        user::VpnUser,
    },
};

/// The account of a user: as declared, or derived from the ID. Lower case, as panels store it and as logins are compared.
#[must_use]
pub fn account_of(user: &VpnUser) -> String {
    match &user.spec.username {
        Some(name) => name.to_ascii_lowercase(),
        None => user.spec.corporate_id.account(),
    }
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of an object, each with its own name"
)]
pub(super) struct UserFacts {
    pub(super) name: Arc<str>,
    pub(super) id: CorporateId,
    pub(super) account: Arc<str>,
    pub(super) uid: Box<str>,
    pub(super) generation: i64,
    /// Far in the future when the source says nothing: such an object claims last.
    pub(super) created: Timestamp,
    pub(super) active: bool,
    pub(super) deleted: bool,
    /// It carries [`LET_GO`].
    pub(super) let_go: bool,
    pub(super) valid_from: Option<Timestamp>,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) quota: Option<Quota>,
    pub(super) max_devices: Option<u32>,
    pub(super) gateways: Gateways,
    pub(super) credential_generation: i64,
    pub(super) imported: bool,
    /// From the status, as the last process left it.
    pub(super) recorded: Recorded,
    /// From the status, what only a follower heeds.
    pub(super) word: Option<Box<Word>>,
}

/// What the status of a user says.
#[derive(Clone, Copy)]
pub(super) struct Recorded {
    pub(super) access: Option<Access>,
    pub(super) credential_generation: Option<i64>,
    pub(super) epoch: Epoch,
    pub(super) denied_at: Option<Timestamp>,
    /// Every session of the latest revocation was proved gone.
    pub(super) zero: bool,
    /// The spec was changed after this was written.
    pub(super) outdated: bool,
    /// It was changed so that a gateway was taken away.
    pub(super) narrowed: bool,
}

impl UserFacts {
    pub(super) fn of(user: &VpnUser) -> Self {
        let (meta, spec, status) = (&user.metadata, &user.spec, user.status.as_ref());
        let epoch = status.and_then(|status| status.epoch).unwrap_or(0);
        let gateways = Gateways::of(spec.gateways.as_deref());
        let outdated = status.is_some_and(|status| Some(status.observed_generation) != meta.generation);
        let mut had = status.into_iter().flat_map(|status| &status.gateways);
        let narrowed = outdated && had.any(|state| !gateways.admit(&state.name));
        Self {
            name: user.name_any().into(),
            id: spec.corporate_id.clone(),
            account: account_of(user).into(),
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            generation: meta.generation.unwrap_or(0),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
            active: spec.active,
            deleted: meta.deletion_timestamp.is_some(),
            let_go: user.annotations().get(LET_GO).is_some_and(|value| value == "true"),
            valid_from: spec.valid_from,
            valid_until: spec.valid_until,
            quota: spec.traffic.as_ref().map(|traffic| Quota {
                limit: traffic.limit.get(),
                period: traffic.period,
            }),
            max_devices: spec.max_devices,
            gateways,
            credential_generation: spec.credential_generation,
            imported: spec.credentials_from.is_some(),
            word: Word::of(user),
            recorded: Recorded {
                access: status.and_then(|status| status.access),
                credential_generation: status.and_then(|status| status.credential_generation),
                epoch: Epoch(u64::try_from(epoch).unwrap_or(0)),
                denied_at: status
                    .and_then(|status| status.revocation.as_ref())
                    .map(|it| it.denied_at),
                zero: status
                    .and_then(|status| status.revocation.as_ref())
                    .is_some_and(|it| it.sessions_zero_at.is_some()),
                outdated,
                narrowed,
            },
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

pub(super) struct HoldFacts {
    pub(super) name: Box<str>,
    pub(super) id: CorporateId,
    pub(super) span: HoldSpan,
    pub(super) created: Option<Timestamp>,
    pub(super) deleted: bool,
    pub(super) released: bool,
}

impl HoldFacts {
    pub(super) fn of(hold: &VpnHold) -> Self {
        Self {
            name: hold.name_any().into(),
            id: hold.spec.corporate_id.clone(),
            span: HoldSpan {
                from: hold.spec.from,
                until: hold.spec.until,
            },
            created: hold.metadata.creation_timestamp.as_ref().map(|time| time.0),
            deleted: hold.metadata.deletion_timestamp.is_some(),
            released: hold.annotations().contains_key(RELEASED),
        }
    }
}
