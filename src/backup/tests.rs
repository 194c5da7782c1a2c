//! Taking, checking and putting back, with databases that are in use.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretBox;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock, SystemClock},
    credentials::{AuditKeys, MasterKey},
    history::{AuditEntry, History, Page},
    verdicts::{GUARD_FILE, VerdictStore},
};

const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// A data folder with an operator's databases in use.
struct Running {
    data: TempDir,
    history: History,
    verdicts: Arc<VerdictStore>,
}

fn keys() -> AuditKeys {
    MasterKey::from_bytes(SecretBox::new(Box::new([0x6f; 32]))).audit_keys()
}

impl Running {
    fn new() -> Self {
        let data = TempDir::new().unwrap();
        let history = History::open(&data.path().join("history.db"), keys(), Arc::new(SystemClock)).unwrap();
        let (verdicts, _) = VerdictStore::open(&data.path().join(GUARD_FILE), Arc::new(SystemClock), WINDOW);
        fs::create_dir(data.path().join("holds")).unwrap();
        Self {
            data,
            history,
            verdicts: Arc::new(verdicts),
        }
    }

    fn source(&self) -> Source {
        let verdicts = Arc::clone(&self.verdicts);
        Source {
            data: self.data.path().to_owned(),
            owned: vec![(GUARD_FILE, Arc::new(move |target: &Path| verdicts.backup_to(target)))],
        }
    }

    async fn audits(&self, action: &str) {
        self.history.audit(vec![entry(action)]).await.unwrap();
    }

    fn holds(&self, name: &str) {
        fs::write(self.data.path().join("holds").join(name), "kind: VpnHold\n").unwrap();
    }
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "test".into(),
        source: "api".into(),
        action: action.into(),
        ..AuditEntry::default()
    }
}

async fn actions(data: &Path) -> Vec<String> {
    let history = History::open_read_only(&data.join("history.db"), keys(), Arc::new(SystemClock));
    let page = Page {
        limit: 100,
        before: None,
    };
    let rows = history.audit_rows(None, page).await.unwrap();
    rows.into_iter().rev().map(|row| row.entry.action).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn taken(running: &Running, into: &TempDir) -> PathBuf {
    take(&running.source(), into.path(), at("2026-03-15T02:00:00Z"))
        .await
        .unwrap()
        .0
}

#[tokio::test]
async fn a_backup_of_what_is_in_use_is_put_back_as_it_was() {
    let (running, into) = (Running::new(), TempDir::new().unwrap());
    running.audits("grant").await;
    running.holds("api-x-ab1.yaml");
    let folder = taken(&running, &into).await;
    assert_eq!(folder.file_name().unwrap(), "2026-03-15T020000Z");
    let second = taken(&running, &into).await;
    assert_eq!(second.file_name().unwrap(), "2026-03-15T020000Z-2");
    assert_eq!(list(into.path()).unwrap().last().unwrap().1, second);
    let manifest = check(&folder).await.unwrap();
    let names: Vec<&str> = manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["guard.db", "history.db", "holds/api-x-ab1.yaml"]);
    assert_eq!(manifest.audit.as_ref().map(|end| end.seq), Some(1));

    running.audits("deactivate").await;
    let Running {
        data,
        history,
        verdicts,
    } = running;
    drop((history, verdicts));
    fs::write(data.path().join("holds/api-later-ab2.yaml"), "kind: VpnHold\n").unwrap();
    fs::remove_file(data.path().join("holds/api-x-ab1.yaml")).unwrap();
    let restored = restore(&folder, data.path(), at("2026-03-16T02:00:00Z")).await.unwrap();
    assert_eq!(actions(data.path()).await, ["grant"]);
    assert_eq!((restored.holds_added, restored.holds_kept), (1, 0));
    let here = |name: &str| data.path().join("holds").join(name).exists();
    assert!(
        here("api-x-ab1.yaml") && here("api-later-ab2.yaml"),
        "no denial is undone"
    );
    // What was there is kept, with what was recorded since.
    assert_eq!(actions(&restored.aside.unwrap()).await, ["grant", "deactivate"]);
    let again = History::open(&data.path().join("history.db"), keys(), Arc::new(SystemClock)).unwrap();
    again.audit(vec![entry("activate")]).await.unwrap();
    assert_eq!(again.verify().await.unwrap(), 2);
}

#[tokio::test]
async fn a_backup_that_was_changed_is_not_put_back() {
    let (running, into) = (Running::new(), TempDir::new().unwrap());
    running.audits("grant").await;
    let folder = taken(&running, &into).await;
    let file = folder.join("guard.db");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let data = TempDir::new().unwrap();
    let refused = restore(&folder, data.path(), at("2026-03-16T02:00:00Z"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("guard.db cannot be used"), "{refused}");
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "nothing was changed");
    // Nor one that names files elsewhere.
    let manifest = folder.join("manifest.json");
    let text = fs::read_to_string(&manifest)
        .unwrap()
        .replace("\"guard.db\"", "\"../guard.db\"");
    fs::write(&manifest, text).unwrap();
    assert!(
        check(&folder)
            .await
            .unwrap_err()
            .to_string()
            .contains("which no backup has")
    );
}

#[tokio::test]
async fn what_somebody_runs_on_is_not_overwritten() {
    let (running, into) = (Running::new(), TempDir::new().unwrap());
    running.audits("grant").await;
    let folder = taken(&running, &into).await;
    let refused = restore(&folder, running.data.path(), at("2026-03-16T02:00:00Z"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("in use by process"), "{refused}");
    running.audits("still there").await;
    assert_eq!(actions(running.data.path()).await, ["grant", "still there"]);
}

#[tokio::test]
async fn a_broken_chain_is_no_backup_and_leaves_nothing_behind() {
    let (running, into) = (Running::new(), TempDir::new().unwrap());
    running.audits("grant").await;
    let db = rusqlite::Connection::open(running.data.path().join("history.db")).unwrap();
    db.execute_batch("DROP TRIGGER audit_no_update; UPDATE audit SET actor = 'nobody'")
        .unwrap();
    let refused = take(&running.source(), into.path(), at("2026-03-15T02:00:00Z"))
        .await
        .unwrap_err();
    assert!(matches!(refused, BackupError::History(_)), "{refused}");
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn backups_come_as_planned_and_only_the_latest_stay() {
    let (running, into) = (Running::new(), TempDir::new().unwrap());
    running.audits("grant").await;
    fs::create_dir(into.path().join("2020-01-01T000000Z")).unwrap();
    let clock = ManualClock::at(at("2026-03-15T02:00:00Z"));
    let plan = Plan {
        folder: into.path().to_owned(),
        every: Duration::from_secs(3600),
        keep: 2,
    };
    let backups = Arc::new(Backups::new(plan.clone(), running.source(), clock.clone()));
    assert_eq!(backups.health().last, None);
    for _ in 0..4 {
        backups.take().await.unwrap();
        clock.advance(Duration::from_secs(3600));
    }
    let kept: Vec<Timestamp> = list(into.path()).unwrap().into_iter().map(|(at, _)| at).collect();
    assert_eq!(kept, [at("2026-03-15T04:00:00Z"), at("2026-03-15T05:00:00Z")]);
    assert!(
        into.path().join("2020-01-01T000000Z").exists(),
        "no backup: not ours to remove"
    );
    let health = Backups::new(plan.clone(), running.source(), clock.clone()).health();
    assert_eq!(health.last, kept.last().copied(), "the next process goes on from there");
    assert!(!health.is_overdue(&plan, clock.now()));
    clock.advance(Duration::from_secs(1801));
    assert!(health.is_overdue(&plan, clock.now()));

    // Due by now: taken without anybody asking for it.
    let (end, runs) = (CancellationToken::new(), Arc::clone(&backups));
    let cancel = end.clone();
    let task = tokio::spawn(async move { runs.run(cancel).await });
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while backups.health().last != Some(clock.now()) {
        assert!(std::time::Instant::now() < deadline, "{:?}", backups.health());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    end.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_until_it_can() {
    let (running, into) = (Running::new(), TempDir::new().unwrap());
    let folder = into.path().join("backups");
    fs::write(&folder, "in the way").unwrap();
    let plan = Plan {
        folder: folder.clone(),
        every: Duration::from_secs(3600),
        keep: 2,
    };
    let backups = Backups::new(plan, running.source(), Arc::new(SystemClock));
    backups.take().await.unwrap_err();
    let health = backups.health();
    assert_eq!((health.failures, health.failing.is_some()), (1, true));
    fs::remove_file(&folder).unwrap();
    backups.take().await.unwrap();
    assert_eq!(backups.health().failing, None);
}
