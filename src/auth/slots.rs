//! The session slots of one account: which numbers are taken, by whom, and until when.
//!
//! Pure: the caller gives the time. A slot is reused only when it is known to be gone, that is when all of this holds:
//! - no node shows it online;
//! - it was not handed out within [`RESERVED`] (a node registers a session only after it got our yes, and waits at most
//!   10 s for it);
//! - if the node that it was handed out to is one that is polled, a poll of it that began after that time did not show it,
//!   and what this node does not show is not there: it showed this session once, or others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    gateway::NodeName,
    model::session::{Epoch, SessionId},
};

/// How long a slot stays taken after it was handed out, whatever nodes show.
pub(super) const RESERVED: Duration = Duration::from_secs(12);
/// How long after our yes a poll may begin and still not show the session. A node registers it as soon as it has the answer. Only
/// how many devices are counted rests on this, never which number is used again.
const SETTLE: Duration = Duration::from_millis(500);
/// A session that a poll begun so long after our yes did not show ended before, or the node does not show what it should.
const UNSHOWN: Duration = Duration::from_secs(5);
/// How long one session more than `maxDevices` may live: a phone that changes networks leaves its old session for 30 s.
const OVERLAP: Duration = Duration::from_secs(40);
/// How long an account that kept its extra session is given none.
const NO_EXTRA: Duration = Duration::from_secs(600);
/// Slots of an account that are not known to be gone, at most.
const MAX_SLOTS: usize = 1024;
/// Slots of an account that are remembered because nodes show them, at most: what a node shows is not to be trusted.
const MAX_SEEN: usize = 4 * MAX_SLOTS;
/// How many sessions another process may let in at the same moment without this one having seen the first of them.
const AHEAD: usize = 3;
/// Numbers that one process may hand out before it knows which of the low ones are taken.
pub(super) const BLOCK: u32 = 4096;
/// How many blocks there are above the low numbers.
pub(super) const BLOCKS: u32 = 1_000_000;

/// No number of the last block overflows, and a block has room for every slot of an account, those that are one too many
/// included.
const _: () = assert!(BLOCK.checked_mul(BLOCKS + 1).is_some() && BLOCK as usize >= 2 * MAX_SLOTS);

/// What slots need to know of a node.
#[derive(Debug)]
pub(super) struct NodeClock {
    /// Name of the node.
    pub(super) name: NodeName,
    origin: Instant,
    /// Begin of the last poll in nanoseconds after `origin`, plus one; 0 before the first.
    polled: AtomicU64,
    /// Whether this node is polled at all. If not, only time frees its slots.
    expected: AtomicBool,
    /// It is part of no gateway any more.
    removed: AtomicBool,
    /// It has shown a session that is on it and on no other node. Until then what it does not show may be there.
    vouched: AtomicBool,
}

impl NodeClock {
    pub(super) fn new(name: NodeName, origin: Instant) -> Self {
        Self {
            name,
            origin,
            polled: AtomicU64::new(0),
            expected: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            vouched: AtomicBool::new(false),
        }
    }

    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
        self.expect(false);
    }

    fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    pub(super) fn set_vouched(&self, vouched: bool) {
        self.vouched.store(vouched, Ordering::Release);
    }

    /// Whether a session that it does not show is not there. Which of several nodes has a session that was let in with their
    /// common token is not known, so nothing can be missed on one of them.
    fn is_vouched(&self) -> bool {
        self.vouched.load(Ordering::Acquire) || self.name.is_shared()
    }

    pub(super) fn expect(&self, expected: bool) {
        self.expected.store(expected, Ordering::Release);
    }

    pub(super) fn is_expected(&self) -> bool {
        self.expected.load(Ordering::Acquire)
    }

    pub(super) fn polled_since(&self, at: Instant) -> bool {
        match self.polled.load(Ordering::Acquire) {
            0 => false,
            polled => self.origin + Duration::from_nanos(polled - 1) >= at,
        }
    }

    pub(super) fn polled_after(&self, at: Instant) -> bool {
        self.polled_since(at + Duration::from_nanos(1))
    }

    /// Is polled when the last of these was.
    pub(super) fn follow<'a>(&self, members: impl Iterator<Item = &'a Self>) {
        let polled = members.map(|member| member.polled.load(Ordering::Acquire)).min();
        self.polled.store(polled.unwrap_or(0), Ordering::Release);
    }

    pub(super) fn set_polled(&self, at: Instant) {
        let nanos = at.saturating_duration_since(self.origin).as_nanos();
        self.polled
            .store(u64::try_from(nanos).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
    }
}

#[derive(Debug)]
struct HandedOut {
    at: Instant,
    node: Arc<NodeClock>,
}

#[derive(Debug)]
struct Slot {
    epoch: Epoch,
    number: u32,
    /// `None` for a session that an earlier process handed out.
    handed_out: Option<HandedOut>,
    /// Nodes that show it online, each with the number of the poll that last did.
    online: Vec<(Arc<NodeClock>, u32)>,
    /// Some node showed it.
    shown: bool,
    /// When it was to be ended, the node that it was handed out to should have shown it and had not.
    unshown: bool,
    /// One session too many: to be cut, and never used again in this epoch, since a kick that nothing consumed would hit
    /// the next session with this id.
    surplus: bool,
}

impl Slot {
    fn is_reserved(&self, now: Instant) -> bool {
        self.handed_out.as_ref().is_some_and(|it| now < it.at + RESERVED)
    }

    fn is_live(&self, now: Instant) -> bool {
        !self.online.is_empty() || self.is_reserved(now)
    }

    /// Whether it counts as a connected device.
    fn is_counted(&self, now: Instant) -> bool {
        let settled = |it: &HandedOut| it.node.polled_since(it.at + SETTLE);
        !self.online.is_empty() || (self.is_reserved(now) && !self.handed_out.as_ref().is_some_and(settled))
    }

    fn is_gone(&self, now: Instant) -> bool {
        !self.is_live(now)
            && self.handed_out.as_ref().is_none_or(|it| {
                let unpolled = !it.node.is_expected() && !it.node.is_removed();
                unpolled || (it.node.polled_since(it.at + RESERVED) && (self.shown || it.node.is_vouched()))
            })
    }

    /// The node that has it is part of no gateway any more, and no other has shown it since.
    fn left_with(&self) -> Option<&NodeName> {
        let handed = self.handed_out.as_ref().filter(|it| it.node.is_removed())?;
        self.online.is_empty().then_some(&handed.node.name)
    }
}

/// Every slot is taken, or as many devices as allowed are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany {
    /// Polls that begin from then on say whether some of the devices are gone. `None`: that would change nothing.
    pub(super) ask_after: Option<Instant>,
}

/// What a poll says of a session besides that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sighting {
    /// It is where it should be, or that cannot be told.
    Here,
    /// It was handed out to another node, by a token of its own.
    Handed(NodeName),
    /// Another node shows it too.
    Also(NodeName),
}

/// A login that asks for a slot.
pub(super) struct Request<'a> {
    pub(super) epoch: Epoch,
    pub(super) now: Instant,
    pub(super) node: &'a Arc<NodeClock>,
    pub(super) max_devices: Option<u32>,
    /// Lowest number that may be given.
    pub(super) first: u32,
}

/// The sessions of one account.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Those not known to be gone, ordered by (epoch, number).
    taken: Vec<Slot>,
    /// Since when more sessions than allowed are live.
    over_since: Option<Instant>,
    no_extra_until: Option<Instant>,
    last_yes: Option<Instant>,
}

impl Slots {
    /// Takes a slot for a login that was found to be permitted.
    pub(super) fn admit(&mut self, ask: &Request<'_>) -> Result<u32, TooMany> {
        let now = ask.now;
        self.drop_gone(ask.epoch, now);
        if self.of(ask.epoch).filter(|slot| !slot.surplus).count() >= MAX_SLOTS {
            self.forget_oldest(ask.epoch, now)?;
        }
        if let Some(max) = ask.max_devices {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            let counted = self.of(ask.epoch).filter(|slot| slot.is_counted(now)).count();
            let punished = self.no_extra_until.is_some_and(|until| now < until);
            if max == 0 {
                return Err(TooMany { ask_after: None });
            }
            if counted > max || (counted == max && punished) {
                return Err(TooMany {
                    ask_after: Some(self.ask_after(ask.epoch, now)),
                });
            }
            self.over_since = (counted == max).then_some(now);
        }
        let (at, number) = self.lowest_free(ask.epoch, ask.first);
        let handed_out = Some(HandedOut {
            at: now,
            node: ask.node.clone(),
        });
        let slot = Slot {
            epoch: ask.epoch,
            number,
            handed_out,
            online: Vec::new(),
            shown: false,
            unshown: false,
            surplus: false,
        };
        self.taken.insert(at, slot);
        self.last_yes = Some(now);
        Ok(number)
    }

    /// From when on a poll says of every session whether it counts.
    fn ask_after(&self, epoch: Epoch, now: Instant) -> Instant {
        let counted = self
            .of(epoch)
            .filter(|slot| slot.online.is_empty() && slot.is_counted(now));
        let settled = counted.filter_map(|slot| slot.handed_out.as_ref().map(|it| it.at + SETTLE));
        settled.max().unwrap_or(now).max(now)
    }

    /// Makes room although nothing is known to be gone, because a node says nothing for hours, or a client logs in without end and
    /// connects with none of it: better a number that may be borne twice than a person who cannot get in.
    fn forget_oldest(&mut self, epoch: Epoch, now: Instant) -> Result<(), TooMany> {
        let mine = |slot: &Slot| slot.epoch == epoch && !slot.surplus && !slot.is_counted(now);
        let forgettable = self.taken.iter().enumerate().filter(|(_, slot)| mine(slot));
        let oldest = forgettable.min_by_key(|(_, slot)| slot.handed_out.as_ref().map(|it| it.at));
        let (at, _) = oldest.ok_or(TooMany { ask_after: None })?;
        self.taken.remove(at);
        Ok(())
    }

    fn of(&self, epoch: Epoch) -> impl Iterator<Item = &Slot> {
        self.taken.iter().filter(move |slot| slot.epoch == epoch)
    }

    fn lowest_free(&self, epoch: Epoch, first: u32) -> (usize, u32) {
        let mut at = self
            .taken
            .partition_point(|slot| (slot.epoch, slot.number) < (epoch, first));
        let mut number = first;
        while self
            .taken
            .get(at)
            .is_some_and(|slot| slot.epoch == epoch && slot.number == number)
        {
            at += 1;
            number += 1;
        }
        (at, number)
    }

    /// Ids that other processes may hand out next, whose blocks begin at these numbers.
    pub(super) fn next(&self, account: &str, epoch: Epoch, blocks: &[u32]) -> Vec<String> {
        let mut ids = Vec::with_capacity(blocks.len() * AHEAD);
        for block in blocks {
            let mut first = *block;
            for _ in 0..AHEAD {
                let (_, slot) = self.lowest_free(epoch, first);
                ids.push(SessionId { account, epoch, slot }.to_string());
                first = slot + 1;
            }
        }
        ids
    }

    /// A login was permitted that takes no slot.
    pub(super) fn said_yes(&mut self, now: Instant) {
        self.last_yes = self.last_yes.max(Some(now));
    }

    /// Until then another process may have said yes without this one knowing.
    pub(super) fn doubt_until(&mut self, at: Instant) {
        self.last_yes = self.last_yes.max(Some(at));
    }

    fn drop_gone(&mut self, current: Epoch, now: Instant) {
        self.taken
            .retain(|slot| (slot.surplus && slot.epoch == current) || !slot.is_gone(now));
    }

    fn find(&mut self, epoch: Epoch, number: u32) -> Result<&mut Slot, usize> {
        match self
            .taken
            .binary_search_by_key(&(epoch, number), |slot| (slot.epoch, slot.number))
        {
            Ok(at) => self.taken.get_mut(at).ok_or(at),
            Err(at) => Err(at),
        }
    }

    /// A node shows a session in its poll number `poll`.
    pub(super) fn seen(&mut self, epoch: Epoch, number: u32, node: &Arc<NodeClock>, poll: u32) -> Sighting {
        let full = self.taken.len() >= MAX_SEEN;
        let slot = match self.find(epoch, number) {
            Ok(slot) => slot,
            // More than were ever handed out.
            Err(_) if full => return Sighting::Here,
            Err(at) => {
                let slot = Slot {
                    epoch,
                    number,
                    handed_out: None,
                    online: vec![(node.clone(), poll)],
                    shown: true,
                    unshown: false,
                    surplus: false,
                };
                self.taken.insert(at, slot);
                return Sighting::Here;
            }
        };
        match slot.online.iter_mut().find(|(at, _)| Arc::ptr_eq(at, node)) {
            Some((_, last)) => *last = poll,
            None => slot.online.push((node.clone(), poll)),
        }
        slot.shown = true;
        match &mut slot.handed_out {
            Some(handed) if Arc::ptr_eq(&handed.node, node) => return Sighting::Here,
            // The server goes on under another name.
            Some(handed) if handed.node.is_removed() => handed.node = node.clone(),
            Some(handed) if handed.node.is_expected() && !handed.node.name.is_shared() => {
                return Sighting::Handed(handed.node.name.clone());
            }
            _ => {}
        }
        let other = slot.online.iter().find(|(at, _)| !Arc::ptr_eq(at, node));
        other.map_or(Sighting::Here, |(at, _)| Sighting::Also(at.name.clone()))
    }

    /// A session that a node showed before its poll number `poll` is not there any more, unless that poll showed it too.
    pub(super) fn expire(&mut self, epoch: Epoch, number: u32, node: &Arc<NodeClock>, poll: u32) {
        if let Ok(slot) = self.find(epoch, number) {
            slot.online.retain(|(at, last)| *last == poll || !Arc::ptr_eq(at, node));
        }
    }

    /// Forgets a session if it is known to be gone. Answers whether there is still something to forget later.
    pub(super) fn forget_if_gone(&mut self, epoch: Epoch, number: u32, now: Instant) -> bool {
        match self
            .taken
            .binary_search_by_key(&(epoch, number), |slot| (slot.epoch, slot.number))
        {
            Ok(at)
                if self
                    .taken
                    .get(at)
                    .is_some_and(|slot| !slot.surplus && slot.is_gone(now)) =>
            {
                self.taken.remove(at);
                false
            }
            Ok(at) => self
                .taken
                .get(at)
                .is_some_and(|slot| slot.online.is_empty() && !slot.surplus),
            Err(_) => false,
        }
    }

    /// A node that showed a session is no longer asked. It may go on under another name, so the slot stays reserved as if
    /// it had been handed out now.
    pub(super) fn lost_sight(&mut self, epoch: Epoch, number: u32, node: &Arc<NodeClock>, now: Instant) {
        if let Ok(slot) = self.find(epoch, number) {
            slot.online.retain(|(at, _)| !Arc::ptr_eq(at, node));
            slot.handed_out = Some(HandedOut {
                at: now,
                node: node.clone(),
            });
        }
    }

    /// Compares what nodes show with `maxDevices`, after a poll that began at `polled`: a surplus that lasts longer than
    /// [`OVERLAP`] is cut, the newest sessions first.
    pub(super) fn enforce(&mut self, epoch: Epoch, max_devices: Option<u32>, polled: Instant, now: Instant) {
        let Some(max) = max_devices else {
            self.over_since = None;
            return;
        };
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        if self
            .of(epoch)
            .filter(|slot| !slot.surplus && slot.is_counted(now))
            .count()
            <= max
        {
            self.over_since = None;
            return;
        }
        let since = *self.over_since.get_or_insert(polled);
        if polled < since + OVERLAP {
            return;
        }
        let shown = |slot: &Slot| slot.epoch == epoch && !slot.surplus && !slot.online.is_empty();
        let mut online: Vec<(Option<Instant>, u32)> = self
            .taken
            .iter()
            .filter(|slot| shown(slot))
            .map(|slot| (slot.handed_out.as_ref().map(|it| it.at), slot.number))
            .collect();
        if online.len() <= max {
            return;
        }
        online.sort_unstable();
        for (_, number) in online.split_off(max) {
            if let Ok(slot) = self.find(epoch, number) {
                slot.surplus = true;
            }
        }
        self.over_since = None;
        self.no_extra_until = Some(now + NO_EXTRA);
    }

    /// Whether a session was found to be one too many.
    pub(super) fn is_surplus(&mut self, epoch: Epoch, number: u32) -> bool {
        self.find(epoch, number).is_ok_and(|slot| slot.surplus)
    }

    /// Whether there may be a session of this epoch.
    pub(super) fn any_of(&self, epoch: Epoch) -> bool {
        self.of(epoch).next().is_some()
    }

    /// Everything that is not known to be gone, of epochs below `below`: the ids, and the nodes that left with some of them. Who
    /// left with a node is named once.
    pub(super) fn take_known(&mut self, account: &str, below: Epoch, now: Instant) -> (Vec<String>, Vec<NodeName>) {
        self.drop_gone(below, now);
        let mut left: Vec<NodeName> = Vec::new();
        let mut ids = Vec::new();
        for slot in self.taken.iter_mut().filter(|slot| slot.epoch < below) {
            let (epoch, number) = (slot.epoch, slot.number);
            ids.push(
                SessionId {
                    account,
                    epoch,
                    slot: number,
                }
                .to_string(),
            );
            left.extend(slot.left_with().filter(|node| !left.contains(node)).cloned());
            let due = |it: &HandedOut| {
                it.node.is_expected() && !it.node.is_vouched() && it.node.polled_since(it.at + UNSHOWN)
            };
            slot.unshown = !slot.shown && slot.handed_out.as_ref().is_some_and(due);
        }
        self.taken
            .retain(|slot| slot.epoch >= below || slot.left_with().is_none() || slot.is_reserved(now));
        (ids, left)
    }

    /// Whether a session of an epoch below `below` was handed out to this node that it should have shown before it was to be
    /// ended, and the node has not shown any other either.
    pub(super) fn misses(&self, node: &Arc<NodeClock>, below: Epoch) -> bool {
        let missed = |slot: &Slot| {
            let here = slot.handed_out.as_ref().is_some_and(|it| Arc::ptr_eq(&it.node, node));
            slot.epoch < below && slot.unshown && !slot.shown && here
        };
        !node.is_vouched() && self.taken.iter().any(missed)
    }

    /// Sessions that are not known to be gone.
    pub(super) fn count(&self, now: Instant) -> usize {
        self.taken.iter().filter(|slot| !slot.is_gone(now)).count()
    }

    /// When a slot was last handed out.
    pub(super) fn last_yes(&self) -> Option<Instant> {
        self.last_yes
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
