//! What a file says is taken over: which documents are in force, which are refused, and what is missing.

use std::{
    collections::BTreeSet,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::{
    backoff::retry_pause,
    damage::{UNREAD, hold_of_own_file},
    document::{Bad, Declared, faults_against},
    mailbox::Urgent,
    object::{Digest, Kind, Notes, Root, Spec, new_uid},
    object_store::{EMPTY_SETTLE, Entry, MAX_SETTLE, MAX_WRITING, ObjectStore, SETTLE},
    problem::{Fault, Problem},
    scan::{Content, Document, FileScan, What, concerns_us},
};

/// Documents that are applied between two looks at what somebody waits for.
const STRIDE: usize = 16;

/// Pause between looks at a file that is being written.
const HASTE: Duration = Duration::from_secs(1);

/// One file being applied.
struct Pass {
    file: u32,
    ticket: u64,
    display: String,
    lines: Vec<Problem>,
    /// Edits of who may have access that are not in force.
    refused: Vec<Problem>,
    owned: Vec<u32>,
    /// Claims of the previous reading.
    claimed: BTreeSet<u32>,
    /// Faulty documents each of which may be a recorded object that cannot be told any more.
    hiding: usize,
    /// How long what is missing must have been missing before that is believed.
    patience: Duration,
    /// One of them says nothing at all that can be read.
    blind: bool,
}

impl ObjectStore {
    /// Takes over what a file says. An older reading than the last is ignored.
    pub fn apply(&mut self, scan: FileScan) {
        let id = self.file_id(&scan.file);
        let display = self.roots.display(&scan.file);
        let (documents, present) = match scan.content {
            Content::Documents(documents) => (documents, true),
            Content::Gone => (Vec::new(), false),
            Content::Unreadable(reason) => return self.keep_all(id, scan.ticket, &display, reason),
            Content::Failed(reason) => {
                self.keep_all(id, scan.ticket, &display, reason);
                return self.try_again(id);
            }
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
        file.failures = 0;
        let now = Instant::now();
        if mem::replace(&mut file.signature, scan.signature) != scan.signature {
            file.changed = Some(now);
        }
        let rests = file.changed.is_none_or(|at| now.duration_since(at) >= SETTLE);
        let patience = match (rests, present && documents.is_empty()) {
            _ if present && self.writers.has(&scan.file) => MAX_WRITING,
            // What was removed while no process ran is gone from the first answer on.
            _ if self.loading && rests => SETTLE,
            (true, false) => SETTLE,
            (true, true) => EMPTY_SETTLE,
            (false, _) => MAX_SETTLE,
        };
        let before = mem::take(&mut file.owned);
        let documents = if before.is_empty() && !concerns_us(&documents) {
            // A file of somebody else's in the same repository.
            Vec::new()
        } else {
            documents
        };
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
            refused: Vec::new(),
            owned: Vec::with_capacity(documents.len()),
            claimed,
            hiding: 0,
            patience,
            blind: false,
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
                        &declared,
                        &text,
                        (document.base, document.line),
                        document.digest,
                    );
                }
                What::Bad(bad) => self.bad(&mut pass, bad, (document.base, document.line)),
            }
        }
        self.stand_in(&mut pass);
        self.missing(&mut pass, before, &scan.deleted);
        self.applying = outer;
        self.source_status
            .set_file(&pass.display, lines(&mut pass.lines), lines(&mut pass.refused));
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
                self.out.flush();
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

    /// One of the operator's own files in which no object can be read: whom its name keeps out stays out.
    fn stand_in(&mut self, pass: &mut Pass) {
        let Some(file) = self
            .file(pass.file)
            .filter(|file| file.present && file.key.root == Root::Own)
        else {
            return;
        };
        let key = file.key.clone();
        let is_read = |id: &u32| self.entry(*id).is_some_and(|entry| entry.seen == pass.ticket);
        if pass.owned.iter().any(is_read) {
            return;
        }
        let Some(hold) = hold_of_own_file(&key.path) else {
            return;
        };
        match self.find(hold.kind, &hold.name) {
            // Known, and not by its name alone.
            Some(id)
                if self
                    .entry(id)
                    .is_none_or(|it| it.file != pass.file || it.digest != UNREAD) =>
            {
                return;
            }
            Some(id) => _ = self.take(pass, id, 0),
            // Whoever writes it may not be done.
            None if pass.patience > EMPTY_SETTLE && !self.loading => {
                return self.scanner.wish(key, Instant::now() + SETTLE);
            }
            None => self.create(pass, &hold, 0, UNREAD),
        }
        let message = format!(
            "no hold can be read in this file of the operator: whom its name tells stays out, as VpnHold {}, until the file \
             is put back or the hold is released",
            hold.name
        );
        pass.lines.push(Problem::of_file(pass.display.clone(), message));
    }

    /// Nothing can be said about a file: everything recorded in it stays.
    fn keep_all(&mut self, id: u32, ticket: u64, display: &str, reason: String) {
        let Some(file) = self.files.get_mut(id as usize).filter(|file| file.ticket < ticket) else {
            return;
        };
        file.ticket = ticket;
        file.present = true;
        let owned = file.owned.clone();
        let hidden = !owned.is_empty();
        let mut known = false;
        for object in owned {
            if let Some(entry) = self.entry_mut(object).filter(|entry| entry.file == id) {
                entry.missing = None;
                known |= entry.digest != UNREAD;
            }
        }
        let mut pass = Pass {
            file: id,
            ticket,
            display: display.to_owned(),
            lines: vec![Problem::of_file(display, reason)],
            refused: Vec::new(),
            owned: Vec::new(),
            claimed: BTreeSet::new(),
            hiding: 0,
            patience: SETTLE,
            blind: true,
        };
        if hidden {
            let message = "what this file declares stays in force as it was last read: nobody can tell whether it puts \
                           somebody out by now";
            pass.refused.push(Problem::of_file(display, message));
        }
        if !known {
            self.stand_in(&mut pass);
        }
        if let Some(file) = self.files.get_mut(id as usize) {
            pass.owned.retain(|object| !file.owned.contains(object));
            file.owned.append(&mut pass.owned);
        }
        self.source_status
            .set_file(display, lines(&mut pass.lines), lines(&mut pass.refused));
    }

    /// Has a file read again that could not be: at once for what is over in a moment, and ever more rarely.
    fn try_again(&mut self, id: u32) {
        let Some(file) = self.files.get_mut(id as usize) else {
            return;
        };
        let pause = retry_pause(file.failures);
        file.failures = file.failures.saturating_add(1);
        self.scanner.wish(file.key.clone(), Instant::now() + pause);
    }

    /// Sends out what applying a file has brought about elsewhere.
    pub fn finish(&mut self) {
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
            let ack = move || mailbox.urgent(Urgent::Durable(doomed));
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

    fn declared(&mut self, pass: &mut Pass, declared: &Declared, text: &str, (base, line): (u32, u32), digest: Digest) {
        let Some(id) = self.find(declared.kind, &declared.name) else {
            return self.create(pass, declared, line, digest);
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
        // What was made up for a document that could not be read binds nobody.
        let known = old.as_ref().filter(|row| row.digest != UNREAD);
        let old_spec = known.and_then(|row| Spec::from_json(row.kind, &row.spec).ok());
        let (faults, refused) = faults_against(declared, old_spec.as_ref(), text);
        if !faults.is_empty() {
            let placed = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.at(&pass.display, base));
            pass.lines.extend(placed(faults));
            pass.refused.extend(placed(refused));
            if unserved && !self.loading && tombstone.is_none() {
                self.announce(id);
            }
            return;
        }
        let Some((spec, notes)) = texts(declared) else { return };
        let revived = tombstone.is_some();
        if let Some(entry) = self.entry_mut(id) {
            entry.deleted = None;
        }
        let changed = old.as_ref().is_none_or(|row| *row.spec != *spec);
        let renoted = old.as_ref().is_none_or(|row| row.notes != notes);
        let visible = changed || renoted || moved || revived || unserved;
        let same_text = self.entry(id).is_some_and(|entry| entry.digest == digest);
        if !visible && same_text {
            // Two readings of one edit.
            return;
        }
        self.digest(id, digest);
        let status = old.and_then(|row| row.status.clone());
        if visible {
            self.store(id, spec, notes, status, changed || revived);
            self.announce(id);
        } else {
            self.record(id, spec, notes, status);
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
        self.refused_access(pass, &bad, base);
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

    /// Notes what a faulty document was to change about access.
    fn refused_access(&self, pass: &mut Pass, bad: &Bad, base: u32) {
        let (Some(kind), Some(access)) = (bad.kind, &bad.access) else {
            pass.blind = true;
            return;
        };
        let named = bad.identity.as_ref().map(|(_, name)| name.as_str());
        let names = [named, access.about.as_deref().filter(|_| kind == Kind::User)];
        let known = names
            .into_iter()
            .flatten()
            .find_map(|name| Some((name, self.find(kind, name)?)));
        let row = known
            .and_then(|(_, id)| self.row(id))
            .filter(|row| row.deleted.is_none());
        let old = row.and_then(|row| Spec::from_json(kind, &row.spec).ok());
        let name = known.map(|(name, _)| name).or(named).unwrap_or("without a name");
        let refused = access.refused(kind, name, old.as_ref());
        pass.refused
            .extend(refused.into_iter().map(|fault| fault.at(&pass.display, base)));
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
            if on_purpose || since.is_some_and(|since| now.duration_since(since) >= pass.patience) {
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
            // A long file that is being written need not be read all the time; its end is heard.
            let pause = if pass.patience == MAX_WRITING { HASTE } else { SETTLE };
            self.settling.insert((now + pause, pass.file));
        }
        if !stuck.is_empty() {
            let names = stuck.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let message = format!(
                "{} objects that this file declared cannot be found in it ({names}): they stay in force until its \
                 faulty documents are mended",
                stuck.len()
            );
            if pass.blind {
                pass.refused.push(Problem::of_file(pass.display.clone(), &message));
            }
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
}

fn lines(problems: &mut [Problem]) -> Vec<String> {
    problems.sort();
    problems.iter().map(ToString::to_string).collect()
}

fn texts(declared: &Declared) -> Option<(Arc<str>, Option<Arc<str>>)> {
    let spec = declared.spec.to_json().ok()?;
    let notes = match &declared.notes {
        none if *none == Notes::default() => None,
        some => Some(serde_json::to_string(some).ok()?.into()),
    };
    Some((spec.into(), notes))
}
