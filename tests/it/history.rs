//! Scenarios of this room.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;
use vpn_operator::{
    clock::{ManualClock, SystemClock},
    gateway::{NodeName, UsageDelta},
    history::{AuditEntry, AuditFilter, History, HistoryError, Page, RevocationRow},
};

use crate::support::audit_keys;

const CHILD_FOLDER: &str = "HISTORY_TEST_CHILD_FOLDER";

fn open(path: &Path) -> History {
    History::open(path, audit_keys(), Arc::new(SystemClock)).unwrap()
}

fn refused(path: &Path) -> HistoryError {
    History::open(path, audit_keys(), Arc::new(SystemClock))
        .err()
        .expect("it must not open")
}

fn entry(id: &str, action: &str) -> AuditEntry {
    AuditEntry {
        actor: "anna".into(),
        source: "api".into(),
        action: action.into(),
        corporate_id: Some(id.into()),
        ..AuditEntry::default()
    }
}

fn page(limit: u32) -> Page {
    Page { limit, before: None }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A closed database with `rows` audit rows of two kilobytes each.
async fn filled(folder: &TempDir, rows: usize) -> PathBuf {
    let path = folder.path().join("history.db");
    let history = open(&path);
    let large = |n: usize| AuditEntry {
        reason: Some(format!("{n:02000}")),
        ..entry("AB123456", "grant")
    };
    history.audit((0..rows).map(large).collect()).await.unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_share_commits_and_the_chain_has_no_gap() {
    let folder = TempDir::new().unwrap();
    let history = open(&folder.path().join("history.db"));
    let writers: Vec<_> = (0..16)
        .map(|writer| {
            let history = history.clone();
            tokio::spawn(async move {
                for number in 0..200 {
                    history
                        .audit(vec![entry(&format!("W{writer}"), &format!("{number}"))])
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(history.verify().await.unwrap(), 3_200);
    let commits = history.commits();
    println!("3,200 rows in {commits} commits");
    assert!(commits < 1_600, "{commits} commits for 3,200 rows");
    let rows = history.audit_rows(Some("w7".into()), page(1_000)).await.unwrap();
    let numbers: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| row.entry.action.parse::<u32>().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (0..200).collect::<Vec<_>>(),
        "each writer's rows are in its order"
    );
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "started by kill_9_loses_nothing_that_was_answered"]
fn child_that_writes_until_it_is_killed() {
    let folder = PathBuf::from(std::env::var(CHILD_FOLDER).expect("started without a folder"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let history = open(&folder.join("history.db"));
        for number in 1u64.. {
            history
                .audit(vec![entry("AB123456", &number.to_string())])
                .await
                .unwrap();
            let delta = UsageDelta {
                account: "a".into(),
                upload: 1,
                download: 0,
                earlier: false,
            };
            let changed = HashMap::from([("a.1.0".to_owned(), (number, 0))]);
            let node = NodeName("default/n1".into());
            history
                .account_traffic(node, vec![delta], changed, false)
                .await
                .unwrap();
            println!("answered {number}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_that_was_answered() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut least = 0;
    for lines in [3, 40, 11] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "history::child_that_writes_until_it_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answered = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.contains("answered "))
            .take(lines)
            .count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(answered, lines, "the child stopped by itself");
        least += i64::try_from(answered).unwrap();
        let history = open(&path);
        let rows = history.verify().await.unwrap();
        assert!(rows >= least.try_into().unwrap(), "{rows} rows, {least} were answered");
        let moved = history.totals("a".into()).await.unwrap().upload;
        assert!(i64::try_from(moved).unwrap() >= least);
        history.check().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_is_in_the_files_before_they_are_closed() {
    let folder = TempDir::new().unwrap();
    let copied = TempDir::new().unwrap();
    let history = open(&folder.path().join("history.db"));
    history.audit(vec![entry("AB123456", "grant")]).await.unwrap();
    for name in ["history.db", "history.db-wal"] {
        fs::copy(folder.path().join(name), copied.path().join(name)).unwrap();
    }
    let history = open(&copied.path().join("history.db"));
    assert_eq!(history.verify().await.unwrap(), 1);
}

#[tokio::test]
async fn a_second_owner_is_refused_by_name_and_may_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let history = open(&path);
    history.audit(vec![entry("AB123456", "grant")]).await.unwrap();
    let error = refused(&path).to_string();
    assert!(
        error.contains(&format!("in use by process {}", std::process::id())),
        "{error}"
    );
    let reader = History::open_read_only(&path, audit_keys(), Arc::new(SystemClock));
    assert_eq!(reader.verify().await.unwrap(), 1);
    assert_eq!(reader.stats().await.unwrap().audit_rows, 1);
    assert!(reader.audit(vec![entry("AB123456", "grant")]).await.is_err());
    drop(history);
    assert_eq!(open(&path).verify().await.unwrap(), 1);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = filled(&folder, 1).await;
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    conn.close().unwrap();
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, HistoryError::Newer { found: 99, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let reader = History::open_read_only(&path, audit_keys(), Arc::new(SystemClock));
    assert!(matches!(reader.verify().await, Err(HistoryError::Newer { .. })));

    // The newer version was killed: its step is only in the log.
    let other = TempDir::new().unwrap();
    let path = filled(&other, 1).await;
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 98).unwrap();
    let killed = TempDir::new().unwrap();
    let copy = killed.path().join("history.db");
    fs::copy(&path, &copy).unwrap();
    fs::copy(
        other.path().join("history.db-wal"),
        killed.path().join("history.db-wal"),
    )
    .unwrap();
    let before = fs::read(&copy).unwrap();
    let error = refused(&copy);
    assert!(matches!(error, HistoryError::Newer { found: 98, .. }), "{error}");
    assert_eq!(fs::read(&copy).unwrap(), before);
}

#[tokio::test]
async fn a_damaged_file_is_named_and_left_as_it_is() {
    let folder = TempDir::new().unwrap();
    let path = filled(&folder, 200).await;
    let good = fs::read(&path).unwrap();
    let half = good.len() / 2;
    let mut overwritten = good.clone();
    overwritten[half..half + 4096].fill(0xA5);
    let mut beheaded = good.clone();
    beheaded[..16].fill(0);
    let damages = [
        ("truncated", good[..half].to_vec()),
        ("overwritten", overwritten),
        ("no header", beheaded),
        ("text", b"this is not a database, but somebody's notes".to_vec()),
    ];
    for (name, bytes) in damages {
        fs::write(&path, &bytes).unwrap();
        let error = refused(&path);
        assert!(matches!(error, HistoryError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("history.db"), "{name}: {error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(open(&path).verify().await.unwrap(), 200);

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE mine (x)")
        .unwrap();
    let error = refused(&foreign).to_string();
    assert!(error.contains("another program"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = TempDir::new().unwrap();
    let error = refused(&folder.path().join("missing/history.db")).to_string();
    assert!(
        error.contains("missing/history.lock") && error.contains("create the folder"),
        "{error}"
    );
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        refused(&file.join("history.db")),
        HistoryError::Unavailable(_)
    ));
    let occupied = folder.path().join("occupied.db");
    fs::create_dir(&occupied).unwrap();
    assert!(matches!(refused(&occupied), HistoryError::Unavailable(_)));
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    drop(open(&path));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let history = open(&path);
    history.audit(vec![entry("AB123456", "grant")]).await.unwrap();
    history.backup_to(&folder.path().join("backup.db")).await.unwrap();
    for file in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            file.file_name()
        );
    }
}

#[tokio::test]
async fn a_row_that_was_changed_or_removed_by_hand_is_named() {
    for (change, named) in [
        ("UPDATE audit SET reason = 'because' WHERE seq = 17", "audit row 17"),
        ("UPDATE audit SET corporate_key = 'x' WHERE seq = 18", "audit row 18"),
        ("DELETE FROM audit WHERE seq = 19", "audit row 19 is missing"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 20", "audit row 20"),
        (
            "UPDATE audit_checkpoint SET hash = randomblob(32), through = 0",
            "audit row 1 ",
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let path = filled(&folder, 40).await;
        let conn = Connection::open(&path).unwrap();
        assert!(conn.execute(change, []).is_err(), "a trigger must forbid: {change}");
        conn.execute_batch(
            "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; DROP TRIGGER audit_checkpoint_rises;",
        )
        .unwrap();
        assert_eq!(conn.execute(change, []).unwrap(), 1);
        conn.close().unwrap();
        let error = open(&path).verify().await.unwrap_err().to_string();
        assert!(error.contains(named), "{change}: {error}");
    }
}

#[tokio::test]
async fn audit_rows_are_read_by_page_person_and_filter() {
    let folder = TempDir::new().unwrap();
    let history = open(&folder.path().join("history.db"));
    for number in 0..10 {
        let id = if number % 2 == 0 { "AB123456" } else { "cd000001" };
        let mut entry = entry(id, if number < 5 { "grant" } else { "deactivate" });
        entry.actor = format!("person{}", number % 3);
        entry.before = Some(r#"{"active":true}"#.into());
        entry.request_id = Some(format!("r{number}"));
        history.audit(vec![entry]).await.unwrap();
    }
    let seqs = |rows: &[vpn_operator::history::AuditRow]| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    let rows = history.audit_rows(None, page(3)).await.unwrap();
    assert_eq!(seqs(&rows), [10, 9, 8]);
    assert_eq!(rows[0].entry.request_id.as_deref(), Some("r9"));
    assert_eq!(rows[0].entry.before.as_deref(), Some(r#"{"active":true}"#));
    assert_eq!(rows[0].entry.corporate_id.as_deref(), Some("cd000001"));
    let next = Page {
        limit: 3,
        before: Some(8),
    };
    assert_eq!(seqs(&history.audit_rows(None, next).await.unwrap()), [7, 6, 5]);
    let person = history.audit_rows(Some("CD000001".into()), page(9)).await.unwrap();
    assert_eq!(seqs(&person), [10, 8, 6, 4, 2]);
    let filter = AuditFilter {
        actor: Some("person0".into()),
        action: Some("deactivate".into()),
        since: Some(rows[2].at),
        ..AuditFilter::default()
    };
    assert_eq!(seqs(&history.audit_search(filter, page(9)).await.unwrap()), [10]);
    let filter = AuditFilter {
        until: Some(rows[2].at),
        ..AuditFilter::default()
    };
    assert_eq!(seqs(&history.audit_search(filter, page(2)).await.unwrap()), [7, 6]);
}

#[tokio::test]
async fn no_credential_reaches_the_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let history = open(&path);
    let leak = "hysteria2://corp_a:NEEDLE@h/?obfs-password=NEEDLE and https://h/sub/NEEDLE";
    let leaking = AuditEntry {
        before: Some(leak.into()),
        after: Some(leak.into()),
        reason: Some(leak.into()),
        request_id: Some(leak.into()),
        ..entry(leak, leak)
    };
    history.audit(vec![leaking.clone()]).await.unwrap();
    assert!(history.audit_or_spool(vec![leaking]).await);
    drop(history);
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"NEEDLE"));
    assert!(bytes.windows(10).any(|window| window == b"[redacted]"));
}

#[tokio::test]
async fn a_revocation_is_completed_and_its_times_never_move() {
    let folder = TempDir::new().unwrap();
    let history = open(&folder.path().join("history.db"));
    let first = RevocationRow {
        corporate_id: "AB123456".into(),
        account: "corp_ab123456".into(),
        epoch: 3,
        reason: "Held".into(),
        denied_at: at("2026-03-01T10:00:00Z"),
        contained_at: None,
        sessions_zero_at: None,
        left_out: Vec::new(),
        withdrawn_at: None,
        deleted_at: None,
    };
    let contained = RevocationRow {
        contained_at: Some(at("2026-03-01T10:00:01Z")),
        ..first.clone()
    };
    let later = RevocationRow {
        denied_at: at("2026-03-02T00:00:00Z"),
        contained_at: Some(at("2026-03-02T00:00:00Z")),
        sessions_zero_at: Some(at("2026-03-01T10:00:09Z")),
        ..first.clone()
    };
    let next_epoch = RevocationRow {
        epoch: 4,
        denied_at: at("2026-03-05T10:00:00Z"),
        ..first.clone()
    };
    for row in [&first, &contained, &first, &later, &next_epoch] {
        history.record_revocation(row.clone()).await.unwrap();
    }
    let complete = RevocationRow {
        sessions_zero_at: later.sessions_zero_at,
        ..contained
    };
    assert_eq!(
        history.revocations("ab123456".into(), 9).await.unwrap(),
        [next_epoch.clone(), complete]
    );
    assert_eq!(history.revocations("AB123456".into(), 1).await.unwrap(), [next_epoch]);
    assert!(history.revocations("AB999999".into(), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn whose_last_session_nobody_saw_go_is_kept_until_somebody_does() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let deleted = |id: &str, deleted_at: Option<&str>, zero: Option<&str>| RevocationRow {
        corporate_id: id.to_ascii_uppercase(),
        account: format!("corp_{id}"),
        epoch: 3,
        reason: "Deleted".into(),
        denied_at: at("2026-03-01T10:00:00Z"),
        contained_at: Some(at("2026-03-01T10:00:01Z")),
        sessions_zero_at: zero.map(at),
        left_out: Vec::new(),
        withdrawn_at: None,
        deleted_at: deleted_at.map(at),
    };
    let (early, late) = (Some("2026-03-01T09:59:59Z"), Some("2026-03-02T00:00:00Z"));
    let history = open(&path);
    let anna = deleted("ab000001", early, None);
    for row in [
        // First as it is while the object is there, then when it goes.
        deleted("ab000001", None, None),
        anna.clone(),
        deleted("ab000002", None, None),
        deleted("ab000003", late, Some("2026-03-02T00:00:09Z")),
        deleted("ab000004", late, None),
    ] {
        history.record_revocation(row).await.unwrap();
    }
    drop(history);
    let history = open(&path);
    let unseen = async |since: &str, limit| history.unseen_zeros(at(since), limit).await.unwrap();
    let all = unseen("2026-03-01T00:00:00Z", 9).await;
    assert_eq!(all, [deleted("ab000004", late, None), anna.clone()]);
    assert_eq!(unseen("2026-03-01T00:00:00Z", 1).await, all[..1]);
    assert_eq!(unseen("2026-03-01T12:00:00Z", 9).await, all[..1]);
    let seen = deleted("ab000001", early, Some("2026-03-01T10:20:00Z"));
    history.record_revocation(seen.clone()).await.unwrap();
    assert_eq!(unseen("2026-03-01T00:00:00Z", 9).await, all[..1]);
    assert_eq!(history.revocations("AB000001".into(), 9).await.unwrap(), [seen]);
}

#[tokio::test]
async fn a_claim_that_was_taken_back_is_replaced_by_the_time_from_which_it_held() {
    let folder = TempDir::new().unwrap();
    let history = open(&folder.path().join("history.db"));
    let row = |contained: Option<&str>, withdrawn: Option<&str>, left_out: &[&str]| RevocationRow {
        corporate_id: "AB123456".into(),
        account: "corp_ab123456".into(),
        epoch: 3,
        reason: "Held".into(),
        denied_at: at("2026-03-01T10:00:00Z"),
        contained_at: contained.map(at),
        sessions_zero_at: None,
        left_out: left_out.iter().map(ToString::to_string).collect(),
        withdrawn_at: withdrawn.map(at),
        deleted_at: None,
    };
    let (first, taken, last) = ("2026-03-01T10:00:01Z", "2026-03-01T10:00:03Z", "2026-03-01T10:00:09Z");
    let stored = async || history.revocations("ab123456".into(), 9).await.unwrap().remove(0);
    history.record_revocation(row(Some(first), None, &[])).await.unwrap();
    history.record_revocation(row(None, Some(taken), &[])).await.unwrap();
    assert_eq!(stored().await, row(None, Some(taken), &[]));
    history
        .record_revocation(row(Some(last), Some(taken), &[]))
        .await
        .unwrap();
    history
        .record_revocation(row(None, None, &["default/a", "default/b"]))
        .await
        .unwrap();
    assert_eq!(
        stored().await,
        row(Some(last), Some(taken), &["default/a", "default/b"])
    );
}

#[tokio::test]
async fn a_poll_that_brought_nothing_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let history = open(&path);
    let node = NodeName("default/n1".into());
    let wal = || fs::read(folder.path().join("history.db-wal")).unwrap_or_default();
    let before = (history.commits(), wal());
    history
        .account_traffic(node.clone(), vec![], HashMap::new(), false)
        .await
        .unwrap();
    assert_eq!((history.commits(), wal()), before);
    let changed = HashMap::from([("a.1.0".to_owned(), (5, 6)), ("a.1.1".to_owned(), (7, 8))]);
    history
        .account_traffic(node.clone(), vec![], changed.clone(), false)
        .await
        .unwrap();
    assert_eq!(history.counters(node.clone()).await.unwrap().ids, changed);
    history
        .account_traffic(node.clone(), vec![], HashMap::new(), true)
        .await
        .unwrap();
    assert!(
        history.counters(node).await.unwrap().ids.is_empty(),
        "a restarted node starts anew"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_while_rows_are_written_is_whole_and_can_be_opened() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let history = open(&path);
    let writer = {
        let history = history.clone();
        tokio::spawn(async move {
            for number in 0..300 {
                history
                    .audit(vec![entry("AB123456", &number.to_string())])
                    .await
                    .unwrap();
            }
        })
    };
    let backup = folder.path().join("backups.db");
    fs::write(&backup, "the backup of yesterday").unwrap();
    while history.audit_rows(None, page(1)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    history.backup_to(&backup).await.unwrap();
    writer.await.unwrap();
    let restored = TempDir::new().unwrap();
    let target = restored.path().join("history.db");
    fs::copy(&backup, &target).unwrap();
    let rows = open(&target).verify().await.unwrap();
    assert!((1..=300).contains(&rows), "{rows}");
    let error = history.backup_to(&path).await.unwrap_err().to_string();
    assert!(error.contains("is the database itself"), "{error}");
    let error = history
        .backup_to(&folder.path().join("missing/b.db"))
        .await
        .unwrap_err();
    assert!(matches!(error, HistoryError::Unavailable(_)), "{error}");
    assert_eq!(history.verify().await.unwrap(), 300);
}

#[tokio::test]
async fn a_degraded_history_answers_its_error_and_loses_no_denial_silently() {
    let history = History::degraded(HistoryError::Unavailable("the disk is gone".into()));
    assert!(history.last_error().unwrap().to_string().contains("the disk is gone"));
    assert!(history.audit(vec![entry("AB123456", "grant")]).await.is_err());
    assert!(history.all_totals().await.is_err());
    assert!(!history.audit_or_spool(vec![entry("AB123456", "access.denied")]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_cannot_open_yet_takes_up_the_database_when_it_can() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let owner = open(&path);
    let waiting = History::open_or_retry(&path, audit_keys(), Arc::new(SystemClock)).unwrap();
    assert!(waiting.last_error().is_some());
    assert!(!waiting.audit_or_spool(vec![entry("AB123456", "access.denied")]).await);
    let spool = std::fs::read(folder.path().join("audit-spool.jsonl")).unwrap();
    assert!(spool.iter().all(|byte| *byte == 0), "the folder is another's");
    owner.audit(vec![entry("AB123456", "grant")]).await.unwrap();
    drop(owner);
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    while waiting.last_error().is_some() || waiting.stats().await.unwrap().spooled_entries > 0 {
        assert!(Instant::now() < deadline, "it did not take up the database");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let rows = waiting.audit_rows(None, page(9)).await.unwrap();
    let actions: Vec<_> = rows.iter().map(|row| row.entry.action.as_str()).collect();
    assert_eq!(actions, ["access.denied", "grant"]);
}

/// Prints what the table of docs/history.md was made from. Run it with
/// `cargo test --test it history::sizes -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; takes a minute"]
async fn sizes_and_times_of_a_sample() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let clock = ManualClock::at(at("2026-03-15T12:00:00Z"));
    let history = History::open(&path, audit_keys(), clock.clone()).unwrap();
    let mut last = 0;
    let mut grown = async |history: &History, what: &str, rows: u64, started: Instant| {
        let took = started.elapsed();
        let copy = folder.path().join("copy.db");
        history.backup_to(&copy).await.unwrap();
        let size = fs::metadata(&copy).unwrap().len();
        println!("{what}: {rows} rows, {} bytes a row, {took:?}", (size - last) / rows);
        last = size;
    };
    let started = Instant::now();
    for block in 0..100 {
        let sample = |n: u32| AuditEntry {
            before: Some(r#"{"access":"Granted","reason":"Active"}"#.into()),
            after: Some(r#"{"access":"Denied","reason":"Held"}"#.into()),
            reason: Some("hold hr-deactivated-ab123456".into()),
            request_id: Some("01JN8Z6Z5W4Q8X0V7T3K2M1H9G".into()),
            ..entry(&format!("AB{:06}", (block * 1_000 + n) % 10_000), "access.denied")
        };
        history.audit((0..1_000).map(sample).collect()).await.unwrap();
    }
    grown(&history, "audit", 100_000, started).await;
    let started = Instant::now();
    println!("verify: {} rows", history.verify().await.unwrap());
    println!("verify took {:?}", started.elapsed());
    let started = Instant::now();
    let revocations: Vec<_> = (0..10_000i64)
        .map(|n| {
            let now = Timestamp::now();
            let row = RevocationRow {
                corporate_id: format!("AB{n:06}"),
                account: format!("corp_ab{n:06}"),
                epoch: 2,
                reason: "Held".into(),
                denied_at: now,
                contained_at: Some(now),
                sessions_zero_at: Some(now),
                left_out: Vec::new(),
                withdrawn_at: None,
                deleted_at: None,
            };
            let history = history.clone();
            tokio::spawn(async move { history.record_revocation(row).await })
        })
        .collect();
    for revocation in revocations {
        revocation.await.unwrap().unwrap();
    }
    grown(&history, "revocations", 10_000, started).await;
    let poll = |history: History| async move {
        let deltas = (0..10_000)
            .map(|n| UsageDelta {
                account: format!("corp_ab{n:06}"),
                upload: 1_000_000,
                download: 30_000_000,
                earlier: false,
            })
            .collect();
        let changed = (0..10_000u64)
            .map(|n| (format!("corp_ab{n:06}.1.0"), (n + 1_000_000, n + 30_000_000)))
            .collect();
        history
            .account_traffic(NodeName("default/n1".into()), deltas, changed, false)
            .await
            .unwrap();
    };
    let started = Instant::now();
    poll(history.clone()).await;
    grown(
        &history,
        "first poll with 10,000 accounts (account, hour, day, counter)",
        10_000,
        started,
    )
    .await;
    for (what, hours) in [("traffic of an hour", 1), ("traffic of an hour and a day", 24)] {
        clock.advance(std::time::Duration::from_secs(3600 * hours));
        let started = Instant::now();
        poll(history.clone()).await;
        grown(&history, what, 10_000, started).await;
    }
    let started = Instant::now();
    poll(history.clone()).await;
    println!("next poll with 10,000 moving accounts: {:?}", started.elapsed());
    let started = Instant::now();
    println!(
        "all_totals: {} accounts in {:?}",
        history.all_totals().await.unwrap().len(),
        started.elapsed()
    );
    time_audits(&history).await;
    println!("{:?}", history.stats().await.unwrap());
}

async fn time_audits(history: &History) {
    for writers in [1, 16] {
        let (started, before) = (Instant::now(), history.commits());
        let tasks: Vec<_> = (0..writers)
            .map(|_| {
                let history = history.clone();
                tokio::spawn(async move {
                    for _ in 0..500 {
                        history.audit(vec![entry("AB123456", "grant")]).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        println!(
            "{writers} writers: {:?} an audit, {} commits for {} audits",
            started.elapsed() / 500,
            history.commits() - before,
            500 * writers
        );
    }
}

/// A disk that is really full. Give it an empty folder on a file system of two megabytes:
/// `mount -t tmpfs -o size=2m tmpfs DIR && HISTORY_TEST_SMALL_DISK=DIR cargo test --test it history::a_really -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a small file system"]
async fn a_really_full_disk_loses_nothing_and_is_over_by_itself() {
    let folder = PathBuf::from(std::env::var("HISTORY_TEST_SMALL_DISK").unwrap());
    let path = folder.join("history.db");
    let history = open(&path);
    let large = |action: &str| AuditEntry {
        reason: Some("x".repeat(10_000)),
        ..entry("AB123456", action)
    };
    let mut written = 0;
    let error = loop {
        match history.audit(vec![large("grant")]).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("no space is left"), "{error}");
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    assert!(
        history.audit_or_spool(vec![large("access.denied")]).await,
        "the spool has its room"
    );
    assert_eq!(history.verify().await.unwrap(), written, "reading goes on");
    fs::remove_file(ballast).unwrap();
    Command::new("mount")
        .args(["-o", "remount,size=8m"])
        .arg(&folder)
        .status()
        .unwrap();
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    while history.last_error().is_some() || history.stats().await.unwrap().spooled_entries > 0 {
        assert!(Instant::now() < deadline, "{:?}", history.last_error());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    history.audit(vec![entry("AB123456", "after")]).await.unwrap();
    let rows = history.audit_rows(None, page(10)).await.unwrap();
    assert!(rows.iter().any(|row| row.entry.action == "access.denied"));
    assert_eq!(history.verify().await.unwrap(), written + 2);
    history.check().await.unwrap();
}
