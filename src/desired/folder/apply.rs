//! What a file says is taken over: which documents are in force, which are refused, and what is missing.

mod documents;
mod missing;
mod ownership;

use std::{
    collections::BTreeSet,
    mem,
    time::{Duration, Instant},
};

use super::{
    backoff::retry_pause,
    damage::UNREAD,
    mailbox::Urgent,
    object_store::{EMPTY_SETTLE, MAX_SETTLE, MAX_WRITING, ObjectStore, SETTLE},
    problem::Problem,
    scan::{Content, Document, FileScan, What, concerns_us},
};

/// Documents that are applied between two looks at what somebody waits for.
const STRIDE: usize = 16;

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
            What::Object(..) | What::Bad(_) | What::Unread(..) => false,
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
            if matches!(document.what, What::Known(_)) {
                continue;
            }
            self.attend(at, outer);
            for document in document.read(&self.digests) {
                self.new_document(&mut pass, document);
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

    /// Takes over a document that is not in force as it is.
    fn new_document(&mut self, pass: &mut Pass, document: Document) {
        let place = (document.base, document.line);
        match document.what {
            What::Known(object) => self.known(pass, object, &document),
            What::Object(declared, text) => self.declared(pass, &declared, &text, place, document.digest),
            What::Bad(bad) => self.bad(pass, *bad, place),
            What::Unread(..) => {}
        }
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
}

fn lines(problems: &mut [Problem]) -> Vec<String> {
    problems.sort();
    problems.iter().map(ToString::to_string).collect()
}
