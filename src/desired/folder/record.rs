//! What is remembered of the folder across restarts: identities, last good versions, tombstones, status.
//!
//! New and changed objects are written behind, in batches: they can be derived from the files again. A tombstone is
//! durable before anybody hears of it.
//!
//! The file is one of the engine in `store`. One that is damaged is kept beside under another name, and a new one begins with
//! what could be read of it. While the disk cannot be written, what was read and what changed is kept in memory.

use std::{cell::RefCell, path::Path, sync::Arc};

use rusqlite::Connection;

use super::{
    object::Row,
    record_ledger::{Ack, Ledger, Op},
    record_rows::{self, COLUMNS, Fact, HEAD_COLUMNS, Order, SCHEMA, UnreadableRow},
};
use crate::{
    clock::SharedClock,
    desired::DesiredError,
    store::{Store, StoreError},
};

/// Writes behind. Cheap to clone; when the last clone is dropped, everything given so far is written, if it can be.
#[derive(Clone)]
pub(super) struct Writer {
    store: Store,
    ledger: Arc<Ledger>,
}

impl Writer {
    /// Writes an object in the next batch.
    pub fn put(&self, row: Arc<Row>) {
        self.wake_if(self.ledger.add(row.id, Op::Put(row)));
    }

    /// Forgets an object in the next batch.
    pub fn forget(&self, id: u32) {
        self.wake_if(self.ledger.add(id, Op::Drop));
    }

    /// Writes a fact in the next batch.
    pub fn fact(&self, fact: Fact, value: i64) {
        self.wake_if(self.ledger.add_fact(fact, value));
    }

    /// Ends the waiting of everything given so far, and calls back when it is durable.
    pub fn flush(&self, ack: Ack) {
        self.ledger.flush(ack);
        self.store.wake();
    }

    /// [`Self::flush`], waiting for it.
    pub fn flush_and_wait(&self) {
        let (done, wait) = std::sync::mpsc::channel();
        self.flush(Box::new(move || _ = done.send(())));
        _ = wait.recv();
    }

    /// What was wrong with the file and what became of it; and why nothing can be written, while that is so.
    pub fn problems(&self) -> Vec<Arc<str>> {
        let failing = self.store.last_error().map(|error| {
            let shown = self.store.path().display();
            format!("{shown}: cannot be written, changes wait in memory: {error}")
        });
        self.store.found().into_iter().chain(failing).map(Into::into).collect()
    }

    /// Clears what objects that are gone or changed left behind in the file.
    pub async fn scrub(&self) -> Result<(), DesiredError> {
        let (done, written) = tokio::sync::oneshot::channel();
        self.flush(Box::new(move || _ = done.send(())));
        // Whoever does not call back has stopped, and says so below.
        _ = written.await;
        let unavailable = |error: StoreError| DesiredError::Unavailable(error.to_string());
        self.store.scrub().await.map_err(unavailable)
    }

    fn wake_if(&self, first: bool) {
        if first {
            self.store.wake();
        }
    }
}

/// Reads what was written, or is about to be.
pub(super) struct Reader {
    writer: Writer,
    /// Its generation, and a connection of its own.
    conn: RefCell<Option<(u64, Connection)>>,
}

/// Name of the file in the data folder.
const FILE: &str = "desired.db";

/// An open record.
pub(super) struct Record {
    pub reader: Reader,
    pub writer: Writer,
}

/// Opens the record, or makes one. The caller owns the data folder.
///
/// # Errors
/// A newer version of this program wrote it, or no thread can be had.
pub(super) fn open(data_dir: &Path, clock: SharedClock) -> Result<Record, DesiredError> {
    let path = data_dir.join(FILE);
    let unavailable = |error: StoreError| DesiredError::Unavailable(error.to_string());
    let ledger = Arc::new(Ledger::default());
    let store = Store::open_kept(&path, SCHEMA, clock, Arc::clone(&ledger) as _).map_err(unavailable)?;
    if let Some(error @ StoreError::Newer { .. }) = store.last_error() {
        return Err(unavailable(error));
    }
    let writer = Writer { store, ledger };
    let reader = Reader {
        writer: writer.clone(),
        conn: RefCell::new(None),
    };
    Ok(Record { reader, writer })
}

/// Clears what objects that are gone or changed left behind in the record of a data folder, which the caller owns. Does nothing where
/// there is no record.
///
/// # Errors
/// The record cannot be written.
pub async fn scrub(data_dir: &Path, clock: SharedClock) -> Result<(), DesiredError> {
    if !data_dir.join(FILE).exists() {
        return Ok(());
    }
    open(data_dir, clock)?.writer.scrub().await
}

impl Reader {
    /// One object as it was last written, batches on their way included.
    pub fn get(&self, id: u32) -> Result<Option<Arc<Row>>, StoreError> {
        match self.writer.ledger.unwritten(id) {
            Some(Op::Put(row) | Op::Rescued(row)) => return Ok(Some(row)),
            Some(Op::Drop) => return Ok(None),
            None => {}
        }
        self.ask(|conn| Ok(record_rows::get(conn, id)?.map(Arc::new)))
    }

    /// Every durable object that can be told, and those that were read of a file that is not replaced yet.
    pub fn each(&self, mut visit: impl FnMut(Row)) -> Result<(), StoreError> {
        self.select(COLUMNS, |row| row.into_iter().for_each(&mut visit))
    }

    /// As [`Self::each`], without spec, notes and status; and the numbers of those that cannot be told.
    pub fn each_head(&self, visit: impl FnMut(Result<Row, UnreadableRow>)) -> Result<(), StoreError> {
        self.select(HEAD_COLUMNS, visit)
    }

    fn select(&self, columns: &str, mut visit: impl FnMut(Result<Row, UnreadableRow>)) -> Result<(), StoreError> {
        let rescued = self.writer.ledger.rescued();
        let is_rescued = |id| rescued.binary_search_by_key(&id, |row| row.id).is_ok();
        let read = self.ask(|conn| {
            record_rows::each(conn, columns, Order::Ascending, |row| {
                if !row.as_ref().is_ok_and(|row| is_rescued(row.id)) {
                    visit(row);
                }
            })
        });
        for row in &rescued {
            visit(Ok(Row::clone(row)));
        }
        // That there is no file is said as long as it is so.
        if self.writer.store.last_error().is_some() {
            return Ok(());
        }
        read
    }

    /// A fact as it was last written.
    pub fn fact(&self, fact: Fact) -> Result<Option<i64>, StoreError> {
        match self.writer.ledger.fact(fact) {
            Some(value) => Ok(Some(value)),
            None => self.ask(|conn| record_rows::fact(conn, fact)),
        }
    }

    fn ask<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let store = &self.writer.store;
        let mut held = self.conn.borrow_mut();
        held.take_if(|(generation, _)| *generation != store.generation());
        let (_, conn) = match &mut *held {
            Some(held) => held,
            none => none.insert(store.reader()?),
        };
        question(conn).map_err(|error| store.error(&error))
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
