//! A person is forgotten, and the chain stays what it was: what is emptied, what vouches for it, and who is found who empties
//! rows without the key. And who had access when, against the rows that it is taken from.

use std::{fs, path::PathBuf, sync::Arc};

use rusqlite::Connection;
use secrecy::SecretBox;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock},
    credentials::MasterKey,
};

const ANNA: &str = "AB123456";
/// What stands in the rows about her, and must be nowhere afterwards.
const TEXTS: [&str; 6] = [
    "Anna-Needle",
    "needle@corp.example",
    "192.0.2.77",
    "needle-reason",
    "needle-request",
    "needle-state",
];

struct Fixture {
    folder: TempDir,
    clock: Arc<ManualClock>,
    keys: AuditKeys,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            clock: ManualClock::at("2026-03-15T12:00:00Z".parse().unwrap()),
            keys: MasterKey::from_bytes(SecretBox::new(Box::new([7; 32]))).audit_keys(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    fn open(&self) -> History {
        History::open(&self.path(), self.keys.clone(), self.clock.clone()).unwrap()
    }

    async fn findings(&self) -> Vec<String> {
        let history = History::open_read_only(&self.path(), self.keys.clone(), self.clock.clone());
        let verified = history.verified().await.unwrap();
        assert!(verified.is_proved() || !verified.findings.is_empty());
        verified.findings.into_iter().map(|finding| finding.what).collect()
    }

    /// The file, for somebody who has no key and no respect.
    fn tamper(&self, sql: &str) {
        let conn = Connection::open(self.path()).unwrap();
        let triggers: Vec<String> = conn
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for trigger in triggers {
            conn.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        conn.execute_batch(sql).unwrap();
    }

    /// Names of the files in the folder in which one of the texts stands.
    fn found_in(&self) -> Vec<String> {
        let mut found = Vec::new();
        for file in fs::read_dir(self.folder.path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            for text in TEXTS {
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(format!("{}: {text}", path.display()));
                }
            }
        }
        found
    }
}

fn personal(action: &str) -> AuditEntry {
    AuditEntry {
        actor: "helpdesk".into(),
        source: "api".into(),
        action: action.into(),
        corporate_id: Some(ANNA.into()),
        before: Some("needle-state".into()),
        after: Some("Anna-Needle needle@corp.example".into()),
        reason: Some("needle-reason".into()),
        request_id: Some("needle-request".into()),
        address: Some("192.0.2.77".into()),
        event: Some("7".into()),
    }
}

fn other(n: u32) -> AuditEntry {
    AuditEntry {
        corporate_id: Some(format!("CD{n:06}")),
        reason: Some("somebody else".into()),
        ..personal("rotate")
    }
}

fn plain(id: &str) -> AuditEntry {
    AuditEntry {
        actor: "helpdesk".into(),
        source: "api".into(),
        action: "rotate".into(),
        corporate_id: Some(id.into()),
        reason: Some("as usual".into()),
        ..AuditEntry::default()
    }
}

fn access(id: &str, state: &str, why: &str) -> AuditEntry {
    let granted = state.starts_with("Granted");
    AuditEntry {
        actor: "vpn-operator".into(),
        source: "folder".into(),
        action: if granted { ACCESS_GRANTED } else { ACCESS_DENIED }.into(),
        corporate_id: Some(id.into()),
        after: Some(state.into()),
        reason: Some(why.into()),
        ..AuditEntry::default()
    }
}

fn order() -> AuditEntry {
    AuditEntry {
        actor: "privacy officer".into(),
        source: "api".into(),
        action: "audit.forgotten".into(),
        corporate_id: Some(ANNA.into()),
        reason: Some("erasure request 31".into()),
        ..AuditEntry::default()
    }
}

/// Rows about Anna and others, and what is derived from them.
async fn lived(it: &Fixture) -> History {
    let history = it.open();
    for n in 0..40 {
        history
            .audit(vec![plain(&format!("CD{n:06}")), personal("grant")])
            .await
            .unwrap();
        it.clock.advance(std::time::Duration::from_secs(60));
        let (state, why) = if n % 2 == 0 {
            ("Granted: Active", "needle-reason")
        } else {
            ("Denied: Held", "held by hr-needle-reason")
        };
        history
            .record_access(vec![(it.clock.now(), access(ANNA, state, why))])
            .await;
        let mut own = personal("hold.release");
        own.actor = "Anna-Needle".into();
        history.audit(vec![own]).await.unwrap();
    }
    history.access_is_complete().await.unwrap();
    history
}

async fn forget(history: &History) -> u64 {
    let names = vec!["anna-needle".to_owned()];
    history.forget(order(), names, true).await.unwrap()
}

#[tokio::test]
async fn nothing_of_the_texts_is_left_and_the_chain_is_whole() {
    let it = Fixture::new();
    let history = lived(&it).await;
    assert!(!it.found_in().is_empty());
    let head = history.head().await.unwrap().unwrap().text();
    assert_eq!(forget(&history).await, 120);
    history.scrub().await.unwrap();
    assert_eq!(it.found_in(), [""; 0], "also not in the log");
    assert_eq!(it.findings().await, [""; 0]);
    assert_eq!(
        history.compare_head("there".into(), head).await.unwrap(),
        None,
        "it is the same chain"
    );
    // Who had access, and by whose order, is still known.
    let question = WhoQuestion {
        at: it.clock.now(),
        denied: true,
        after: None,
        limit: 10,
    };
    let who = history.who(question).await.unwrap();
    assert_eq!(who.people.len(), 1);
    assert_eq!(
        (who.people[0].reason.as_str(), who.people[0].why.clone()),
        ("Held", None)
    );
    drop(history);
    assert_eq!(it.found_in(), [""; 0]);
    // And goes on.
    let history = it.open();
    history.audit(vec![plain(ANNA)]).await.unwrap();
    assert_eq!(it.findings().await, [""; 0]);
}

#[tokio::test]
async fn forgetting_again_empties_nothing_and_what_came_since_is_listed_apart() {
    let it = Fixture::new();
    let history = lived(&it).await;
    assert!(forget(&history).await > 0);
    let open: Vec<Option<String>> = history
        .to_forget()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.order.corporate_id)
        .collect();
    assert_eq!(
        open,
        [Some(ANNA.to_owned())],
        "it is not known yet whether the rest is done"
    );
    let rows = history.stats().await.unwrap().audit_rows;
    assert_eq!(history.forget(order(), Vec::new(), false).await.unwrap(), 0);
    assert_eq!(history.stats().await.unwrap().audit_rows, rows, "no row says it again");
    history.forgotten(ANNA.to_ascii_lowercase()).await.unwrap();
    assert_eq!(history.to_forget().await.unwrap(), []);
    history.audit(vec![personal("rotate")]).await.unwrap();
    assert_eq!(history.forget(order(), Vec::new(), false).await.unwrap(), 1);
    assert_eq!(it.findings().await, [""; 0]);
}

#[tokio::test]
async fn very_many_rows_and_those_of_retention_are_listed_too() {
    let it = Fixture::new();
    let history = it.open();
    history
        .audit((0..2500).map(|_| personal("rotate")).collect())
        .await
        .unwrap();
    it.clock.advance(std::time::Duration::from_secs(300 * 86_400));
    history.audit((0..10).map(other).collect()).await.unwrap();
    assert_eq!(forget(&history).await, 2500);
    assert_eq!(it.findings().await, [""; 0]);
    // Retention takes a part of what is listed.
    it.clock.advance(std::time::Duration::from_secs(101 * 86_400));
    history.audit(vec![plain("CD000001")]).await.unwrap();
    let first = history.verified().await.unwrap().first;
    assert!((2..=2500).contains(&first), "{first}");
    assert_eq!(it.findings().await, [""; 0]);
}

#[tokio::test]
async fn a_row_that_no_row_names_is_found_and_so_is_a_name_without_the_key() {
    let it = Fixture::new();
    let history = it.open();
    history
        .audit(vec![personal("rotate"), other(1), other(2)])
        .await
        .unwrap();
    assert_eq!(forget(&history).await, 1);
    drop(history);
    let emptied = "UPDATE audit SET state_before = NULL, state_after = NULL, reason = NULL, address = NULL, request_id = NULL, salt = NULL";
    it.tamper(&format!("{emptied} WHERE seq = 2"));
    let found = it.findings().await;
    assert!(found[0].contains("audit row 2 lost its texts"), "{found:?}");
    // Somebody copies the row that says so, and writes another number into it.
    it.tamper(
        "INSERT INTO audit SELECT seq + 1, at, actor, source, action, corporate_id, corporate_key, state_before, \
         replace(state_after, '\"1\"', '\"2\"'), reason, request_id, hash, address, event, salt, key_id, seal \
         FROM audit WHERE action = 'audit.forgotten'",
    );
    let found = it.findings().await;
    assert!(
        found.iter().any(|what| what.contains("audit row 2 lost its texts")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|what| what.contains("audit row 5 does not fit the chain")),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_stays_of_an_emptied_row_cannot_be_changed() {
    for change in [
        "source = 'cli'",
        "action = 'grant'",
        "corporate_id = 'ab123456'",
        "event = '8'",
        "at = at + 1",
        "actor = 'boris'",
        "hash = zeroblob(32)",
        "seal = zeroblob(32)",
        "salt = zeroblob(16)",
        "reason = 'another'",
    ] {
        let it = Fixture::new();
        let history = it.open();
        history
            .audit(vec![personal("rotate"), personal("rotate"), other(2)])
            .await
            .unwrap();
        forget(&history).await;
        drop(history);
        it.tamper(&format!("UPDATE audit SET {change} WHERE seq = 2"));
        assert_ne!(it.findings().await, [""; 0], "{change}");
    }
}

#[tokio::test]
async fn rows_are_emptied_and_never_written_over() {
    let it = Fixture::new();
    let history = it.open();
    history.audit(vec![personal("rotate")]).await.unwrap();
    drop(history);
    let conn = Connection::open(it.path()).unwrap();
    for change in [
        "reason = 'x'",
        "actor = 'x'",
        "hash = zeroblob(32)",
        "state_after = 'x'",
        "salt = zeroblob(16)",
    ] {
        let refused = conn.execute_batch(&format!("UPDATE audit SET {change}"));
        assert!(refused.is_err(), "{change}");
    }
}

#[tokio::test]
async fn who_had_access_when_is_compared_with_the_rows() {
    for change in [
        "UPDATE access_spans SET granted = 1, state = 'Granted: Active' WHERE seq = (SELECT max(seq) FROM access_spans)",
        "UPDATE access_spans SET why = 'held by nobody' WHERE seq = (SELECT max(seq) FROM access_spans)",
        "UPDATE access_spans SET since = since - 1 WHERE seq = (SELECT max(seq) FROM access_spans)",
        "UPDATE access_spans SET until_at = until_at + 1 WHERE until_at IS NOT NULL",
        "UPDATE access_spans SET until_at = from_at + 1 WHERE until_at IS NULL",
        "UPDATE access_spans SET from_at = from_at + 1 WHERE until_at IS NULL",
        "UPDATE access_spans SET order_actor = 'nobody' WHERE order_seq IS NOT NULL",
        "UPDATE access_spans SET order_seq = 1 WHERE order_seq IS NOT NULL",
        "DELETE FROM access_spans WHERE until_at IS NULL",
        "DELETE FROM access_spans",
        "INSERT INTO access_spans (person, from_at, seq, since, granted, state) SELECT person, from_at + 5, 99999, from_at, 1, 'Granted: Active' \
         FROM access_spans WHERE until_at IS NULL",
        "UPDATE people SET corporate_key = 'cd000001', corporate_id = 'CD000001'",
    ] {
        let it = Fixture::new();
        drop(lived(&it).await);
        assert_eq!(it.findings().await, [""; 0]);
        it.tamper(change);
        let found = it.findings().await;
        assert!(
            found
                .first()
                .is_some_and(|what| what.starts_with("who had access when")),
            "{change}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_and_retention_disagree_with_nothing() {
    let it = Fixture::new();
    let history = lived(&it).await;
    it.clock.step_wall(it.clock.now() - jiff::SignedDuration::from_hours(1));
    for state in ["Granted: Active", "Denied: Inactive", "Granted: Active"] {
        history
            .record_access(vec![(it.clock.now(), access(ANNA, state, "why"))])
            .await;
        it.clock.advance(std::time::Duration::from_secs(60));
    }
    assert_eq!(it.findings().await, [""; 0]);
    for days in [150, 300, 100] {
        it.clock.advance(std::time::Duration::from_secs(days * 86_400));
        history
            .record_access(vec![(it.clock.now(), access("CD000001", "Granted: Active", "why"))])
            .await;
        history
            .record_access(vec![(it.clock.now(), access("CD000001", "Denied: Deleted", "why"))])
            .await;
        assert_eq!(it.findings().await, [""; 0], "after {days} days");
    }
}
