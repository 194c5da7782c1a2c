//! The keeper's life: the first load, then messages.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    keeper::{Entry, Keeper, SETTLE},
    mailbox::{Bulk, Found, Message, Urgent, Walked},
    object::{FileKey, Kind, Root, Row},
    outlets::Change,
    record::Fact,
    scan::{Content, FileScan, scan_file},
    walk::{Listing, list},
};
use crate::desired::DesiredError;

/// Files that one reader takes at a time.
const SHARE: usize = 64;
/// Rounds in which documents that moved between files find each other.
const ROUNDS: usize = 8;

/// What the keeper remembers between messages.
pub(super) struct Life {
    max_age: Duration,
    /// When the last whole reading was last noted in the record.
    noted: Option<Timestamp>,
    /// The folder could not be read at start: some recorded files were never looked at.
    behind: bool,
    /// Sub-folders with problems on the board.
    unreadable: BTreeSet<String>,
}

impl Life {
    pub fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            noted: None,
            behind: false,
            unreadable: BTreeSet::new(),
        }
    }
}

/// Loads, then answers messages until the mailbox is closed.
pub(super) fn run(mut keeper: Keeper) {
    keeper.load();
    loop {
        while let Some(message) = keeper.deferred.pop_front() {
            keeper.urgent(message);
        }
        let until = keeper.settling.front().map(|(due, _)| *due);
        let mailbox = keeper.mailbox.clone();
        match mailbox.next(until) {
            Message::Urgent(message) => keeper.urgent(message),
            Message::Bulk(message) => keeper.bulk(*message),
            Message::Timeout => keeper.settle(),
            Message::Closed => return,
        }
    }
}

impl Keeper {
    pub(super) fn urgent(&mut self, message: Urgent) {
        match message {
            Urgent::Refresh(scan, reply) => {
                self.apply(scan);
                drop(reply.send(Ok(())));
            }
            Urgent::Get(kind, name, reply) => drop(reply.send(Ok(self.found(kind, &name)))),
            Urgent::Release(kind, name, reply) => {
                if let Some(id) = self.find(kind, &name)
                    && self.entry(id).is_some_and(|entry| entry.deleted.is_some())
                {
                    self.remove(id);
                }
                drop(reply.send(Ok(())));
            }
            Urgent::Lift(scan, name, reply) => {
                self.apply(scan);
                let lifted = self.lift(&name);
                // Told only when the record knows it: a restart would take a missing file for a lost hold.
                self.writer.flush(Box::new(move || drop(reply.send(lifted))));
            }
            Urgent::Durable(tombstones) => {
                for (id, version) in tombstones {
                    if self
                        .entry(id)
                        .is_some_and(|entry| entry.deleted.is_some() && entry.version == version)
                    {
                        self.announce(id);
                    }
                }
            }
            Urgent::Signatures(reply) => drop(reply.send(Ok(std::mem::take(&mut self.signatures)))),
        }
    }

    fn bulk(&mut self, message: Bulk) {
        match message {
            Bulk::Scan(scan) => self.apply(scan),
            Bulk::Report(kind, name, status, reply) => drop(reply.send(self.report(kind, &name, status))),
            Bulk::Walked(walked) => self.walked(walked),
        }
    }

    fn found(&self, kind: Kind, name: &str) -> Option<Found> {
        let id = self.find(kind, name)?;
        let line = self.entry(id)?.line;
        let row = self.row(id)?;
        Some(Found { row, line })
    }

    fn lift(&mut self, name: &str) -> Result<(), DesiredError> {
        let Some(id) = self.find(Kind::Hold, name) else {
            return Ok(());
        };
        if self.is_declared(id) {
            return Err(DesiredError::Conflict {
                kind: Kind::Hold.as_str(),
                name: name.to_owned(),
                message: "its file was written again while it was being released".to_owned(),
            });
        }
        self.remove(id);
        Ok(())
    }

    fn report(&mut self, kind: Kind, name: &str, status: String) -> Result<(), DesiredError> {
        let missing = || DesiredError::NotFound {
            kind: kind.as_str(),
            name: name.to_owned(),
        };
        let id = self.find(kind, name).ok_or_else(missing)?;
        let row = self.row(id).ok_or_else(missing)?;
        if row.status.as_deref() != Some(&status) {
            self.store(id, row.spec.clone(), row.notes.clone(), Some(status.into()), false);
            self.announce(id);
        }
        Ok(())
    }

    /// Has the files read again whose missing documents have settled.
    fn settle(&mut self) {
        let now = Instant::now();
        while self.settling.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, id)) = self.settling.pop_front() else {
                return;
            };
            let Some(file) = self.file(id) else { continue };
            let waits = |object: &u32| {
                self.entry(*object)
                    .is_some_and(|entry| entry.file == id && entry.missing.is_some())
            };
            if file.owned.iter().any(waits) {
                self.scanner.wish(file.key.clone(), now);
            }
        }
    }

    fn walked(&mut self, walked: Walked) {
        self.set_unreadable_folders(walked.unreadable);
        let identity = match walked.people {
            Ok(identity) => identity,
            Err(reason) => {
                self.board.set_unreadable(Some(walked.at));
                let shown = self.roots.people.display();
                let line = format!("{shown}: cannot be read, what was known last is in force: {reason}");
                return self.board.set_source("folder", Some(line));
            }
        };
        self.board.set_unreadable(None);
        self.board.set_source("folder", None);
        if self.roots.identity() != Some(identity) {
            self.roots.set_identity(identity);
            self.writer.fact(Fact::Device, identity.0.cast_signed());
            self.writer.fact(Fact::Inode, identity.1.cast_signed());
            self.life.noted = None;
        }
        let pause = (self.life.max_age / 8).clamp(Duration::from_secs(60), Duration::from_hours(1));
        if self
            .life
            .noted
            .is_none_or(|noted| walked.at.duration_since(noted).unsigned_abs() >= pause)
        {
            self.writer.fact(Fact::ReadAt, walked.at.as_millisecond());
            self.life.noted = Some(walked.at);
        }
        if std::mem::take(&mut self.life.behind) {
            let now = Instant::now();
            for file in self
                .files
                .iter()
                .filter(|file| file.ticket == 0 && file.key.root == Root::People)
            {
                self.scanner.wish(file.key.clone(), now);
            }
        }
    }

    fn set_unreadable_folders(&mut self, folders: Vec<(String, String)>) {
        let now: BTreeSet<String> = folders.iter().map(|(folder, _)| folder.clone()).collect();
        for mended in self.life.unreadable.difference(&now) {
            self.board.set_file(mended, Vec::new());
        }
        for (folder, reason) in folders {
            let line = format!("{folder}: cannot be read, what was known of it stays in force: {reason}");
            self.board.set_file(&folder, vec![line]);
        }
        self.life.unreadable = now;
    }

    /// Reads everything and sends it out. `InitDone` follows whatever happens.
    fn load(&mut self) {
        self.out.init();
        let age = self.recall();
        let readable = self.load_files();
        let serve = readable || age.is_some_and(|age| age <= self.life.max_age);
        if !serve {
            tracing::error!("the folder cannot be read and what was known last is too old: nobody is served");
        }
        self.send_recorded(serve);
        self.read_again();
        self.loading = false;
        self.fit();
        self.board.set_synced();
        self.out.init_done();
    }

    /// Takes the record over; answers the age of the last whole reading.
    fn recall(&mut self) -> Option<Duration> {
        let mut heads = Vec::new();
        if let Err(error) = self.reader.each_head(|head| heads.push(head)) {
            self.board
                .set_source("record", Some(format!("desired.db cannot be read: {error}")));
        }
        for head in &heads {
            self.adopt(head);
        }
        let fact = |fact| self.reader.fact(fact).ok().flatten();
        if let (Some(device), Some(inode)) = (fact(Fact::Device), fact(Fact::Inode)) {
            self.roots.set_identity((device.cast_unsigned(), inode.cast_unsigned()));
        }
        let age = fact(Fact::ReadAt)
            .and_then(|read_at| Timestamp::from_millisecond(read_at).ok())
            .map(|read_at| {
                // Either way round: a clock that was set back far makes the record no fresher.
                self.clock.now().duration_since(read_at).unsigned_abs()
            });
        let version = fact(Fact::Version).map_or(0, i64::cast_unsigned);
        self.adopted(version);
        age
    }

    /// Reads both folders; answers whether the people's could be read.
    fn load_files(&mut self) -> bool {
        let people = self.list_people();
        let own = list(&self.roots.own, |_| ()).unwrap_or_default();
        let readable = people.is_some();
        let files = keys(&own, Root::Own).chain(people.iter().flat_map(|listing| keys(listing, Root::People)));
        let files: Vec<FileKey> = files.collect();
        for file in &files {
            self.set_present(file);
        }
        if !readable {
            self.life.behind = true;
        }
        let empty = Listing::default();
        let listing = people.as_ref().unwrap_or(&empty);
        let recorded = 0..self.files.len();
        let mut gone = Vec::new();
        for at in recorded {
            let Some(file) = self.files.get_mut(at) else { continue };
            let unknown = file.key.root == Root::People && (!readable || listing.is_unknown(&file.key.path));
            if unknown {
                file.present = true;
            } else if !file.present {
                gone.push(file.key.clone());
            }
        }
        for leftover in listing.temporary.iter().chain(&own.temporary) {
            drop(fs::remove_file(leftover));
        }
        self.scan_all(&files);
        self.scan_all(&gone);
        self.read_again();
        if self.entries.iter().flatten().any(|entry| entry.missing.is_some()) {
            self.settle_load(&files);
        }
        self.settling.clear();
        readable
    }

    fn list_people(&mut self) -> Option<Listing> {
        let identity = self.roots.check(Root::People).map_err(|error| error.to_string());
        let listing = identity
            .as_ref()
            .ok()
            .and_then(|_| list(&self.roots.people, |_| ()).ok());
        let unreadable = listing
            .as_ref()
            .map(|listing| listing.unreadable.clone())
            .unwrap_or_default();
        let people = if listing.is_some() {
            identity
        } else {
            identity.and(Err("it cannot be listed".to_owned()))
        };
        self.walked(Walked {
            people,
            unreadable,
            at: self.clock.now(),
        });
        self.life.behind = false;
        listing
    }

    /// Looks a second time for what is missing, before the first answer is given.
    fn settle_load(&mut self, known: &[FileKey]) {
        thread::sleep(SETTLE);
        let known: BTreeSet<&FileKey> = known.iter().collect();
        let new = self
            .list_people()
            .map(|listing| keys(&listing, Root::People).collect::<Vec<_>>());
        let new: Vec<FileKey> = new
            .unwrap_or_default()
            .into_iter()
            .filter(|file| !known.contains(file))
            .collect();
        self.scan_all(&new);
        let missing = self.entries.iter().flatten().filter(|entry| entry.missing.is_some());
        let files: BTreeSet<u32> = missing.map(|entry| entry.file).collect();
        let files: Vec<FileKey> = files
            .iter()
            .filter_map(|id| Some(self.file(*id)?.key.clone()))
            .collect();
        self.scan_all(&files);
        self.read_again();
    }

    fn set_present(&mut self, key: &FileKey) {
        let id = self.file_id(key);
        if let Some(file) = self.files.get_mut(id as usize) {
            file.present = true;
        }
    }

    /// Reads again what applying other files has put in doubt.
    fn read_again(&mut self) {
        for _ in 0..ROUNDS {
            let files = std::mem::take(&mut self.again);
            if files.is_empty() {
                return;
            }
            let files: Vec<FileKey> = files
                .iter()
                .filter_map(|id| Some(self.file(*id)?.key.clone()))
                .collect();
            self.scan_all(&files);
        }
    }

    /// Reads files with several readers, and applies them in their order.
    fn scan_all(&mut self, files: &[FileKey]) {
        let shares: Vec<&[FileKey]> = files.chunks(SHARE).collect();
        let (roots, digests) = (self.roots.clone(), self.digests.clone());
        if let [few] = shares[..] {
            return few
                .iter()
                .for_each(|file| self.take_scan(scan_file(&roots, file, &digests)));
        }
        let readers = thread::available_parallelism().map_or(2, usize::from).clamp(2, 4);
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (sender, results) = sync_channel(readers * 4);
            for _ in 0..readers {
                let (sender, next, shares, roots, digests) = (sender.clone(), &next, &shares, &roots, &digests);
                scope.spawn(move || {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(share) = shares.get(at) else { return };
                        let scans: Vec<FileScan> = share.iter().map(|file| scan_file(roots, file, digests)).collect();
                        if sender.send((at, scans)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let mut early = BTreeMap::new();
            let mut turn = 0;
            for (at, scans) in results {
                early.insert(at, scans);
                while let Some(scans) = early.remove(&turn) {
                    scans.into_iter().for_each(|scan| self.take_scan(scan));
                    turn += 1;
                }
            }
        });
    }

    fn take_scan(&mut self, scan: FileScan) {
        if matches!(scan.content, Content::Gone) {
            self.signatures.remove(&scan.file);
        } else {
            self.signatures.insert(scan.file.clone(), scan.signature);
        }
        self.apply(scan);
    }

    /// Sends out what was recorded and not sent yet: unchanged objects, last good versions, tombstones.
    fn send_recorded(&mut self, people: bool) {
        if !std::mem::take(&mut self.doomed).is_empty() {
            self.writer.flush_and_wait();
        }
        let mut sent = Vec::new();
        let mut broken = Vec::new();
        let visit = |row: Row| {
            let wanted = self
                .entry(row.id)
                .is_some_and(|entry| !entry.served && entry.version == row.version);
            if wanted && (people || row.file.root == Root::Own) {
                match self.out.send(Change::Init, &row) {
                    Ok(()) => sent.push(row.id),
                    Err(error) => broken.push((row.id, error)),
                }
            }
        };
        if self.entries.iter().flatten().any(|entry| !entry.served)
            && let Err(error) = self.reader.each(visit)
        {
            self.board
                .set_source("record", Some(format!("desired.db cannot be read: {error}")));
        }
        for id in sent {
            if let Some(entry) = self.entry_mut(id) {
                entry.served = true;
            }
        }
        for (id, error) in &broken {
            self.reread(*id, error);
        }
        // What changed a moment ago is not in the file yet.
        for id in 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX) {
            let own = |entry: &Entry| self.file(entry.file).is_some_and(|file| file.key.root == Root::Own);
            let wanted = self
                .entry(id)
                .is_some_and(|entry| !entry.served && (people || own(entry)));
            if wanted && !broken.iter().any(|(broken, _)| *broken == id) {
                self.announce(id);
            }
        }
    }
}

fn keys(listing: &Listing, root: Root) -> impl Iterator<Item = FileKey> {
    listing.files.iter().map(move |path| FileKey {
        root,
        path: Arc::clone(path),
    })
}
