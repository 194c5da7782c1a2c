//! The session slots of one account: which numbers are taken, by whom, and until when.
//!
//! Pure: the caller gives the time. A slot is reused only when it is known to be gone, that is when all of this holds:
//! - no node shows it online;
//! - it was not handed out within [`RESERVED`] (a node registers a session only after it got our yes, and waits at most
//!   10 s for it);
//! - if the node that it was handed out to is one that is polled, a poll of it that began after that time did not show it.

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
}

impl NodeClock {
    pub(super) fn new(name: NodeName, origin: Instant) -> Self {
        Self {
            name,
            origin,
            polled: AtomicU64::new(0),
            expected: AtomicBool::new(false),
        }
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
    /// Hash of the client's address and port.
    address: u64,
}

#[derive(Debug)]
struct Slot {
    epoch: Epoch,
    number: u32,
    /// `None` for a session that an earlier process handed out.
    handed_out: Option<HandedOut>,
    /// Nodes that show it online, each with the number of the poll that last did.
    online: Vec<(Arc<NodeClock>, u32)>,
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

    fn is_gone(&self, now: Instant) -> bool {
        !self.is_live(now)
            && self
                .handed_out
                .as_ref()
                .is_none_or(|it| !it.node.is_expected() || it.node.polled_since(it.at + RESERVED))
    }
}

/// Every slot is taken, or as many devices as allowed are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

/// A login that asks for a slot.
pub(super) struct Request<'a> {
    pub(super) epoch: Epoch,
    pub(super) now: Instant,
    pub(super) node: &'a Arc<NodeClock>,
    pub(super) address: u64,
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
        let again = self.taken.iter_mut().find_map(|slot| {
            let reserved = slot.epoch == ask.epoch && !slot.surplus && slot.is_reserved(now);
            let handed = slot.handed_out.as_mut().filter(|_| reserved)?;
            (handed.address == ask.address && Arc::ptr_eq(&handed.node, ask.node)).then_some((slot.number, handed))
        });
        if let Some((number, handed)) = again {
            handed.at = now;
            self.last_yes = Some(now);
            return Ok(number);
        }
        if self.of(ask.epoch).filter(|slot| !slot.surplus).count() >= MAX_SLOTS {
            self.forget_oldest(ask.epoch, now)?;
        }
        if let Some(max) = ask.max_devices {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            let live = self.live(ask.epoch, now);
            let punished = self.no_extra_until.is_some_and(|until| now < until);
            if max == 0 || live > max || (live == max && punished) {
                return Err(TooMany);
            }
            self.over_since = (live == max).then_some(now);
        }
        let (at, number) = self.lowest_free(ask.epoch, ask.first);
        let handed_out = Some(HandedOut {
            at: now,
            node: ask.node.clone(),
            address: ask.address,
        });
        let slot = Slot {
            epoch: ask.epoch,
            number,
            handed_out,
            online: Vec::new(),
            surplus: false,
        };
        self.taken.insert(at, slot);
        self.last_yes = Some(now);
        Ok(number)
    }

    /// Makes room although nothing is known to be gone, because a node says nothing for hours: better a number that may be
    /// borne twice than a person who cannot get in.
    fn forget_oldest(&mut self, epoch: Epoch, now: Instant) -> Result<(), TooMany> {
        let mine = |slot: &Slot| slot.epoch == epoch && !slot.surplus && !slot.is_live(now);
        let forgettable = self.taken.iter().enumerate().filter(|(_, slot)| mine(slot));
        let oldest = forgettable.min_by_key(|(_, slot)| slot.handed_out.as_ref().map(|it| it.at));
        let (at, _) = oldest.ok_or(TooMany)?;
        self.taken.remove(at);
        Ok(())
    }

    fn of(&self, epoch: Epoch) -> impl Iterator<Item = &Slot> {
        self.taken.iter().filter(move |slot| slot.epoch == epoch)
    }

    fn live(&self, epoch: Epoch, now: Instant) -> usize {
        self.of(epoch).filter(|slot| slot.is_live(now)).count()
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
    pub(super) fn seen(&mut self, epoch: Epoch, number: u32, node: &Arc<NodeClock>, poll: u32) {
        let full = self.taken.len() >= MAX_SEEN;
        match self.find(epoch, number) {
            Ok(slot) => match slot.online.iter_mut().find(|(at, _)| Arc::ptr_eq(at, node)) {
                Some((_, last)) => *last = poll,
                None => slot.online.push((node.clone(), poll)),
            },
            // More than were ever handed out.
            Err(_) if full => {}
            Err(at) => {
                let slot = Slot {
                    epoch,
                    number,
                    handed_out: None,
                    online: vec![(node.clone(), poll)],
                    surplus: false,
                };
                self.taken.insert(at, slot);
            }
        }
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
            let address = slot.handed_out.as_ref().map_or(0, |it| it.address);
            slot.handed_out = Some(HandedOut {
                at: now,
                node: node.clone(),
                address,
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
        if self.of(epoch).filter(|slot| !slot.surplus && slot.is_live(now)).count() <= max {
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

    /// Ids of all sessions that are not known to be gone, of epochs below `below`.
    pub(super) fn known(&mut self, account: &str, below: Epoch, now: Instant) -> Vec<String> {
        self.drop_gone(below, now);
        let older = self.taken.iter().filter(|slot| slot.epoch < below);
        older
            .map(|slot| {
                let (epoch, slot) = (slot.epoch, slot.number);
                SessionId { account, epoch, slot }.to_string()
            })
            .collect()
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
