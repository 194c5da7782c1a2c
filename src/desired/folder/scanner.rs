//! The thread that watches the folders, reads files which may have changed, and hands them to the object store.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread::{self, JoinHandle},
};

use super::{
    mailbox::Bulk,
    scan::scan_file,
    shared::Shared,
    watch::Watch,
    wishes::{Scanner, Signal, Wishes},
};

/// Niceness of reading in bulk.
#[cfg(target_os = "linux")]
const BULK_NICENESS: i32 = 10;

/// Starts the thread.
///
/// # Errors
/// No thread can be had.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<(Scanner, JoinHandle<()>)> {
    let (sender, signals) = channel();
    let scanner = Scanner(sender);
    let own = scanner.clone();
    let thread = thread::Builder::new()
        .name("folder-files".into())
        .spawn(move || run(&shared, &signals, &own))?;
    Ok((scanner, thread))
}

fn run(shared: &Arc<Shared>, signals: &Receiver<Signal>, own: &Scanner) {
    // Of the calling thread alone, on Linux. Nobody has to be kept waiting for a core by ten thousand documents; that it
    // cannot be set is no harm.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, BULK_NICENESS);
    let clock = &shared.clock;
    let mut wishes = Wishes::default();
    let mut watch: Option<Watch> = None;
    let mut read_until = clock.monotonic();
    loop {
        let walk = watch.as_ref().map(|watch| watch.next_walk);
        let due = wishes.earliest().into_iter().chain(walk).min();
        let next = match due {
            None => signals.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => {
                let wait = due.saturating_duration_since(clock.monotonic());
                signals.recv_timeout(clock.glance(wait))
            }
        };
        // Everything that happened so far is heard before the next file is read.
        for signal in next.into_iter().chain(signals.try_iter()) {
            match signal {
                Signal::Wish(file, due) => wishes.add(file, due),
                Signal::Notify(event) => {
                    if let Some(watch) = &mut watch {
                        watch.hear(event);
                    }
                }
                Signal::Watch(rescan_interval, notify, watching) => {
                    watch = Some(Watch::new(
                        shared.clone(),
                        own.clone(),
                        rescan_interval,
                        notify,
                        watching,
                    ));
                }
                Signal::Rest => watch = None,
                Signal::Stop => return,
            }
        }
        let now = clock.monotonic();
        let reads = now < read_until && wishes.earliest().is_some_and(|due| due <= now);
        if let Some(watch) = watch.as_mut().filter(|watch| watch.next_walk <= now && !reads) {
            watch.walk();
            // Files that wait are not kept waiting by walk after walk: they have as long as this one took.
            let done = clock.monotonic();
            read_until = done + (done - now);
        }
        if let Some(file) = wishes.take_due(clock.monotonic()) {
            let scan = scan_file(&shared.roots, &file, &shared.digests);
            shared.mailbox.bulk(Bulk::Scan(scan));
        }
    }
}
