//! Who must not be let in, from what is declared alone.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretBox};
use vpn_operator::{
    auth::index::{AuthIndex, Verdict},
    credentials::MasterKey,
    gateway::NodeName,
    model::{corporate_id::CorporateId, hold::VpnHold, user::VpnUser},
};

pub const ANNA: &str = "AB123456";
pub const BORIS: &str = "AB123457";
/// Somebody whom nothing concerns.
pub const BYSTANDER: &str = "ZZ000001";
pub const PEOPLE: [&str; 3] = [ANNA, BORIS, BYSTANDER];

pub const HOME: &str = "default";
pub const PARIS: &str = "paris";
pub const GATEWAYS: [&str; 2] = [HOME, PARIS];

/// Passwords that people may have: those of these generations.
const GENERATIONS: std::ops::RangeInclusive<i64> = 1..=3;

pub fn key() -> MasterKey {
    MasterKey::from_bytes(SecretBox::new(Box::new([7; 32])))
}

/// Name of a person's object.
pub fn object(id: &str) -> String {
    CorporateId::parse(id).unwrap().object_name()
}

/// One way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Way {
    pub id: &'static str,
    pub generation: i64,
    pub gateway: &'static str,
}

/// Every way in.
pub fn ways() -> impl Iterator<Item = Way> {
    PEOPLE.into_iter().flat_map(|id| {
        GATEWAYS.into_iter().flat_map(move |gateway| {
            let last = if id == BYSTANDER { 1 } else { *GENERATIONS.end() };
            (1..=last).map(move |generation| Way {
                id,
                generation,
                gateway,
            })
        })
    })
}

impl Way {
    /// What auth answers.
    pub fn login(&self, index: &AuthIndex) -> Verdict {
        static SENT: LazyLock<BTreeMap<(&str, i64), String>> = LazyLock::new(|| {
            let key = key();
            let sent = |id: &'static str, generation| {
                let parsed = CorporateId::parse(id).unwrap();
                let password = key.password(&parsed, generation);
                (
                    (id, generation),
                    format!("{}:{}", parsed.account(), password.expose_secret()),
                )
            };
            PEOPLE
                .into_iter()
                .flat_map(|id| GENERATIONS.map(move |generation| sent(id, generation)))
                .collect()
        });
        let node = index.node(&NodeName::new(self.gateway, "n"));
        index.login(&node, &SENT[&(self.id, self.generation)])
    }
}

/// What the declaration says of a way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Permits,
    /// There is no such person any more. That may wait a moment for its companions.
    Vanished,
    /// It is declared that the person does not come in this way.
    Denies,
}

/// What these objects say of a way in at a moment.
pub fn word<'a>(
    way: &Way,
    user: Option<&VpnUser>,
    mut holds: impl Iterator<Item = &'a VpnHold>,
    now: Timestamp,
) -> Word {
    let held = holds.any(|hold| {
        let spec = &hold.spec;
        hold.metadata.deletion_timestamp.is_none()
            && spec.corporate_id.as_str().eq_ignore_ascii_case(way.id)
            && spec.from.is_none_or(|from| from <= now)
            && spec.until.is_none_or(|until| until > now)
    });
    if held {
        return Word::Denies;
    }
    let Some(user) = user else { return Word::Vanished };
    let spec = &user.spec;
    let here = match &spec.gateways {
        Some(names) => names.iter().any(|name| name == way.gateway),
        None => way.gateway == HOME,
    };
    let expired = spec.valid_until.is_some_and(|until| until <= now);
    if !spec.active || expired || !here || spec.credential_generation != way.generation {
        Word::Denies
    } else if user.metadata.deletion_timestamp.is_some() {
        Word::Vanished
    } else {
        Word::Permits
    }
}
