//! What the use cases about HR events work with beside everything else: the inbox, the secrets of the senders, and whose turn it
//! is.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use jiff::tz::TimeZone;
use tokio::sync::{Notify, OwnedMutexGuard, Semaphore};

use crate::{
    fence::Fence,
    inbox::{Inbox, Waiting, signature::Keys},
};

/// Events that are carried out while their senders wait. What comes on top is durable, answered `pending`, and carried out behind.
const AT_ONCE: usize = 16;
/// People whose turns are remembered before those who wait for none are forgotten.
const MANY: usize = 1024;

/// How events of HR are taken.
#[derive(Debug, Clone, Default)]
pub struct HrSettings {
    /// The secrets of the senders.
    pub keys: Keys,
    /// Events without a signature are taken. Counts only while there is no secret.
    pub allow_unsigned: bool,
    /// Where a day begins that is said without a time.
    pub zone: Option<TimeZone>,
}

/// The desk at which events of HR are received and carried out. One for the process.
pub struct HrDesk {
    pub(super) inbox: Inbox,
    pub(super) settings: HrSettings,
    /// Open while this process may act.
    pub(super) fence: Fence,
    pub(super) at_once: Arc<Semaphore>,
    /// Somebody is to look at what waits.
    pub(super) wake: Notify,
    turns: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    busy: Mutex<HashSet<i64>>,
    /// Somebody is done with an event.
    freed: Notify,
    waiting: Mutex<Waiting>,
}

impl HrDesk {
    /// A desk over an inbox.
    #[must_use]
    pub fn new(inbox: Inbox, settings: HrSettings, fence: Fence) -> Arc<Self> {
        Arc::new(Self {
            inbox,
            settings,
            fence,
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            wake: Notify::new(),
            turns: Mutex::default(),
            busy: Mutex::default(),
            freed: Notify::new(),
            waiting: Mutex::default(),
        })
    }

    /// Where events are kept.
    pub(in crate::access) const fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn zone(&self) -> TimeZone {
        self.settings.zone.clone().unwrap_or(TimeZone::UTC)
    }

    /// Waits until nobody else carries out an event about this person: what HR says of one person is done one after the other.
    pub(super) async fn turn(&self, key: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = lock(&self.turns);
            if turns.len() >= MANY {
                turns.retain(|_, turn| turn.strong_count() > 0);
            }
            let present = turns.get(key).and_then(Weak::upgrade);
            present.unwrap_or_else(|| {
                let turn = Arc::default();
                turns.insert(key.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }

    /// Takes an event up, unless somebody works on it.
    pub(super) fn take_up(self: &Arc<Self>, event: i64) -> Option<Busy> {
        lock(&self.busy).insert(event).then(|| Busy {
            desk: Arc::clone(self),
            event,
        })
    }

    /// Waits until nobody works on an event.
    pub(super) async fn until_free(&self, event: i64) {
        loop {
            let freed = self.freed.notified();
            if !lock(&self.busy).contains(&event) {
                return;
            }
            freed.await;
        }
    }

    /// How many events waited when somebody looked last.
    pub(super) fn waiting(&self) -> Waiting {
        *lock(&self.waiting)
    }

    pub(super) fn set_waiting(&self, waiting: Waiting) {
        *lock(&self.waiting) = waiting;
    }
}

/// Somebody works on an event until this is dropped.
pub(super) struct Busy {
    desk: Arc<HrDesk>,
    event: i64,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.desk.busy).remove(&self.event);
        self.desk.freed.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
