//! The thread that reads files which may have changed, and hands them to the object store.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Instant,
};

use super::{
    mailbox::{Bulk, Mailbox, Wish},
    object::FileKey,
    scan::{Digests, scan_file},
    walk::Roots,
};

/// Niceness of reading in bulk.
#[cfg(target_os = "linux")]
const BULK_NICENESS: i32 = 10;

/// Asks for files to be read. The thread ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Scanner(Sender<Wish>);

impl Scanner {
    /// Reads a file once `due` has come; several wishes for one file are one.
    pub fn wish(&self, file: FileKey, due: Instant) {
        drop(self.0.send(Wish { file, due }));
    }
}

/// Starts the thread.
///
/// # Errors
/// No thread can be had.
pub(super) fn start(
    roots: Arc<Roots>,
    digests: Digests,
    mailbox: Arc<Mailbox>,
) -> std::io::Result<(Scanner, thread::JoinHandle<()>)> {
    let (sender, wishes) = channel();
    let thread = thread::Builder::new()
        .name("folder-scanner".into())
        .spawn(move || run(&wishes, &roots, &digests, &mailbox))?;
    Ok((Scanner(sender), thread))
}

fn run(wishes: &Receiver<Wish>, roots: &Roots, digests: &Digests, mailbox: &Mailbox) {
    // Of the calling thread alone, on Linux. Nobody has to be kept waiting for a core by ten thousand documents; that it
    // cannot be set is no harm.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, BULK_NICENESS);
    let mut waiting = Waiting::default();
    loop {
        let next = match waiting.earliest() {
            None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => wishes.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match next {
            Ok(wish) => {
                waiting.add(wish);
                while let Ok(wish) = wishes.try_recv() {
                    waiting.add(wish);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(file) = waiting.take_due(Instant::now()) {
            mailbox.bulk(Bulk::Scan(scan_file(roots, &file, digests)));
        }
    }
}

#[derive(Default)]
struct Waiting {
    order: BTreeSet<(Instant, FileKey)>,
    due: HashMap<FileKey, Instant>,
}

impl Waiting {
    fn add(&mut self, wish: Wish) {
        match self.due.get(&wish.file) {
            Some(due) if *due <= wish.due => return,
            Some(due) => drop(self.order.remove(&(*due, wish.file.clone()))),
            None => {}
        }
        self.due.insert(wish.file.clone(), wish.due);
        self.order.insert((wish.due, wish.file));
    }

    fn earliest(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    fn take_due(&mut self, now: Instant) -> Option<FileKey> {
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
    use std::time::Duration;

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
        let mut waiting = Waiting::default();
        for (path, by) in [("a", 50), ("b", 20), ("a", 5), ("a", 90)] {
            waiting.add(Wish {
                file: file(path),
                due: later(by),
            });
        }
        assert_eq!(waiting.take_due(later(0)), None);
        assert_eq!(waiting.take_due(later(100)), Some(file("a")));
        assert_eq!(waiting.take_due(later(100)), Some(file("b")));
        assert_eq!(waiting.take_due(later(100)), None);
    }
}
