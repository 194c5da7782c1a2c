//! The one clock. Everything that asks for the time is given one, so that tests can set it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time, UTC. May jump.
    fn now(&self) -> Timestamp;
    /// A time that only moves forward. For ages and timeouts, never for deadlines that people declared.
    fn monotonic(&self) -> Instant;
}

/// A clock that can be shared.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is moved. For tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Instant)>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new((now, Instant::now()))))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 = guard.0.checked_add(by).unwrap_or(Timestamp::MAX);
        guard.1 += by;
    }

    /// Steps the wall clock alone, as an administrator or NTP does.
    pub fn step_wall(&self, to: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
    fn monotonic(&self) -> Instant {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
