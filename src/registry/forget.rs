//! Taking a person's data out of the registry. The ID stays, so that it is not issued again.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rusqlite::{Connection, params};

use super::{FORMER_FILE, Registry, StoreError, entry::Owner, former};
use crate::{model::corporate_id::CorporateId, sqlite};

impl Registry {
    /// Takes out whose an ID is, what was said with changes of it, and the Telegram account that was linked to it; who changed it
    /// stays, except where that is one of the person's own `names`. Answers whether there was anything. Durable when it returns;
    /// old pages of the file are cleared by [`Self::scrub`] alone.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn forget(&self, id: &CorporateId, names: Vec<String>) -> Result<bool, StoreError> {
        let id = id.clone();
        self.store.write(move |conn| forget(conn, &id, &names)).await
    }

    /// Clears what deleted and changed rows left behind in the file and in its log.
    ///
    /// # Errors
    /// The file cannot be written, or somebody reads it for too long.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub().await
    }
}

fn forget(conn: &Connection, id: &CorporateId, names: &[String]) -> rusqlite::Result<bool> {
    let nobody = Owner::default();
    let mut changed = conn
        .prepare_cached(
            "UPDATE ids SET owner = NULL, email = NULL, department = NULL, folded = ?2, request_key = NULL WHERE key = ?1 \
             AND (owner IS NOT NULL OR email IS NOT NULL OR department IS NOT NULL OR request_key IS NOT NULL)",
        )?
        .execute(params![id.key(), nobody.folded()])?;
    changed += conn
        .prepare_cached(
            "UPDATE changes SET reason = NULL, request_id = NULL WHERE key = ?1 \
             AND (reason IS NOT NULL OR request_id IS NOT NULL)",
        )?
        .execute([id.key()])?;
    for name in names {
        changed += conn
            .prepare_cached(
                "UPDATE changes SET actor = '' WHERE key = ?1 AND actor = ?2 COLLATE NOCASE AND actor <> ''",
            )?
            .execute(params![id.key(), name])?;
    }
    changed += conn
        .prepare_cached("DELETE FROM telegram WHERE key = ?1")?
        .execute([id.key()])?;
    Ok(changed > 0)
}

/// Takes the lines about a person out of what `import legacy` left in the data folder ([`FORMER_FILE`]); they were taken over
/// before. Answers whether there were any. Blocks on the disk.
///
/// # Errors
/// The file cannot be read or replaced; it is as it was then.
pub fn forget_former(data_dir: &Path, id: &CorporateId) -> io::Result<bool> {
    let path = data_dir.join(FORMER_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let kept: Vec<&str> = text.lines().filter(|line| !former::is_about(line, id)).collect();
    if kept.len() == text.lines().count() {
        return Ok(false);
    }
    let new = sqlite::beside(&path, ".new");
    let _ = fs::remove_file(&new);
    let mut file: File = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    for line in kept {
        writeln!(file, "{line}")?;
    }
    file.sync_all()?;
    fs::rename(&new, &path)?;
    sqlite::sync_folder(&path).map_err(io::Error::other)?;
    Ok(true)
}
