//! Which files somebody is writing at present, as far as file events tell.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::object::FileKey;

/// Files that were written and not closed since. Where events do not come none are known.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<HashSet<FileKey>>);

impl Writers {
    fn lock(&self) -> MutexGuard<'_, HashSet<FileKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody wrote to the file, and has it open.
    pub fn writes(&self, file: &FileKey) {
        let mut files = self.lock();
        if !files.contains(file) {
            files.insert(file.clone());
        }
    }

    /// Whoever wrote to the file has closed it, or the name leads to another file now.
    pub fn closed(&self, file: &FileKey) {
        self.lock().remove(file);
    }

    /// Nothing is known any more: events were lost.
    pub fn forget(&self) {
        self.lock().clear();
    }

    /// Whether somebody has the file open for writing.
    pub fn has(&self, file: &FileKey) -> bool {
        self.lock().contains(file)
    }
}
