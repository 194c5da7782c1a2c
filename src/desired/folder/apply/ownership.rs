//! Which file has an object: of two that declare it, the one that has it already.

use super::Pass;
use crate::desired::folder::{
    object_store::{Entry, ObjectStore},
    problem::Problem,
};

impl ObjectStore {
    /// Whether the object's document may be taken from another place than this file.
    pub(super) fn is_free(&self, entry: &Entry, file: u32) -> bool {
        entry.file == file
            || entry.deleted.is_some()
            || entry.missing.is_some()
            || self.file(entry.file).is_none_or(|owner| !owner.present)
    }

    /// Gives an object to the file that is being applied; `None`, with the reason noted, when another place has it.
    pub(super) fn take(&mut self, pass: &mut Pass, id: u32, line: u32) -> Option<&mut Entry> {
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
    pub(super) fn refuse(&mut self, pass: &mut Pass, id: u32, line: u32) {
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

    pub(super) fn claim(&mut self, pass: &Pass, id: u32) {
        self.claims.entry(id).or_default().insert(pass.file);
        if let Some(file) = self.files.get_mut(pass.file as usize) {
            file.claiming.insert(id);
        }
    }
}
