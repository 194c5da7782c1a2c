//! Changes of files that survive a crash and never overwrite what somebody else wrote.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::walk::TEMPORARY;

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is on disk.
    Done,
    /// Somebody else changed the file meanwhile; theirs stands, and ours is to be made anew.
    Overtaken,
}

/// Creates a file with this content, in one step. It is durable when this returns.
///
/// # Errors
/// `AlreadyExists` when the path is taken.
pub(super) fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (temporary, file) = Temporary::write(path, content, mode, None)?;
    file.sync_all()?;
    give_name(&temporary, path)?;
    sync_folder(path)
}

/// Creates a file with this content, in one step, which a power failure may take away or leave behind empty until it is
/// [made durable](sync).
///
/// # Errors
/// `AlreadyExists` when the path is taken.
pub(super) fn place(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (temporary, _) = Temporary::write(path, content, mode, None)?;
    give_name(&temporary, path)
}

/// Makes a file and its name durable.
///
/// # Errors
/// It is not known to be durable.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_folder(path)
}

fn give_name(temporary: &Temporary, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, &temporary.0, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::hard_link(&temporary.0, path),
        Err(error) => Err(error.into()),
    }
}

/// Replaces `expected`, the content of the file, by `new`. Mode and owner stay.
///
/// # Errors
/// The file cannot be read or replaced; it is as it was.
pub(super) fn replace(path: &Path, expected: &[u8], new: &[u8]) -> io::Result<Written> {
    replace_between(path, expected, new, || ())
}

fn replace_between(path: &Path, expected: &[u8], new: &[u8], last_moment: impl FnOnce()) -> io::Result<Written> {
    let meta = fs::metadata(path)?;
    let (temporary, file) = Temporary::write(path, new, meta.mode() & 0o7777, Some(&meta))?;
    file.sync_all()?;
    if fs::read(path)? != expected {
        return Ok(Written::Overtaken);
    }
    last_moment();
    match renameat_with(CWD, &temporary.0, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            // A file system without exchange: the comparison above has to do.
            fs::rename(&temporary.0, path)?;
            sync_folder(path)?;
            return Ok(Written::Done);
        }
        Err(error) => return Err(error.into()),
    }
    // What was exchanged for ours must be what we read. Looked at at once, so that a wrong state stands for no longer than
    // a reader needs to open the file; and again after the sync, for a writer that had the old file open.
    if fs::read(&temporary.0)? == expected {
        sync_folder(path)?;
        if fs::read(&temporary.0)? == expected {
            return Ok(Written::Done);
        }
    }
    // Theirs goes back, unless somebody has written upon ours by now.
    if fs::read(path)? == new {
        renameat_with(CWD, &temporary.0, CWD, path, RenameFlags::EXCHANGE)?;
        sync_folder(path)?;
    }
    Ok(Written::Overtaken)
}

/// Removes the file if `expected` is its content.
///
/// # Errors
/// The file cannot be read or removed; it is as it was.
pub(super) fn remove(path: &Path, expected: &[u8]) -> io::Result<Written> {
    if fs::read(path)? != expected {
        return Ok(Written::Overtaken);
    }
    // Moved aside first, so that what goes is what was compared.
    let aside = Temporary(temporary_path(path)?);
    renameat_with(CWD, path, CWD, &aside.0, RenameFlags::NOREPLACE)?;
    if fs::read(&aside.0)? != expected {
        fs::hard_link(&aside.0, path)?;
        sync_folder(path)?;
        return Ok(Written::Overtaken);
    }
    drop(aside);
    sync_folder(path)?;
    Ok(Written::Done)
}

/// Makes a folder's entries durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let random = u64::from_ne_bytes(random);
    // Long names are cut: the whole must stay below the limit of the file system.
    let name: String = name.chars().take(40).collect();
    Ok(path.with_file_name(format!(".{name}.{random:016x}{TEMPORARY}")))
}

/// A temporary file beside the real one; removed when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn write(path: &Path, content: &[u8], mode: u32, like: Option<&fs::Metadata>) -> io::Result<(Self, File)> {
        let target = temporary_path(path)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&target)?;
        let temporary = Self(target);
        file.write_all(content)?;
        if let Some(like) = like {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
                fchown(&file, Some(like.uid()), Some(like.gid()))?;
            }
            // After the owner, because a change of owner clears bits; and because of the umask.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        Ok((temporary, file))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // That it is gone already is fine; a leftover is removed at the next start.
        drop(fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn creating_never_overwrites_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        create(&path, b"one", 0o644).unwrap();
        assert_eq!(
            create(&path, b"two", 0o644).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn replacing_keeps_the_mode_and_respects_another_writer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(replace(&path, b"one", b"two").unwrap(), Written::Done);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(replace(&path, b"one", b"three").unwrap(), Written::Overtaken);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(remove(&path, b"one").unwrap(), Written::Overtaken);
        assert_eq!(remove(&path, b"two").unwrap(), Written::Done);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_writer_in_the_last_moment_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        let other = dir.path().join("b");
        for in_place in [true, false] {
            fs::write(&path, "one").unwrap();
            let written = replace_between(&path, b"one", b"two", || {
                if in_place {
                    fs::write(&path, "theirs").unwrap();
                } else {
                    fs::write(&other, "theirs").unwrap();
                    fs::rename(&other, &path).unwrap();
                }
            });
            assert_eq!(written.unwrap(), Written::Overtaken);
            assert_eq!(fs::read(&path).unwrap(), b"theirs");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
