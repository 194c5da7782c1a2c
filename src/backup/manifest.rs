//! What stands in a backup: a file of JSON beside the copies.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::BackupError;

/// Name of the file.
pub(super) const MANIFEST: &str = "manifest.json";

/// What stands in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The moment of which it is.
    pub taken_at: Timestamp,
    /// Version of the operator that took it.
    pub operator: String,
    /// Its files.
    pub files: Vec<BackupFile>,
    /// Where the chain of the audit ends in it, if there is a history.
    pub audit: Option<AuditEnd>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Name, from the folder of the backup and of the data on: `history.db`, `holds/api-x.yaml`.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 as hex.
    pub sha256: String,
    /// `PRAGMA user_version`, of a database.
    pub schema_version: Option<i64>,
}

/// Where the chain of the audit ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEnd {
    /// Number of the last row.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl BackupFile {
    /// Describes a file of the folder.
    pub(super) fn of(folder: &Path, name: &str, schema_version: Option<i64>) -> Result<Self, BackupError> {
        let (size, sha256) = digest(&folder.join(name))?;
        Ok(Self {
            name: name.to_owned(),
            size,
            sha256,
            schema_version,
        })
    }

    /// Compares a file of the folder with what is written about it.
    pub(super) fn verify(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(&self.name);
        let (size, sha256) = digest(&path)?;
        if (size, sha256.as_str()) == (self.size, self.sha256.as_str()) {
            Ok(())
        } else {
            Err(BackupError::Broken {
                path,
                why: "it is not the file that was written: its size or SHA-256 differs from the manifest".to_owned(),
            })
        }
    }
}

impl Manifest {
    /// Reads the one of a backup.
    ///
    /// # Errors
    /// It is no backup, or the manifest cannot be used.
    pub fn read(folder: &Path) -> Result<Self, BackupError> {
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(|error| BackupError::io("read", &path, error))?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| BackupError::Broken {
            path: path.clone(),
            why: error.to_string(),
        })?;
        // It names what is written over files of the data folder.
        let plain = |name: &str| {
            let base = name.strip_prefix("holds/").unwrap_or(name);
            !base.is_empty() && !base.starts_with('.') && !base.contains(['/', '\\', '\0'])
        };
        match manifest.files.iter().find(|file| !plain(&file.name)) {
            Some(odd) => Err(BackupError::Broken {
                path,
                why: format!("it names a file {:?}, which no backup has", odd.name),
            }),
            None => Ok(manifest),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(MANIFEST);
        let io = |error| BackupError::io("write", &path, error);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| io(error.into()))?;
        text.push(b'\n');
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(io)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

fn digest(path: &Path) -> Result<(u64, String), BackupError> {
    let read = || -> io::Result<(u64, String)> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut part = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut part)?;
            if read == 0 {
                break;
            }
            hasher.update(part.get(..read).unwrap_or_default());
            size += read as u64;
        }
        let text = hasher
            .finalize()
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
                text
            });
        Ok((size, text))
    };
    read().map_err(|error| BackupError::io("read", path, error))
}
