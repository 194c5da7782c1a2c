//! What goes into the data folder: history, and the lines for a registry of corporate IDs.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use super::{
    super::exit::{CommandError, Exit},
    owned,
    results::Count,
};
use crate::{
    clock::SystemClock,
    config::HISTORY_FILE,
    credentials::{AuditKeys, MasterKey},
    history::{History, HistoryError, Past},
    registry::FORMER_FILE,
    sqlite::{self, OwnerLock},
};

/// Rows in one transaction.
const BATCH: usize = 500;

/// History, in a data folder on which no operator runs and none can be started.
pub(super) struct Owned {
    pub history: History,
    _lock: OwnerLock,
}

/// Takes the data folder, and opens history in it. The audit is sealed with the master key that `key` finds in the folder that
/// is owned then.
pub(super) fn open(
    data_dir: &Path,
    key: impl FnOnce(&Path) -> Result<MasterKey, CommandError>,
) -> Result<Owned, CommandError> {
    let lock = owned::own(data_dir)?;
    let keys = key(data_dir)?.audit_keys();
    let history = History::open(&data_dir.join(HISTORY_FILE), keys, Arc::new(SystemClock));
    let history = history.map_err(|error| failed(&error))?;
    Ok(Owned { history, _lock: lock })
}

/// How much of it would be new, without changing anything.
pub(super) async fn look(data_dir: &Path, past: &[Past]) -> Result<Count, CommandError> {
    let path = data_dir.join(HISTORY_FILE);
    let all = past.len() as u64;
    let there = if path.exists() {
        let history = History::open_read_only(&path, AuditKeys::none(), Arc::new(SystemClock));
        known(&history, past).await?
    } else {
        0
    };
    Ok(Count {
        made: all.saturating_sub(there),
        there,
    })
}

/// Writes what is new.
pub(super) async fn write(history: &History, past: Vec<Past>) -> Result<Count, CommandError> {
    let mut count = Count::default();
    for batch in past.chunks(BATCH) {
        let there = known(history, batch).await?;
        count.there += there;
        let new = (batch.len() as u64).saturating_sub(there);
        if new > 0 {
            history.import(batch.to_vec()).await.map_err(|error| failed(&error))?;
            count.made += new;
        }
    }
    Ok(count)
}

async fn known(history: &History, past: &[Past]) -> Result<u64, CommandError> {
    let digests = past.iter().map(Past::digest).collect();
    history.known_imports(digests).await.map_err(|error| failed(&error))
}

fn failed(error: &HistoryError) -> CommandError {
    let exit = match error {
        HistoryError::Unavailable(_) => Exit::Unavailable,
        HistoryError::Newer { .. } | HistoryError::Damaged { .. } => Exit::Failed,
    };
    CommandError::new(exit, error.to_string())
        .hint("Nothing more was done. Run it again then: what is there already is left out.")
}

/// Adds the lines that are not there yet; with `write` false only counts them. Lines that are there stay.
pub(super) fn keep_registry(data_dir: &Path, lines: &[String], write: bool) -> Result<Count, CommandError> {
    let path = data_dir.join(FORMER_FILE);
    let wrong = |error: &io::Error| CommandError::failed(format!("{}: {error}", path.display()));
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(wrong(&error)),
    };
    let there: HashSet<&str> = text.lines().collect();
    let new: Vec<&String> = lines.iter().filter(|line| !there.contains(line.as_str())).collect();
    let count = Count {
        made: new.len() as u64,
        there: (lines.len() - new.len()) as u64,
    };
    if write && !new.is_empty() {
        let new: Vec<String> = new.into_iter().cloned().collect();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for line in new {
            text.push_str(&line);
            text.push('\n');
        }
        replace(&path, text.as_bytes()).map_err(|error| wrong(&error))?;
    }
    Ok(count)
}

/// Puts a file in the place of another, whole or not at all.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = sqlite::beside(path, ".new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sqlite::sync_folder(path).map_err(io::Error::other)
}
