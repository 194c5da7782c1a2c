//! What becomes of one document: it is in force as it was, taken over, or refused.

use std::sync::Arc;

use jiff::Timestamp;

use super::Pass;
use crate::{
    desired::folder::{
        damage::UNREAD,
        document::{Bad, Declared, faults_against},
        object::{Digest, Kind, Notes, Spec, new_uid},
        object_store::{Entry, ObjectStore, kept},
        problem::Fault,
        scan::Document,
    },
    model::hr::HrMarksPatch,
};

impl ObjectStore {
    pub(super) fn known(&mut self, pass: &mut Pass, id: u32, document: &Document) {
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

    pub(super) fn declared(
        &mut self,
        pass: &mut Pass,
        declared: &Declared,
        text: &str,
        (base, line): (u32, u32),
        digest: Digest,
    ) {
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
            if let (Spec::User(spec), Some(marks)) = (&declared.spec, &entry.hr) {
                entry.hr = kept(marks.patched(HrMarksPatch::default(), spec.active));
            }
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

    pub(super) fn create(&mut self, pass: &mut Pass, declared: &Declared, line: u32, digest: Digest) {
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
            hr: None,
        });
        self.index(declared.kind, name, id, digest);
        pass.owned.push(id);
        self.store(id, spec, notes, None, true);
        self.announce(id);
    }

    pub(super) fn bad(&mut self, pass: &mut Pass, bad: Bad, (base, line): (u32, u32)) {
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
}

fn texts(declared: &Declared) -> Option<(Arc<str>, Option<Arc<str>>)> {
    let spec = declared.spec.to_json().ok()?;
    let notes = match &declared.notes {
        none if *none == Notes::default() => None,
        some => Some(serde_json::to_string(some).ok()?.into()),
    };
    Some((spec.into(), notes))
}
