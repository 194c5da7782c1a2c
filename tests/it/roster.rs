//! Scenarios of the roster: what is declared, what logins are told, and what the guard holds back.

mod follower;
mod guard;
mod model;
mod people;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use vpn_operator::{
    auth::index::Verdict,
    clock::{Clock, ManualClock, SharedClock, SystemClock},
    gateway::NodeName,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        guard::{Budget, GuardChange, GuardMemory},
        hold::{VpnHold, VpnHoldSpec},
        user::{VpnUser, VpnUserStatus},
    },
    roster::{Derivation, Input, Roster, Transition},
};

pub const START: &str = "2026-05-01T00:00:00Z";

/// Stands in for a master key.
struct Spelled;

impl Derivation for Spelled {
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        password(id.key(), generation).into()
    }
}

pub fn password(key: &str, generation: i64) -> String {
    format!("pw-{key}-{generation}")
}

pub fn id(text: &str) -> CorporateId {
    CorporateId::parse(text).unwrap()
}

/// The n-th person.
pub fn nth(n: usize) -> String {
    format!("AB{n:06}")
}

pub fn ts(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An active user, as a source gives it out.
pub fn user(text: &str) -> VpnUser {
    let id = id(text);
    let mut user: VpnUser = serde_json::from_value(serde_json::json!({
        "apiVersion": "vpn-operator.io/v1alpha1",
        "kind": "VpnUser",
        "metadata": {
            "name": id.object_name(), "uid": format!("uid-{}", id.key()), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": { "corporateId": text },
    }))
    .unwrap();
    user.status = Some(VpnUserStatus::default());
    user
}

pub fn edited(user: &VpnUser, edit: impl FnOnce(&mut VpnUser)) -> VpnUser {
    let mut user = user.clone();
    *user.metadata.generation.as_mut().unwrap() += 1;
    edit(&mut user);
    user
}

pub fn tombstone(user: &VpnUser) -> VpnUser {
    edited(user, |user| {
        user.metadata.deletion_timestamp = serde_json::from_value(serde_json::json!(START)).unwrap();
    })
}

/// As the last process left it.
pub fn recorded(user: &VpnUser, access: Access, epoch: i64) -> VpnUser {
    let mut user = user.clone();
    user.status = Some(VpnUserStatus {
        access: Some(access),
        observed_generation: user.metadata.generation.unwrap(),
        epoch: Some(epoch),
        credential_generation: Some(user.spec.credential_generation),
        ..VpnUserStatus::default()
    });
    user
}

/// A hold that the HR feed placed.
pub fn hold(name: &str, text: &str) -> VpnHold {
    hold_of("hr", name, text)
}

/// A hold that this source placed.
pub fn hold_of(source: &str, name: &str, text: &str) -> VpnHold {
    let spec = VpnHoldSpec {
        corporate_id: id(text),
        source: source.into(),
        reason: None,
        from: None,
        until: None,
    };
    VpnHold::new(name, spec)
}

pub fn lost(hold: &VpnHold) -> VpnHold {
    let mut hold = hold.clone();
    hold.metadata.deletion_timestamp = serde_json::from_value(serde_json::json!(START)).unwrap();
    hold
}

pub fn said(user: &VpnUser) -> Input {
    Input::User(Arc::new(user.clone()))
}

pub fn held(hold: &VpnHold) -> Input {
    Input::Hold(Arc::new(hold.clone()))
}

/// A loaded roster whose clock is the machine's.
pub fn in_real_time(inputs: Vec<Input>) -> Roster {
    in_time_of(Arc::new(SystemClock), inputs)
}

/// A loaded roster with this clock.
pub fn in_time_of(clock: SharedClock, inputs: Vec<Input>) -> Roster {
    let roster = Roster::with_derivation(Arc::new(Spelled), Arc::new(|_: &VpnUser| None), clock);
    roster.apply(inputs);
    roster.loaded();
    roster
}

pub struct House {
    pub clock: Arc<ManualClock>,
    pub roster: Roster,
}

impl House {
    /// Nothing is loaded yet.
    pub fn empty() -> Self {
        let clock = ManualClock::at(ts(START));
        let imported = Arc::new(|user: &VpnUser| {
            let source = user.spec.credentials_from.as_ref()?;
            source.env.clone().map(SecretString::from)
        });
        let roster = Roster::with_derivation(Arc::new(Spelled), imported, clock.clone());
        Self { clock, roster }
    }

    /// Loaded, with these.
    pub fn with(inputs: Vec<Input>) -> Self {
        let house = Self::empty();
        assert!(house.roster.apply(inputs).is_empty());
        house.roster.loaded();
        house
    }

    /// `count` active people whose access is recorded.
    pub fn of(count: usize) -> Self {
        Self::with(
            (0..count)
                .map(|n| said(&recorded(&user(&nth(n)), Access::Granted, 0)))
                .collect(),
        )
    }

    /// How much of a budget is used, and its limit.
    pub fn budget(&self, budget: Budget) -> (usize, Option<usize>) {
        let report = self.roster.guard(0);
        let of = report.budgets.iter().find(|it| it.budget == budget).unwrap();
        (of.used, of.limit)
    }

    /// Everything that a store of the guard would have when this process ends now.
    pub fn memory(&self) -> GuardMemory {
        self.replayed(GuardMemory::default())
    }

    /// The same for a store that had something already.
    pub fn replayed(&self, mut memory: GuardMemory) -> GuardMemory {
        for change in self.roster.take_guard_changes().1 {
            match change {
                GuardChange::Verdict(record) => {
                    memory
                        .verdicts
                        .retain(|it| (&it.uid, it.budget) != (&record.uid, record.budget));
                    memory.verdicts.push(record);
                }
                GuardChange::Forget { uid, budget } => {
                    memory.verdicts.retain(|it| (&it.uid, it.budget) != (&uid, budget));
                }
                GuardChange::Charge(charge) => memory.charges.push(charge),
            }
        }
        memory
    }

    pub fn pass(&self, seconds: u64) -> Vec<Transition> {
        self.clock.advance(Duration::from_secs(seconds));
        self.roster.tick()
    }

    pub fn later(&self, seconds: i64) -> Timestamp {
        self.clock.now() + jiff::SignedDuration::from_secs(seconds)
    }

    pub fn login_as(&self, auth: &str) -> Verdict {
        let index = self.roster.index();
        let node = index.node(&NodeName("default/a".into()));
        index.login(&node, auth)
    }

    /// With the password of the first generation.
    pub fn login(&self, text: &str) -> Verdict {
        let id = id(text);
        self.login_as(&format!("{}:{}", id.account(), password(id.key(), 1)))
    }

    pub fn is_in(&self, text: &str) -> bool {
        matches!(self.login(text), Verdict::Granted(_))
    }

    pub fn reason(&self, text: &str) -> Reason {
        self.roster.person(&id(text)).unwrap().effective.reason
    }

    /// How many of the first `count` people may log in.
    pub fn granted(&self, count: usize) -> usize {
        (0..count).filter(|n| self.is_in(&nth(*n))).count()
    }
}
