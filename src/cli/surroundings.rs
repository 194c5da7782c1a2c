//! What a process sees of its surroundings: room on the disk, certificates, the limit of open files.

mod frozen;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    access::{Check, ProcessChecks},
    config::{Config, DesiredLocation},
    serve::{Descriptors, expiry_of_file},
};

/// How long what was seen counts: probes ask every few seconds.
const KEPT: Duration = Duration::from_secs(10);
/// Days before its end from which on a certificate is warned of: every renewal that works has happened by then.
const WARN_DAYS: i64 = 14;
/// Less room than this is warned of.
const LITTLE: u64 = 64 << 20;
/// With less room than this nothing new can be recorded.
const NOTHING: u64 = 1 << 20;

/// Looks at the surroundings of this process, at most every ten seconds.
pub(super) fn checks(config: &Config, descriptors: Descriptors) -> ProcessChecks {
    let config = config.clone();
    let seen: Mutex<Option<(Instant, Vec<Check>)>> = Mutex::default();
    Arc::new(move || {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |(at, checks): &(Instant, Vec<Check>)| (at.elapsed() < KEPT).then(|| checks.clone());
        seen.as_ref().and_then(fresh).unwrap_or_else(|| {
            let mut checks = vec![connections(descriptors)];
            checks.extend(look(&config));
            *seen = Some((Instant::now(), checks.clone()));
            checks
        })
    })
}

/// What any process on this machine sees.
pub(super) fn look(config: &Config) -> Vec<Check> {
    let certificates = [
        ("certificate/api", config.api_tls.as_ref()),
        ("certificate/auth", config.auth_tls.as_ref()),
    ];
    let certificates = certificates
        .into_iter()
        .filter_map(|(name, files)| Some(certificate(name, &files?.cert)));
    let never_updated = match &config.state.desired {
        DesiredLocation::Folder(path) => mounts(path),
        DesiredLocation::Kubernetes => None,
    };
    let disk = disk(&config.state.data_dir);
    disk.into_iter().chain(never_updated).chain(certificates).collect()
}

/// Parts of the folder that Kubernetes mounted so that they never change; nothing where that cannot be told.
fn mounts(folder: &Path) -> Option<Check> {
    let mounted = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let folder = folder.canonicalize().ok()?;
    let frozen = frozen::mounts(&mounted, &folder);
    let detail = |path: &PathBuf| {
        format!(
            "{} is mounted by subPath: it never changes while the pod lives",
            path.display()
        )
    };
    let details: Vec<_> = frozen.iter().map(detail).collect();
    (!details.is_empty()).then(|| {
        Check::fails_with(
            "mounts",
            details,
            "mount the whole ConfigMap or Secret as a folder, without subPath: until then no edit of it has any effect",
        )
    })
}

fn connections(descriptors: Descriptors) -> Check {
    let Descriptors { files, auth, api } = descriptors;
    let note = format!("{auth} to the auth listener and {api} to the API at a time, of {files} open files");
    let details = descriptors
        .missing()
        .map(|enough| format!("{note}; {enough} would be enough for all"));
    Check::warns_with(
        "connections",
        details.into_iter().collect(),
        "raise the hard limit of open files (LimitNOFILE in systemd, ulimit -Hn)",
    )
    .note(note)
}

/// Room on the disk of the data folder; nothing where it cannot be told.
fn disk(data_dir: &Path) -> Option<Check> {
    let found = rustix::fs::statvfs(data_dir).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let note = format!("{} MiB are free for {}", free >> 20, data_dir.display());
    let advice = "free space: without it grants are refused and nothing new is recorded; logins and denials work on";
    let details = if free < LITTLE { vec![note.clone()] } else { Vec::new() };
    let check = if free < NOTHING {
        Check::fails_with("disk", details, advice)
    } else {
        Check::warns_with("disk", details, advice)
    };
    Some(check.note(note))
}

fn certificate(name: &str, path: &Path) -> Check {
    match expiry_of_file(path) {
        Ok(end) => until(name, &path.display().to_string(), end, Timestamp::now()),
        Err(error) => Check::fails_with(name, vec![error.to_string()], "the one that was read last is in use"),
    }
}

/// How long a certificate is still good.
pub(super) fn until(name: &str, what: &str, end: Timestamp, now: Timestamp) -> Check {
    let left = end.duration_since(now);
    let days = left.as_hours() / 24;
    let advice = "renew it, and look why that did not happen by itself";
    let note = format!("{what} ends in {days} days ({end})");
    if left <= SignedDuration::ZERO {
        let detail = format!("{what} ended at {end}: clients refuse it");
        Check::fails_with(name, vec![detail], advice)
    } else if days < WARN_DAYS {
        Check::warns_with(name, vec![note], advice)
    } else {
        Check::fails_with(name, Vec::new(), advice).note(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::CheckResult;

    #[test]
    fn a_certificate_is_warned_of_before_it_ends() {
        let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
        for (end, result, days) in [
            ("2027-02-24T12:00:00Z", CheckResult::Ok, "90 days"),
            ("2026-12-10T12:00:00Z", CheckResult::Ok, "14 days"),
            ("2026-12-10T11:00:00Z", CheckResult::Warning, "13 days"),
            ("2026-11-26T12:00:01Z", CheckResult::Warning, "0 days"),
            ("2026-11-26T12:00:00Z", CheckResult::Failed, "ended"),
        ] {
            let check = until("certificate/api", "tls.crt", end.parse().unwrap(), now);
            assert_eq!(check.result, result, "{end}");
            let said = check.details.first().or(check.note.as_ref()).unwrap();
            assert!(said.contains(days), "{said}");
        }
    }

    #[test]
    fn what_each_listener_may_have_is_said_and_a_low_limit_is_warned_of() {
        let low = connections(Descriptors::of(1024));
        assert_eq!(low.result, CheckResult::Warning);
        assert!(
            low.details[0].contains("448 to the auth listener and 224 to the API"),
            "{low:?}"
        );
        let enough = connections(Descriptors::of(65_536));
        assert_eq!(enough.result, CheckResult::Ok);
        assert!(enough.note.unwrap().contains("2048"));
    }
}
