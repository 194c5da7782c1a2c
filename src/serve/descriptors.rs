//! How many files and connections the process may have open at a time, and what each listener gets of them.

use rustix::process::{Resource, getrlimit, setrlimit};

/// More is of no use here, and bounds what connections may cost.
const WANTED: u64 = 65_536;
/// For files, the database, nodes and the API server: no listener may take these.
const RESERVED: u64 = 128;
/// Most connections of the auth listener: each costs some 20 KiB, and a node that has many logins at once uses few.
const MOST_AUTH: u64 = 2048;
/// Most connections of the API.
const MOST_API: u64 = 1024;
/// With less than this nobody can work.
const LEAST: u64 = 16;

/// What this process may have open at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// Files, connections included.
    pub files: u64,
    /// Connections of the auth listener.
    pub auth: usize,
    /// Connections of the API's listener.
    pub api: usize,
}

impl Descriptors {
    /// Raises the soft limit of the process as far as its hard limit lets it, and shares what there is.
    pub fn raise() -> Self {
        let mut limit = getrlimit(Resource::Nofile);
        let soft = limit.current.unwrap_or(u64::MAX);
        let wanted = limit.maximum.map_or(WANTED, |hard| hard.min(WANTED));
        if soft < wanted {
            limit.current = Some(wanted);
            if let Err(error) = setrlimit(Resource::Nofile, limit) {
                tracing::warn!(%error, soft, "the limit of open files cannot be raised");
            }
        }
        Self::of(getrlimit(Resource::Nofile).current.unwrap_or(WANTED))
    }

    /// Shares so many files.
    #[must_use]
    pub fn of(files: u64) -> Self {
        let free = files.saturating_sub(RESERVED);
        let share = |part: u64, most: u64| usize::try_from(part.clamp(LEAST, most)).unwrap_or(usize::MAX);
        Self {
            files,
            auth: share(free / 2, MOST_AUTH),
            api: share(free / 4, MOST_API),
        }
    }

    /// The limit of open files that gives each listener all that it may use, when there is less.
    #[must_use]
    pub fn missing(&self) -> Option<u64> {
        let enough = RESERVED + 2 * MOST_AUTH;
        (self.files < enough).then_some(enough)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn listeners_leave_files_to_everything_else(files in 192..1_000_000u64) {
            let shared = Descriptors::of(files);
            let taken = (shared.auth + shared.api) as u64;
            prop_assert!(taken + RESERVED.min(files / 2) <= files, "{:?}", shared);
            prop_assert!(shared.auth >= shared.api);
            prop_assert_eq!(shared.missing().is_none(), shared == Descriptors::of(u64::MAX) || shared.auth == 2048);
        }
    }
}
