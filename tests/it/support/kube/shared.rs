//! What the server's tasks share.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{faults::Faults, rbac::Rbac, recorder::Recorder, store::Store};

/// What a watch may see of the changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gate {
    /// Nothing newer than this version.
    pub held: Option<u64>,
    /// Not the latest change of those that the watch is about.
    pub lagging: bool,
    /// Nothing younger than this.
    pub delay: Duration,
    /// A list has no more objects than this in one answer, whatever was asked for.
    pub page: Option<usize>,
}

pub struct Shared {
    store: Mutex<Store>,
    gate: Mutex<Gate>,
    rbac: Mutex<Rbac>,
    streams: Mutex<CancellationToken>,
    pub recorder: Recorder,
    pub faults: Faults,
    tick: watch::Sender<u64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            store: Mutex::default(),
            gate: Mutex::default(),
            rbac: Mutex::default(),
            streams: Mutex::default(),
            recorder: Recorder::default(),
            faults: Faults::default(),
            tick: watch::Sender::new(0),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Reads the store.
    pub fn read<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&lock(&self.store))
    }

    /// Changes the store and wakes everybody who looks at it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let result = change(&mut lock(&self.store));
        self.wake();
        result
    }

    pub fn gate(&self) -> Gate {
        *lock(&self.gate)
    }

    pub fn set_gate(&self, change: impl FnOnce(&mut Gate)) {
        change(&mut lock(&self.gate));
        self.wake();
    }

    pub fn rbac<T>(&self, with: impl FnOnce(&mut Rbac) -> T) -> T {
        with(&mut lock(&self.rbac))
    }

    /// Ends a watch when it is cancelled.
    pub fn stream_token(&self) -> CancellationToken {
        lock(&self.streams).clone()
    }

    /// Breaks every watch; new ones are let be.
    pub fn cut_streams(&self) {
        let old = std::mem::take(&mut *lock(&self.streams));
        old.cancel();
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }

    fn wake(&self) {
        self.tick.send_modify(|tick| *tick += 1);
    }
}
