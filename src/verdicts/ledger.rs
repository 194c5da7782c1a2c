//! What was decided and is not written yet: kept in memory until it is, and handed to the store's writer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    pending::Pending,
    rows::{self, Counting, Loaded},
};
use crate::{
    model::guard::{GuardChange, GuardMemory},
    store::{Companion, Keeper, Part},
};

pub(super) struct Ledger {
    max_age: SignedDuration,
    state: Mutex<State>,
    kept: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    pending: Pending,
    /// What the file knew when the process started; taken once.
    memory: Option<GuardMemory>,
    started: bool,
    /// Verdicts that were read of a file that is replaced, and rows that could not be.
    rescued: (usize, usize),
    /// Charges that count no more are in the file.
    stale: bool,
    found: Vec<String>,
}

impl Ledger {
    pub(super) fn new(max_age: SignedDuration) -> Self {
        Self {
            max_age,
            state: Mutex::default(),
            kept: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds changes behind those that wait.
    pub(super) fn add(&self, seq: u64, changes: Vec<GuardChange>) {
        self.state().pending.add(seq, changes);
    }

    /// What the process goes on from.
    pub(super) fn start(&self) -> GuardMemory {
        let mut state = self.state();
        state.started = true;
        state.memory.take().unwrap_or_default()
    }

    /// The highest number that is durable.
    pub(super) fn kept(&self) -> watch::Receiver<u64> {
        self.kept.subscribe()
    }

    /// How many changes wait, those that are just being written not among them.
    pub(super) fn waiting(&self) -> usize {
        self.state().pending.len()
    }

    pub(super) fn say(&self, line: String) {
        tracing::error!("{line}");
        self.state().found.push(line);
    }

    /// What was said.
    pub(super) fn found(&self) -> Vec<String> {
        self.state().found.clone()
    }

    fn settle(&self, batch: Arc<Pending>, durable: bool) {
        if durable {
            self.state().stale = false;
            self.kept.send_if_modified(|kept| {
                let rises = batch.seq() > *kept;
                *kept = batch.seq().max(*kept);
                rises
            });
        } else {
            self.state().pending.put_back(Arc::unwrap_or_clone(batch));
        }
    }
}

impl Companion for Ledger {
    fn owned(&self) {}

    fn due(&self) -> Option<Instant> {
        let state = self.state();
        let waits = !state.pending.is_empty() || state.stale || state.pending.seq() > *self.kept.borrow();
        waits.then(Instant::now)
    }

    fn next(self: Arc<Self>, now: Timestamp) -> Option<Part> {
        self.due()?;
        let batch = Arc::new(self.state().pending.take());
        let changes = Arc::clone(&batch);
        let counting = Counting::around(now, self.max_age);
        Some(Part {
            run: Box::new(move |conn| {
                changes.changes().try_for_each(|change| rows::write(conn, change))?;
                // Found by their index: without any it costs nothing.
                rows::prune(conn, counting)
            }),
            done: Box::new(move |durable| self.settle(batch, durable)),
        })
    }
}

impl Keeper for Ledger {
    fn is_shared(&self) -> bool {
        false
    }

    fn replaces_newer(&self) -> bool {
        true
    }

    fn load(&self, conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        let Loaded { memory, skipped, stale } = rows::read(conn, Counting::around(now, self.max_age))?;
        if skipped > 0 {
            self.say(format!(
                "{skipped} rows of {} cannot be read and are left out: what they speak of is judged anew",
                conn.path().unwrap_or("the file")
            ));
        }
        let mut state = self.state();
        (state.memory, state.stale) = (Some(memory), stale > 0);
        Ok(())
    }

    fn rescue(&self, conn: &Connection, now: Timestamp) {
        let loaded = rows::rescue(conn, Counting::around(now, self.max_age));
        let mut state = self.state();
        state.rescued = (loaded.memory.verdicts.len(), loaded.skipped);
        if !state.started {
            state.memory = Some(loaded.memory.clone());
        }
        state.pending.put_below(loaded.into_changes());
    }

    fn rescued(&self) -> String {
        let (verdicts, skipped) = std::mem::take(&mut self.state().rescued);
        format!(
            "{verdicts} verdicts that could be read, without {skipped} rows that could not: what is missing is judged anew"
        )
    }
}
