//! A copy of a database that somebody else may be writing to, made without touching it or anything beside it.
//!
//! Opening it, even for reading only, would make a `-shm` file beside a database with a write-ahead log, and opening it as
//! immutable would miss what stands in that log. So the file, its log and its journal are copied, and then compared with the
//! copies. All of them were as the copy is at the moment between the last byte copied and the first one compared.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufReader, ErrorKind, Read as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::sqlite::beside;

/// What belongs to a database.
const SUFFIXES: [&str; 3] = ["", "-wal", "-journal"];
/// How often a database that changes meanwhile is copied anew.
const ATTEMPTS: u32 = 40;
/// Pause before that.
const PAUSE: Duration = Duration::from_millis(50);
/// What every database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is something else.
    #[error("{} is no SQLite database", .0.display())]
    NoDatabase(PathBuf),
    /// Somebody writes to it without a pause.
    #[error("{} is being written all the time: stop the former service for a moment", .0.display())]
    Restless(PathBuf),
    /// A file cannot be read, or the copy not be written.
    #[error("{} cannot be copied: {error}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The copy, in a folder that nobody else may enter. It goes when this is dropped.
pub(super) struct Snapshot {
    folder: PathBuf,
}

impl Snapshot {
    /// Copies a database. Blocks.
    pub(super) fn of(path: &Path) -> Result<Self, SnapshotError> {
        // What belongs to it lies beside the file itself, not beside a link to it.
        let source = fs::canonicalize(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => SnapshotError::Missing(path.to_owned()),
            _ => failed(path)(error),
        })?;
        if !is_database(&source).map_err(failed(path))? {
            return Err(SnapshotError::NoDatabase(path.to_owned()));
        }
        let snapshot = Self {
            folder: private_folder().map_err(failed(&std::env::temp_dir()))?,
        };
        for _ in 0..ATTEMPTS {
            if snapshot.attempt(&source).map_err(failed(path))? {
                return Ok(snapshot);
            }
            thread::sleep(PAUSE);
        }
        Err(SnapshotError::Restless(path.to_owned()))
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("users.db")
    }

    /// Whether what was copied is what stands there still.
    fn attempt(&self, source: &Path) -> io::Result<bool> {
        for suffix in SUFFIXES {
            copy(&beside(source, suffix), &beside(&self.database(), suffix))?;
        }
        for suffix in SUFFIXES {
            if !same(&beside(source, suffix), &beside(&self.database(), suffix))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::error!(folder = %self.folder.display(), %error, "the copy of the database holds passwords and cannot be removed: remove it");
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |error| SnapshotError::Failed { path, error }
}

fn is_database(path: &Path) -> io::Result<bool> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut begin = Vec::new();
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == MAGIC)
}

fn private_folder() -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let name = format!("vpn-operator-import-{:016x}", u64::from_ne_bytes(random));
    let folder = std::env::temp_dir().join(name);
    DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// Opens a file; `None` when there is none.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Some(mut source) = open(from)? else {
        return match fs::remove_file(to) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let mut options = OpenOptions::new();
    let mut target = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut target).map(drop)
}

/// Whether both have the same content, or neither is there.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = match (open(one)?, open(other)?) {
        (None, None) => return Ok(true),
        (Some(one), Some(other)) => (one, other),
        _ => return Ok(false),
    };
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    let (mut left, mut right) = ([0; 8192], [0; 8192]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(other.read(&mut right[..1])? == 0);
        }
        match other.read_exact(&mut right[..count]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_anywhere_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("a"), dir.path().join("b"));
        assert!(same(&one, &other).unwrap());
        let mut bytes = vec![7; 20_000];
        fs::write(&one, &bytes).unwrap();
        assert!(!same(&one, &other).unwrap());
        fs::write(&other, &bytes).unwrap();
        assert!(same(&one, &other).unwrap());
        bytes[19_999] = 8;
        fs::write(&other, &bytes).unwrap();
        assert!(!same(&one, &other).unwrap());
        fs::write(&other, &bytes[..19_999]).unwrap();
        assert!(!same(&one, &other).unwrap());
    }

    #[test]
    fn the_copy_is_private_and_goes() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.db");
        fs::write(&path, [MAGIC.as_slice(), b"rest"].concat()).unwrap();
        fs::write(dir.path().join("users.db-wal"), "log").unwrap();
        let snapshot = Snapshot::of(&path).unwrap();
        let folder = snapshot.folder.clone();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read(folder.join("users.db-wal")).unwrap(), b"log");
        drop(snapshot);
        assert!(!folder.exists());
    }
}
