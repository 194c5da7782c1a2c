//! How far everything is certain to have arrived, in a file.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use super::super::exit::CommandError;
use crate::sqlite;

/// The file.
pub(super) struct Cursor(PathBuf);

impl Cursor {
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The number in it; `None` if there is no file.
    pub(super) fn read(&self) -> Result<Option<i64>, CommandError> {
        let path = self.0.display();
        match fs::read_to_string(&self.0) {
            Ok(text) => match text.trim().parse() {
                Ok(seq) if seq >= 0 => Ok(Some(seq)),
                _ => Err(CommandError::invalid(format!(
                    "{path}: is no cursor of an export: it holds one number"
                ))),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CommandError::failed(format!("{path} cannot be read: {error}"))),
        }
    }

    /// Replaces the number, whole or not at all. Durable when it returns.
    pub(super) fn write(&self, seq: i64) -> Result<(), CommandError> {
        let temporary = sqlite::beside(&self.0, ".new");
        let written = || {
            let mut file = File::create(&temporary)?;
            writeln!(file, "{seq}")?;
            file.sync_all()?;
            fs::rename(&temporary, &self.0)?;
            sqlite::sync_folder(&self.0).map_err(std::io::Error::other)
        };
        written().map_err(|error| CommandError::failed(format!("{} cannot be written: {error}", self.0.display())))
    }
}
