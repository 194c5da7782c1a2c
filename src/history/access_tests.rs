//! Who had access when, as the audit rows say it: orders, retention, clocks that go back.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use secrecy::SecretBox;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::{Clock as _, ManualClock},
    credentials::MasterKey,
};

struct Fixture {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    history: History,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::at("2026-03-15T12:00:00Z".parse().unwrap());
        let keys = MasterKey::from_bytes(SecretBox::new(Box::new([7; 32]))).audit_keys();
        let history = History::open(&folder.path().join("history.db"), keys, clock.clone()).unwrap();
        Self {
            _folder: folder,
            clock,
            history,
        }
    }

    async fn changes(&self, id: &str, state: &str) {
        let row = access_row(id, state);
        assert!(self.history.record_access(vec![(self.clock.now(), row)]).await);
    }

    async fn orders(&self, id: &str, action: &str, actor: &str) {
        let entry = AuditEntry {
            actor: actor.into(),
            source: "api".into(),
            action: action.into(),
            corporate_id: Some(id.into()),
            ..AuditEntry::default()
        };
        self.history.audit(vec![entry]).await.unwrap();
    }

    async fn who(&self, at: Timestamp) -> Vec<HadAccess> {
        let question = WhoQuestion {
            at,
            denied: true,
            after: None,
            limit: 1000,
        };
        self.history.who(question).await.unwrap().people
    }

    async fn of(&self, id: &str) -> HadAccess {
        let found = self.who(self.clock.now()).await;
        found.into_iter().find(|it| it.corporate_id == id).unwrap()
    }
}

fn access_row(id: &str, state: &str) -> AuditEntry {
    let granted = state.starts_with("Granted");
    AuditEntry {
        actor: "vpn-operator".into(),
        source: "folder".into(),
        action: if granted { ACCESS_GRANTED } else { ACCESS_DENIED }.into(),
        corporate_id: Some(id.into()),
        after: Some(state.into()),
        ..AuditEntry::default()
    }
}

#[tokio::test]
async fn an_order_stands_with_the_change_that_it_brought_about() {
    let it = Fixture::new();
    it.orders("AB1", "grant", "anna").await;
    it.changes("AB1", "Granted: Active").await;
    let granted = it.of("AB1").await;
    assert_eq!(granted.order.map(|it| (it.actor, it.seq)), Some(("anna".to_owned(), 1)));

    // A denial is in force before its order is written down.
    it.clock.advance(std::time::Duration::from_secs(60));
    it.changes("AB1", "Denied: Held").await;
    it.orders("AB1", "deactivate", "boris").await;
    let denied = it.of("AB1").await;
    assert_eq!(denied.order.map(|it| it.actor), Some("boris".to_owned()));

    it.orders("AB1", "hold.release", "clara").await;
    it.changes("AB1", "Denied: Expired").await;
    assert_eq!(it.of("AB1").await.order, None, "time is nobody's order");
}

#[tokio::test]
async fn an_order_the_other_way_did_not_do_it() {
    let it = Fixture::new();
    it.orders("AB1", "grant", "anna").await;
    it.changes("AB1", "Denied: Held").await;
    assert_eq!(it.of("AB1").await.order, None);
    it.orders("AB1", "grant.failed", "anna").await;
    it.changes("AB1", "Granted: Active").await;
    assert_eq!(
        it.of("AB1").await.order,
        None,
        "it was announced before the denial, and failed"
    );
}

#[tokio::test]
async fn what_is_known_is_not_written_again() {
    let it = Fixture::new();
    for _ in 0..3 {
        it.changes("AB1", "Granted: Active").await;
    }
    assert_eq!(it.history.stats().await.unwrap().audit_rows, 1);
}

#[tokio::test]
async fn who_was_let_in_before_the_oldest_row_is_still_known() {
    let it = Fixture::new();
    it.orders("AB1", "grant", "anna").await;
    it.changes("AB1", "Granted: Active").await;
    it.changes("AB2", "Granted: Active").await;
    it.changes("AB2", "Denied: Deleted").await;
    it.history.access_is_complete().await.unwrap();
    let granted = it.clock.now();
    it.clock.advance(std::time::Duration::from_secs(500 * 86_400));
    // Retention goes with whatever is written.
    for _ in 0..3 {
        it.clock.advance(std::time::Duration::from_secs(120));
        it.orders("AB3", "grant", "anna").await;
    }
    let page = Page {
        limit: 10,
        before: None,
    };
    assert_eq!(it.history.audit_rows(Some("AB1".into()), page).await.unwrap(), []);
    let still = it.of("AB1").await;
    assert!(still.granted && still.since == granted, "{still:?}");
    assert_eq!(still.order.map(|order| order.actor), Some("anna".to_owned()));
    let now = it.who(it.clock.now()).await;
    assert!(now.iter().all(|it| it.corporate_id != "AB2"), "{now:?}");
    let question = WhoQuestion {
        at: it.clock.now(),
        denied: false,
        after: None,
        limit: 10,
    };
    let known_from = it.history.who(question).await.unwrap().known_from;
    assert!(known_from.is_some_and(|from| from > granted), "{known_from:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Against a list of what came when, with a clock that goes both ways.
    #[test]
    fn each_moment_is_answered_as_the_changes_say(
        steps in proptest::collection::vec((0..4usize, 0..4usize, -20..60i64), 1..40), at in 0..40usize,
    ) {
        const STATES: [&str; 4] = ["Granted: Active", "Granted: GuardHeldBack", "Denied: Held", "Denied: Expired"];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let it = Fixture::new();
            let start = it.clock.now();
            let mut model: Vec<Vec<(Timestamp, &str)>> = vec![Vec::new(); 4];
            let mut asked = start;
            let mut now = start;
            for (step, (person, state, seconds)) in steps.iter().enumerate() {
                now += SignedDuration::from_secs(*seconds);
                let row = access_row(&format!("AB{person}"), STATES[*state]);
                assert!(it.history.record_access(vec![(now, row)]).await);
                let of = &mut model[*person];
                let from = of.last().map_or(now, |(last, _)| now.max(*last));
                if of.last().is_none_or(|(_, last)| *last != STATES[*state]) {
                    of.push((from, STATES[*state]));
                }
                if step == at {
                    asked = now;
                }
            }
            let expected: Vec<(String, &str)> = model.iter().enumerate().filter_map(|(person, of)| {
                let (_, state) = of.iter().rev().find(|(from, _)| *from <= asked)?;
                Some((format!("AB{person}"), *state))
            }).collect();
            let said: Vec<(String, String)> = it.who(asked).await.into_iter()
                .map(|it| (it.corporate_id, format!("{}: {}", if it.granted { "Granted" } else { "Denied" }, it.reason)))
                .collect();
            assert_eq!(said.iter().map(|(id, state)| (id.clone(), state.as_str())).collect::<Vec<_>>(), expected);
        });
    }
}
