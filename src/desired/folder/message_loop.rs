//! What the object store does after the first load: messages.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    mailbox::{Bulk, Found, Message, Urgent, Walked},
    object::{Kind, Spec},
    object_store::{ObjectStore, kept},
    record_rows::Fact,
};
use crate::{
    desired::{DesiredError, Version},
    model::hr::HrMarksPatch,
};

/// Loads, then answers messages until the mailbox is closed.
pub(super) fn run(mut store: ObjectStore) {
    store.load();
    loop {
        while let Some(message) = store.deferred.pop_front() {
            store.urgent(message);
        }
        store.out.flush();
        let until = store.settling.first().map(|(due, _)| *due);
        let mailbox = store.mailbox.clone();
        match mailbox.next(until) {
            Message::Urgent(message) => store.urgent(message),
            Message::Bulk(message) => store.bulk(*message),
            Message::Timeout => store.settle(),
            Message::Closed => return,
        }
    }
}

impl ObjectStore {
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
            Urgent::Mark(name, patch, reply) => {
                let marked = self.mark(&name, patch);
                self.writer.flush(Box::new(move || drop(reply.send(marked))));
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

    fn mark(&mut self, name: &str, patch: HrMarksPatch) -> Result<(), DesiredError> {
        let missing = || DesiredError::NotFound {
            kind: Kind::User.as_str(),
            name: name.to_owned(),
        };
        let id = self.find(Kind::User, name).ok_or_else(missing)?;
        let row = self.row(id).filter(|row| row.deleted.is_none()).ok_or_else(missing)?;
        let Ok(Spec::User(spec)) = Spec::from_json(row.kind, &row.spec) else {
            return Err(missing());
        };
        let marks = row.hr.patched(patch, spec.active);
        if marks != row.hr {
            if let Some(entry) = self.entry_mut(id) {
                entry.hr = kept(marks);
            }
            self.store(id, row.spec.clone(), row.notes.clone(), row.status.clone(), false);
            self.announce(id);
        }
        Ok(())
    }

    fn report(&mut self, kind: Kind, name: &str, status: String) -> Result<Version, DesiredError> {
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
        Ok(self.entry(id).map(|entry| Version(entry.version)).unwrap_or_default())
    }

    /// Has the files read again whose missing documents have settled.
    fn settle(&mut self) {
        let now = Instant::now();
        while self.settling.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, id)) = self.settling.pop_first() else {
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

    pub fn walked(&mut self, walked: Walked) {
        self.set_unreadable_folders(walked.unreadable);
        let identity = match walked.people {
            Ok(identity) => identity,
            Err(reason) => {
                self.source_status.set_unreadable(Some(walked.at));
                let shown = self.roots.people.display();
                let line = format!("{shown}: cannot be read, what was known last is in force: {reason}");
                return self.source_status.set_source("folder", Some(line));
            }
        };
        self.source_status.set_unreadable(None);
        self.source_status.set_source("folder", None);
        if self.roots.identity() != Some(identity) {
            self.roots.set_identity(identity);
            self.writer.fact(Fact::Device, identity.0.cast_signed());
            self.writer.fact(Fact::Inode, identity.1.cast_signed());
            self.reading.noted = None;
        }
        let pause = (self.reading.max_age / 8).clamp(Duration::from_secs(60), Duration::from_secs(3600));
        if self
            .reading
            .noted
            .is_none_or(|noted| walked.at.duration_since(noted).unsigned_abs() >= pause)
        {
            self.writer.fact(Fact::ReadAt, walked.at.as_millisecond());
            self.reading.noted = Some(walked.at);
        }
    }

    fn set_unreadable_folders(&mut self, folders: Vec<(String, String)>) {
        let now: BTreeSet<String> = folders.iter().map(|(folder, _)| folder.clone()).collect();
        for mended in self.reading.unreadable.difference(&now) {
            self.source_status.set_file(mended, Vec::new(), Vec::new());
        }
        for (folder, reason) in folders {
            let line = format!("{folder}: cannot be read, what was known of it stays in force: {reason}");
            self.source_status.set_file(&folder, vec![line], Vec::new());
        }
        self.reading.unreadable = now;
    }
}
