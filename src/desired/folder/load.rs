//! The first load: the record, then the folders, then everything is sent out.

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
    damage::UNREAD,
    event_sender::Change,
    mailbox::Walked,
    object::{FileKey, Root, Row},
    object_store::{Entry, ObjectStore, SETTLE},
    record_rows::{Fact, UnreadableRow},
    scan::{Content, FileScan, scan_in_part},
    walk::{Listing, list},
};

/// Files that one reader takes at a time.
const SHARE: usize = 64;
/// New documents of a file that are read before the first of them is taken over. What a hundred thousand documents say, kept
/// at once, is memory that no allocator gives back.
const READ_AHEAD: usize = 4096;
/// Rounds in which documents that moved between files find each other.
const ROUNDS: usize = 8;

impl ObjectStore {
    /// Reads everything and sends it out. `InitDone` follows whatever happens.
    pub fn load(&mut self) {
        self.out.init();
        let age = self.recall();
        let readable = self.load_files();
        let serve = readable || age.is_some_and(|age| age <= self.reading.max_age);
        if !serve {
            tracing::error!("the folder cannot be read and what was known last is too old: nobody is served");
        }
        self.send_recorded(serve);
        self.read_again();
        // Now and then a document did not help.
        self.announce_unserved(serve);
        self.loading = false;
        self.tell_damage();
        self.fit();
        self.source_status.set_synced();
        self.out.init_done();
    }

    /// Takes the record over; answers the age of the last whole reading.
    fn recall(&mut self) -> Option<Duration> {
        let mut heads = Vec::new();
        let mut unreadable = Vec::new();
        let read = self.reader.each_head(|head| match head {
            Ok(head) => heads.push(head),
            Err(UnreadableRow(id)) => unreadable.push(id),
        });
        if let Err(error) = read {
            self.source_status
                .set_source("record-reading", Some(format!("desired.db cannot be read: {error}")));
        }
        for head in &heads {
            if self.find(head.kind, &head.name).is_some() {
                unreadable.push(Some(head.id));
            } else {
                self.adopt(head);
            }
        }
        for id in unreadable {
            self.damage.row();
            if let Some(id) = id {
                self.writer.forget(id);
            }
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
        let empty = Listing::default();
        let listing = people.as_ref().unwrap_or(&empty);
        let recorded = 0..self.files.len();
        let mut gone = Vec::new();
        for at in recorded {
            let Some(file) = self.files.get_mut(at) else { continue };
            let unknown = file.key.root == Root::People && (!readable || listing.is_unknown(&file.key.path));
            if unknown {
                // The walker looks at it, or finds it gone, as soon as it can.
                self.signatures.insert(file.key.clone(), 0);
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
        // What is still missing is looked at once more.
        let files: BTreeSet<u32> = {
            let missing = self.entries.iter().flatten().filter(|entry| entry.missing.is_some());
            missing.map(|entry| entry.file).collect()
        };
        let due = Instant::now() + SETTLE;
        self.settling = files.into_iter().map(|file| (due, file)).collect();
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
                .for_each(|file| self.take_scan(scan_in_part(&roots, file, &digests, READ_AHEAD)));
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
                        let scans: Vec<FileScan> = share
                            .iter()
                            .map(|file| scan_in_part(roots, file, digests, READ_AHEAD))
                            .collect();
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
                    for scan in scans {
                        self.take_scan(scan);
                    }
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
        let (entries, out) = (&self.entries, &mut self.out);
        let visit = |row: Row| {
            let wanted = entries
                .get(row.id as usize)
                .and_then(Option::as_ref)
                .is_some_and(|entry| !entry.served && entry.version == row.version);
            if wanted && (people || row.file.root == Root::Own) {
                match out.send(Change::Init, &row) {
                    Ok(()) => sent.push(row.id),
                    // Told at the end of the load, in one line.
                    Err(_) => broken.push(row.id),
                }
            }
        };
        if self.entries.iter().flatten().any(|entry| !entry.served)
            && let Err(error) = self.reader.each(visit)
        {
            self.source_status
                .set_source("record-reading", Some(format!("desired.db cannot be read: {error}")));
        }
        for id in sent {
            if let Some(entry) = self.entry_mut(id) {
                entry.served = true;
            }
        }
        for id in broken {
            if let Some(row) = self.row(id) {
                self.mend(id, &row);
            }
        }
        // What changed a moment ago is not in the file yet; what is read again waits for that.
        self.announce_matching(people, |entry| entry.digest != UNREAD);
    }

    fn announce_unserved(&mut self, people: bool) {
        self.announce_matching(people, |_| true);
    }

    /// Sends out what was not sent yet.
    fn announce_matching(&mut self, people: bool, wanted: impl Fn(&Entry) -> bool) {
        for id in 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX) {
            let own = |entry: &Entry| self.file(entry.file).is_some_and(|file| file.key.root == Root::Own);
            let wanted = self
                .entry(id)
                .is_some_and(|entry| !entry.served && wanted(entry) && (people || own(entry)));
            if wanted {
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
