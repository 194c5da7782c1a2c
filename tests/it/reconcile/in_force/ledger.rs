//! What people were told, and what was said since that permits somebody again.
//!
//! The ledger knows nothing of how the operator decides. It takes down each denial that was answered or reported, strikes it
//! out when an instruction permits the person, and says who must be refused.

use std::collections::BTreeMap;

use jiff::Timestamp;
use vpn_operator::model::{
    access::{Access, HoldSpan, Reason},
    condition::{texts, types},
    guard::Feed,
    user::{TrafficLimit, VpnUser, VpnUserSpec},
};

use super::stores::GATEWAYS;

/// A hold that somebody placed and nobody lifted.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that happened to it")]
pub struct Standing {
    pub who: usize,
    pub source: &'static str,
    pub span: HoldSpan,
    /// Its file is the operator's own: nobody lifts it by removing that.
    pub own: bool,
    /// Cluster: the uid of its object. Another object may have had the name before.
    pub uid: Option<String>,
    /// Somebody was told that it is in force.
    pub told: bool,
    /// The object or its file went without having been lifted.
    pub lost: bool,
    /// It stays in force although it was lost, as it is the operator's own or the guard was reported to keep it.
    pub stays: bool,
}

impl Standing {
    pub fn is_order(&self) -> bool {
        Feed::of_source(self.source).is_none()
    }
}

/// A denial by what is declared of a person, or by traffic.
#[derive(Debug, Clone, PartialEq)]
pub enum Denial {
    Deleted,
    Inactive,
    NotYetValid(Timestamp),
    Expired(Timestamp),
    Over {
        traffic: TrafficLimit,
        used: u64,
        period: Option<Timestamp>,
    },
    /// Access to the first gateway alone.
    Narrowed,
}

/// A denial that was reported.
#[derive(Debug, Clone)]
pub struct Claim {
    pub who: usize,
    pub denial: Denial,
    /// Number of the write that reported it.
    pub version: u64,
    /// Since it was reported, the store of the objects was put back or lost.
    record_failed: bool,
    /// Since it was reported, the store of the guard or of traffic was put back or lost.
    volume_failed: bool,
}

/// A person who was told that a denial is held back.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The guard's store says so.
    pub by_guard: bool,
}

#[derive(Debug, Default)]
pub struct Ledger {
    /// Number of the latest write.
    pub number: u64,
    /// Number of the latest write when something was last said about a person.
    said: BTreeMap<usize, u64>,
    pub holds: BTreeMap<String, Standing>,
    pub claims: Vec<Claim>,
    pub waiting: BTreeMap<usize, Waiting>,
}

impl Ledger {
    /// Something was said about a person: what waited may be decided otherwise.
    pub fn said(&mut self, who: usize) {
        self.said.insert(who, self.number);
        self.waiting.remove(&who);
    }

    /// Whether nothing was said about a person since the write of this number.
    pub fn is_fresh(&self, who: usize, version: u64) -> bool {
        self.said.get(&who).is_none_or(|said| *said < version)
    }

    pub fn held(&mut self, name: &str, standing: Standing) {
        self.said(standing.who);
        self.holds.insert(name.to_owned(), standing);
    }

    pub fn lifted(&mut self, name: &str) {
        if let Some(standing) = self.holds.remove(name) {
            self.said(standing.who);
        }
    }

    pub fn lost(&mut self, name: &str, stays: bool) {
        if let Some(standing) = self.holds.get_mut(name) {
            standing.lost = true;
            standing.stays = stays;
            let who = standing.who;
            self.said(who);
        }
    }

    /// The file of a hold says when it denies: another time, if it is of an earlier hold by this name.
    pub fn reads(&mut self, name: &str, span: HoldSpan) {
        if let Some(standing) = self.holds.get_mut(name)
            && standing.span != span
        {
            standing.span = span;
            standing.told = false;
            let who = standing.who;
            self.said(who);
        }
    }

    /// Somebody declared something else of a person, or nothing any more.
    pub fn declared(&mut self, who: usize, spec: Option<&VpnUserSpec>) {
        self.said(who);
        self.claims
            .retain(|claim| claim.who != who || claim.denial.survives(spec));
    }

    /// The object of a person is gone for good: another one by its name starts afresh.
    pub fn gone(&mut self, who: usize) {
        self.said(who);
        self.claims
            .retain(|claim| claim.who != who || claim.denial == Denial::Deleted);
    }

    /// A status is in the store of the objects, and speaks of what is declared.
    pub fn reported(&mut self, who: usize, version: u64, user: &VpnUser, used: u64, now: Timestamp) {
        let Some(status) = &user.status else { return };
        let traffic = user.spec.traffic.clone();
        let denial = match (status.access, status.reason) {
            (Some(Access::Denied), Some(Reason::Deleted)) => Some(Denial::Deleted),
            (Some(Access::Denied), Some(Reason::Inactive)) => Some(Denial::Inactive),
            (Some(Access::Denied), Some(Reason::NotYetValid)) => user.spec.valid_from.map(Denial::NotYetValid),
            (Some(Access::Denied), Some(Reason::Expired)) => user.spec.valid_until.map(Denial::Expired),
            (Some(Access::Denied), Some(Reason::OverQuota)) => traffic.map(|traffic| Denial::Over {
                used,
                period: traffic.period.start(now),
                traffic,
            }),
            _ => None,
        };
        if let Some(denial) = denial {
            self.claim(who, denial, version);
        }
        if status.access == Some(Access::Granted)
            && !super::adapter::says_held_back(status)
            && user.metadata.deletion_timestamp.is_none()
            && !admits_everywhere(&user.spec)
        {
            self.claim(who, Denial::Narrowed, version);
        }
    }

    /// A status that names the holds on which a denial rests is in the store of the objects.
    pub fn reported_holds(&mut self, user: &VpnUser) {
        let Some(status) = &user.status else { return };
        if (status.access, status.reason) != (Some(Access::Denied), Some(Reason::Held)) {
            return;
        }
        let granted = status.conditions.iter().find(|it| it.type_ == types::GRANTED);
        let text = granted.map(|it| it.message.to_string()).unwrap_or_default();
        for name in texts::holders(&text) {
            if let Some(standing) = self.holds.get_mut(name) {
                standing.told = true;
            }
        }
    }

    /// A person's object was let go, as its denial is proved.
    pub fn let_go(&mut self, who: usize) {
        self.gone(who);
        // Its going is a write, of which whoever saw the last version has not heard.
        self.number += 1;
        self.claim(who, Denial::Deleted, self.number);
    }

    fn claim(&mut self, who: usize, denial: Denial, version: u64) {
        let same = |claim: &&mut Claim| {
            claim.who == who && std::mem::discriminant(&claim.denial) == std::mem::discriminant(&denial)
        };
        match self.claims.iter_mut().find(same) {
            Some(claim) => {
                claim.volume_failed &= claim.denial == denial;
                claim.denial = denial;
                claim.version = version;
                claim.record_failed = false;
            }
            None => self.claims.push(Claim {
                who,
                denial,
                version,
                record_failed: false,
                volume_failed: false,
            }),
        }
    }

    /// The store of the objects was put back or lost. What stands nowhere any more is forgotten.
    pub fn record_failed(&mut self, says_nothing_else: impl Fn(usize) -> bool) {
        self.claims.iter_mut().for_each(|claim| claim.record_failed = true);
        self.claims.retain(|claim| !claim.volume_failed);
        self.waiting.retain(|who, it| it.by_guard && says_nothing_else(*who));
    }

    /// The store of the guard or of traffic was put back or lost.
    pub fn volume_failed(&mut self, says_so: impl Fn(usize) -> bool) {
        self.claims.iter_mut().for_each(|claim| claim.volume_failed = true);
        self.claims.retain(|claim| !claim.record_failed);
        self.waiting.retain(|who, _| says_so(*who));
        self.waiting.values_mut().for_each(|it| it.by_guard = false);
    }

    /// Everything was written that a process has to write: each store could do without the others again.
    pub fn healed(&mut self) {
        // Of somebody whose object is gone nothing is left to be written anew.
        for claim in self.claims.iter_mut().filter(|claim| claim.denial != Denial::Deleted) {
            claim.record_failed = false;
            claim.volume_failed = false;
        }
    }

    /// Why a person must not be let in at a gateway by somebody who saw the write of this number, if so.
    pub fn refuses(&self, who: usize, gateway: &str, now: Timestamp, saw: impl Fn(u64) -> bool) -> Option<String> {
        let claims = self
            .claims
            .iter()
            .filter(|claim| claim.who == who && saw(claim.version));
        claims
            .filter(|claim| claim.denial.applies(gateway, now))
            .map(|claim| format!("{:?} was reported", claim.denial))
            .next()
    }

    /// A hold of which somebody was told that it is in force, and that denies a person now.
    pub fn told_hold(&self, who: usize, now: Timestamp) -> Option<&str> {
        let denies = |it: &Standing| it.who == who && it.told && it.span.is_live(now) && (!it.lost || it.stays);
        self.holds
            .iter()
            .find(|(_, it)| denies(it))
            .map(|(name, _)| name.as_str())
    }
}

impl Denial {
    /// Whether it stands although this is declared now.
    fn survives(&self, spec: Option<&VpnUserSpec>) -> bool {
        let Some(spec) = spec else { return true };
        match self {
            Self::Deleted => false,
            Self::Inactive => !spec.active,
            Self::NotYetValid(from) => spec.valid_from.is_some_and(|now| now >= *from),
            Self::Expired(until) => spec.valid_until.is_some_and(|now| now <= *until),
            Self::Over { traffic, used, .. } => spec
                .traffic
                .as_ref()
                .is_some_and(|now| now.period == traffic.period && now.limit.get() <= *used),
            Self::Narrowed => !admits_everywhere(spec),
        }
    }

    fn applies(&self, gateway: &str, now: Timestamp) -> bool {
        match self {
            Self::Deleted | Self::Inactive => true,
            Self::NotYetValid(from) => now < *from,
            Self::Expired(until) => *until <= now,
            Self::Over { traffic, period, .. } => traffic.period.start(now) == *period,
            Self::Narrowed => gateway != GATEWAYS[0],
        }
    }
}

/// Whether a spec leaves a person every gateway.
pub fn admits_everywhere(spec: &VpnUserSpec) -> bool {
    let names = spec.gateways.as_deref().unwrap_or_default();
    GATEWAYS.iter().all(|gateway| names.iter().any(|name| name == gateway))
}
