//! Documents that a process puts into the folders which is not the operator: an import. Blocking.
//!
//! The operator need not run. One that does sees the files as it sees those that people write.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{
    document_text::document_text,
    files,
    object::{Notes, Spec},
};
use crate::{
    desired::DesiredError,
    model::{ORDERED_BY, hold::VpnHoldSpec, user::VpnUserSpec},
};

/// Sub-folder of what was imported, in the folder that people write.
const IMPORTED: &str = "imported";
/// Sub-folder of the operator's own holds, in the data folder.
const HOLDS: &str = "holds";
/// Mode of a document in the folder that people write; the umask takes from it.
const PEOPLE_MODE: u32 = 0o664;
/// Mode of the operator's own files, and of sealed passwords.
const OWN_MODE: u32 = 0o600;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It was written, and is on disk.
    Made,
    /// There was a file of that name. It stays as it is, whatever is in it.
    There,
}

/// Why a document was not put into a folder. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum DepositError {
    /// The document breaks a rule of its kind.
    #[error(transparent)]
    Invalid(#[from] DesiredError),
    /// The folder cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file that is there cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A folder of people's documents, and the data folder that belongs to it.
#[derive(Debug, Clone)]
pub struct Deposit {
    imported: PathBuf,
    holds: PathBuf,
    headline: String,
}

impl Deposit {
    /// `headline` is the comment in the first line of every document. Nothing is touched yet.
    #[must_use]
    pub fn new(people: &Path, data_dir: &Path, headline: &str) -> Self {
        Self {
            imported: people.join(IMPORTED),
            holds: data_dir.join(HOLDS),
            headline: headline.to_owned(),
        }
    }

    /// Where the sealed password of the person of this object name is kept: as `spec.credentialsFrom` names it, so beginning
    /// with the folder just as it was given.
    #[must_use]
    pub fn sealed_at(&self, name: &str) -> PathBuf {
        self.imported.join(format!("{name}.sealed"))
    }

    /// The sealed password that is there already.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sealed(&self, name: &str) -> Result<Option<String>, DepositError> {
        let path = self.sealed_at(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DepositError::Read { path, error }),
        }
    }

    /// Keeps a sealed password (mode 0600).
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn seal(&self, name: &str, sealed: &str) -> Result<Placed, DepositError> {
        place(&self.sealed_at(name), &format!("{sealed}\n"), OWN_MODE, 0o777)
    }

    /// Declares a person in a file of their own.
    ///
    /// # Errors
    /// The spec breaks a rule, or the folder cannot be written.
    pub fn user(&self, name: &str, spec: VpnUserSpec) -> Result<Placed, DepositError> {
        let text = document_text(&self.headline, name, &Spec::User(Box::new(spec)), &Notes::default())?;
        place(&self.imported.join(format!("{name}.yaml")), &text, PEOPLE_MODE, 0o777)
    }

    /// Places a hold among the operator's own, so that it can be released like any other; `by` is who ordered it.
    ///
    /// # Errors
    /// The spec breaks a rule, or the data folder cannot be written.
    pub fn hold(&self, name: &str, spec: VpnHoldSpec, by: &str) -> Result<Placed, DepositError> {
        let mut notes = Notes::default();
        notes.annotations.insert(ORDERED_BY.to_owned(), by.to_owned());
        let text = document_text(&self.headline, name, &Spec::Hold(Box::new(spec)), &notes)?;
        place(&self.holds.join(format!("{name}.yaml")), &text, OWN_MODE, 0o700)
    }
}

/// Writes a file that is not there yet, whole or not at all.
fn place(path: &Path, text: &str, mode: u32, folder_mode: u32) -> Result<Placed, DepositError> {
    let failed = |error| DepositError::Write {
        path: path.to_owned(),
        error,
    };
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(folder_mode).create(folder);
        made.map_err(failed)?;
    }
    match files::create(path, text.as_bytes(), mode) {
        Ok(()) => Ok(Placed::Made),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Placed::There),
        Err(error) => Err(failed(error)),
    }
}
