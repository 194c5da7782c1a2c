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
    /// Time since the machine started, the time in which it was suspended included. Only moves forward, and means nothing
    /// on another machine. For what others rely on to end in time while this machine sleeps.
    fn since_boot(&self) -> Duration;
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
    // `Instant` is CLOCK_MONOTONIC on Linux, which stands still during a suspend; a machine that slept through its lease
    // would still believe in it. Elsewhere the monotonic clock is the nearest there is.
    fn since_boot(&self) -> Duration {
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        Duration::try_from(rustix::time::clock_gettime(id)).unwrap_or_default()
    }
}

/// A clock that stands still until it is moved. For tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Instant, Duration)>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new((now, Instant::now(), Duration::from_secs(1)))))
    }

    /// Moves every clock forward.
    pub fn advance(&self, by: Duration) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 = guard.0.checked_add(by).unwrap_or(Timestamp::MAX);
        guard.1 += by;
        guard.2 += by;
    }

    /// Moves forward as a machine does that is suspended: its `Instant` stands still.
    pub fn suspend(&self, by: Duration) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 = guard.0.checked_add(by).unwrap_or(Timestamp::MAX);
        guard.2 += by;
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
    fn since_boot(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).2
    }
}
