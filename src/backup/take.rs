//! Taking a backup: every database as it was at one moment, and the holds.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::{
    error::BackupError,
    manifest::{AuditEnd, BackupFile, Manifest},
};
use crate::{
    clock::SystemClock,
    credentials::AuditKeys,
    history::History,
    sqlite::{self, Fault},
};

/// Folder of the operator's own holds, beside the databases.
pub(super) const HOLDS: &str = "holds";
/// The database with the audit.
pub(super) const HISTORY: &str = "history.db";

/// How long a lock of another program is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Copies a database that nobody but its owner can read.
pub type CopyOwned = Arc<dyn Fn(&Path) -> Result<(), Fault> + Send + Sync>;

/// Where a backup is taken from.
#[derive(Clone)]
pub struct Source {
    /// The data folder.
    pub data: PathBuf,
    /// Databases in it that only their owner reads, by name.
    pub owned: Vec<(&'static str, CopyOwned)>,
}

/// Takes a backup into a new folder in `into`, checks it, and answers the folder. Blocks.
///
/// # Errors
/// Nothing is left of it then.
pub async fn take(source: &Source, into: &Path, now: Timestamp) -> Result<(PathBuf, Manifest), BackupError> {
    let (name, folder) = free_name(into, now);
    let partial = into.join(format!(".{name}.partial"));
    let (from, to) = (source.clone(), partial.clone());
    let written = tokio::task::spawn_blocking(move || write(&from, &to)).await;
    let taken = match written {
        Ok(Ok(files)) => finish(&partial, files, now).await,
        Ok(Err(error)) => Err(error),
        Err(_) => Err(BackupError::Stopping),
    };
    let moved = taken.and_then(|manifest| {
        fs::rename(&partial, &folder).map_err(|error| BackupError::io("create", &folder, error))?;
        sqlite::sync_folder(&folder)?;
        Ok(manifest)
    });
    if moved.is_err() {
        // Nothing but our own half of a backup.
        let _ = fs::remove_dir_all(&partial);
    }
    moved.map(|manifest| (folder, manifest))
}

/// The moment as a name, with a number behind it from the second one of the same second on.
fn free_name(into: &Path, now: Timestamp) -> (String, PathBuf) {
    let moment = now.strftime("%Y-%m-%dT%H%M%SZ").to_string();
    let mut name = moment.clone();
    let mut number = 1;
    loop {
        let folder = into.join(&name);
        if fs::symlink_metadata(&folder).is_err() {
            return (name, folder);
        }
        number += 1;
        name = format!("{moment}-{number}");
    }
}

/// Names of the databases in a data folder.
fn databases(data: &Path) -> Result<Vec<String>, BackupError> {
    let io = |error| BackupError::io("read", data, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(data).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(OsStr::to_str);
        if let Some(name) = name.filter(|name| !name.starts_with('.'))
            && path.extension() == Some(OsStr::new("db"))
            && path.is_file()
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn write(source: &Source, partial: &Path) -> Result<Vec<BackupFile>, BackupError> {
    let made = |path: &Path| {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| BackupError::io("create", path, error))
    };
    let _ = fs::remove_dir_all(partial);
    made(partial)?;
    let data = &source.data;
    let names = databases(data)?;
    if names.is_empty() {
        return Err(BackupError::Nothing { path: data.clone() });
    }
    // Everybody's snapshot is begun before the first page is copied: they are of one moment.
    let is_owned = |name: &str| source.owned.iter().find(|(owned, _)| *owned == name);
    let mut snapshots = Vec::new();
    for name in &names {
        if is_owned(name).is_none() {
            snapshots.push((name, snapshot(&data.join(name))?));
        }
    }
    let mut files = Vec::new();
    for (name, copy) in names.iter().filter_map(|name| is_owned(name)) {
        copy(&partial.join(name))?;
        files.push((*name).to_owned());
    }
    for (name, conn) in snapshots {
        sqlite::copy(&conn, &partial.join(name))?;
        files.push(name.clone());
    }
    files.sort_unstable();
    let mut described = Vec::new();
    for name in files {
        let version = examine(&partial.join(&name))?;
        described.push(BackupFile::of(partial, &name, Some(version))?);
    }
    let holds = data.join(HOLDS);
    let listed = match fs::read_dir(&holds) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(described),
        Err(error) => return Err(BackupError::io("read", &holds, error)),
    };
    made(&partial.join(HOLDS))?;
    for entry in listed {
        let path = entry.map_err(|error| BackupError::io("read", &holds, error))?.path();
        let Some(name) = path
            .file_name()
            .and_then(OsStr::to_str)
            .filter(|name| !name.starts_with('.'))
        else {
            continue;
        };
        let name = format!("{HOLDS}/{name}");
        // One that was lifted a moment ago is no loss.
        if copy_file(&path, &partial.join(&name))? {
            described.push(BackupFile::of(partial, &name, None)?);
        }
    }
    Ok(described)
}

/// A connection that sees the file as it is now for as long as it lives.
fn snapshot(path: &Path) -> Result<Connection, Fault> {
    let failed = |error: rusqlite::Error| Fault::sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    conn.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN")
        .map_err(failed)?;
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(failed)?;
    Ok(conn)
}

/// Looks at every page of a copy; answers its schema version.
pub(super) fn examine(path: &Path) -> Result<i64, Fault> {
    let failed = |error: rusqlite::Error| Fault::sqlite(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(failed)?;
    conn.execute_batch("PRAGMA trusted_schema = OFF").map_err(failed)?;
    sqlite::quick_check(&conn, path)?;
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)
}

/// Copies a file, readable by its owner alone. Answers whether it was there.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<bool, BackupError> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(BackupError::io("read", from, error)),
    };
    let mut options = fs::OpenOptions::new();
    let written = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .and_then(|mut file| {
            io::copy(&mut source, &mut file)?;
            file.sync_all()
        });
    written.map_err(|error| BackupError::io("write", to, error))?;
    Ok(true)
}

/// Walks the chain in the copy, and writes down what the backup has.
async fn finish(partial: &Path, files: Vec<BackupFile>, now: Timestamp) -> Result<Manifest, BackupError> {
    let audit = if files.iter().any(|file| file.name == HISTORY) {
        Some(audit_end(&partial.join(HISTORY)).await?)
    } else {
        None
    };
    let manifest = Manifest {
        taken_at: now,
        operator: env!("CARGO_PKG_VERSION").to_owned(),
        files,
        audit,
    };
    manifest.write(partial)?;
    Ok(manifest)
}

/// Walks the chain of a copy; answers where it ends.
pub(super) async fn audit_end(path: &Path) -> Result<AuditEnd, BackupError> {
    let history = History::open_read_only(path, AuditKeys::none(), Arc::new(SystemClock));
    history.verify().await?;
    let stats = history.stats().await?;
    Ok(AuditEnd {
        seq: stats.audit_head,
        hash: stats.audit_head_hash,
    })
}
