//! One account: what is wanted of it, what is known of it, and what is to be done about it. Pure.

mod server;
mod told;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    call::Call,
    client::{Entry, PanelError},
    difference,
    listed::Drifted,
    proof::{Need, Proof},
    queues::Place,
};
use crate::gateway::{Leaving, Moment, Revoke, Target, TargetAccess, Work, retry::Backoff};

/// How long after its call failed an account is tried again for the first time.
const SOON: Duration = Duration::from_millis(500);
/// The longest wait of a denial.
const DENIAL: Duration = Duration::from_secs(10);
/// The longest wait after an answer that may be about something else.
const STUMBLED: Duration = Duration::from_secs(60);
/// The longest wait of an account that the panel does not accept.
const REFUSED: Duration = Duration::from_secs(300);
/// So many failures in a row are said of an account, although each may be about something else.
const CONSPICUOUS: u32 = 3;

/// An account that was handed over.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Managed {
    pub(super) target: Target,
    proof: Option<Proof>,
    /// In which order it came.
    number: u64,
    /// Somebody waits for it.
    pub(super) asked: bool,
    /// A list showed it with access as is wanted, and with nothing to change.
    agreed: bool,
    /// A list showed that people are let in as is wanted, whatever else waits until nobody is connected.
    open: bool,
    /// It was made or seen here since the start, so that somebody may have been let in.
    was_there: bool,
    /// It was the operator's, and went as it was to go. What is there under its name after that may be somebody else's.
    left: bool,
    /// It is somebody else's.
    foreign: bool,
    /// Its last call failed.
    failing: Option<Failing>,
    /// Written since the last list.
    written: bool,
    /// Where its next call is found.
    pub(super) filed: Place,
}

/// Why an account's last call failed, and when it is tried again.
pub(super) struct Failing {
    error: PanelError,
    /// How often in a row.
    times: u32,
    until: Instant,
    backoff: Backoff,
}

impl Managed {
    pub(super) const fn new(target: Target, number: u64) -> Self {
        Self {
            target,
            proof: None,
            number,
            asked: false,
            agreed: false,
            open: false,
            was_there: false,
            left: false,
            foreign: false,
            failing: None,
            written: false,
            filed: Place::Nowhere,
        }
    }

    /// Takes what is wanted from now on. `looked`: it is known what is there, and `entry` is what is listed of it.
    /// `server`: the panel's server is asked as well.
    pub(super) fn submit(&mut self, target: &Target, entry: Option<&Entry>, looked: bool, server: bool, now: Moment) {
        self.target = target.clone();
        self.left = false;
        self.failing = None;
        self.foreign = entry.is_some_and(|entry| !self.is_ours(entry));
        // What the status says was there may have let somebody in before this process began.
        self.was_there |= (entry.is_some() && !self.foreign) || target.account.reported;
        if let Some(revoke) = target.revoke.as_ref().filter(|_| !self.is_let_go())
            && self.proof.as_ref().is_none_or(|proof| proof.below() < revoke.below)
        {
            let idle = entry.is_some_and(|entry| entry.blocked && entry.online == 0);
            let proof = Proof::open(revoke, entry.map_or(0, |entry| entry.online), server);
            self.proof = Some(proof.was_idle(idle));
        }
        // What was written since the last list was not read back.
        let read_back = looked && !self.written;
        self.agreed = read_back && self.agrees(entry, now.utc);
        self.open = read_back && self.opens(entry);
    }

    /// Takes what a list shows of it that was begun at `begun`.
    pub(super) fn listed(
        &mut self,
        entry: Option<&Entry>,
        begun: Instant,
        server: bool,
        now: Moment,
    ) -> Option<Drifted> {
        self.foreign = entry.is_some_and(|entry| !self.is_ours(entry));
        self.was_there |= entry.is_some() && !self.foreign;
        // Who is let in again is so on purpose, once the former sessions are proved gone.
        let granted = self.target.access == TargetAccess::Granted;
        if let Some(proof) = self.proof.as_mut().filter(|proof| !(granted && proof.is_over())) {
            let refused = self.foreign || entry.is_none_or(|entry| entry.blocked);
            let devices = entry.filter(|_| !self.foreign).map(|entry| entry.online);
            proof.looked(devices, refused, begun, now);
        }
        let agrees = self.agrees(entry, now.utc);
        let drifted = self.agreed && !agrees && !self.written;
        if let Some(entry) = entry.filter(|entry| !entry.blocked && !self.foreign) {
            self.let_in_by_others(entry.online, server, now);
        }
        self.agreed = agrees;
        self.open = self.opens(entry);
        self.written = false;
        if agrees {
            self.asked = false;
        }
        self.left = (self.left && self.foreign) || (entry.is_none() && self.has_left(entry, true));
        let settled = self.wants(entry, true, now) == Place::Nowhere;
        // Otherwise it is the panel as a whole that could not be called, and now it can.
        if settled || self.failing.as_ref().is_some_and(|it| !it.error.may_be_of_one()) {
            self.failing = None;
        }
        drifted.then(|| entry.map_or(Drifted::Gone, |_| Drifted::Changed))
    }

    /// A call about it that was begun at `begun` was acknowledged.
    pub(super) fn wrote(&mut self, call: &Call, begun: Instant, now: Moment) {
        self.failing = None;
        self.written = true;
        match call {
            Call::Block(_) => {
                if let Some(proof) = &mut self.proof {
                    proof.blocked(begun, now);
                }
            }
            Call::Add(..) => (self.was_there, self.left) = (true, false),
            Call::Delete(_) => self.left = true,
            Call::Change(..) => {
                if let Some(proof) = &mut self.proof {
                    proof.changed();
                }
            }
            Call::List | Call::Links(_) => {}
        }
    }

    /// Its call failed. Others come before it is tried again, so that nobody waits behind an account that the panel stumbles over.
    pub(super) fn failed(&mut self, error: PanelError, now: Moment) {
        let (times, mut backoff) = self.failing.take().map_or_else(
            || (0, Backoff::new(SOON, REFUSED)),
            |failing| (failing.times, failing.backoff),
        );
        let longest = match error {
            _ if self.is_denial() => DENIAL,
            PanelError::Rejected { .. } | PanelError::Exists => REFUSED,
            _ => STUMBLED,
        };
        self.failing = Some(Failing {
            error,
            times: times + 1,
            until: now.at + backoff.wait().min(longest),
            backoff,
        });
    }

    /// A list showed that people are let in with it.
    pub(super) const fn lets_in(&self) -> bool {
        self.open
    }

    /// It is not the operator's any more because it was to be deleted.
    pub(super) fn is_deleted(&self) -> bool {
        self.target.access == TargetAccess::Absent && self.target.account.leaving == Leaving::Delete && !self.foreign
    }

    /// Whether an account on the panel is the operator's to change.
    pub(super) fn is_ours(&self, entry: &Entry) -> bool {
        let known = self.was_there || self.target.account.reported;
        (known && !self.left) || difference::is_ours(&self.target.account, entry)
    }

    /// Where its next call is found, by the last list (`looked`: there was one).
    pub(super) fn place(&self, entry: Option<&Entry>, looked: bool, now: Moment) -> Place {
        let place = self.wants(entry, looked, now);
        let Some(failing) = &self.failing else { return place };
        match (place, place.work()) {
            (_, None | Some(Work::Prove | Work::Compare)) => place,
            (_, Some(work)) if failing.until > now.at => Place::Later(work, failing.until),
            (Place::Deletes, _) => Place::DeletesAlone,
            _ => place,
        }
    }

    fn wants(&self, entry: Option<&Entry>, looked: bool, now: Moment) -> Place {
        if self.foreign || self.is_let_go() {
            return Place::Nowhere;
        }
        if let Some(proof) = &self.proof {
            match proof.need(!self.was_there) {
                Need::Block => return Place::Blocks(proof.denied_at()),
                Need::Look => return Place::Proves,
                Need::Nothing => {}
            }
        }
        if !looked {
            return Place::Compares;
        }
        match (self.target.access, entry) {
            (TargetAccess::Granted, None) => self.writes(Work::Add),
            (TargetAccess::Granted, Some(entry)) => {
                let change = difference::change(&self.target.account, entry, now.utc);
                // A change kicks: who is connected is left alone until nobody is, unless nobody can log in before.
                let waits = entry.online > 0 && change.blocked.is_none();
                if change.is_empty() || waits {
                    Place::Nowhere
                } else {
                    self.writes(Work::Change)
                }
            }
            (TargetAccess::Absent, Some(_)) if self.target.account.leaving == Leaving::Delete => Place::Deletes,
            _ => Place::Nowhere,
        }
    }

    /// The call that brings an account in line: `account`, of which `entry` is listed.
    pub(super) fn write(&self, account: &Arc<str>, entry: Option<&Entry>, now: Timestamp) -> Option<Call> {
        let wanted = &self.target.account;
        let Some(entry) = entry else {
            return Some(Call::Add(account.clone(), difference::new(wanted, now)?));
        };
        let change = difference::change(wanted, entry, now);
        (!change.is_empty()).then(|| Call::Change(account.clone(), change))
    }

    const fn writes(&self, work: Work) -> Place {
        if self.asked {
            Place::Asked(work, self.number)
        } else {
            Place::Rest(work, self.number)
        }
    }

    fn is_denial(&self) -> bool {
        self.target.access != TargetAccess::Granted || self.proof.as_ref().is_some_and(|proof| !proof.is_over())
    }

    /// It is not the operator's any more, as it is.
    pub(super) fn is_let_go(&self) -> bool {
        self.target.access == TargetAccess::Absent && self.target.account.leaving == Leaving::Retain
    }

    /// Whether people are let in as is wanted.
    fn opens(&self, entry: Option<&Entry>) -> bool {
        let proved = self.proof.as_ref().is_none_or(Proof::is_over);
        let granted = proved && !self.foreign && self.target.access == TargetAccess::Granted;
        granted && entry.is_some_and(|entry| difference::lets_in(&self.target.account, entry))
    }

    /// Whether the panel is as is wanted.
    fn agrees(&self, entry: Option<&Entry>, now: Timestamp) -> bool {
        if self.proof.as_ref().is_some_and(|proof| !proof.is_over()) {
            return false;
        }
        match (self.target.access, entry) {
            (TargetAccess::Granted, Some(entry)) => difference::change(&self.target.account, entry, now).is_empty(),
            (TargetAccess::Granted, None) => false,
            (_, Some(entry)) => entry.blocked,
            (_, None) => true,
        }
    }

    fn has_left(&self, entry: Option<&Entry>, looked: bool) -> bool {
        let proved = self.is_let_go() || self.proof.as_ref().is_none_or(Proof::is_over);
        let gone = match self.target.account.leaving {
            Leaving::Retain => true,
            Leaving::Delete => looked && entry.is_none(),
            Leaving::Block => looked && entry.is_none_or(|entry| entry.blocked),
        };
        self.target.access == TargetAccess::Absent && proved && gone
    }

    /// A denied account lets people in, and nothing is under way against that: somebody else did it, at whatever time. It is cut as by
    /// a new order.
    fn let_in_by_others(&mut self, devices: u32, server: bool, now: Moment) {
        if self.target.access == TargetAccess::Granted || self.proof.is_some() || self.is_let_go() {
            return;
        }
        let revoke = Revoke {
            below: self.target.epoch,
            denied_at: now.utc,
            known: Vec::new(),
            left_out: Vec::new(),
        };
        self.proof = Some(Proof::open(&revoke, devices, server));
        self.agreed = false;
    }
}
