//! Which files are to be read, and when.

use std::{
    collections::{BTreeSet, HashMap},
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use notify::{Event, INotifyWatcher};
use tokio::sync::oneshot;

use super::object::FileKey;

/// What the thread that reads files is told.
pub(super) enum Signal {
    /// A file is to be read, and not before.
    Wish(FileKey, Instant),
    /// The folders are to be watched, with this pause between walks, and by these file events where they can be had. The sender is
    /// dropped when they are not any more.
    Watch(Duration, Option<INotifyWatcher>, oneshot::Sender<()>),
    /// Something happened in a folder that is watched.
    Notify(notify::Result<Event>),
    /// The folders are not to be watched any more.
    Rest,
    /// Nothing is to be read any more.
    Stop,
}

/// Asks for files to be read.
#[derive(Clone)]
pub(super) struct Scanner(pub Sender<Signal>);

impl Scanner {
    /// Reads a file once `due` has come; several wishes for one file are one.
    pub fn wish(&self, file: FileKey, due: Instant) {
        self.tell(Signal::Wish(file, due));
    }

    /// A thread that has ended needs to be told nothing.
    pub fn tell(&self, signal: Signal) {
        drop(self.0.send(signal));
    }
}

/// The wishes that wait.
#[derive(Default)]
pub(super) struct Wishes {
    order: BTreeSet<(Instant, FileKey)>,
    due: HashMap<FileKey, Instant>,
}

impl Wishes {
    pub fn add(&mut self, file: FileKey, due: Instant) {
        match self.due.get(&file) {
            Some(before) if *before <= due => return,
            Some(before) => drop(self.order.remove(&(*before, file.clone()))),
            None => {}
        }
        self.due.insert(file.clone(), due);
        self.order.insert((due, file));
    }

    pub fn earliest(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    pub fn take_due(&mut self, now: Instant) -> Option<FileKey> {
        if self.earliest()? > now {
            return None;
        }
        let (_, file) = self.order.pop_first()?;
        self.due.remove(&file);
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::folder::object::Root;

    #[test]
    fn many_wishes_for_one_file_are_one_and_the_earliest_counts() {
        let now = Instant::now();
        let file = |path: &str| FileKey {
            root: Root::People,
            path: path.into(),
        };
        let later = |by: u64| now + Duration::from_millis(by);
        let mut wishes = Wishes::default();
        for (path, by) in [("a", 50), ("b", 20), ("a", 5), ("a", 90)] {
            wishes.add(file(path), later(by));
        }
        assert_eq!(wishes.take_due(later(0)), None);
        assert_eq!(wishes.take_due(later(100)), Some(file("a")));
        assert_eq!(wishes.take_due(later(100)), Some(file("b")));
        assert_eq!(wishes.take_due(later(100)), None);
    }
}
