//! What is to be remembered and is not durable yet: gathered in memory, and handed to the store's writer.

use std::{
    collections::{HashMap, hash_map::Entry},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    object::Row,
    record_rows::{self, Fact, Order},
};
use crate::store::{Companion, Keeper, Part};

/// Longest time that a change waits for others to share its transaction.
const BATCH: Duration = Duration::from_millis(200);

/// Called when a batch is durable, or when writing it failed once.
pub(super) type Ack = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone)]
pub(super) enum Op {
    Put(Arc<Row>),
    /// Read of a file that is replaced.
    Rescued(Arc<Row>),
    Drop,
}

#[derive(Default)]
struct State {
    pending: HashMap<u32, Op>,
    facts: HashMap<Fact, i64>,
    /// Taken by the writer, not yet durable.
    writing: HashMap<u32, Op>,
    writing_facts: HashMap<Fact, i64>,
    acks: Vec<Ack>,
    /// When what waits is due.
    due: Option<Instant>,
    /// Objects that were read of a file that is replaced.
    rescued: usize,
}

/// Shared by whoever has something to remember, and the store's writer.
#[derive(Default)]
pub(super) struct Ledger(Mutex<State>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a change of an object. Says whether nothing waited before.
    pub fn add(&self, id: u32, op: Op) -> bool {
        let mut state = self.lock();
        state.pending.insert(id, op);
        state.wait_for_others()
    }

    /// Adds a fact. Says whether nothing waited before.
    pub fn add_fact(&self, fact: Fact, value: i64) -> bool {
        let mut state = self.lock();
        state.facts.insert(fact, value);
        state.wait_for_others()
    }

    /// Ends the waiting for others.
    pub fn flush(&self, ack: Ack) {
        let mut state = self.lock();
        state.acks.push(ack);
        state.due = Some(Instant::now());
    }

    /// The last change of an object that is not durable yet.
    pub fn unwritten(&self, id: u32) -> Option<Op> {
        let state = self.lock();
        state.pending.get(&id).or_else(|| state.writing.get(&id)).cloned()
    }

    /// What was read of a file that is replaced and is not in the new one yet.
    pub fn rescued(&self) -> Vec<Arc<Row>> {
        let state = self.lock();
        let ops = state.pending.values().chain(state.writing.values());
        let rows = ops.filter_map(|op| match op {
            Op::Rescued(row) => Some(Arc::clone(row)),
            Op::Put(_) | Op::Drop => None,
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable_by_key(|row| row.id);
        rows
    }

    /// A fact that is not durable yet.
    pub fn fact(&self, fact: Fact) -> Option<i64> {
        let state = self.lock();
        let known = state.facts.get(&fact).or_else(|| state.writing_facts.get(&fact));
        known.copied()
    }

    fn settle(&self, acks: Vec<Ack>, durable: bool) {
        let mut state = self.lock();
        let (ops, facts) = (mem::take(&mut state.writing), mem::take(&mut state.writing_facts));
        if !durable {
            for (id, op) in ops {
                state.pending.entry(id).or_insert(op);
            }
            for (fact, value) in facts {
                state.facts.entry(fact).or_insert(value);
            }
            state.wait_for_others();
        }
        drop(state);
        for ack in acks {
            ack();
        }
    }
}

impl State {
    fn wait_for_others(&mut self) -> bool {
        let waits = !self.pending.is_empty() || !self.facts.is_empty();
        let first = self.due.is_none() && waits;
        if first {
            self.due = Some(Instant::now() + BATCH);
        }
        first
    }

    fn rescue(&mut self, row: Row) {
        if let Entry::Vacant(place) = self.pending.entry(row.id) {
            place.insert(Op::Rescued(Arc::new(row)));
            self.rescued += 1;
        }
    }
}

impl Companion for Ledger {
    fn owned(&self) {}

    fn due(&self) -> Option<Instant> {
        self.lock().due
    }

    fn next(self: Arc<Self>, _: Timestamp) -> Option<Part> {
        let mut state = self.lock();
        state.due.take()?;
        state.writing = mem::take(&mut state.pending);
        let mut ops: Vec<_> = state.writing.iter().map(|(id, op)| (*id, op.clone())).collect();
        state.writing_facts = mem::take(&mut state.facts);
        let (facts, acks) = (state.writing_facts.clone(), mem::take(&mut state.acks));
        drop(state);
        ops.sort_unstable_by_key(|(id, _)| *id);
        Some(Part {
            run: Box::new(move |conn| {
                for (id, op) in &ops {
                    match op {
                        Op::Drop => record_rows::forget(conn, *id)?,
                        Op::Put(row) | Op::Rescued(row) => record_rows::put(conn, row)?,
                    }
                }
                facts
                    .iter()
                    .try_for_each(|(fact, value)| record_rows::put_fact(conn, *fact, *value))
            }),
            done: Box::new(move |durable| self.settle(acks, durable)),
        })
    }
}

/// The record is a memory of files that exist: whatever is wrong with it must not keep people from logging in.
impl Keeper for Ledger {
    fn is_shared(&self) -> bool {
        true
    }

    fn replaces_newer(&self) -> bool {
        false
    }

    fn load(&self, conn: &Connection, _: Timestamp) -> rusqlite::Result<()> {
        record_rows::are_ours(conn)
    }

    fn rescue(&self, conn: &Connection, _: Timestamp) {
        let columns = record_rows::columns_of(conn);
        let mut state = self.lock();
        // In between lies what cannot be read; nothing is to be done about it.
        let mut read = |order| {
            record_rows::each(conn, columns, order, |row| {
                if let Ok(row) = row {
                    state.rescue(row);
                }
            })
        };
        if read(Order::Ascending).is_err() {
            let _ = read(Order::Descending);
        }
        for fact in Fact::ALL {
            if let Ok(Some(value)) = record_rows::fact(conn, fact) {
                state.facts.entry(fact).or_insert(value);
            }
        }
        state.wait_for_others();
    }

    fn rescued(&self) -> String {
        let objects = mem::take(&mut self.lock().rescued);
        format!("{objects} objects that could be read of it; everything else is read from the files again")
    }
}
