//! Who had access when: every change leaves a row, whatever brought it about and whoever was running.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use vpn_operator::{
    history::{HadAccess, History, Page, Who, WhoQuestion},
    model::access::Access,
};

use super::world::{Operator, Source, open_when_free, settled, until};

const ANNA: &str = "AB123456";
const BORIS: &str = "AB123457";

async fn who(history: &History, at: Timestamp) -> Who {
    let question = WhoQuestion {
        at,
        denied: true,
        after: None,
        limit: 100,
    };
    history.who(question).await.unwrap()
}

/// Waits until history says so of somebody now.
async fn until_it_says(history: &History, id: &str, reason: &str) -> HadAccess {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        let now = who(history, Timestamp::now()).await;
        let found = now.people.iter().find(|it| it.corporate_id == id);
        if let Some(found) = found.filter(|it| it.reason == reason && now.known_from.is_some()) {
            return found.clone();
        }
        assert!(std::time::Instant::now() < deadline, "{id} is not {reason}: {now:?}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// States of somebody, in order.
async fn states(history: &History, id: &str) -> Vec<String> {
    let page = Page {
        limit: 1000,
        before: None,
    };
    let rows = history.audit_rows(Some(id.to_owned()), page).await.unwrap();
    let entries = rows.into_iter().rev().map(|row| row.entry);
    let access = entries.filter(|entry| entry.action.starts_with("access."));
    access.filter_map(|entry| entry.after).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_moment_has_its_answer() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.declare(ANNA, |_| {});
    source.declare(BORIS, |spec| spec.active = false);
    let began = Timestamp::now();
    let operator = Operator::start(&source, data.path()).await;
    let history = operator.core.history.clone();
    let first = until_it_says(&history, ANNA, "Active").await;
    assert!(first.granted && first.since >= began, "{first:?}");
    assert!(
        first
            .why
            .as_deref()
            .is_some_and(|why| why.contains("found when the operator started"))
    );
    let inactive = until_it_says(&history, BORIS, "Inactive").await;
    assert!(!inactive.granted);
    assert!(who(&history, began - Duration::from_secs(1)).await.people.is_empty());

    let before_hold = Timestamp::now();
    source.hold("hr-dismissed-ab123456", ANNA);
    let held = until_it_says(&history, ANNA, "Held").await;
    let why = "held by hr-dismissed-ab123456; hr-dismissed-ab123456 is of hr";
    assert_eq!(held.why.as_deref(), Some(why), "which hold, and whose");
    let earlier = who(&history, before_hold).await;
    assert!(
        earlier.people.iter().any(|it| it.corporate_id == ANNA && it.granted),
        "{earlier:?}"
    );

    let after_hold = Timestamp::now();
    source.hold("registry-revoked-ab123456", ANNA);
    source.lose_hold("hr-dismissed-ab123456");
    source.lift("hr-dismissed-ab123456");
    settled(&source).await;
    let other = until_it_says(&history, ANNA, "Held").await;
    let why = "held by registry-revoked-ab123456; registry-revoked-ab123456 is of hr";
    assert_eq!(other.why.as_deref(), Some(why));
    assert_eq!(other.since, held.since, "denied without a break");
    assert!(other.reason_since >= after_hold);
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_time_alone_changes_leaves_a_row() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let history = operator.core.history.clone();
    until_it_says(&history, ANNA, "Active").await;
    let until = Timestamp::now() + Duration::from_millis(400);
    source.hold_until("hr-suspended-ab123456", ANNA, Some(until));
    until_it_says(&history, ANNA, "Held").await;
    let again = until_it_says(&history, ANNA, "Active").await;
    assert!(again.since >= until, "{again:?}");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_writes_what_changed_meanwhile_and_nothing_else() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    for id in [ANNA, BORIS, "AB123458"] {
        source.declare(id, |_| {});
    }
    let operator = Operator::start(&source, data.path()).await;
    let history = operator.core.history.clone();
    for id in [ANNA, BORIS, "AB123458"] {
        until_it_says(&history, id, "Active").await;
    }
    settled(&source).await;
    operator.kill().await;
    drop(history);
    let down = Timestamp::now();
    source.hold("hr-dismissed-ab123456", ANNA);
    // Its finalizer was taken off by force: no tombstone is left of it.
    source.lock().forget_user("AB123458");
    let operator = Operator::start(&source, data.path()).await;
    let history = operator.core.history.clone();
    let held = until_it_says(&history, ANNA, "Held").await;
    let gone = until_it_says(&history, "AB123458", "Deleted").await;
    assert!(held.since >= down && gone.since >= down);
    assert!(gone.why.is_some_and(|why| why.contains("there is no VpnUser any more")));
    assert_eq!(states(&history, BORIS).await, ["Granted: Active"], "nothing changed");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_lost_history_it_is_known_again_and_said_from_when_on() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    until_it_says(&operator.core.history.clone(), ANNA, "Active").await;
    settled(&source).await;
    operator.kill().await;
    drop(open_when_free(&data.path().join("history.db")).await);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data.path().join(format!("history.db{end}")));
    }
    let lost = Timestamp::now();
    let operator = Operator::start(&source, data.path()).await;
    let history = operator.core.history.clone();
    until_it_says(&history, ANNA, "Active").await;
    let now = who(&history, Timestamp::now()).await;
    assert!(now.known_from.is_some_and(|from| from >= lost), "{now:?}");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_came_into_force_between_two_looks_is_left_out() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let history = operator.core.history.clone();
    until_it_says(&history, ANNA, "Active").await;
    let is_in = || {
        operator
            .core
            .roster
            .person_by_user("ab123456")
            .unwrap()
            .effective
            .access
            == Access::Granted
    };
    for _ in 0..20 {
        source.hold("api-deactivated-ab123456", ANNA);
        until("it denies", || !is_in()).await;
        source.lose_hold("api-deactivated-ab123456");
        source.lift("api-deactivated-ab123456");
        until("it denies no more", is_in).await;
    }
    settled(&source).await;
    until_it_says(&history, ANNA, "Active").await;
    let states = states(&history, ANNA).await;
    assert_eq!(states.len(), 41, "{states:?}");
    assert!(
        states
            .chunks_exact(2)
            .all(|pair| pair == ["Granted: Active", "Denied: Held"]),
        "{states:?}"
    );
    operator.kill().await;
}
