//! The file itself, and those that SQLite keeps beside it.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::fault::Fault;

/// The file whose name has `suffix` behind that of `path`.
#[must_use]
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Which file a name leads to.
pub type FileId = (u64, u64);

/// The file that the path leads to at present; `None` if there is none.
///
/// # Errors
/// The folder cannot be looked into, or it is no file.
pub fn file_id(path: &Path) -> Result<Option<FileId>, Fault> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some((metadata.dev(), metadata.ino()))),
        Ok(_) => Err(Fault::Unavailable(format!(
            "{} is no file: move it away",
            path.display()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::io("look at", path, &error)),
    }
}

/// Creates an empty file that only its owner may read; one that is there stays as it is. New files of SQLite beside it get
/// the same mode.
///
/// # Errors
/// The folder cannot be written.
pub fn create_private(path: &Path) -> Result<(), Fault> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_folder(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Fault::io("create", path, &error)),
    }
}

/// Makes a creation or renaming in the folder of `path` durable.
///
/// # Errors
/// The folder cannot be written.
pub fn sync_folder(path: &Path) -> Result<(), Fault> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Fault::io("write to", folder, &error))
}

/// Takes the file and its log from everybody but their owner; answers the file's size.
///
/// # Errors
/// There is no such file, or its mode cannot be changed.
pub fn tighten_modes(path: &Path) -> Result<u64, Fault> {
    let mut size = 0;
    for suffix in ["-shm", "-wal", ""] {
        let file = beside(path, suffix);
        let metadata = match fs::metadata(&file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound && !suffix.is_empty() => continue,
            Err(error) => return Err(Fault::io("read", &file, &error)),
        };
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&file, Permissions::from_mode(0o600))
                .map_err(|error| Fault::io("set mode 0600 on", &file, &error))?;
        }
        size = metadata.len();
    }
    Ok(size)
}

/// Looks at every page.
///
/// # Errors
/// The first thing that is wrong.
pub fn quick_check(conn: &Connection, path: &Path) -> Result<(), Fault> {
    let answer: String = conn
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| Fault::sqlite(path, &error))?;
    if answer == "ok" {
        Ok(())
    } else {
        Err(Fault::damaged(path, answer))
    }
}
