//! Volumes of Kubernetes that never change.
//!
//! A `ConfigMap`, a Secret or a projected volume is a folder of links into a folder named after the moment
//! (`..2026_11_26_12_00_00.123`), which is exchanged at every change. A mount by `subPath` is one of what was there at the
//! start, behind the links: it keeps the old content for as long as the pod lives.

use std::path::{Path, PathBuf};

/// The mount points that a folder stands on or that lie in it, and that never change. `mountinfo` is the text of
/// `/proc/self/mountinfo`; `folder` has no links in it.
pub(super) fn mounts(mountinfo: &str, folder: &Path) -> Vec<PathBuf> {
    let mounts: Vec<(PathBuf, bool)> = mountinfo.lines().filter_map(mount).collect();
    // Of those that it lies in only the innermost counts, and of several at one place the last.
    let around = mounts.iter().filter(|(at, _)| folder.starts_with(at));
    let below = around.map(|(at, _)| at.as_os_str().len()).max();
    let counts = |at: &Path| {
        let is_innermost = folder.starts_with(at) && Some(at.as_os_str().len()) == below;
        is_innermost || (at != folder && at.starts_with(folder))
    };
    let mut found: Vec<PathBuf> = Vec::new();
    for (number, (at, frozen)) in mounts.iter().enumerate() {
        let covered = mounts.iter().skip(number + 1).any(|(later, _)| later == at);
        if *frozen && !covered && counts(at) {
            found.push(at.clone());
        }
    }
    found
}

/// Where a line of mountinfo mounts something, and whether that is the inside of a volume at one moment.
fn mount(line: &str) -> Option<(PathBuf, bool)> {
    let mut fields = line.split(' ').skip(3);
    let (root, at) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let mut parts = root.split('/');
    let frozen = parts.any(|part| part == "volume-subpaths" || part.strip_prefix("..").is_some_and(begins_with_digit));
    Some((at.into(), frozen))
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_digit())
}

/// Blanks and backslashes are written as octal numbers.
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(part.get(3..).unwrap_or_default());
            }
            None => text.push_str(part),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = "\
1 0 0:1 / / rw - overlay overlay rw
2 1 8:1 /kubelet/pods/u/volumes/kubernetes.io~configmap/people /whole ro - ext4 /dev/sda1 rw
3 1 8:1 /kubelet/pods/u/volumes/kubernetes.io~configmap/people/..2026_11_26_12_00_00.123/vpn.yaml /mixed/vpn.yaml ro - ext4 /dev/sda1 rw
4 1 0:9 /..2026_11_26_12_00_00.456/hr\\040holds /on\\040tmpfs ro - tmpfs tmpfs rw
5 1 8:1 /kubelet/pods/u/volume-subpaths/people/operator/0 /sub ro - ext4 /dev/sda1 rw
6 5 8:1 /data/live /sub/live rw - ext4 /dev/sda1 rw
7 1 8:1 /kubelet/pods/u/volumes/kubernetes.io~configmap/a/..2026_11_26/x /covered ro - ext4 /dev/sda1 rw
8 1 8:1 /live /covered rw - ext4 /dev/sda1 rw
";

    fn found(folder: &str) -> Vec<String> {
        let found = mounts(POD, Path::new(folder));
        found.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn what_is_mounted_by_sub_path_is_found_and_a_whole_volume_is_not() {
        assert_eq!(found("/whole"), [""; 0]);
        assert_eq!(found("/mixed"), ["/mixed/vpn.yaml"]);
        assert_eq!(found("/on tmpfs"), ["/on tmpfs"]);
        assert_eq!(found("/sub"), ["/sub"]);
        assert_eq!(found("/sub/people"), ["/sub"], "the folder lies in it");
        assert_eq!(found("/sub/live"), [""; 0], "the innermost counts");
        assert_eq!(found("/covered"), [""; 0], "the last counts");
        assert_eq!(found("/elsewhere"), [""; 0]);
    }
}
