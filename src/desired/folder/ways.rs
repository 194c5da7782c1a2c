//! Where links lead: a folder or a file behind a link changes when the link is turned, and that is seen only in the folder
//! that holds the link.

use std::{
    collections::{BTreeSet, VecDeque},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

/// Links that are followed on one way, as the system does.
const MOST_LINKS: usize = 40;

/// What has to be watched so that every turn of a way is seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    /// Folders that hold a link, or in which something is missing.
    pub folders: BTreeSet<PathBuf>,
    /// The names in them that matter.
    pub turns: BTreeSet<PathBuf>,
}

impl Ways {
    /// Adds every link on the way to `path`, which is absolute, and the file behind the last one.
    pub fn add(&mut self, path: &Path) {
        let mut ahead: VecDeque<OsString> = VecDeque::new();
        push_front(&mut ahead, path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            let target = match fs::symlink_metadata(&next) {
                Ok(meta) if meta.is_symlink() => fs::read_link(&next).ok(),
                Ok(meta) => {
                    if links > 0 && ahead.is_empty() && !meta.is_dir() {
                        self.mark(&here, next);
                        return;
                    }
                    here = next;
                    continue;
                }
                Err(_) => None,
            };
            self.mark(&here, next);
            links += 1;
            let Some(target) = target.filter(|_| links <= MOST_LINKS) else {
                return;
            };
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            push_front(&mut ahead, &target);
        }
    }

    fn mark(&mut self, folder: &Path, turn: PathBuf) {
        self.folders.insert(folder.to_owned());
        self.turns.insert(turn);
    }
}

fn push_front(ahead: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn ways(path: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let mut ways = Ways::default();
        ways.add(path);
        (ways.folders.into_iter().collect(), ways.turns.into_iter().collect())
    }

    #[test]
    fn every_link_on_the_way_is_found_and_a_way_without_links_needs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("git/trees/one")).unwrap();
        fs::write(root.join("git/trees/one/u.yaml"), "").unwrap();
        assert_eq!(ways(&root.join("git/trees/one")), (vec![], vec![]));
        symlink("trees/one", root.join("git/current")).unwrap();
        symlink("git", root.join("repo")).unwrap();
        let way = ways(&root.join("repo/current"));
        assert_eq!(way.0, [root.clone(), root.join("git")]);
        assert_eq!(way.1, [root.join("git/current"), root.join("repo")]);
        // The file behind a link counts as well.
        symlink(root.join("repo/current/u.yaml"), root.join("u.yaml")).unwrap();
        let way = ways(&root.join("u.yaml"));
        assert!(way.1.contains(&root.join("git/trees/one/u.yaml")) && way.0.contains(&root.join("git/trees/one")));
    }

    #[test]
    fn what_is_missing_is_waited_for_where_it_would_be_and_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        assert_eq!(
            ways(&root.join("away/vpn")),
            (vec![root.clone()], vec![root.join("away")])
        );
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(ways(&root.join("a")).1, [root.join("a"), root.join("b")]);
    }
}
