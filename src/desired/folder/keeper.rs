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
    document::{Bad, Declared, faults_against},
    health::Board,
    mailbox::{Mailbox, Urgent},
    object::{Digest, FileKey, Kind, Notes, Row, Spec, new_uid},
    outlets::{Change, Outlets},
    problem::Problem,
    record::{Fact, Reader, Writer},
    scan::{Content, Digests, Document, FileScan, What},
    scanner::Scanner,
    walk::{Roots, Signatures},
};
use crate::clock::SharedClock;

/// How long a document must be missing before that is believed.
pub(super) const SETTLE: Duration = Duration::from_millis(300);

/// Documents that are applied between two looks at what somebody waits for.
const STRIDE: usize = 16;

/// What is kept in memory of an object.
#[derive(Debug)]
pub(super) struct Entry {
    pub kind: Kind,
    /// Events were sent for it.
    pub served: bool,
    /// It is a tombstone since then.
    pub deleted: Option<Timestamp>,
    pub name: Arc<str>,
    namespace: Arc<str>,
    uid: [u8; 16],
    generation: i64,
    created: Timestamp,
    pub version: u64,
    digest: Digest,
    pub file: u32,
    pub line: u32,
    /// Ticket of the reading of its file in which its document was last there.
    seen: u64,
    pub missing: Option<Instant>,
}

/// What is kept in memory of a file.
#[derive(Debug)]
pub(super) struct File {
    pub key: FileKey,
    /// Ticket of the last reading; 0 before the first.
    pub ticket: u64,
    /// Whether it exists, as far as known.
    pub present: bool,
    /// Objects that it declares. May name some that have moved on.
    pub owned: Vec<u32>,
    /// Objects that it declares as well, but another place had first.
    claiming: BTreeSet<u32>,
}

/// State of the source.
pub(super) struct Keeper {
    pub clock: SharedClock,
    pub roots: Arc<Roots>,
    pub board: Arc<Board>,
    pub out: Outlets,
    pub reader: Reader,
    pub writer: Writer,
    pub digests: Digests,
    pub mailbox: Arc<Mailbox>,
    pub scanner: Scanner,
    pub entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    names: HashMap<Kind, HashMap<Arc<str>, u32>>,
    pub files: Vec<File>,
    file_ids: HashMap<FileKey, u32>,
    namespaces: BTreeSet<Arc<str>>,
    /// Files that declare an object which another place had first.
    claims: HashMap<u32, BTreeSet<u32>>,
    pub settling: VecDeque<(Instant, u32)>,
    /// Files to read again.
    pub again: BTreeSet<u32>,
    /// Messages that came while a file was applied and have to wait for the end of it.
    pub deferred: VecDeque<Urgent>,
    /// The file that is being applied.
    applying: Option<u32>,
    /// Tombstones that are not yet durable, with their versions.
    pub doomed: Vec<(u32, u64)>,
    /// The first load is under way.
    pub loading: bool,
    version: u64,
    /// Signatures seen by the first load, until the walker takes them.
    pub signatures: Signatures,
    pub life: super::keeper_loop::Life,
}

/// One file being applied.
struct Pass {
    file: u32,
    ticket: u64,
    display: String,
    lines: Vec<Problem>,
    owned: Vec<u32>,
    /// Claims of the previous reading.
    claimed: BTreeSet<u32>,
    /// Faulty documents each of which may be a recorded object that cannot be told any more.
    hiding: usize,
}

/// The parts that a keeper is made of.
pub(super) struct Parts {
    pub clock: SharedClock,
    pub roots: Arc<Roots>,
    pub board: Arc<Board>,
    pub out: Outlets,
    pub reader: Reader,
    pub writer: Writer,
    pub digests: Digests,
    pub mailbox: Arc<Mailbox>,
    pub scanner: Scanner,
    pub last_known_max_age: Duration,
}

impl Keeper {
    pub fn new(parts: Parts) -> Self {
        Self {
            clock: parts.clock,
            roots: parts.roots,
            board: parts.board,
            out: parts.out,
            reader: parts.reader,
            writer: parts.writer,
            digests: parts.digests,
            mailbox: parts.mailbox,
            scanner: parts.scanner,
            entries: Vec::new(),
            free: Vec::new(),
            names: Kind::ALL.into_iter().map(|kind| (kind, HashMap::new())).collect(),
            files: Vec::new(),
            file_ids: HashMap::new(),
            namespaces: BTreeSet::new(),
            claims: HashMap::new(),
            settling: VecDeque::new(),
            again: BTreeSet::new(),
            deferred: VecDeque::new(),
            applying: None,
            doomed: Vec::new(),
            loading: true,
            version: 0,
            signatures: Signatures::new(),
            life: super::keeper_loop::Life::new(parts.last_known_max_age),
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
                self.board
                    .set_source("record", Some(format!("desired.db cannot be read: {error}")));
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

    fn index(&mut self, kind: Kind, name: Arc<str>, id: u32, digest: Digest) {
        if let Some(names) = self.names.get_mut(&kind) {
            names.insert(name, id);
        }
        self.digests
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest, id);
    }

    fn namespace(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.namespaces.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.namespaces.insert(name.clone());
        name
    }

    /// Takes over what a file says. An older reading than the last is ignored.
    pub fn apply(&mut self, scan: FileScan) {
        let id = self.file_id(&scan.file);
        let display = self.roots.display(&scan.file);
        let (documents, present) = match scan.content {
            Content::Documents(documents) => (documents, true),
            Content::Gone => (Vec::new(), false),
            Content::Unreadable(reason) => return self.keep_all(id, scan.ticket, &display, reason),
        };
        let stale = |document: &Document| match document.what {
            What::Known(known) => self.entry(known).is_none_or(|entry| entry.digest != document.digest),
            What::Object(..) | What::Bad(_) => false,
        };
        let stale = documents.iter().any(stale);
        let Some(file) = self.files.get_mut(id as usize).filter(|file| file.ticket < scan.ticket) else {
            return;
        };
        if stale {
            // It was compared with versions that are in force no more.
            self.again.insert(id);
            return self.finish();
        }
        file.ticket = scan.ticket;
        file.present = present;
        let before = mem::take(&mut file.owned);
        let claimed = mem::take(&mut file.claiming);
        for object in &claimed {
            if let Some(files) = self.claims.get_mut(object) {
                files.remove(&id);
            }
        }
        let mut pass = Pass {
            file: id,
            ticket: scan.ticket,
            display,
            lines: Vec::new(),
            owned: Vec::with_capacity(documents.len()),
            claimed,
            hiding: 0,
        };
        let outer = self.applying.replace(id);
        // Unchanged documents first: of two for one object, the recorded one keeps it.
        for (at, document) in documents.iter().enumerate() {
            if let What::Known(object) = document.what {
                self.known(&mut pass, object, document);
                self.attend(at, outer);
            }
        }
        for (at, document) in documents.into_iter().enumerate() {
            if !matches!(document.what, What::Known(_)) {
                self.attend(at, outer);
            }
            match document.what {
                What::Known(_) => {}
                What::Object(declared, text) => {
                    self.declared(
                        &mut pass,
                        *declared,
                        &text,
                        (document.base, document.line),
                        document.digest,
                    );
                }
                What::Bad(bad) => self.bad(&mut pass, bad, (document.base, document.line)),
            }
        }
        self.missing(&mut pass, before, &scan.deleted);
        self.applying = outer;
        pass.lines.sort();
        self.board
            .set_file(&pass.display, pass.lines.iter().map(ToString::to_string).collect());
        if let Some(file) = self.files.get_mut(id as usize) {
            file.owned = pass.owned;
        }
        self.finish();
    }

    /// Answers those who wait, in the midst of a long file: a denial must not queue behind ten thousand documents.
    ///
    /// Between two documents everything holds that holds between two files, except for the file itself: what concerns it
    /// waits, and so does everything that came later, lest two changes by one caller change places.
    fn attend(&mut self, at: usize, outer: Option<u32>) {
        if self.loading || outer.is_some() || !at.is_multiple_of(STRIDE) {
            return;
        }
        for message in self.mailbox.take_urgent() {
            if self.deferred.is_empty() && !self.concerns_applied(&message) {
                self.urgent(message);
            } else {
                self.deferred.push_back(message);
            }
        }
    }

    fn concerns_applied(&self, message: &Urgent) -> bool {
        let (Urgent::Refresh(scan, _) | Urgent::Lift(scan, ..)) = message else {
            return false;
        };
        self.file_ids.get(&scan.file).copied() == self.applying
    }

    /// Nothing can be said about a file: everything recorded in it stays.
    fn keep_all(&mut self, id: u32, ticket: u64, display: &str, reason: String) {
        let Some(file) = self.files.get_mut(id as usize).filter(|file| file.ticket < ticket) else {
            return;
        };
        file.ticket = ticket;
        file.present = true;
        for object in file.owned.clone() {
            if let Some(entry) = self.entry_mut(object).filter(|entry| entry.file == id) {
                entry.missing = None;
            }
        }
        self.board
            .set_file(display, vec![Problem::of_file(display, reason).to_string()]);
    }

    /// Sends out what applying a file has brought about elsewhere.
    fn finish(&mut self) {
        if self.loading {
            return;
        }
        let now = Instant::now();
        for id in mem::take(&mut self.again) {
            if let Some(file) = self.file(id) {
                self.scanner.wish(file.key.clone(), now);
            }
        }
        let doomed = mem::take(&mut self.doomed);
        if !doomed.is_empty() {
            let mailbox = self.mailbox.clone();
            let ack = move || mailbox.urgent(super::mailbox::Urgent::Durable(doomed));
            self.writer.flush(Box::new(ack));
        }
    }

    /// Whether the object's document may be taken from another place than this file.
    fn is_free(&self, entry: &Entry, file: u32) -> bool {
        entry.file == file
            || entry.deleted.is_some()
            || entry.missing.is_some()
            || self.file(entry.file).is_none_or(|owner| !owner.present)
    }

    /// Gives an object to the file that is being applied; `None`, with the reason noted, when another place has it.
    fn take(&mut self, pass: &mut Pass, id: u32, line: u32) -> Option<&mut Entry> {
        let entry = self.entry(id)?;
        let here = entry.file == pass.file && entry.seen == pass.ticket;
        if here || !self.is_free(entry, pass.file) {
            self.refuse(pass, id, line);
            return None;
        }
        pass.owned.push(id);
        let (file, ticket) = (pass.file, pass.ticket);
        let entry = self.entry_mut(id)?;
        entry.file = file;
        entry.line = line;
        entry.seen = ticket;
        entry.missing = None;
        Some(entry)
    }

    /// Notes that a document was refused because another place has the object.
    fn refuse(&mut self, pass: &mut Pass, id: u32, line: u32) {
        let Some(entry) = self.entry(id) else { return };
        let (owner, owner_line) = (entry.file, entry.line);
        let mut place = self
            .file(owner)
            .map(|file| self.roots.display(&file.key))
            .unwrap_or_default();
        if owner_line > 0 {
            place = format!("{place}:{owner_line}");
        }
        let message = format!(
            "{} {} (namespace {}) is declared in {place} already: this document is not in force",
            entry.kind, entry.name, entry.namespace
        );
        if owner_line == 0 && self.loading {
            // Said again once the line is known.
            self.again.insert(pass.file);
        }
        pass.lines.push(Problem {
            file: pass.display.clone(),
            line,
            column: 1,
            field: None,
            message,
        });
        self.claim(pass, id);
        if owner != pass.file && !pass.claimed.contains(&id) {
            // The owner may have lost it without our knowing yet.
            self.again.insert(owner);
        }
    }

    fn claim(&mut self, pass: &Pass, id: u32) {
        self.claims.entry(id).or_default().insert(pass.file);
        if let Some(file) = self.files.get_mut(pass.file as usize) {
            file.claiming.insert(id);
        }
    }

    fn known(&mut self, pass: &mut Pass, id: u32, document: &Document) {
        let loading = self.loading;
        let (file, line) = (pass.file, document.line);
        if self.entry(id).is_none_or(|entry| entry.digest != document.digest) {
            // Another file was taken over meanwhile, and with it another version of this object.
            self.again.insert(file);
            return;
        }
        let moved = self.entry(id).is_some_and(|entry| entry.file != file);
        let Some(entry) = self.take(pass, id, line) else { return };
        let revived = entry.deleted.take().is_some();
        if !moved && !revived && (entry.served || loading) {
            return;
        }
        if let Some(row) = self.row(id) {
            self.store(id, row.spec.clone(), row.notes.clone(), row.status.clone(), revived);
            self.announce(id);
        }
    }

    fn declared(&mut self, pass: &mut Pass, declared: Declared, text: &str, (base, line): (u32, u32), digest: Digest) {
        let Some(id) = self.find(declared.kind, &declared.name) else {
            return self.create(pass, &declared, line, digest);
        };
        if self
            .entry(id)
            .is_some_and(|entry| *entry.namespace != *declared.namespace)
        {
            return self.refuse(pass, id, line);
        }
        let moved = self.entry(id).is_some_and(|entry| entry.file != pass.file);
        let Some(entry) = self.take(pass, id, line) else { return };
        let (tombstone, unserved) = (entry.deleted, !entry.served);
        let old = self.row(id);
        let old_spec = old.as_ref().and_then(|row| Spec::from_json(row.kind, &row.spec).ok());
        let faults = faults_against(&declared, old_spec.as_ref(), text);
        if !faults.is_empty() {
            pass.lines
                .extend(faults.into_iter().map(|fault| fault.at(&pass.display, base)));
            return;
        }
        let Some((spec, notes)) = texts(&declared) else { return };
        let revived = tombstone.is_some();
        if let Some(entry) = self.entry_mut(id) {
            entry.deleted = None;
        }
        let changed = old.as_ref().is_none_or(|row| *row.spec != *spec);
        let noted = old.as_ref().is_none_or(|row| row.notes != notes);
        self.digest(id, digest);
        let status = old.and_then(|row| row.status.clone());
        self.store(id, spec, notes, status, changed || revived);
        if changed || noted || moved || revived || unserved {
            self.announce(id);
        }
    }

    fn create(&mut self, pass: &mut Pass, declared: &Declared, line: u32, digest: Digest) {
        let Some((spec, notes)) = texts(declared) else { return };
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let name: Arc<str> = declared.name.as_str().into();
        let now = self.clock.now();
        let namespace = self.namespace(&declared.namespace);
        let Some(slot) = self.entries.get_mut(id as usize) else {
            return;
        };
        *slot = Some(Entry {
            kind: declared.kind,
            served: false,
            deleted: None,
            name: name.clone(),
            namespace,
            uid: new_uid(),
            generation: 0,
            created: Timestamp::from_second(now.as_second()).unwrap_or(now),
            version: 0,
            digest,
            file: pass.file,
            line,
            seen: pass.ticket,
            missing: None,
        });
        self.index(declared.kind, name, id, digest);
        pass.owned.push(id);
        self.store(id, spec, notes, None, true);
        self.announce(id);
    }

    fn bad(&mut self, pass: &mut Pass, bad: Bad, (base, line): (u32, u32)) {
        pass.lines
            .extend(bad.faults.into_iter().map(|fault| fault.at(&pass.display, base)));
        let recorded = bad.identity.and_then(|(kind, name)| self.find(kind, &name));
        let Some(id) = recorded else {
            pass.hiding += usize::from(!bad.certain);
            return;
        };
        let Some(entry) = self.entry(id) else { return };
        // A faulty document keeps what is in force, and brings nothing back.
        if entry.deleted.is_some() || (entry.file == pass.file && entry.seen == pass.ticket) {
            return;
        }
        if !self.is_free(entry, pass.file) {
            return self.claim(pass, id);
        }
        let moved = entry.file != pass.file;
        let unserved = !entry.served && !self.loading;
        if self.take(pass, id, line).is_none() {
            return;
        }
        if moved && let Some(row) = self.row(id) {
            self.store(id, row.spec.clone(), row.notes.clone(), row.status.clone(), false);
        }
        if moved || unserved {
            self.announce(id);
        }
    }

    /// Decides about the objects that were in the file before and are not now.
    fn missing(&mut self, pass: &mut Pass, before: Vec<u32>, deleted: &[(Kind, String)]) {
        let now = Instant::now();
        let mut stuck = Vec::new();
        let mut settles = false;
        for id in before {
            let Some(entry) = self
                .entry(id)
                .filter(|entry| entry.file == pass.file && entry.seen != pass.ticket)
            else {
                continue;
            };
            pass.owned.push(id);
            if entry.deleted.is_some() {
                continue;
            }
            let on_purpose = deleted
                .iter()
                .any(|(kind, name)| *kind == entry.kind && **name == *entry.name);
            if pass.hiding > 0 && !on_purpose {
                stuck.push(entry.name.to_string());
                continue;
            }
            let since = entry.missing;
            if on_purpose || since.is_some_and(|since| now.duration_since(since) >= SETTLE) {
                self.bury(id);
            } else if since.is_none() {
                if let Some(entry) = self.entry_mut(id) {
                    entry.missing = Some(now);
                }
                settles = true;
                // Another place that declares it may have it now.
                self.again.extend(self.claims.get(&id).into_iter().flatten());
            } else {
                settles = true;
            }
        }
        if settles {
            self.settling.push_back((now + SETTLE, pass.file));
        }
        if !stuck.is_empty() {
            let names = stuck.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let message = format!(
                "{} objects that this file declared cannot be found in it ({names}): they stay in force until its \
                 faulty documents are mended",
                stuck.len()
            );
            pass.lines.push(Problem::of_file(pass.display.clone(), message));
        }
    }

    /// Makes a tombstone.
    fn bury(&mut self, id: u32) {
        let Some(row) = self.row(id) else { return };
        let now = self.clock.now();
        let Some(entry) = self.entry_mut(id) else { return };
        entry.deleted = Some(Timestamp::from_second(now.as_second()).unwrap_or(now));
        entry.missing = None;
        self.store(id, row.spec.clone(), row.notes.clone(), row.status.clone(), true);
        if let Some(version) = self.entry(id).map(|entry| entry.version) {
            self.doomed.push((id, version));
        }
    }

    fn digest(&mut self, id: u32, digest: Digest) {
        let Some(entry) = self.entry_mut(id) else { return };
        let old = mem::replace(&mut entry.digest, digest);
        let mut digests = self.digests.write().unwrap_or_else(PoisonError::into_inner);
        if old != digest && digests.get(&old) == Some(&id) {
            digests.remove(&old);
        }
        digests.insert(digest, id);
    }

    /// Records an object under a new resource version; `changed` raises its generation too.
    pub fn store(&mut self, id: u32, spec: Arc<str>, notes: Option<Arc<str>>, status: Option<Arc<str>>, changed: bool) {
        self.version += 1;
        let version = self.version;
        let Some(entry) = self.entry_mut(id) else { return };
        entry.version = version;
        entry.generation += i64::from(changed);
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
            version,
            created: entry.created,
            deleted: entry.deleted,
            file,
            digest: entry.digest,
            spec,
            notes,
            status,
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
            Err(error) => self.reread(id, &error),
        }
    }

    /// The recorded version of an object cannot be used by this program: its document is read again.
    pub fn reread(&mut self, id: u32, error: &serde_json::Error) {
        let Some(entry) = self.entry_mut(id) else { return };
        tracing::warn!(kind = %entry.kind, name = %entry.name, %error, "the recorded version is not understood");
        let (old, file) = (mem::take(&mut entry.digest), entry.file);
        self.digests
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&old);
        self.again.insert(file);
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

fn texts(declared: &Declared) -> Option<(Arc<str>, Option<Arc<str>>)> {
    let spec = declared.spec.to_json().ok()?;
    let notes = match &declared.notes {
        none if *none == Notes::default() => None,
        some => Some(serde_json::to_string(some).ok()?.into()),
    };
    Some((spec.into(), notes))
}
