//! Asking the nodes who is online now, before a login is refused for too many devices.
//!
//! What a node showed in its last poll may be seconds old, and an app that was closed since is still in it. This room calls no
//! node: it says that an answer is wanted, to whom it was told to say it, and learns from the next polls. However many logins
//! wait, a node is asked once for all of them.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, Semaphore, SemaphorePermit, watch};

use crate::clock::Clock;

/// How long a login waits for the nodes. A node waits 10 s for our answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// Shortest time between two questions.
const PAUSE: Duration = Duration::from_millis(250);
/// Logins that wait at once, at most. The others are decided by what is known.
const PLACES: usize = 256;

/// Has every node say at once who is online.
type Ask = Box<dyn Fn() + Send + Sync>;

/// Where logins wait for what nodes show.
pub struct Inquiry {
    ask: OnceLock<Ask>,
    polls: watch::Sender<()>,
    asked: Mutex<Option<Instant>>,
    places: Semaphore,
}

impl Default for Inquiry {
    fn default() -> Self {
        Self {
            ask: OnceLock::new(),
            polls: watch::Sender::new(()),
            asked: Mutex::default(),
            places: Semaphore::new(PLACES),
        }
    }
}

impl Inquiry {
    /// Whom to ask, from now on. It must return at once. Only the first call counts.
    pub fn ask_with(&self, ask: impl Fn() + Send + Sync + 'static) {
        // Who asks is wired up once.
        let _ = self.ask.set(Box::new(ask));
    }

    /// A node was polled.
    pub(super) fn polled(&self) {
        self.polls.send_replace(());
    }

    /// A place among those who wait; `None` when nobody can be asked, or too many wait already.
    pub(super) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.ask.get()?;
        self.places.try_acquire().ok()
    }

    /// Wakes whenever a node was polled, from now on.
    pub(super) fn polls(&self) -> watch::Receiver<()> {
        self.polls.subscribe()
    }

    /// Has every node asked once, at `after` or later, for all who want to know it. Answers when they were asked.
    pub(super) async fn ask(&self, after: Instant, clock: &dyn Clock) -> Instant {
        tokio::time::sleep(after.saturating_duration_since(clock.monotonic())).await;
        let after = clock.monotonic();
        let mut asked = self.asked.lock().await;
        if let Some(at) = *asked {
            if at >= after {
                return at;
            }
            tokio::time::sleep((at + PAUSE).saturating_duration_since(clock.monotonic())).await;
        }
        let now = clock.monotonic();
        *asked = Some(now);
        if let Some(ask) = self.ask.get() {
            ask();
        }
        now
    }
}
