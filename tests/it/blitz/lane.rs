//! Accounts are made, kept in line and let go of, with as few calls as possible.

use secrecy::ExposeSecret as _;
use vpn_operator::{
    gateway::{Account, Credentials, Leaving, Link, Obstacle, TargetAccess},
    model::user::AccountPresence,
};

use super::house::{Busy, House, account, config, eventually, password};
use crate::support::blitz::{Account as Stored, Fault, GB, Op};

fn by_hand(note: &str) -> Stored {
    Stored {
        password: "made-by-hand".to_owned(),
        max_download_bytes: 7 * GB,
        expiration_days: 90,
        account_creation_date: None,
        blocked: false,
        unlimited_user: true,
        note: Some(note.to_owned()),
        upload_bytes: None,
        download_bytes: None,
        online_count: 0,
    }
}

async fn present(house: &House, name: &str) {
    eventually(name, || house.observe(name).account == AccountPresence::Present).await;
}

#[tokio::test]
async fn an_account_is_made_with_the_operators_password_and_read_back_before_it_is_reported() {
    let house = House::new().await;
    assert_eq!(house.observe("corp_a").account, AccountPresence::Unknown);
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let stored = house.panel.account("corp_a").unwrap();
    assert_eq!(stored.password, password("corp_a"));
    assert_eq!(
        (stored.max_download_bytes, stored.expiration_days, stored.blocked),
        (0, 0, false)
    );
    assert_eq!(
        house.writes().len(),
        1,
        "one add, and what is read back comes from the list"
    );
    eventually("links", || house.links("corp_a").is_some()).await;
    let links = house.links("corp_a").unwrap();
    let names: Vec<&str> = links.iter().map(Link::name).collect();
    assert_eq!(names, ["IPv4", "node-a"]);
    let expected = format!("hysteria2://corp_a:{}@203.0.113.7:8443/?", password("corp_a"));
    let credentials = Credentials {
        username: "corp_a".to_owned(),
        password: password("corp_a").into(),
    };
    assert!(links[0].url(&credentials).expose_secret().starts_with(&expected));
    house.stop().await;
}

#[tokio::test]
async fn a_quiet_cycle_is_one_list_however_many_accounts_there_are() {
    let house = House::new().await;
    let names: Vec<String> = (0..60).map(|n| format!("corp_{n}")).collect();
    for name in &names {
        house.grant(name);
    }
    eventually("all there", || {
        names
            .iter()
            .all(|name| house.observe(name).account == AccountPresence::Present)
    })
    .await;
    eventually("links", || house.links("corp_0").is_some()).await;
    let before = house.counts();
    assert_eq!((before[&Op::Add], before[&Op::UriBulk]), (60, 1));
    for name in &names {
        house.grant(name);
    }
    house.lists(3).await;
    let after = house.counts();
    assert!(after[&Op::List] > before[&Op::List]);
    let without_lists = |counts: &std::collections::HashMap<Op, usize>| {
        let mut counts = counts.clone();
        counts.remove(&Op::List);
        counts
    };
    assert_eq!(without_lists(&after), without_lists(&before));
    house.stop().await;
}

#[tokio::test]
async fn a_restart_writes_nothing_where_nothing_differs() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let panel = house.stop().await;
    let writes = panel.calls().len();
    let house = House::at(panel, std::sync::Arc::default());
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let since: Vec<Op> = house.panel.calls()[writes..].iter().map(|call| call.op).collect();
    assert!(since.iter().all(|op| matches!(op, Op::List | Op::UriBulk)), "{since:?}");
    house.stop().await;
}

#[tokio::test]
async fn an_account_that_the_operator_did_not_make_is_left_alone_unless_it_may_be_taken_over() {
    let house = House::new().await;
    let theirs = by_hand("call before 10");
    for name in ["corp_a", "corp_b", "corp_c"] {
        house.panel.database().accounts.insert(name.to_owned(), theirs.clone());
    }
    house.grant("corp_a");
    house.submit("corp_c", TargetAccess::Denied, account("corp_c"), true);
    eventually("said", || house.observe("corp_a").obstacle == Some(Obstacle::Foreign)).await;
    eventually("said", || house.observe("corp_c").obstacle == Some(Obstacle::Foreign)).await;
    house.lists(1).await;
    assert!(house.links("corp_a").is_none());
    for name in ["corp_a", "corp_b", "corp_c"] {
        assert_eq!(house.panel.account(name).as_ref(), Some(&theirs), "{name}");
    }
    let taken_over = Account {
        adopt: true,
        ..account("corp_a")
    };
    house.submit("corp_a", TargetAccess::Granted, taken_over, false);
    present(&house, "corp_a").await;
    let stored = house.panel.account("corp_a").unwrap();
    assert_eq!(stored.password, password("corp_a"));
    assert_eq!(stored.note.as_deref(), Some("call before 10 [vpn-operator]"));
    assert!(!stored.unlimited_user);
    house.stop().await;
}

#[tokio::test]
async fn an_account_of_a_stranger_is_left_alone_also_by_who_is_declared_after_it_was_listed() {
    let house = House::new().await;
    let theirs = by_hand("call before 10");
    house
        .panel
        .database()
        .accounts
        .insert("corp_a".to_owned(), theirs.clone());
    house.lists(1).await;
    house.grant("corp_a");
    assert_eq!(house.observe("corp_a").obstacle, Some(Obstacle::Foreign));
    house.lists(2).await;
    house.deny("corp_a");
    house.lists(2).await;
    assert_eq!(house.panel.account("corp_a"), Some(theirs));
    assert!(house.writes().is_empty(), "{:?}", house.writes());
    house.stop().await;
}

#[tokio::test]
async fn limits_reach_the_panel_as_a_backstop_in_its_units() {
    let house = House::new().await;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 10);
    let limited = Account {
        limit: Some(3 * 1_000_000_000),
        valid_until: Some(until),
        ..account("corp_a")
    };
    house.submit("corp_a", TargetAccess::Granted, limited, false);
    present(&house, "corp_a").await;
    let stored = house.panel.account("corp_a").unwrap();
    assert_eq!(stored.max_download_bytes, 4 * GB);
    assert_eq!(stored.expiration_days, 12);
    house.stop().await;
}

#[tokio::test]
async fn what_somebody_changed_at_the_panel_is_changed_back() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    {
        let mut database = house.panel.database();
        let stored = database.accounts.get_mut("corp_a").unwrap();
        stored.blocked = true;
        stored.password = "theirs".to_owned();
        stored.unlimited_user = true;
        stored.note = Some("a note of the help desk".to_owned());
        stored.max_download_bytes = GB;
    }
    eventually("changed back", || {
        let stored = house.panel.account("corp_a").unwrap();
        !stored.blocked
            && stored.password == password("corp_a")
            && !stored.unlimited_user
            && stored.max_download_bytes == 0
    })
    .await;
    present(&house, "corp_a").await;
    let stored = house.panel.account("corp_a").unwrap();
    assert_eq!(stored.note.as_deref(), Some("a note of the help desk [vpn-operator]"));
    house.stop().await;
}

#[tokio::test]
async fn whoever_is_connected_is_not_cut_for_what_can_wait() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let mut session = house.connect("corp_a").await;
    house.panel.database().accounts.get_mut("corp_a").unwrap().note = None;
    house.lists(2).await;
    session.send(1, 1).unwrap();
    assert_eq!(house.panel.account("corp_a").unwrap().note, None);
    session.close();
    eventually("mended", || house.panel.account("corp_a").unwrap().note.is_some()).await;
    house.stop().await;
}

#[tokio::test]
async fn a_panel_that_was_reset_is_filled_again_and_nobody_is_disconnected() {
    let house = House::new().await;
    let names: Vec<String> = (0..20).map(|n| format!("corp_{n}")).collect();
    for name in &names {
        house.grant(name);
    }
    for name in &names {
        present(&house, name).await;
    }
    let mut session = house.connect("corp_3").await;
    house.panel.database().accounts.clear();
    eventually("filled again", || house.panel.database().accounts.len() == 20).await;
    for name in &names {
        present(&house, name).await;
    }
    session.send(1, 1).unwrap();
    assert!(house.panel.node().kicked().is_empty());
    house.stop().await;
}

#[tokio::test]
async fn no_answer_but_a_list_changes_anything() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let session = house.connect("corp_a").await;
    let busy = Busy::begin(&house.panel, "corp_a", session);
    let before = house.writes().len();
    house.panel.set_database_down(true);
    house.lists(0).await;
    for fault in [Fault::Status(400), Fault::Truncated] {
        house.panel.fail_next(Op::List, fault);
    }
    house.panel.set_database_down(false);
    house.lists(3).await;
    assert_eq!(house.writes().len(), before);
    assert!(!busy.is_out());
    assert_eq!(house.observe("corp_a").account, AccountPresence::Present);
    house.stop().await;
}

#[tokio::test]
async fn an_account_is_deleted_blocked_or_let_go_of_as_is_declared_and_only_when_nobody_is_left() {
    for leaving in [Leaving::Delete, Leaving::Block, Leaving::Retain] {
        let house = House::new().await;
        house.grant("corp_a");
        present(&house, "corp_a").await;
        let session = house.connect("corp_a").await;
        let busy = Busy::begin(&house.panel, "corp_a", session);
        let gone = Account {
            leaving,
            ..account("corp_a")
        };
        house.submit("corp_a", TargetAccess::Absent, gone, true);
        eventually("left", || house.observe("corp_a").account == AccountPresence::Absent).await;
        let stored = house.panel.account("corp_a");
        match leaving {
            Leaving::Delete => {
                assert!(stored.is_none() && house.is_zero("corp_a"));
                assert_eq!(house.panel.node().online().len(), 0);
            }
            Leaving::Block => assert!(stored.unwrap().blocked && house.is_zero("corp_a")),
            Leaving::Retain => assert!(!stored.unwrap().blocked && !busy.is_out()),
        }
        house.stop().await;
    }
}

#[tokio::test]
async fn traffic_is_counted_once_over_restarts_and_resets_of_the_panel() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let mut session = house.connect("corp_a").await;
    session.send(100, 1000).unwrap();
    house.panel.run_scheduler().await;
    let moved = |house: &House| house.sink.totals.lock().unwrap().get("corp_a").copied();
    eventually("counted", || moved(&house) == Some((100, 1000))).await;
    let sink = house.sink.clone();
    let panel = house.stop().await;
    let house = House::at(panel, sink);
    house.grant("corp_a");
    present(&house, "corp_a").await;
    session.send(1, 2).unwrap();
    house.panel.run_scheduler().await;
    eventually("counted", || moved(&house) == Some((101, 1002))).await;
    {
        let mut database = house.panel.database();
        let stored = database.accounts.get_mut("corp_a").unwrap();
        (stored.upload_bytes, stored.download_bytes) = (None, None);
    }
    house.lists(1).await;
    session.send(5, 5).unwrap();
    house.panel.run_scheduler().await;
    eventually("counted", || moved(&house) == Some((106, 1007))).await;
    house.stop().await;
}

#[tokio::test]
async fn one_answer_that_fails_makes_no_panel_unreachable_and_a_wrong_token_does_at_once() {
    use vpn_operator::{gateway::Gateway as _, model::gateway::Reachable};
    let house = House::new().await;
    let reachable = |house: &House| house.gateway.health()[0].reachable;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    house.panel.fail_next(Op::List, Fault::Status(500));
    eventually("the error is said", || house.gateway.health()[0].error.is_some()).await;
    assert_eq!(reachable(&house), Reachable::True);
    let mut wrong = config(&house.panel);
    wrong.panel.token = "wrong".into();
    house.gateway.update(&wrong).unwrap();
    eventually("refused", || reachable(&house) == Reachable::False).await;
    assert!(house.gateway.health()[0].error.clone().unwrap().contains("token"));
    house.stop().await;
}

#[tokio::test]
async fn an_edit_that_changes_nothing_at_the_panel_leaves_the_account_as_reported() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let edited = Account {
        leaving: Leaving::Block,
        ..account("corp_a")
    };
    house.submit("corp_a", TargetAccess::Granted, edited, false);
    assert_eq!(house.observe("corp_a").account, AccountPresence::Present);
    house.stop().await;
}
