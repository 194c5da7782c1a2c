//! What is remembered of the folder across restarts: identities, last good versions, tombstones, status.
//!
//! New and changed objects are written behind, in batches: they can be derived from the files again. A tombstone is
//! durable before anybody hears of it.

use std::{
    collections::HashMap,
    mem,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use super::{
    object::{FileKey, Kind, Root, Row},
    record_file::{COLUMNS, Opened, PLACES, connect},
};
use crate::{desired::DesiredError, model::hr::HrMarks};

/// Longest time that a change waits for others to share its transaction.
const BATCH: Duration = Duration::from_millis(200);
/// Pause before a failed transaction is tried again.
const RETRY: Duration = Duration::from_secs(1);
const HEAD_COLUMNS: &str =
    "id, kind, namespace, name, uid, generation, version, created, deleted, own, file, digest, '', NULL, NULL, hr";
/// Most that the number of an object can be: numbers are given out again, so a higher one was never given out.
const LAST_ID: u32 = 1 << 24;

/// What the record knows besides objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    /// When the folder was last read whole, in milliseconds.
    ReadAt,
    /// Highest resource version given out.
    Version,
    /// Device of the folder when it was last read.
    Device,
    /// Inode of the folder when it was last read.
    Inode,
}

impl Fact {
    const fn name(self) -> &'static str {
        match self {
            Self::ReadAt => "read_at",
            Self::Version => "version",
            Self::Device => "device",
            Self::Inode => "inode",
        }
    }
}

/// Called when a batch is durable, or when writing it failed once.
pub(super) type Ack = Box<dyn FnOnce() + Send>;

#[derive(Debug, Clone)]
enum Op {
    Put(Arc<Row>),
    Drop,
}

#[derive(Default)]
struct Queue {
    pending: HashMap<u32, Op>,
    facts: HashMap<Fact, i64>,
    /// Taken by the writer, not yet durable.
    writing: HashMap<u32, Op>,
    acks: Vec<Ack>,
    at_once: bool,
    stop: bool,
    problem: Option<Arc<str>>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Why nothing is written to the file, when that is so for as long as the process lives.
    stuck: Option<Arc<str>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes behind. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer(Arc<Shared>);

impl Writer {
    /// Writes an object in the next batch.
    pub fn put(&self, row: Arc<Row>) {
        self.change(|queue| drop(queue.pending.insert(row.id, Op::Put(row))));
    }

    /// Forgets an object in the next batch.
    pub fn forget(&self, id: u32) {
        self.change(|queue| drop(queue.pending.insert(id, Op::Drop)));
    }

    /// Writes a fact in the next batch.
    pub fn fact(&self, fact: Fact, value: i64) {
        self.change(|queue| _ = queue.facts.insert(fact, value));
    }

    /// Ends the waiting of everything given so far, and calls back when it is durable.
    pub fn flush(&self, ack: Ack) {
        let mut queue = self.0.lock();
        queue.acks.push(ack);
        queue.at_once = true;
        self.0.wake.notify_all();
    }

    /// [`Self::flush`], waiting for it.
    pub fn flush_and_wait(&self) {
        let (done, wait) = std::sync::mpsc::channel();
        self.flush(Box::new(move || _ = done.send(())));
        _ = wait.recv();
    }

    /// Why nothing can be written, while that is so.
    pub fn problem(&self) -> Option<Arc<str>> {
        self.0.stuck.clone().or_else(|| self.0.lock().problem.clone())
    }

    /// Lets the writer's thread end once everything is written.
    pub fn stop(&self) {
        self.0.lock().stop = true;
        self.0.wake.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.0.lock();
        let idle = queue.pending.is_empty() && queue.facts.is_empty();
        change(&mut queue);
        if idle {
            self.0.wake.notify_all();
        }
    }

    fn unwritten(&self, id: u32) -> Option<Op> {
        let queue = self.0.lock();
        queue.pending.get(&id).or_else(|| queue.writing.get(&id)).cloned()
    }
}

/// Reads what was written, or is about to be.
pub(super) struct Reader {
    db: Connection,
    writer: Writer,
}

/// An open record.
pub(super) struct Record {
    pub reader: Reader,
    pub writer: Writer,
    /// The writer's thread.
    pub thread: thread::JoinHandle<()>,
    /// What was wrong with the file that was there.
    pub found: Option<String>,
}

/// Opens the record and starts its writer.
///
/// # Errors
/// A newer version of this program wrote it, another program holds it, or no thread can be had.
pub(super) fn open(data_dir: &Path, now: Timestamp) -> Result<Record, DesiredError> {
    let path = data_dir.join("desired.db");
    let Opened {
        writer: db,
        reader,
        stuck,
        found,
    } = connect(&path, now)?;
    let writer = Writer(Arc::new(Shared {
        queue: Mutex::default(),
        wake: Condvar::new(),
        stuck,
    }));
    let theirs = writer.clone();
    let thread = thread::Builder::new()
        .name("folder-record".into())
        .spawn(move || write_loop(&theirs.0, db, &path))
        .map_err(|error| DesiredError::Unavailable(format!("no thread for the record: {error}")))?;
    let reader = Reader {
        db: reader,
        writer: writer.clone(),
    };
    Ok(Record {
        reader,
        writer,
        thread,
        found,
    })
}

/// A row that says not even whose it is. Carries its number, if that can be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnreadableRow(pub Option<u32>);

impl Reader {
    /// One object as it was last written, batches on their way included.
    pub fn get(&self, id: u32) -> Result<Option<Arc<Row>>, rusqlite::Error> {
        match self.writer.unwritten(id) {
            Some(Op::Put(row)) => return Ok(Some(row)),
            Some(Op::Drop) => return Ok(None),
            None => {}
        }
        let mut query = self
            .db
            .prepare_cached(&format!("SELECT {COLUMNS} FROM objects WHERE id = ?1"))?;
        Ok(query.query_row([id], read_row).optional()?.map(Arc::new))
    }

    /// Every durable object that can be told, in the order of their numbers.
    pub fn each(&self, mut visit: impl FnMut(Row)) -> Result<(), rusqlite::Error> {
        self.select(COLUMNS, |row| row.into_iter().for_each(&mut visit))
    }

    /// Every durable object without spec, notes and status.
    pub fn each_head(&self, visit: impl FnMut(Result<Row, UnreadableRow>)) -> Result<(), rusqlite::Error> {
        self.select(HEAD_COLUMNS, visit)
    }

    fn select(&self, columns: &str, mut visit: impl FnMut(Result<Row, UnreadableRow>)) -> Result<(), rusqlite::Error> {
        let mut query = self.db.prepare(&format!("SELECT {columns} FROM objects ORDER BY id"))?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            visit(read_row(row).map_err(|_| UnreadableRow(row.get(0).ok())));
        }
        Ok(())
    }

    /// A durable fact.
    pub fn fact(&self, fact: Fact) -> Result<Option<i64>, rusqlite::Error> {
        self.db
            .query_row("SELECT value FROM facts WHERE name = ?1", [fact.name()], |row| {
                row.get(0)
            })
            .optional()
    }
}

fn read_row(row: &SqlRow<'_>) -> Result<Row, rusqlite::Error> {
    let text = |at: usize| {
        row.get_ref(at)?
            .as_str()
            .map(Arc::<str>::from)
            .map_err(rusqlite::Error::from)
    };
    // What is no text is no JSON either, and is mended as such: the object is still told by the rest.
    let json = |at: usize| match row.get_ref(at) {
        Ok(value) => value.as_str_or_null().unwrap_or(Some("")).map(Arc::<str>::from),
        Err(_) => Some("".into()),
    };
    let unknown = |at: usize| rusqlite::Error::IntegralValueOutOfRange(at, row.get(at).unwrap_or_default());
    let kind = match row.get::<_, i64>(1)? {
        0 => Kind::User,
        1 => Kind::Hold,
        2 => Kind::Gateway,
        _ => return Err(unknown(1)),
    };
    let id: u32 = row.get(0)?;
    if id > LAST_ID {
        return Err(unknown(0));
    }
    let second = |value: i64| Timestamp::from_second(value).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Row {
        id,
        kind,
        namespace: text(2)?,
        name: text(3)?,
        uid: row.get(4)?,
        generation: row.get(5)?,
        version: row.get::<_, i64>(6)?.unsigned_abs(),
        created: second(row.get(7)?),
        deleted: row.get::<_, Option<i64>>(8)?.map(second),
        file: FileKey {
            root: if row.get(9)? { Root::Own } else { Root::People },
            path: text(10)?,
        },
        digest: row.get(11)?,
        spec: json(12).unwrap_or_default(),
        notes: json(13),
        status: json(14),
        hr: marks(row, 15),
    })
}

/// Marks as they are kept: the annotations that say them. What cannot be read is none, and safe: nobody is let in by it.
fn marks(row: &SqlRow<'_>, at: usize) -> HrMarks {
    let text = row.get_ref(at).ok().and_then(|value| value.as_str().ok());
    let annotations = text.and_then(|text| serde_json::from_str(text).ok());
    HrMarks::of(annotations.as_ref())
}

fn marks_json(marks: HrMarks) -> Option<String> {
    let annotations = marks.annotations();
    (!annotations.is_empty()).then(|| serde_json::to_string(&annotations).unwrap_or_default())
}

fn write_loop(shared: &Shared, mut db: Connection, path: &Path) {
    loop {
        let Some(batch) = next_batch(shared) else { return };
        let written = write(&mut db, &batch.ops, &batch.facts);
        let mut queue = shared.lock();
        let ops = mem::take(&mut queue.writing);
        match written {
            Ok(()) => queue.problem = None,
            Err(error) => {
                let line = format!("{}: cannot be written, changes wait in memory: {error}", path.display());
                tracing::error!("{line}");
                queue.problem = Some(line.into());
                for (id, op) in ops {
                    queue.pending.entry(id).or_insert(op);
                }
                for (fact, value) in batch.facts {
                    queue.facts.entry(fact).or_insert(value);
                }
            }
        }
        let failed = queue.problem.is_some();
        drop(queue);
        for ack in batch.acks {
            ack();
        }
        if failed {
            if shared.lock().stop {
                return;
            }
            thread::sleep(RETRY);
        }
    }
}

struct Batch {
    ops: Vec<(u32, Op)>,
    facts: HashMap<Fact, i64>,
    acks: Vec<Ack>,
}

/// Waits for changes, then a moment longer for others; `None` at the end.
fn next_batch(shared: &Shared) -> Option<Batch> {
    let mut queue = shared.lock();
    let mut until = None;
    loop {
        let empty = queue.pending.is_empty() && queue.facts.is_empty();
        if queue.at_once || queue.stop {
            if empty && queue.acks.is_empty() && queue.stop {
                return None;
            }
            break;
        }
        if empty {
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let now = Instant::now();
        let until = *until.get_or_insert(now + BATCH);
        if until <= now {
            break;
        }
        queue = shared
            .wake
            .wait_timeout(queue, until - now)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    queue.at_once = false;
    queue.writing = mem::take(&mut queue.pending);
    let mut ops: Vec<_> = queue.writing.iter().map(|(id, op)| (*id, op.clone())).collect();
    ops.sort_unstable_by_key(|(id, _)| *id);
    Some(Batch {
        ops,
        facts: mem::take(&mut queue.facts),
        acks: mem::take(&mut queue.acks),
    })
}

fn write(db: &mut Connection, ops: &[(u32, Op)], facts: &HashMap<Fact, i64>) -> Result<(), rusqlite::Error> {
    if ops.is_empty() && facts.is_empty() {
        return Ok(());
    }
    let transaction = db.transaction()?;
    {
        let mut put =
            transaction.prepare_cached(&format!("INSERT OR REPLACE INTO objects ({COLUMNS}) VALUES ({PLACES})"))?;
        let mut forget = transaction.prepare_cached("DELETE FROM objects WHERE id = ?1")?;
        for (id, op) in ops {
            match op {
                Op::Drop => drop(forget.execute([id])?),
                Op::Put(row) => {
                    let kind = match row.kind {
                        Kind::User => 0,
                        Kind::Hold => 1,
                        Kind::Gateway => 2,
                    };
                    put.execute(params![
                        id,
                        kind,
                        &*row.namespace,
                        &*row.name,
                        row.uid,
                        row.generation,
                        row.version.cast_signed(),
                        row.created.as_second(),
                        row.deleted.map(Timestamp::as_second),
                        row.file.root == Root::Own,
                        &*row.file.path,
                        row.digest,
                        &*row.spec,
                        row.notes.as_deref(),
                        row.status.as_deref(),
                        marks_json(row.hr)
                    ])?;
                }
            }
        }
        let mut fact_row = transaction.prepare_cached("INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)")?;
        for (fact, value) in facts {
            fact_row.execute(params![fact.name(), value])?;
        }
    }
    transaction.commit()
}
