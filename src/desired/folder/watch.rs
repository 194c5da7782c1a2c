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
    mailbox::{Bulk, Mailbox, Urgent, Walked},
    object::{FileKey, Root},
    scanner::Scanner,
    source_status::SourceStatus,
    walk::{Identity, Listing, Roots, Signatures, is_declared_name, list, signature},
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
    pub clock: SharedClock,
    pub rescan_interval: Duration,
}

struct Watch {
    dependencies: Dependencies,
    notify: Option<INotifyWatcher>,
    /// Watched folders.
    watched: HashMap<PathBuf, Identity>,
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
        let Ok(event) = event else {
            return self.walk_within(GATHER);
        };
        if event.need_rescan() {
            return self.walk_within(GATHER);
        }
        let delay = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => WRITTEN,
            EventKind::Access(_) => return,
            _ => WRITING,
        };
        for path in &event.paths {
            self.touched(path, delay);
        }
    }

    fn touched(&mut self, path: &Path, delay: Duration) {
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
        self.next_walk = Instant::now()
            + if self.polling || people.is_err() {
                self.dependencies.rescan_interval.min(HASTY.max(took * 10))
            } else {
                self.dependencies.rescan_interval
            };
        self.dependencies.mailbox.bulk(Bulk::Walked(Walked {
            people,
            unreadable,
            at: self.dependencies.clock.now(),
        }));
    }

    fn walk_root(&mut self, root: Root, unreadable: &mut Vec<(String, String)>) -> io::Result<()> {
        let path = self.dependencies.roots.path(root).to_owned();
        let mut entered = HashSet::new();
        let listing = list(&path, |folder| {
            entered.insert(folder.to_owned());
            self.enter(folder);
        })?;
        self.watched
            .retain(|folder, _| !folder.starts_with(&path) || entered.contains(folder));
        self.compare(root, &listing);
        unreadable.extend(listing.unreadable);
        Ok(())
    }

    /// Watches a folder, before it is listed, so that nothing slips through between.
    fn enter(&mut self, folder: &Path) {
        let Some(notify) = &mut self.notify else { return };
        let Ok(meta) = fs::metadata(folder) else { return };
        let identity = (meta.dev(), meta.ino());
        if self.watched.get(folder) == Some(&identity) {
            return;
        }
        match notify.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.watched.insert(folder.to_owned(), identity)),
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
