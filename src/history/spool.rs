//! Where audit entries wait while the database cannot be written: in memory, and in a file beside it.
//!
//! A full disk is why a database cannot be written, and a small file that orders a denial may still find room: so the spool has
//! its room beforehand. The file is always there, filled up with zeros, and is written in place.
//!
//! In front of the zeros stand a line of JSON that names the spool, and one for each entry with its number. The database
//! remembers, in the transaction that takes entries over, which spool it took them from and up to which number: a crash between
//! that commit and the clearing of the file repeats nothing.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{
    audit,
    entry::{AuditEntry, Stamped, of_operator},
    sealer::Sealer,
};
use crate::{
    sqlite,
    store::{Companion, Part},
};

/// Most entries that wait. What comes on top is counted, and the count becomes an audit row.
const MAX_WAITING: usize = 10_000;
/// Bytes that the file takes in any case: room for some six hundred entries on a full disk.
const RESERVE: u64 = 256 * 1024;
/// Most entries that are taken over in one transaction.
const BATCH: usize = 500;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    spool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    n: u64,
    #[serde(flatten)]
    stamped: Stamped,
}

/// The oldest entries that wait.
#[derive(Debug)]
struct Batch {
    spool: Option<String>,
    entries: Vec<Kept>,
}

#[derive(Debug, Default)]
struct State {
    /// Name of the spool; none before it is adopted, or without random numbers.
    id: Option<String>,
    next: u64,
    waiting: VecDeque<Kept>,
    lost: u64,
    /// Highest number that stands in the file.
    saved: u64,
    /// Where the next line goes: the end of the last whole one.
    end: u64,
    /// From here on the file is known to hold nothing but zeros.
    dirty: u64,
}

#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    sealer: Arc<Sealer>,
    state: Mutex<State>,
}

impl Spool {
    /// A spool beside the database, in memory until this process owns the database.
    pub(super) fn beside(database: &Path, sealer: Arc<Sealer>) -> Self {
        Self {
            sealer,
            path: database.with_file_name("audit-spool.jsonl"),
            state: Mutex::new(State {
                next: 1,
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// How many entries wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Keeps entries behind those that wait. Blocks on the disk. Says whether all of them would survive a crash.
    pub(super) fn push(&self, entries: Vec<Stamped>) -> bool {
        let mut state = self.state();
        let room = MAX_WAITING.saturating_sub(state.waiting.len());
        let lost = entries.len().saturating_sub(room);
        if lost > 0 {
            if state.lost == 0 {
                tracing::error!("the audit spool is full: entries are lost until history can be written again");
            }
            state.lost = state.lost.saturating_add(lost as u64);
        }
        let mut fresh = Vec::new();
        for stamped in entries.into_iter().take(room) {
            fresh.push(Kept { n: state.next, stamped });
            state.next += 1;
        }
        let written = self.append(&mut state, &fresh);
        if let Err(error) = &written {
            tracing::warn!(file = %self.path.display(), %error, "audit entries are kept in memory only");
        }
        state.waiting.extend(fresh);
        lost == 0 && written.is_ok()
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
    }

    /// Takes over what stands in the file, and sees to it that there is room for more.
    fn read_file(&self, state: &mut State) -> io::Result<()> {
        let mut file = self.open()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        read_lines(&self.path, &bytes, state);
        state.dirty = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
        // What was never acknowledged, or is no spool.
        clear(&mut file, state, state.end)?;
        sqlite::sync_folder(&self.path).map_err(io::Error::other)
    }

    /// Writes what waits and is not in the file yet.
    fn append(&self, state: &mut State, fresh: &[Kept]) -> io::Result<()> {
        let Some(id) = state.id.clone() else {
            return Err(io::Error::other("the folder is not known to be this process's own"));
        };
        let mut file = self.open()?;
        if file.metadata()?.len() < state.end {
            // Somebody took it away.
            (state.end, state.dirty, state.saved) = (0, 0, 0);
        }
        let mut text = Vec::new();
        if state.end == 0 {
            serde_json::to_writer(&mut text, &Header { spool: id })?;
            text.push(b'\n');
        }
        let all = || state.waiting.iter().chain(fresh);
        for kept in all().filter(|kept| kept.n > state.saved) {
            serde_json::to_writer(&mut text, kept)?;
            text.push(b'\n');
        }
        let (end, last) = (state.end + text.len() as u64, all().map(|kept| kept.n).max());
        // What an attempt that failed left behind must not be taken for a line.
        let behind = state.dirty.saturating_sub(end);
        text.resize(text.len() + usize::try_from(behind).unwrap_or(0), 0);
        state.dirty = state.dirty.max(end);
        file.seek(SeekFrom::Start(state.end))?;
        file.write_all(&text)?;
        file.sync_data()?;
        if state.end == 0 {
            sqlite::sync_folder(&self.path).map_err(io::Error::other)?;
        }
        (state.end, state.dirty) = (end, end);
        state.saved = last.unwrap_or(state.saved).max(state.saved);
        Ok(())
    }

    /// The oldest entries, if any wait. How many were lost is told once there is room again.
    fn peek(&self, now: Timestamp) -> Option<Batch> {
        let mut state = self.state();
        if state.lost > 0 && state.waiting.len() < MAX_WAITING {
            let entry = lost_entry(std::mem::take(&mut state.lost));
            let n = state.next;
            state.next += 1;
            let stamped = Stamped { at: now, entry };
            state.waiting.push_back(Kept { n, stamped });
        }
        if state.waiting.is_empty() {
            return None;
        }
        Some(Batch {
            spool: state.id.clone(),
            entries: state.waiting.iter().take(BATCH).cloned().collect(),
        })
    }

    /// So many entries were committed: they wait no longer.
    fn done(&self, entries: usize) {
        let mut state = self.state();
        let taken = entries.min(state.waiting.len());
        state.waiting.drain(..taken);
        if !state.waiting.is_empty() || state.end == 0 {
            return;
        }
        let cleared = self.open().and_then(|mut file| clear(&mut file, &mut state, 0));
        if let Err(error) = cleared {
            tracing::warn!(file = %self.path.display(), %error, "the audit spool cannot be cleared");
        }
    }
}

impl Companion for Spool {
    /// Uses the file from now on, beginning with what an earlier process left behind in it: two processes must not write one
    /// file.
    fn owned(&self) {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        state.id = random_id();
        if let Err(error) = self.read_file(&mut state) {
            tracing::warn!(file = %self.path.display(), %error, "the audit spool cannot be prepared");
        }
        for Kept { stamped, .. } in waiting {
            let n = state.next;
            state.next += 1;
            state.waiting.push_back(Kept { n, stamped });
        }
    }

    fn due(&self) -> Option<Instant> {
        (!self.is_empty()).then(Instant::now)
    }

    fn next(self: Arc<Self>, now: Timestamp) -> Option<Part> {
        let batch = self.peek(now)?;
        let (entries, sealer) = (batch.entries.len(), Arc::clone(&self.sealer));
        Some(Part {
            run: Box::new(move |conn| take_over(conn, &sealer, &batch)),
            done: Box::new(move |durable| {
                if durable {
                    self.done(entries);
                }
            }),
        })
    }
}

/// Leaves `keep` bytes at the front of the file, and nothing but zeros behind them: as many as are reserved, or as there is room
/// for.
fn clear(file: &mut File, state: &mut State, keep: u64) -> io::Result<()> {
    if file.metadata()?.len() > RESERVE.max(keep) {
        file.set_len(RESERVE.max(keep))?;
    }
    let zeros = |file: &mut File, from: u64, to: u64| {
        let mut left = to.saturating_sub(from);
        file.seek(SeekFrom::Start(from))?;
        while left > 0 {
            let part = left.min(4096);
            file.write_all(&[0; 4096][..usize::try_from(part).unwrap_or(0)])?;
            left -= part;
        }
        file.sync_data()
    };
    let len = file.metadata()?.len();
    zeros(file, keep, state.dirty.min(len))?;
    (state.end, state.dirty) = (keep, keep);
    // Only what is missing, and really written: a hole would be no room.
    zeros(file, len.max(keep), RESERVE)
}

/// Writes a batch to the audit, in the writer's transaction, leaving out what was taken over before.
fn take_over(conn: &Connection, sealer: &Sealer, batch: &Batch) -> rusqlite::Result<()> {
    let Some(spool) = &batch.spool else {
        return audit::append(conn, sealer, batch.entries.iter().map(|kept| &kept.stamped));
    };
    let taken: Option<String> = conn
        .query_row("SELECT value FROM meta WHERE key = 'spool'", [], |row| row.get(0))
        .optional()?;
    let through = taken
        .as_deref()
        .and_then(|taken| taken.split_once(':'))
        .filter(|(id, _)| id == spool)
        .and_then(|(_, through)| through.parse::<u64>().ok())
        .unwrap_or(0);
    let fresh = batch.entries.iter().filter(|kept| kept.n > through);
    audit::append(conn, sealer, fresh.map(|kept| &kept.stamped))?;
    let last = batch.entries.last().map_or(through, |kept| kept.n.max(through));
    conn.execute(
        "INSERT INTO meta (key, value) VALUES ('spool', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![format!("{spool}:{last}")],
    )?;
    Ok(())
}

fn read_lines(path: &Path, bytes: &[u8], state: &mut State) {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    // What follows the last line break was never acknowledged.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let text = text.get(..whole).unwrap_or_default();
    if text.is_empty() {
        return;
    }
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .zip(1u32..);
    let Some(Ok(header)) = lines.next().map(|(line, _)| serde_json::from_slice::<Header>(line)) else {
        tracing::warn!(file = %path.display(), "the audit spool has no header and is left out");
        return;
    };
    state.id = Some(header.spool);
    state.end = whole as u64;
    for (line, number) in lines {
        match serde_json::from_slice::<Kept>(line) {
            Ok(kept) => {
                state.next = state.next.max(kept.n.saturating_add(1));
                state.saved = state.saved.max(kept.n);
                state.waiting.push_back(kept);
            }
            Err(_) => {
                tracing::error!(file = %path.display(), line = number, "a line of the audit spool is damaged and is left out");
            }
        }
    }
}

fn lost_entry(lost: u64) -> AuditEntry {
    AuditEntry {
        reason: Some(format!(
            "{lost} audit entries could not be kept while history could not be written"
        )),
        ..of_operator("audit.lost")
    }
}

fn random_id() -> Option<String> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:016x}", u64::from_be_bytes(bytes)))
}
