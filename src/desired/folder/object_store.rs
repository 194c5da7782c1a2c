//! Keeps which objects there are. Alone on its thread, so nothing is locked: what is read of files comes in as messages,
//! events go out, and rows go to the record.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    mem,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    damage::{Damage, UNREAD},
    event_sender::{Change, EventSender},
    mailbox::{Mailbox, Urgent},
    object::{Digest, FileKey, Kind, Row},
    reading_state::ReadingState,
    record::{Reader, Writer},
    record_rows::Fact,
    scan::Digests,
    scanner::Scanner,
    source_status::SourceStatus,
    walk::{Roots, Signatures},
    writers::Writers,
};
use crate::{clock::SharedClock, model::hr::HrMarks};

/// How long a document must be missing before that is believed.
pub(super) const SETTLE: Duration = Duration::from_millis(300);

/// How long a file must be empty before that is believed: whoever writes it anew may have truncated it first.
pub(super) const EMPTY_SETTLE: Duration = Duration::from_secs(2);
/// How long a file that somebody has open for writing can put that belief off.
pub(super) const MAX_WRITING: Duration = Duration::from_secs(30);

/// What is kept in memory of an object.
#[derive(Debug)]
pub(super) struct Entry {
    pub kind: Kind,
    /// Events were sent for it.
    pub served: bool,
    /// It is a tombstone since then.
    pub deleted: Option<Timestamp>,
    pub name: Arc<str>,
    pub namespace: Arc<str>,
    pub uid: [u8; 16],
    pub generation: i64,
    pub created: Timestamp,
    pub version: u64,
    pub digest: Digest,
    pub file: u32,
    pub line: u32,
    /// Ticket of the reading of its file in which its document was last there.
    pub seen: u64,
    pub missing: Option<Instant>,
    /// What HR's events left on a user; `None` of the many on whom they left nothing.
    pub hr: Option<Box<HrMarks>>,
}

/// How long a file that goes on changing can put that belief off: whoever copies it slowly has written only a part so far.
pub(super) const MAX_SETTLE: Duration = Duration::from_secs(5);

/// What is kept in memory of a file.
#[derive(Debug)]
pub(super) struct File {
    pub key: FileKey,
    /// Ticket of the last reading; 0 before the first.
    pub ticket: u64,
    /// Signature of the last reading.
    pub signature: u64,
    /// When a reading found another signature than the one before.
    pub changed: Option<Instant>,
    /// Attempts to read it that failed, since the last one that did not.
    pub failures: u32,
    /// Whether it exists, as far as known.
    pub present: bool,
    /// Objects that it declares. May name some that have moved on.
    pub owned: Vec<u32>,
    /// Objects that it declares as well, but another place had first.
    pub claiming: BTreeSet<u32>,
}

/// State of the source.
pub(super) struct ObjectStore {
    pub clock: SharedClock,
    pub roots: Arc<Roots>,
    pub source_status: Arc<SourceStatus>,
    pub out: EventSender,
    pub reader: Reader,
    pub writer: Writer,
    pub digests: Digests,
    pub mailbox: Arc<Mailbox>,
    pub scanner: Scanner,
    pub writers: Arc<Writers>,
    pub entries: Vec<Option<Entry>>,
    pub free: Vec<u32>,
    names: HashMap<Kind, HashMap<Arc<str>, u32>>,
    pub files: Vec<File>,
    pub file_ids: HashMap<FileKey, u32>,
    pub namespaces: BTreeSet<Arc<str>>,
    /// Files that declare an object which another place had first.
    pub claims: HashMap<u32, BTreeSet<u32>>,
    pub settling: BTreeSet<(Instant, u32)>,
    /// Files to read again.
    pub again: BTreeSet<u32>,
    /// Messages that came while a file was applied and have to wait for the end of it.
    pub deferred: VecDeque<Urgent>,
    /// The file that is being applied.
    pub applying: Option<u32>,
    /// Tombstones that are not yet durable, with their versions.
    pub doomed: Vec<(u32, u64)>,
    /// The first load is under way.
    pub loading: bool,
    pub version: u64,
    /// Signatures seen by the first load, until the walker takes them.
    pub signatures: Signatures,
    pub reading: ReadingState,
    /// What of the record could not be read.
    pub damage: Damage,
}

/// The parts that an object store is made of.
pub(super) struct Dependencies {
    pub clock: SharedClock,
    pub roots: Arc<Roots>,
    pub source_status: Arc<SourceStatus>,
    pub out: EventSender,
    pub reader: Reader,
    pub writer: Writer,
    pub digests: Digests,
    pub mailbox: Arc<Mailbox>,
    pub scanner: Scanner,
    pub writers: Arc<Writers>,
    pub last_known_max_age: Duration,
}

/// Marks that say something.
pub(super) fn kept(marks: HrMarks) -> Option<Box<HrMarks>> {
    (marks != HrMarks::default()).then(|| Box::new(marks))
}

impl ObjectStore {
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            clock: dependencies.clock,
            roots: dependencies.roots,
            source_status: dependencies.source_status,
            out: dependencies.out,
            reader: dependencies.reader,
            writer: dependencies.writer,
            digests: dependencies.digests,
            mailbox: dependencies.mailbox,
            scanner: dependencies.scanner,
            writers: dependencies.writers,
            entries: Vec::new(),
            free: Vec::new(),
            names: Kind::ALL.into_iter().map(|kind| (kind, HashMap::new())).collect(),
            files: Vec::new(),
            file_ids: HashMap::new(),
            namespaces: BTreeSet::new(),
            claims: HashMap::new(),
            settling: BTreeSet::new(),
            again: BTreeSet::new(),
            deferred: VecDeque::new(),
            applying: None,
            doomed: Vec::new(),
            loading: true,
            version: 0,
            signatures: Signatures::new(),
            reading: ReadingState::new(dependencies.last_known_max_age),
            damage: Damage::default(),
        }
    }

    pub fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)?.as_ref()
    }

    pub fn entry_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.get_mut(id as usize)?.as_mut()
    }

    pub fn file(&self, id: u32) -> Option<&File> {
        self.files.get(id as usize)
    }

    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.names.get(&kind)?.get(name).copied()
    }

    /// Number of a file, a new one if needed.
    pub fn file_id(&mut self, key: &FileKey) -> u32 {
        if let Some(id) = self.file_ids.get(key) {
            return *id;
        }
        let id = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(File {
            key: key.clone(),
            ticket: 0,
            signature: 0,
            changed: None,
            failures: 0,
            present: false,
            owned: Vec::new(),
            claiming: BTreeSet::new(),
        });
        self.file_ids.insert(key.clone(), id);
        id
    }

    /// One object as it stands.
    pub fn row(&self, id: u32) -> Option<Arc<Row>> {
        match self.reader.get(id) {
            Ok(row) => row,
            Err(error) => {
                self.source_status
                    .set_source("record-reading", Some(format!("desired.db cannot be read: {error}")));
                None
            }
        }
    }

    /// Takes a recorded object over at start.
    pub fn adopt(&mut self, head: &Row) {
        let file = self.file_id(&head.file);
        let at = head.id as usize;
        if self.entries.len() <= at {
            self.entries.resize_with(at + 1, || None);
        }
        let namespace = self.namespace(&head.namespace);
        if let Some(slot) = self.entries.get_mut(at) {
            *slot = Some(Entry {
                kind: head.kind,
                served: false,
                deleted: head.deleted,
                name: head.name.clone(),
                namespace,
                uid: head.uid,
                generation: head.generation,
                created: head.created,
                version: head.version,
                digest: head.digest,
                file,
                line: 0,
                seen: 0,
                missing: None,
                hr: kept(head.hr),
            });
        }
        if let Some(file) = self.files.get_mut(file as usize) {
            file.owned.push(head.id);
        }
        self.version = self.version.max(head.version);
        self.index(head.kind, head.name.clone(), head.id, head.digest);
    }

    /// Gives back what the tables took ahead while they grew.
    pub fn fit(&mut self) {
        self.entries.shrink_to_fit();
        self.files.shrink_to_fit();
    }

    /// Ends the taking over: numbers that are free can be given out again.
    pub fn adopted(&mut self, version: u64) {
        self.version = self.version.max(version);
        let free = self
            .entries
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, entry)| entry.is_none());
        self.free = free.filter_map(|(id, _)| u32::try_from(id).ok()).collect();
    }

    pub fn index(&mut self, kind: Kind, name: Arc<str>, id: u32, digest: Digest) {
        if let Some(names) = self.names.get_mut(&kind) {
            names.insert(name, id);
        }
        if digest != UNREAD {
            self.digests
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(digest, id);
        }
    }

    pub fn namespace(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.namespaces.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.namespaces.insert(name.clone());
        name
    }

    pub fn digest(&mut self, id: u32, digest: Digest) {
        let Some(entry) = self.entry_mut(id) else { return };
        let old = mem::replace(&mut entry.digest, digest);
        let mut digests = self.digests.write().unwrap_or_else(PoisonError::into_inner);
        if old != digest && digests.get(&old) == Some(&id) {
            digests.remove(&old);
        }
        if digest != UNREAD {
            digests.insert(digest, id);
        }
    }

    /// Records an object under a new resource version; `changed` raises its generation too.
    pub fn store(&mut self, id: u32, spec: Arc<str>, notes: Option<Arc<str>>, status: Option<Arc<str>>, changed: bool) {
        self.version += 1;
        let version = self.version;
        let Some(entry) = self.entry_mut(id) else { return };
        entry.version = version;
        entry.generation += i64::from(changed);
        self.record(id, spec, notes, status);
    }

    /// Records an object whose text alone has changed: nobody needs to hear of it.
    pub fn record(&mut self, id: u32, spec: Arc<str>, notes: Option<Arc<str>>, status: Option<Arc<str>>) {
        let Some(file) = self
            .entry(id)
            .and_then(|entry| self.file(entry.file))
            .map(|file| file.key.clone())
        else {
            return;
        };
        let Some(entry) = self.entry(id) else { return };
        self.writer.put(Arc::new(Row {
            id,
            kind: entry.kind,
            namespace: entry.namespace.clone(),
            name: entry.name.clone(),
            uid: entry.uid,
            generation: entry.generation,
            version: entry.version,
            created: entry.created,
            deleted: entry.deleted,
            file,
            digest: entry.digest,
            spec,
            notes,
            status,
            hr: entry.hr.as_deref().copied().unwrap_or_default(),
        }));
    }

    /// Sends an object out as it stands now.
    pub fn announce(&mut self, id: u32) {
        let change = if self.loading { Change::Init } else { Change::Apply };
        let Some(row) = self.row(id) else { return };
        match self.out.send(change, &row) {
            Ok(()) => {
                if let Some(entry) = self.entry_mut(id) {
                    entry.served = true;
                }
            }
            Err(error) => {
                let (kind, name) = (row.kind, &row.name);
                tracing::warn!(%kind, %name, %error, "the recorded version is not understood");
                self.mend(id, &row);
            }
        }
    }

    /// Removes an object for good.
    pub fn remove(&mut self, id: u32) {
        if let Some(row) = self.row(id)
            && let Err(error) = self.out.send(Change::Delete, &row)
        {
            tracing::error!(name = %row.name, %error, "a removed object could not be announced");
        }
        let Some(entry) = self.entries.get_mut(id as usize).and_then(Option::take) else {
            return;
        };
        if let Some(names) = self.names.get_mut(&entry.kind) {
            names.remove(&entry.name);
        }
        {
            let mut digests = self.digests.write().unwrap_or_else(PoisonError::into_inner);
            if digests.get(&entry.digest) == Some(&id) {
                digests.remove(&entry.digest);
            }
        }
        self.writer.forget(id);
        self.writer.fact(Fact::Version, self.version.cast_signed());
        self.free.push(id);
        // Whoever else declares it may have it now; so may its own file, under what a tombstone forbade.
        self.again.insert(entry.file);
        self.again.extend(self.claims.remove(&id).into_iter().flatten());
        self.finish();
    }

    /// Whether the object's document is where it was when its file was last read.
    pub fn is_declared(&self, id: u32) -> bool {
        self.entry(id).is_some_and(|entry| {
            entry.deleted.is_none() && self.file(entry.file).is_some_and(|file| file.ticket == entry.seen)
        })
    }
}
