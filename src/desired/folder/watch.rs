//! Sees changes: file events for speed, and a walk that looks at metadata only for everything that events miss.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use notify::{
    Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::sync::oneshot;

use super::{
    backoff::retry_pause,
    mailbox::{Bulk, Urgent, Walked},
    object::{FileKey, Root},
    shared::Shared,
    walk::{Identity, Listing, Signatures, is_declared_name, list, signature},
    ways::Ways,
    wishes::Scanner,
};

/// A file that is being written is read after this time, or earlier when it is closed.
const WRITING: Duration = Duration::from_millis(50);
/// A file that was closed or moved into place is read after this time.
const WRITTEN: Duration = Duration::from_millis(5);
/// Pause between walks while something keeps asking for them, and between looks at a folder that is away.
const HASTY: Duration = Duration::from_secs(1);
/// Walks that events ask for wait this long for more of them.
const GATHER: Duration = Duration::from_millis(20);
/// A file changed this recently may change again without its metadata showing it.
const FRESH: Duration = Duration::from_secs(2);

/// The folders while they are watched.
pub(super) struct Watch {
    shared: Arc<Shared>,
    scanner: Scanner,
    rescan_interval: Duration,
    notify: Option<INotifyWatcher>,
    /// Watched folders.
    watched: HashMap<PathBuf, Identity>,
    /// The links on the ways to the folders and their files, by folder.
    ways: HashMap<Root, Ways>,
    /// Folders that are watched for these links alone.
    beside: HashMap<PathBuf, Identity>,
    /// A way was watched only after it was walked.
    turned: bool,
    /// Walks since the last one in which everything could be listed.
    failures: u32,
    /// What files were like when they were looked at last. The store tells it to the first walk, when both folders are watched: a
    /// file that came and went before would be missed.
    signatures: Option<Signatures>,
    /// Events cannot be relied upon.
    polling: bool,
    pub next_walk: Instant,
    /// Dropped with this, so that somebody hears of the end.
    _watching: oneshot::Sender<()>,
}

impl Watch {
    /// Begins to watch; the first walk is due at once.
    pub fn new(
        shared: Arc<Shared>,
        scanner: Scanner,
        rescan_interval: Duration,
        notify: Option<INotifyWatcher>,
        watching: oneshot::Sender<()>,
    ) -> Self {
        Self {
            polling: notify.is_none(),
            notify,
            watched: HashMap::new(),
            ways: HashMap::new(),
            beside: HashMap::new(),
            turned: false,
            failures: 0,
            signatures: None,
            next_walk: shared.clock.monotonic(),
            shared,
            scanner,
            rescan_interval,
            _watching: watching,
        }
    }

    pub fn hear(&mut self, event: notify::Result<Event>) {
        let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
            self.shared.writers.forget();
            return self.walk_within(GATHER);
        };
        let delay = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => WRITTEN,
            EventKind::Access(_) => return,
            _ => WRITING,
        };
        let writes = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)));
        for path in &event.paths {
            self.touched(path, delay, writes);
        }
    }

    fn touched(&mut self, path: &Path, delay: Duration, writes: bool) {
        if self.ways.values().any(|ways| ways.turns.contains(path)) {
            // A link leads elsewhere now, and with it everything behind it.
            self.walk_within(GATHER);
        }
        if self.shared.roots.key(path).is_none() {
            // Beside a link.
            return;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if self.watched.contains_key(path) {
            // The folder itself came, went or moved.
            self.watched.retain(|folder, _| !folder.starts_with(path));
            return self.walk_within(GATHER);
        }
        if name.starts_with("..") {
            // How a mounted ConfigMap changes: all links lead elsewhere at once.
            return self.walk_within(GATHER);
        }
        if name.starts_with('.') {
            return;
        }
        if is_declared_name(name) && !path.is_dir() {
            if let Some(file) = self.shared.roots.key(path) {
                if writes {
                    self.shared.writers.writes(&file);
                } else if delay == WRITTEN {
                    self.shared.writers.closed(&file);
                }
                self.scanner.wish(file, self.shared.clock.monotonic() + delay);
            }
        } else if path.is_dir() {
            self.walk_within(GATHER);
        }
    }

    fn walk_within(&mut self, time: Duration) {
        self.next_walk = self.next_walk.min(self.shared.clock.monotonic() + time);
    }

    /// Looks at the metadata of every file.
    pub fn walk(&mut self) {
        let begun = self.shared.clock.monotonic();
        let people = self.shared.roots.check(Root::People);
        let people = people.and_then(|identity| Ok((identity, self.look(Root::People)?)));
        let own = self.look(Root::Own);
        let looked = self.shared.clock.monotonic() - begun;
        if self.signatures.is_none() {
            // Answered behind the load, which is no part of what the walk takes.
            self.signatures = Some(self.shared.mailbox.ask(Urgent::Signatures).unwrap_or_default());
        }
        let begun = self.shared.clock.monotonic();
        let mut unreadable = Vec::new();
        let people = people.map_err(|error| error.to_string()).map(|(identity, listing)| {
            self.compare(Root::People, &listing);
            unreadable.extend(listing.unreadable);
            identity
        });
        match own {
            Ok(listing) => {
                self.compare(Root::Own, &listing);
                unreadable.extend(listing.unreadable);
            }
            Err(error) => unreadable.push((self.shared.roots.own.display().to_string(), error.to_string())),
        }
        let took = looked + (self.shared.clock.monotonic() - begun);
        let pause = if unreadable.is_empty() && people.is_ok() {
            self.failures = 0;
            self.rescan_interval
        } else {
            // A lack of file descriptors is over in a moment; a folder that is away is looked for every second or so.
            let pause = retry_pause(self.failures).max(took * 10);
            self.failures = self.failures.saturating_add(1);
            if people.is_err() {
                pause.min(HASTY.max(took * 10))
            } else {
                pause
            }
        };
        let pause = if self.polling {
            pause.min(HASTY.max(took * 10))
        } else {
            pause
        };
        self.next_walk = self.shared.clock.monotonic() + pause.min(self.rescan_interval);
        if std::mem::take(&mut self.turned) {
            self.walk_within(GATHER);
        }
        self.shared.mailbox.bulk(Bulk::Walked(Walked {
            people,
            unreadable,
            at: self.shared.clock.now(),
        }));
    }

    /// Watches a folder and lists it.
    fn look(&mut self, root: Root) -> io::Result<Listing> {
        let path = self.shared.roots.path(root).to_owned();
        let mut ways = Ways::default();
        ways.add(&path);
        self.watch_ways(&ways);
        let mut entered = HashSet::new();
        let listing = list(&path, |folder| {
            entered.insert(folder.to_owned());
            self.enter(folder);
        })?;
        self.watched
            .retain(|folder, _| !folder.starts_with(&path) || entered.contains(folder));
        for link in &listing.links {
            ways.add(link);
        }
        self.turned |= self.watch_ways(&ways);
        self.ways.insert(root, ways);
        let wanted = |folder: &PathBuf| self.ways.values().any(|ways| ways.folders.contains(folder));
        let over: Vec<PathBuf> = self.beside.keys().filter(|folder| !wanted(folder)).cloned().collect();
        for folder in over {
            self.beside.remove(&folder);
            if let Some(notify) = self.notify.as_mut().filter(|_| !self.watched.contains_key(&folder)) {
                // One that is gone is watched no more anyway.
                drop(notify.unwatch(&folder));
            }
        }
        Ok(listing)
    }

    /// Watches the folders of these links; answers whether one of them was not watched before.
    fn watch_ways(&mut self, ways: &Ways) -> bool {
        let mut new = false;
        for folder in &ways.folders {
            if self.watched.contains_key(folder) {
                continue;
            }
            if let Some(identity) = self.watch(folder, self.beside.get(folder).copied()) {
                self.beside.insert(folder.clone(), identity);
                new = true;
            }
        }
        new
    }

    /// Watches a folder, before it is listed, so that nothing slips through between.
    fn enter(&mut self, folder: &Path) {
        if let Some(identity) = self.watch(folder, self.watched.get(folder).copied()) {
            self.watched.insert(folder.to_owned(), identity);
        }
    }

    /// Watches a folder unless it is the one that is watched already; answers which one it is now.
    fn watch(&mut self, folder: &Path, watched: Option<Identity>) -> Option<Identity> {
        let notify = self.notify.as_mut()?;
        let meta = fs::metadata(folder).ok()?;
        let identity = (meta.dev(), meta.ino());
        if watched == Some(identity) {
            return None;
        }
        if watched.is_some() {
            // The one that had the name before. One that is gone is watched no more anyway.
            drop(notify.unwatch(folder));
        }
        match notify.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => return Some(identity),
            // Moved or removed in this moment: its own event, or the next walk, says where it is.
            Err(error) if is_gone(&error) => {}
            Err(error) => {
                self.polling = true;
                let shown = folder.display();
                let advice = match &error.kind {
                    notify::ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        "let the user that runs vpn-operator read it"
                    }
                    _ => "raise fs.inotify.max_user_watches",
                };
                let line = format!(
                    "{shown}: file events cannot be had ({error}), so the folder is looked through every second or so \
                     instead: {advice}"
                );
                self.shared.source_status.set_source("events", Some(line));
            }
        }
        None
    }

    fn compare(&mut self, root: Root, listing: &Listing) {
        let now = self.shared.clock.monotonic();
        let wall = self.shared.clock.now();
        let mut seen = HashSet::with_capacity(listing.files.len());
        let signatures = self.signatures.get_or_insert_default();
        for path in &listing.files {
            let file = FileKey {
                root,
                path: path.clone(),
            };
            let meta = fs::metadata(self.shared.roots.absolute(&file));
            let stamp = meta.as_ref().map_or(0, signature);
            let modified = meta.and_then(|meta| meta.modified()).ok();
            let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
            let fresh = modified.is_some_and(|modified| wall.duration_since(modified).unsigned_abs() < FRESH);
            if signatures.get(&file) != Some(&stamp) {
                self.scanner.wish(file.clone(), now);
                // A signature that nothing matches: looked at once more.
                signatures.insert(file.clone(), if fresh { 1 } else { stamp });
            }
            seen.insert(path.clone());
        }
        let gone = |file: &FileKey| file.root == root && !seen.contains(&file.path) && !listing.is_unknown(&file.path);
        let gone: Vec<FileKey> = signatures.keys().filter(|file| gone(file)).cloned().collect();
        for file in gone {
            signatures.remove(&file);
            self.scanner.wish(file, now);
        }
    }
}

fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_vanishes_while_it_is_entered_is_no_reason_to_poll() {
        let mut watcher = notify::recommended_watcher(|_: notify::Result<notify::Event>| {}).unwrap();
        let gone = tempfile::tempdir().unwrap().path().join("gone");
        let error = watcher.watch(&gone, RecursiveMode::NonRecursive).unwrap_err();
        assert!(is_gone(&error), "{error}");
        assert!(!is_gone(&notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
    }
}
