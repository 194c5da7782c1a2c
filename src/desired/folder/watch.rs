//! Sees changes: file events for speed, and a walk that looks at metadata only for everything that events miss.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant, SystemTime},
};

use notify::{
    Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, ModifyKind},
};

use super::{
    backoff::retry_pause,
    mailbox::{Bulk, Mailbox, Urgent, Walked},
    object::{FileKey, Root},
    scanner::Scanner,
    source_status::SourceStatus,
    walk::{Identity, Listing, Roots, Signatures, is_declared_name, list, signature},
    ways::Ways,
    writers::Writers,
};
use crate::clock::SharedClock;

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

/// What the watching thread hears.
pub(super) enum Signal {
    Notify(notify::Result<Event>),
    Stop,
}

/// What the watching thread is made of.
pub(super) struct Dependencies {
    pub roots: Arc<Roots>,
    pub source_status: Arc<SourceStatus>,
    pub mailbox: Arc<Mailbox>,
    pub scanner: Scanner,
    pub writers: Arc<Writers>,
    pub clock: SharedClock,
    pub rescan_interval: Duration,
}

struct Watch {
    dependencies: Dependencies,
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
    signatures: Signatures,
    /// Events cannot be relied upon.
    polling: bool,
    next_walk: Instant,
}

/// Watches until told to stop.
pub(super) fn run(dependencies: Dependencies, signals: &Receiver<Signal>, sender: Sender<Signal>) {
    let Ok(signatures) = dependencies.mailbox.ask(Urgent::Signatures) else {
        return;
    };
    let notify = INotifyWatcher::new(
        move |event| drop(sender.send(Signal::Notify(event))),
        notify::Config::default(),
    );
    let polling = notify.is_err();
    let mut watch = Watch {
        dependencies,
        notify: notify.ok(),
        watched: HashMap::new(),
        ways: HashMap::new(),
        beside: HashMap::new(),
        turned: false,
        failures: 0,
        signatures,
        polling,
        next_walk: Instant::now(),
    };
    loop {
        match signals.recv_timeout(watch.next_walk.saturating_duration_since(Instant::now())) {
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Signal::Notify(event)) => watch.hear(event),
            Err(RecvTimeoutError::Timeout) => watch.walk(),
        }
    }
}

impl Watch {
    fn hear(&mut self, event: notify::Result<Event>) {
        let Some(event) = event.ok().filter(|event| !event.need_rescan()) else {
            self.dependencies.writers.forget();
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
        if self.dependencies.roots.key(path).is_none() {
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
            if let Some(file) = self.dependencies.roots.key(path) {
                if writes {
                    self.dependencies.writers.writes(&file);
                } else if delay == WRITTEN {
                    self.dependencies.writers.closed(&file);
                }
                self.dependencies.scanner.wish(file, Instant::now() + delay);
            }
        } else if path.is_dir() {
            self.walk_within(GATHER);
        }
    }

    fn walk_within(&mut self, time: Duration) {
        self.next_walk = self.next_walk.min(Instant::now() + time);
    }

    /// Looks at the metadata of every file.
    fn walk(&mut self) {
        let begun = Instant::now();
        let mut unreadable = Vec::new();
        let people = match self.dependencies.roots.check(Root::People) {
            Err(error) => Err(error.to_string()),
            Ok(identity) => match self.walk_root(Root::People, &mut unreadable) {
                Err(error) => Err(error.to_string()),
                Ok(()) => Ok(identity),
            },
        };
        if let Err(error) = self.walk_root(Root::Own, &mut unreadable) {
            unreadable.push((self.dependencies.roots.own.display().to_string(), error.to_string()));
        }
        let took = begun.elapsed();
        let pause = if unreadable.is_empty() && people.is_ok() {
            self.failures = 0;
            self.dependencies.rescan_interval
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
        self.next_walk = Instant::now() + pause.min(self.dependencies.rescan_interval);
        if std::mem::take(&mut self.turned) {
            self.walk_within(GATHER);
        }
        self.dependencies.mailbox.bulk(Bulk::Walked(Walked {
            people,
            unreadable,
            at: self.dependencies.clock.now(),
        }));
    }

    fn walk_root(&mut self, root: Root, unreadable: &mut Vec<(String, String)>) -> io::Result<()> {
        let path = self.dependencies.roots.path(root).to_owned();
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
        self.compare(root, &listing);
        unreadable.extend(listing.unreadable);
        Ok(())
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
                self.dependencies.source_status.set_source("events", Some(line));
            }
        }
        None
    }

    fn compare(&mut self, root: Root, listing: &Listing) {
        let now = Instant::now();
        let wall = SystemTime::now();
        let mut seen = HashSet::with_capacity(listing.files.len());
        for path in &listing.files {
            let file = FileKey {
                root,
                path: path.clone(),
            };
            let meta = fs::metadata(self.dependencies.roots.absolute(&file));
            let stamp = meta.as_ref().map_or(0, signature);
            let fresh = meta.is_ok_and(|meta| {
                meta.modified()
                    .is_ok_and(|modified| wall.duration_since(modified).is_ok_and(|age| age < FRESH))
            });
            if self.signatures.get(&file) != Some(&stamp) {
                self.dependencies.scanner.wish(file.clone(), now);
                // A signature that nothing matches: looked at once more.
                self.signatures.insert(file.clone(), if fresh { 1 } else { stamp });
            }
            seen.insert(path.clone());
        }
        let gone = |file: &FileKey| file.root == root && !seen.contains(&file.path) && !listing.is_unknown(&file.path);
        let gone: Vec<FileKey> = self.signatures.keys().filter(|file| gone(file)).cloned().collect();
        for file in gone {
            self.signatures.remove(&file);
            self.dependencies.scanner.wish(file, now);
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
