//! Whether this process may still act on the world outside.
//!
//! Where two processes may run by mistake (one that is cut off from the API server, and its successor), each acts only
//! while its fence is open. A fence is a point in time, not a flag: nobody has to be alive to close it. A task that hangs,
//! a process that was stopped and continued, a machine that slept: each finds its fence closed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::SharedClock;

/// The fence is closed: the call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process does not hold the lease, so it calls no gateway: look for the process that does")]
pub struct Fenced;

/// To be asked right before anything is done that only one process may do. Cheap to clone, answers from memory.
///
/// What was begun while it was open may end after it closed: bound it by less than the margin between the deadline at which
/// a fence closes and the moment from which a successor may act.
#[derive(Clone)]
pub struct Fence(Option<Arc<Gate>>);

struct Gate {
    /// Nanoseconds since boot.
    closes_at: AtomicU64,
    clock: SharedClock,
}

impl Fence {
    /// For a process that shares its work with no other.
    #[must_use]
    pub const fn always_open() -> Self {
        Self(None)
    }

    /// A fence that is closed until its keeper opens it.
    #[must_use]
    pub fn closed(clock: SharedClock) -> (FenceKeeper, Self) {
        let gate = Arc::new(Gate {
            closes_at: AtomicU64::new(0),
            clock,
        });
        (FenceKeeper(Arc::clone(&gate)), Self(Some(gate)))
    }

    /// Whether this process may act now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.remaining() > Duration::ZERO
    }

    /// [`Self::is_open`], for `?`.
    ///
    /// # Errors
    /// It is closed.
    pub fn check(&self) -> Result<(), Fenced> {
        if self.is_open() { Ok(()) } else { Err(Fenced) }
    }

    /// How long it stays open if its keeper does nothing more. [`Duration::MAX`] for one that is always open.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.as_ref().map_or(Duration::MAX, |gate| {
            let closes_at = Duration::from_nanos(gate.closes_at.load(Ordering::Acquire));
            closes_at.saturating_sub(gate.clock.since_boot())
        })
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fence").field(&self.remaining()).finish()
    }
}

/// Opens a fence. There is one, and when it is dropped the fence closes at once and for good.
pub struct FenceKeeper(Arc<Gate>);

impl FenceKeeper {
    /// Opens the fence until a time since boot ([`crate::clock::Clock::since_boot`]). One that is past closes it.
    pub fn open_until(&self, since_boot: Duration) {
        let nanos = u64::try_from(since_boot.as_nanos()).unwrap_or(u64::MAX);
        self.0.closes_at.store(nanos, Ordering::Release);
    }
}

impl Drop for FenceKeeper {
    fn drop(&mut self) {
        self.0.closes_at.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::clock::{Clock, ManualClock, SystemClock};

    fn open_for(duration: Duration) -> (Arc<ManualClock>, FenceKeeper, Fence) {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let (keeper, fence) = Fence::closed(clock.clone());
        assert_eq!(fence.check(), Err(Fenced));
        keeper.open_until(clock.since_boot() + duration);
        (clock, keeper, fence)
    }

    #[test]
    fn it_closes_by_time_without_anybody_doing_anything() {
        let (clock, _keeper, fence) = open_for(Duration::from_secs(10));
        clock.advance(Duration::from_secs(9));
        assert_eq!(fence.check(), Ok(()));
        assert_eq!(fence.remaining(), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(fence.check(), Err(Fenced));
    }

    #[test]
    fn a_machine_that_slept_finds_it_closed() {
        let (clock, _keeper, fence) = open_for(Duration::from_secs(10));
        clock.suspend(Duration::from_secs(60));
        assert!(!fence.is_open());
    }

    #[test]
    fn a_wall_clock_that_is_stepped_changes_nothing() {
        let (clock, _keeper, fence) = open_for(Duration::from_secs(10));
        for hours in [-1, 2] {
            clock.step_wall(Timestamp::UNIX_EPOCH + jiff::Span::new().hours(hours));
            assert_eq!(fence.remaining(), Duration::from_secs(10));
        }
    }

    #[test]
    fn every_copy_closes_when_the_keeper_is_gone() {
        let (_clock, keeper, fence) = open_for(Duration::from_secs(10));
        let copy = fence.clone();
        assert!(copy.is_open());
        drop(keeper);
        assert!(!copy.is_open() && !fence.is_open());
    }

    #[test]
    fn the_machines_clock_opens_it_and_a_moment_that_is_past_closes_it() {
        let (keeper, fence) = Fence::closed(Arc::new(SystemClock));
        keeper.open_until(SystemClock.since_boot() + Duration::from_secs(3600));
        assert!(fence.is_open());
        keeper.open_until(SystemClock.since_boot());
        assert!(!fence.is_open());
    }
}
