//! What needs a hand inside: a bad job, a full disk, retention, and traffic against a model.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use secrecy::SecretBox;

use crate::{clock::ManualClock, credentials::MasterKey, model::access::Period};

const NOON: &str = "2026-03-15T12:00:00Z";

/// The keys of a master key of this byte.
fn keys(byte: u8) -> AuditKeys {
    MasterKey::from_bytes(SecretBox::new(Box::new([byte; 32]))).audit_keys()
}

struct Fixture {
    folder: TempDir,
    clock: Arc<ManualClock>,
    history: History,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::at(NOON.parse().unwrap());
        let history = History::open(&folder.path().join("history.db"), keys(7), clock.clone()).unwrap();
        Self { folder, clock, history }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    /// Runs a closure on the writer's connection, in a job of its own.
    async fn on_writer(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), HistoryError> {
        self.history.store.write(run).await
    }

    async fn actions(&self) -> Vec<String> {
        let page = Page {
            limit: 100_000,
            before: None,
        };
        let rows = self.history.audit_rows(None, page).await.unwrap();
        rows.into_iter().rev().map(|row| row.entry.action).collect()
    }

    async fn limit_pages(&self, pages: i64) {
        self.on_writer(move |conn| conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())))
            .await
            .unwrap();
    }

    /// Leaves room for nothing but what is in the file already.
    async fn fill_disk(&self) {
        self.limit_pages(1).await;
    }
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "test".into(),
        source: "api".into(),
        action: action.into(),
        corporate_id: Some("AB123456".into()),
        ..AuditEntry::default()
    }
}

/// What stands in front of the zeros.
fn in_spool(path: &Path) -> String {
    String::from_utf8(fs::read(path).unwrap()).unwrap().replace('\0', "")
}

/// Larger than any free space in a page.
fn large(action: &str) -> AuditEntry {
    AuditEntry {
        reason: Some("x".repeat(20_000)),
        ..entry(action)
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_job_that_fails_leaves_nothing_in_the_chain() {
    let fixture = Fixture::new();
    fixture.history.audit(vec![entry("first")]).await.unwrap();
    let bad = fixture.on_writer(|conn| {
        conn.execute("INSERT INTO meta VALUES ('half', 'written')", [])?;
        conn.execute("UPDATE audit SET actor = 'somebody else'", []).map(drop)
    });
    let error = bad.await.unwrap_err();
    assert!(error.to_string().contains("audit rows are never changed"), "{error}");
    fixture.history.audit(vec![entry("second")]).await.unwrap();
    assert_eq!(fixture.history.verify().await.unwrap(), 2);
    assert!(
        fixture.history.last_error().is_none(),
        "one bad job is no state of the database"
    );
    let count = |conn: &Connection| conn.query_row("SELECT count(*) FROM meta", [], |row| row.get::<_, i64>(0));
    assert_eq!(fixture.history.store.read(count).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_answers_an_error_writes_nothing_and_is_over_by_itself_when_there_is_space() {
    let fixture = Fixture::new();
    fixture.history.audit(vec![entry("first")]).await.unwrap();
    fixture.fill_disk().await;
    let error = fixture
        .history
        .audit(vec![entry("half"), large("refused")])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no space is left"), "{error}");
    assert!(matches!(
        fixture.history.last_error(),
        Some(HistoryError::Unavailable(_))
    ));
    assert_eq!(
        fixture.actions().await,
        ["first"],
        "reading goes on, and no half of a job is there"
    );
    let delta = UsageDelta {
        account: "a".into(),
        upload: 1,
        download: 2,
        earlier: false,
    };
    let counters = (0..500).map(|n| (format!("corp_a.1.{n}"), (n, n))).collect();
    let node = NodeName("default/n1".into());
    fixture
        .history
        .account_traffic(node.clone(), vec![delta], counters, false)
        .await
        .unwrap_err();
    assert_eq!(fixture.history.totals("a".into()).await.unwrap(), Totals::default());
    assert_eq!(fixture.history.counters(node).await.unwrap(), Counters::default());
    fixture.limit_pages(1_000_000).await;
    until("the error is over without a job", async || {
        fixture.history.last_error().is_none()
    })
    .await;
    fixture.history.audit(vec![large("second")]).await.unwrap();
    assert_eq!(fixture.actions().await, ["first", "second"]);
    assert_eq!(fixture.history.verify().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_wait_in_the_spool_while_the_disk_is_full_and_keep_their_order_and_time() {
    let fixture = Fixture::new();
    fixture.fill_disk().await;
    let spool = fixture.folder.path().join("audit-spool.jsonl");
    assert!(
        fixture.history.audit_or_spool(vec![large("one")]).await,
        "the spool file was written"
    );
    let denied: Timestamp = NOON.parse().unwrap();
    fixture.clock.advance(Duration::from_secs(60));
    assert!(fixture.history.audit_or_spool(vec![large("two")]).await);
    assert!(in_spool(&spool).lines().count() >= 3);
    fixture.limit_pages(1_000_000).await;
    until("the spool is written", async || in_spool(&spool).is_empty()).await;
    fixture.history.audit(vec![entry("three")]).await.unwrap();
    assert_eq!(fixture.actions().await, ["one", "two", "three"]);
    let rows = fixture
        .history
        .audit_rows(None, Page { limit: 9, before: None })
        .await
        .unwrap();
    assert_eq!(rows[2].at, denied);
    assert_eq!(fixture.history.verify().await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_that_was_taken_over_but_not_removed_is_not_written_twice() {
    let fixture = Fixture::new();
    let (path, spool) = (fixture.path(), fixture.folder.path().join("audit-spool.jsonl"));
    fixture.fill_disk().await;
    assert!(fixture.history.audit_or_spool(vec![large("one"), large("two")]).await);
    let left_behind = in_spool(&spool);
    fixture.limit_pages(1_000_000).await;
    until("the spool is written", async || in_spool(&spool).is_empty()).await;
    let Fixture { folder, clock, history } = fixture;
    drop(history);
    // As after a crash between the commit and the removal, and with half a line at the end.
    fs::write(&spool, left_behind + "{\"n\":3,\"at\":\"20").unwrap();
    let history = History::open(&path, keys(7), clock.clone()).unwrap();
    let fixture = Fixture { folder, clock, history };
    fixture.history.audit(vec![entry("three")]).await.unwrap();
    assert_eq!(fixture.actions().await, ["one", "two", "three"]);
    until("the spool is cleared", async || in_spool(&spool).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spool_has_its_room_beforehand_and_keeps_no_more_of_it_than_that() {
    let fixture = Fixture::new();
    let spool = fixture.folder.path().join("audit-spool.jsonl");
    let room = || fs::metadata(&spool).unwrap().len();
    let reserved = room();
    assert!(reserved >= 256 * 1024, "{reserved}");
    fixture.fill_disk().await;
    for _ in 0..5 {
        assert!(fixture.history.audit_or_spool(vec![large("one")]).await);
        assert_eq!(room(), reserved);
    }
    assert!(
        fixture
            .history
            .audit_or_spool((0..20).map(|_| large("two")).collect())
            .await
    );
    assert!(room() > reserved);
    fixture.limit_pages(1_000_000).await;
    until("the spool is written", async || in_spool(&spool).is_empty()).await;
    assert_eq!((room(), fixture.actions().await.len()), (reserved, 25));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attempt_left_behind_in_the_spool_is_never_taken_for_an_entry() {
    let fixture = Fixture::new();
    let (path, spool) = (fixture.path(), fixture.folder.path().join("audit-spool.jsonl"));
    fixture.fill_disk().await;
    assert!(fixture.history.audit_or_spool(vec![large("one")]).await);
    let whole = in_spool(&spool);
    let line = whole.lines().last().unwrap().replace("\"n\":1", "\"n\":2");
    let Fixture { folder, clock, history } = fixture;
    drop(history);
    let lines = whole.len() as u64;
    for (at, left) in [(lines, &line[..9]), (lines + 4096, &line[..]), (200_000, "\n\n{}\n")] {
        use std::io::{Seek, SeekFrom, Write};
        let mut file = fs::File::options().write(true).open(&spool).unwrap();
        file.set_len(256 * 1024).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(left.as_bytes()).unwrap();
    }
    let locked = Connection::open(&path).unwrap();
    locked.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let history = History::open_or_retry(&path, keys(7), clock.clone()).unwrap();
    assert!(history.audit_or_spool(vec![entry("two")]).await);
    assert_eq!(in_spool(&spool).lines().count(), 3, "{}", in_spool(&spool));
    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);
    let fixture = Fixture { folder, clock, history };
    until("all is written", async || fixture.actions().await == ["one", "two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_denials_than_the_spool_holds_leave_a_row_that_counts_them() {
    let fixture = Fixture::new();
    fixture.fill_disk().await;
    assert!(fixture.history.audit_or_spool(vec![large("first")]).await);
    let many = |count| (0..count).map(|_| entry("denied")).collect::<Vec<_>>();
    assert!(fixture.history.audit_or_spool(many(9_999)).await);
    assert!(!fixture.history.audit_or_spool(many(7)).await, "no room is left");
    fixture.limit_pages(1_000_000).await;
    until("all is written", async || fixture.actions().await.len() == 10_001).await;
    let rows = fixture
        .history
        .audit_rows(
            None,
            Page {
                limit: 10_001,
                before: None,
            },
        )
        .await
        .unwrap();
    let lost = rows.iter().find(|row| row.entry.action == "audit.lost").unwrap();
    assert!(lost.entry.reason.as_ref().unwrap().starts_with("7 "));
}

#[tokio::test]
async fn what_somebody_did_by_their_own_address_is_found_among_any_number_of_other_rows() {
    let fixture = Fixture::new();
    let own = |action: &str, id: &str, number: usize| AuditEntry {
        source: OWN_SOURCE.into(),
        corporate_id: Some(id.into()),
        request_id: Some(number.to_string()),
        ..entry(action)
    };
    let mut rows = Vec::new();
    for number in 1..=7 {
        rows.push(own("rotate", "AB123456", number));
        rows.push(own("rotate", "AB123457", 0));
        rows.push(own("subscription.fetched", "AB123456", 0));
        rows.extend((0..300).map(|_| entry("rotate")));
    }
    fixture.history.audit(rows).await.unwrap();
    let found = fixture.history.own_rows("ab123456".into(), "rotate", 5).await.unwrap();
    let numbers: Vec<_> = found.into_iter().filter_map(|row| row.entry.request_id).collect();
    assert_eq!(numbers, ["7", "6", "5", "4", "3"]);
    // By one search, which ends where the limit is.
    let plan = fixture.history.store.read(|conn| {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {}", own::query()))?;
        let steps = plan.query_map(("ab123456", "rotate", 5), |row| row.get::<_, String>(3))?;
        steps.collect::<rusqlite::Result<Vec<_>>>()
    });
    assert_eq!(
        plan.await.unwrap(),
        ["SEARCH audit USING INDEX audit_own (corporate_key=? AND action=?)"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_program_is_named_and_over_when_it_is_let_go() {
    let fixture = Fixture::new();
    let other = Connection::open(fixture.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = fixture.history.audit(vec![entry("refused")]).await.unwrap_err();
    assert!(error.to_string().contains("another program holds a lock"), "{error}");
    assert!(fixture.history.last_error().is_some());
    assert!(
        fixture
            .history
            .audit_rows(None, Page { limit: 1, before: None })
            .await
            .unwrap()
            .is_empty()
    );
    other.execute_batch("ROLLBACK").unwrap();
    until("the error is over", async || fixture.history.last_error().is_none()).await;
    fixture.history.audit(vec![entry("written")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_shows_while_running_is_named_and_a_restored_file_is_taken_up() {
    let fixture = Fixture::new();
    for number in 0..200 {
        fixture.history.audit(vec![large(&format!("a{number}"))]).await.unwrap();
    }
    let backup = fixture.folder.path().join("backup.db");
    fixture.history.backup_to(&backup).await.unwrap();
    let Fixture { folder, clock, history } = fixture;
    drop(history);
    let path = folder.path().join("history.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let history = History::open_or_retry(&path, keys(7), clock.clone()).unwrap();
    assert!(matches!(history.last_error(), Some(HistoryError::Damaged { .. })));
    assert!(matches!(
        history.audit(vec![entry("x")]).await,
        Err(HistoryError::Damaged { .. })
    ));
    assert!(matches!(history.all_totals().await, Err(HistoryError::Damaged { .. })));
    assert!(
        history.audit_or_spool(vec![entry("denied")]).await,
        "a denial is kept all the same"
    );
    fs::rename(&backup, &path).unwrap();
    until("the restored file is open", async || history.last_error().is_none()).await;
    let fixture = Fixture { folder, clock, history };
    until("the denial is written", async || {
        fixture.actions().await.last().unwrap() == "denied"
    })
    .await;
    assert_eq!(fixture.history.verify().await.unwrap(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_removes_the_oldest_rows_in_steps_and_the_chain_still_verifies() {
    let fixture = Fixture::new();
    fixture
        .history
        .audit((0..2_500).map(|n| entry(&format!("old{n}"))).collect())
        .await
        .unwrap();
    let revocation = RevocationRow {
        corporate_id: "AB123456".into(),
        account: "corp_ab123456".into(),
        epoch: 1,
        reason: "Held".into(),
        denied_at: NOON.parse().unwrap(),
        contained_at: None,
        sessions_zero_at: None,
        left_out: Vec::new(),
        withdrawn_at: None,
        deleted_at: None,
    };
    fixture.history.record_revocation(revocation).await.unwrap();
    let poll = || {
        let delta = UsageDelta {
            account: "a".into(),
            upload: 1,
            download: 0,
            earlier: false,
        };
        fixture
            .history
            .account_traffic(NodeName("default/n1".into()), vec![delta], HashMap::new(), false)
    };
    poll().await.unwrap();
    let day = Duration::from_secs(86_400);
    fixture.clock.advance(36 * day);
    poll().await.unwrap();
    let stats = fixture.history.stats().await.unwrap();
    assert_eq!(
        (stats.traffic_hour_rows, stats.traffic_day_rows, stats.audit_rows),
        (1, 2, 2_501)
    );
    fixture.clock.advance(365 * day);
    fixture.history.audit(vec![entry("new")]).await.unwrap();
    let stats = fixture.history.stats().await.unwrap();
    assert_eq!((stats.audit_rows, stats.audit_head), (502, 2_502), "one step");
    assert_eq!(
        (stats.traffic_hour_rows, stats.traffic_day_rows, stats.revocation_rows),
        (0, 1, 1)
    );
    assert_eq!(fixture.history.verify().await.unwrap(), 502);
    fixture.clock.advance(Duration::from_secs(61));
    fixture.history.audit(vec![entry("newer")]).await.unwrap();
    assert_eq!(fixture.actions().await, ["new", "newer"]);
    let stats = fixture.history.stats().await.unwrap();
    assert_eq!(stats.revocation_rows, 0, "it goes with the row that has its state");
    fixture.clock.advance(401 * day);
    poll().await.unwrap();
    fixture.history.audit(vec![entry("last")]).await.unwrap();
    assert_eq!(fixture.actions().await, ["last"]);
    assert_eq!(fixture.history.stats().await.unwrap().audit_head, 2_504);
    assert_eq!(fixture.history.verify().await.unwrap(), 1);
    assert_eq!(
        fixture.history.totals("a".into()).await.unwrap().upload,
        3,
        "a total is for life"
    );
    let error = fixture
        .on_writer(|conn| conn.execute("DELETE FROM audit", []).map(drop))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("removed by retention alone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_and_is_set_back_finds_the_month_again() {
    let fixture = Fixture::new();
    let poll = |bytes| {
        let delta = UsageDelta {
            account: "a".into(),
            upload: bytes,
            download: 0,
            earlier: false,
        };
        fixture
            .history
            .account_traffic(NodeName("default/n1".into()), vec![delta], HashMap::new(), false)
    };
    poll(10).await.unwrap();
    fixture.clock.step_wall("2026-04-01T00:00:00Z".parse().unwrap());
    poll(1).await.unwrap();
    assert_eq!(fixture.history.totals("a".into()).await.unwrap().usage.month, 1);
    fixture.clock.step_wall("2026-03-31T23:59:59Z".parse().unwrap());
    poll(5).await.unwrap();
    let usage = fixture.history.totals("a".into()).await.unwrap().usage;
    assert_eq!((usage.month, usage.lifetime), (15, 16));
    assert_eq!(usage.month_start, Some("2026-03-01T00:00:00Z".parse().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_keep_all_their_bits_and_sums_are_clamped() {
    let fixture = Fixture::new();
    let node = NodeName("default/n1".into());
    let delta = UsageDelta {
        account: "a".into(),
        upload: u64::MAX,
        download: u64::MAX,
        earlier: false,
    };
    let changed = HashMap::from([("corp_a.1.0".to_owned(), (u64::MAX, i64::MAX as u64 + 1))]);
    for _ in 0..2 {
        let (deltas, changed) = (vec![delta.clone(), delta.clone()], changed.clone());
        fixture
            .history
            .account_traffic(node.clone(), deltas, changed, false)
            .await
            .unwrap();
    }
    assert_eq!(fixture.history.counters(node).await.unwrap().ids, changed);
    let totals = fixture.history.totals("a".into()).await.unwrap();
    assert_eq!(
        (totals.upload, totals.usage.lifetime),
        (i64::MAX as u64, i64::MAX as u64)
    );
    assert_eq!(
        fixture.history.traffic_by_day("a".into(), 1).await.unwrap()[0].download,
        i64::MAX as u64
    );
}

/// One thing that happens to a node or the operator.
#[derive(Debug, Clone)]
enum Step {
    Moved {
        node: usize,
        session: u8,
        upload: u32,
        download: u32,
    },
    NodeRestarts {
        node: usize,
    },
    OperatorRestarts,
    TimePasses {
        hours: u16,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2usize, 0..4u8, any::<u32>(), any::<u32>())
            .prop_map(|(node, session, upload, download)| Step::Moved { node, session, upload, download }),
        1 => (0..2usize).prop_map(|node| Step::NodeRestarts { node }),
        1 => Just(Step::OperatorRestarts),
        2 => (1..400u16).prop_map(|hours| Step::TimePasses { hours }),
    ]
}

type NodeCounters = HashMap<String, (u64, u64)>;

/// Polls a node as its lane does: differences against what is kept, everything anew after a restart.
async fn poll(history: &History, name: &NodeName, shown: &NodeCounters, restarted: bool) {
    let kept = history.counters(name.clone()).await.unwrap().ids;
    let base = if restarted { HashMap::new() } else { kept };
    let changed: NodeCounters = shown
        .iter()
        .filter(|(id, now)| base.get(*id) != Some(*now))
        .map(|(id, now)| (id.clone(), *now))
        .collect();
    let deltas = changed
        .iter()
        .map(|(id, (tx, rx))| {
            let (old_tx, old_rx) = base.get(id).copied().unwrap_or_default();
            let account = id.split('.').next().unwrap().to_owned();
            UsageDelta {
                account,
                upload: tx - old_tx,
                download: rx - old_rx,
                earlier: false,
            }
        })
        .collect();
    history
        .account_traffic(name.clone(), deltas, changed, restarted)
        .await
        .unwrap();
    assert_eq!(
        &history.counters(name.clone()).await.unwrap().ids,
        shown,
        "kept counters are those shown"
    );
}

async fn moved_is_counted(steps: Vec<Step>) {
    let Fixture {
        folder,
        clock,
        mut history,
    } = Fixture::new();
    let names = [NodeName("default/n1".into()), NodeName("default/n2".into())];
    let mut nodes = [NodeCounters::new(), NodeCounters::new()];
    let mut expected: HashMap<String, (u64, u64)> = HashMap::new();
    let mut this_month: HashMap<String, (Timestamp, u64)> = HashMap::new();
    for step in steps {
        match step {
            Step::Moved {
                node,
                session,
                upload,
                download,
            } => {
                let account = format!("acc{}", session % 2);
                let (upload, download) = (u64::from(upload), u64::from(download));
                let counter = nodes[node].entry(format!("{account}.1.{session}")).or_default();
                *counter = (counter.0 + upload, counter.1 + download);
                poll(&history, &names[node], &nodes[node], false).await;
                if upload + download > 0 {
                    let total = expected.entry(account.clone()).or_default();
                    *total = (total.0 + upload, total.1 + download);
                    let start = Period::Month.start(crate::clock::Clock::now(&*clock)).unwrap();
                    let month = this_month.entry(account).or_insert((start, 0));
                    if month.0 != start {
                        *month = (start, 0);
                    }
                    month.1 += upload + download;
                }
            }
            Step::NodeRestarts { node } => {
                nodes[node].clear();
                poll(&history, &names[node], &nodes[node], true).await;
            }
            Step::OperatorRestarts => {
                drop(history);
                history = History::open(&folder.path().join("history.db"), keys(7), clock.clone()).unwrap();
            }
            Step::TimePasses { hours } => clock.advance(Duration::from_secs(3600 * u64::from(hours))),
        }
    }
    let totals = history.all_totals().await.unwrap();
    let counted: HashMap<_, _> = totals
        .iter()
        .map(|(name, t)| (name.clone(), (t.upload, t.download)))
        .collect();
    assert_eq!(counted, expected);
    for (name, totals) in totals {
        assert_eq!(totals.usage.lifetime, totals.upload + totals.download);
        assert_eq!(
            (totals.usage.month_start.unwrap(), totals.usage.month),
            this_month[&name]
        );
        let days = history.traffic_by_day(name.clone(), 400).await.unwrap();
        assert!(days.is_sorted_by(|a, b| a.start > b.start));
        let by_day = days
            .iter()
            .fold((0, 0), |sum, row| (sum.0 + row.upload, sum.1 + row.download));
        assert_eq!(by_day, expected[&name], "30 steps stay within the days that are kept");
        assert_eq!(history.totals(name).await.unwrap(), totals);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_that_moved_is_counted_once(steps in proptest::collection::vec(step(), 1..22)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(moved_is_counted(steps));
    }
}

#[tokio::test]
async fn what_is_imported_twice_is_there_once_with_its_own_time_and_the_chain_is_whole() {
    let fixture = Fixture::new();
    let long_ago: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let past = |account: &str| {
        vec![
            Past::Event(ImportedEvent {
                digest: [1; 32],
                at: long_ago,
                entry: entry("import.auth"),
            }),
            Past::Traffic(ImportedTraffic {
                digest: [2; 32],
                account: account.to_owned(),
                upload: 100,
                download: 200,
                days: vec![(long_ago, 10, 20), (NOON.parse().unwrap(), 1, 2)],
            }),
        ]
    };
    fixture.history.audit(vec![entry("grant")]).await.unwrap();
    let delta = UsageDelta {
        account: "corp_ab123456".into(),
        upload: 5,
        download: 6,
        earlier: false,
    };
    let node = NodeName("default/node-1".into());
    let account = fixture
        .history
        .account_traffic(node, vec![delta], HashMap::new(), false);
    account.await.unwrap();
    for _ in 0..2 {
        fixture.history.import(past("corp_ab123456")).await.unwrap();
    }
    assert_eq!(fixture.actions().await, ["grant", "import.auth"]);
    assert_eq!(fixture.history.verify().await.unwrap(), 2);
    let rows = fixture.history.audit_rows(None, Page { limit: 1, before: None });
    assert_eq!(rows.await.unwrap()[0].at, long_ago);
    let totals = fixture.history.totals("corp_ab123456".into()).await.unwrap();
    assert_eq!((totals.upload, totals.download), (105, 206));
    // What the operator counted this month, and what the other system had of it.
    assert_eq!(totals.usage.month, 5 + 6 + 1 + 2);
    let digests = vec![[1; 32], [2; 32], [3; 32]];
    assert_eq!(fixture.history.known_imports(digests).await.unwrap(), 2);
}

#[tokio::test]
async fn what_is_imported_is_where_the_panel_is_counted_from_and_what_a_panel_showed_before_is_not_added() {
    let fixture = Fixture::new();
    let past = |account: &str, number| {
        vec![Past::Traffic(ImportedTraffic {
            digest: [number; 32],
            account: account.to_owned(),
            upload: 100,
            download: 200,
            days: Vec::new(),
        })]
    };
    let panel = NodeName::new("panel", "panel");
    let shown = |account: &str, moved: (u64, u64)| UsageDelta {
        account: account.to_owned(),
        upload: moved.0,
        download: moved.1,
        earlier: false,
    };
    for (account, moved) in [("corp_seen", (100, 250)), ("corp_anew", (1, 2))] {
        let counters = HashMap::from([(account.to_owned(), moved)]);
        let account = fixture
            .history
            .account_traffic(panel.clone(), vec![shown(account, moved)], counters, false);
        account.await.unwrap();
    }
    for (number, account) in [(1, "corp_new"), (2, "corp_seen"), (3, "corp_anew")] {
        fixture.history.import(past(account, number)).await.unwrap();
    }
    let imported = fixture.history.counters(NodeName::imported()).await.unwrap();
    let want = ["corp_new", "corp_anew"].map(|account| (account.to_owned(), (100, 200)));
    assert_eq!(imported.ids, HashMap::from(want));
    let mut totals = Vec::new();
    for account in ["corp_new", "corp_seen", "corp_anew"] {
        let of = fixture.history.totals(account.into()).await.unwrap();
        totals.push((of.upload, of.download));
    }
    assert_eq!(totals, [(100, 200), (100, 250), (101, 202)]);
}

#[tokio::test]
async fn what_was_moved_before_anybody_counted_is_in_the_sum_and_in_no_month_or_day() {
    let fixture = Fixture::new();
    let node = NodeName::new("panel", "panel");
    let delta = |upload, earlier| UsageDelta {
        account: "a".to_owned(),
        upload,
        download: 0,
        earlier,
    };
    for (upload, earlier) in [(500, true), (3, false), (40, true)] {
        let deltas = vec![delta(upload, earlier)];
        let written = fixture
            .history
            .account_traffic(node.clone(), deltas, HashMap::new(), false);
        written.await.unwrap();
    }
    let totals = fixture.history.totals("a".into()).await.unwrap();
    assert_eq!((totals.usage.lifetime, totals.usage.month), (543, 3));
    let days = fixture.history.traffic_by_day("a".into(), 30).await.unwrap();
    assert_eq!(days.iter().map(|day| day.upload).collect::<Vec<_>>(), [3]);
}
