//! What a file does not say any more: it has to be missing for a while before that is believed.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Pass;
use crate::desired::folder::{
    damage::{UNREAD, hold_of_own_file},
    object::{Kind, Root},
    object_store::{EMPTY_SETTLE, MAX_WRITING, ObjectStore, SETTLE},
    problem::Problem,
};

/// Pause between looks at a file that is being written.
const HASTE: Duration = Duration::from_secs(1);

impl ObjectStore {
    /// One of the operator's own files in which no object can be read: whom its name keeps out stays out.
    pub(super) fn stand_in(&mut self, pass: &mut Pass) {
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

    /// Decides about the objects that were in the file before and are not now.
    pub(super) fn missing(&mut self, pass: &mut Pass, before: Vec<u32>, deleted: &[(Kind, String)]) {
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
