//! What of the record cannot be read is read again from the files: the record is a memory of files that exist.
//!
//! A status that cannot be read is left out, and reported anew. A document is read again; until it can be, a hold denies, a
//! deletion is seen through, and everybody else is nobody.

use super::{
    damage::{UNREAD, salvage},
    object::{Root, Row},
    object_store::ObjectStore,
};

impl ObjectStore {
    /// Says what of the record could not be read; during the first load at its end, as one line.
    pub fn tell_damage(&self) {
        if !self.loading
            && let Some(line) = self.damage.line()
        {
            self.source_status.set_source("record-rows", Some(line));
        }
    }

    /// The recorded version of an object is not understood: what is wrong with it is left out, and its document read again.
    pub fn mend(&mut self, id: u32, row: &Row) {
        let broken = row.broken();
        let Some(entry) = self.entry(id) else { return };
        let (kind, name, digest, file) = (entry.kind, entry.name.clone(), entry.digest, entry.file);
        let status = row.status.clone().filter(|_| !broken.status);
        if !broken.document {
            self.damage.mended.add(kind, &name);
            self.tell_damage();
            self.store(id, row.spec.clone(), row.notes.clone(), status, false);
            return self.announce(id);
        }
        if digest != UNREAD {
            self.damage.mended.add(kind, &name);
            self.tell_damage();
            self.digest(id, UNREAD);
            self.record(id, row.spec.clone(), None, status);
            self.again.insert(file);
            return self.finish();
        }
        let own = row.file.root == Root::Own;
        if let Some(spec) = salvage(kind, &name, &row.spec, row.deleted.is_some(), own) {
            self.store(id, spec.into(), None, status, false);
            self.announce(id);
        } else {
            self.damage.lost.add(kind, &name);
            self.tell_damage();
        }
    }
}
