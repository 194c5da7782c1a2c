//! Which files of a folder are read.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};

use super::object::{FileKey, Root};

/// Ending of the temporary files that edits are written to.
pub(super) const TEMPORARY: &str = ".vpn-operator-tmp";

/// Device and inode of a folder.
pub(super) type Identity = (u64, u64);

/// The two folders.
#[derive(Debug)]
pub(super) struct Roots {
    pub people: PathBuf,
    pub own: PathBuf,
    /// Identity of the people's folder when it was last read.
    identity: Mutex<Option<Identity>>,
}

impl Roots {
    pub fn new(people: PathBuf, own: PathBuf, identity: Option<Identity>) -> Self {
        Self {
            people,
            own,
            identity: Mutex::new(identity),
        }
    }

    pub fn path(&self, root: Root) -> &Path {
        match root {
            Root::People => &self.people,
            Root::Own => &self.own,
        }
    }

    pub fn absolute(&self, file: &FileKey) -> PathBuf {
        self.path(file.root).join(&*file.path)
    }

    /// How a file is named to people.
    pub fn display(&self, file: &FileKey) -> String {
        match file.root {
            Root::People => file.path.to_string(),
            Root::Own => self.absolute(file).display().to_string(),
        }
    }

    /// The file at an absolute path.
    pub fn key(&self, path: &Path) -> Option<FileKey> {
        [Root::Own, Root::People].into_iter().find_map(|root| {
            let path = path.strip_prefix(self.path(root)).ok()?.to_str()?.into();
            Some(FileKey { root, path })
        })
    }

    pub fn identity(&self) -> Option<Identity> {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_identity(&self, identity: Identity) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    /// Whether what is missing in a folder is really gone.
    ///
    /// # Errors
    /// The folder cannot be read, or is an empty one in place of the folder that was read last: most likely not mounted.
    pub fn check(&self, root: Root) -> io::Result<Identity> {
        let path = self.path(root);
        let meta = fs::metadata(path)?;
        let identity = (meta.dev(), meta.ino());
        let mut entries = fs::read_dir(path)?;
        let replaced = root == Root::People && self.identity().is_some_and(|last| last != identity);
        if replaced && entries.next().is_none() {
            return Err(io::Error::other(
                "the folder is empty and not the one that was read before: is it mounted?",
            ));
        }
        Ok(identity)
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files to read, in the order of their names, paths relative to the folder.
    pub files: Vec<Arc<str>>,
    /// Sub-folders (and files with unreadable names) that could not be listed, with the reason. What is below is unknown.
    pub unreadable: Vec<(String, String)>,
    /// Names that are links, absolute.
    pub links: Vec<PathBuf>,
    /// Left over from edits that were cut short.
    pub temporary: Vec<PathBuf>,
}

impl Listing {
    /// Whether nothing is known of this path.
    pub fn is_unknown(&self, path: &str) -> bool {
        self.unreadable.iter().any(|(folder, _)| {
            path.strip_prefix(folder.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// Lists a folder. `enter` is called with each folder before it is listed.
///
/// # Errors
/// The folder itself cannot be read.
pub(super) fn list(root: &Path, mut enter: impl FnMut(&Path)) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut visited = HashSet::new();
    let mut open: Vec<String> = vec![String::new()];
    while let Some(folder) = open.pop() {
        let path = if folder.is_empty() {
            root.to_owned()
        } else {
            root.join(&folder)
        };
        enter(&path);
        let listed = fs::metadata(&path).and_then(|meta| {
            // A link that leads back up would never end.
            if visited.insert((meta.dev(), meta.ino())) {
                list_one(&path, &folder, &mut listing).map(Some)
            } else {
                Ok(None)
            }
        });
        match listed {
            Ok(None) => {}
            Ok(Some(mut folders)) => {
                folders.sort_unstable_by(|a, b| b.cmp(a));
                open.append(&mut folders);
            }
            Err(error) if folder.is_empty() => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => listing.unreadable.push((folder, error.to_string())),
        }
    }
    listing.files.sort_unstable();
    Ok(listing)
}

fn list_one(path: &Path, folder: &str, listing: &mut Listing) -> io::Result<Vec<String>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            if is_declared_name(&name.to_string_lossy()) {
                let shown = Path::new(folder)
                    .join(name.to_string_lossy().as_ref())
                    .display()
                    .to_string();
                listing
                    .unreadable
                    .push((shown, "the name is not UTF-8: rename the file".to_owned()));
            }
            continue;
        };
        if name.starts_with('.') {
            if name.ends_with(TEMPORARY) {
                listing.temporary.push(entry.path());
            }
            continue;
        }
        let relative = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        let mut kind = entry.file_type()?;
        if kind.is_symlink() {
            listing.links.push(entry.path());
            match fs::metadata(entry.path()) {
                Ok(meta) => kind = meta.file_type(),
                // A link that leads nowhere is read as a file, and reported then.
                Err(_) if is_declared_name(name) => {
                    listing.files.push(relative.into());
                    continue;
                }
                Err(_) => continue,
            }
        }
        if kind.is_dir() {
            folders.push(relative);
        } else if kind.is_file() && is_declared_name(name) {
            listing.files.push(relative.into());
        }
    }
    Ok(folders)
}

/// Whether a file of this name is read. Editors' files and hidden ones are not.
pub(super) fn is_declared_name(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    let read = |ending: &str| {
        ["yaml", "yml", "json"]
            .iter()
            .any(|read| ending.eq_ignore_ascii_case(read))
    };
    !name.starts_with('.') && ending.is_some_and(read)
}

/// Short for everything in a file's metadata that changes with its content.
pub(super) fn signature(meta: &fs::Metadata) -> u64 {
    let mut hash = Sha256::new();
    for number in [meta.dev(), meta.ino(), meta.size()] {
        hash.update(number.to_le_bytes());
    }
    for number in [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()] {
        hash.update(number.to_le_bytes());
    }
    let full = hash.finalize();
    full.iter()
        .take(8)
        .fold(0, |short, byte| (short << 8) | u64::from(*byte))
}

/// Signatures of files as they were last seen.
pub(super) type Signatures = HashMap<FileKey, u64>;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn files(root: &Path) -> Vec<String> {
        list(root, |_| ())
            .unwrap()
            .files
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn only_declared_files_are_listed_sorted_through_sub_folders() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for path in [
            "b.yaml",
            "a/x.yml",
            "a/y.json",
            ".hidden.yaml",
            ".git/z.yaml",
            "u.yaml~",
            "#u.yaml#",
            ".u.yaml.swp",
            "t.tmp",
            "README.md",
            "people.YAML",
            "z.Yml",
        ] {
            put(path);
        }
        assert_eq!(
            files(dir.path()),
            ["a/x.yml", "a/y.json", "b.yaml", "people.YAML", "z.Yml"]
        );
    }

    #[test]
    fn a_mounted_config_map_is_read_through_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("..2026_01");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("u.yaml"), "").unwrap();
        symlink("..2026_01", dir.path().join("..data")).unwrap();
        symlink("..data/u.yaml", dir.path().join("u.yaml")).unwrap();
        assert_eq!(files(dir.path()), ["u.yaml"]);
    }

    #[test]
    fn links_in_a_circle_end() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/u.yaml"), "").unwrap();
        symlink("..", dir.path().join("a/up")).unwrap();
        assert_eq!(files(dir.path()), ["a/u.yaml"]);
    }

    #[test]
    fn an_empty_folder_in_place_of_the_known_one_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots::new(dir.path().to_owned(), dir.path().join("own"), Some((1, 1)));
        assert!(roots.check(Root::People).is_err());
        fs::write(dir.path().join("u.yaml"), "").unwrap();
        assert!(roots.check(Root::People).is_ok());
    }
}
