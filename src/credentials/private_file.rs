//! Small files in the data folder that only the operator may read.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use secrecy::{SecretString, zeroize::Zeroizing};

use super::{secret_in, token};

/// More than any secret has.
const MAX_LEN: u64 = 64 * 1024;

/// Why a private file could not be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is there and cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file or its folder cannot be written.
    #[error("{} cannot be written: {error}. Check that the data folder is writable and its disk is not full", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others may read or write the file.
    #[error("{0} holds a secret and is open to others (mode {mode:03o}): run `chmod 600 {0}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is nothing in it.
    #[error("{0} is empty: write the secret into it, or remove it to have a new one made")]
    Empty(String),
    /// The operating system gave no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

/// Makes the data folder if it is missing, closed to others.
pub(super) fn make_folder(folder: &Path) -> Result<(), FileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| FileError::Write {
        path: folder.to_owned(),
        error,
    })
}

/// Reads a secret without its trailing newlines; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<SecretString>, FileError> {
    let failed = |error| FileError::Read {
        path: path.to_owned(),
        error,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(FileError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_LEN).read_to_string(&mut text).map_err(failed)?;
    let secret = secret_in(&text);
    if secret.is_empty() {
        return Err(FileError::Empty(path.display().to_string()));
    }
    Ok(Some(SecretString::from(secret)))
}

/// Writes a file of mode 0600 so that after a crash it is there as a whole or not at all.
pub(super) fn write(path: &Path, content: &str) -> Result<(), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let written = || -> io::Result<()> {
        // What a crash left behind may be open to others; a new file is not.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(
            path.parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        )?
        .sync_all()
    };
    written().map_err(|error| FileError::Write {
        path: path.to_owned(),
        error,
    })
}

/// 32 random bytes.
pub(super) fn random_bytes() -> Result<Zeroizing<[u8; 32]>, FileError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(FileError::Random)?;
    Ok(bytes)
}

/// A random secret of the same shape as derived ones.
pub(super) fn random_token() -> Result<SecretString, FileError> {
    Ok(token(&*random_bytes()?))
}
