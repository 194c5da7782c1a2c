//! Whatever goes wrong between operator and panel, they agree in the end, and nobody who is denied gets in.
//!
//! `PROPTEST_CASES` says how many random schedules are tried, 16 if it is not set: each waits for calls that take their time.

use std::sync::Arc;

use proptest::prelude::*;
use vpn_operator::{
    gateway::{Gateway as _, TargetAccess},
    model::user::AccountPresence,
};

use super::{
    events::{NAMES, disaster, event, stranger},
    house::{Busy, House, account, eventually},
    schedule::Run,
};
use crate::support::blitz::{Fault, Op};

fn on_a_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(16),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn they_agree_in_the_end_and_nobody_who_is_denied_is_online(events in proptest::collection::vec(event(), 1..14)) {
        on_a_runtime(Run::run(events));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(4), ..config() })]

    #[test]
    fn a_panel_that_is_reset_or_restored_disconnects_nobody_who_is_granted(events in proptest::collection::vec(disaster(), 1..10)) {
        on_a_runtime(async move {
            let mut run = Run::begin().await;
            for who in 0..NAMES.len() {
                run.want(who, TargetAccess::Granted, false);
            }
            for who in 0..NAMES.len() {
                run.eventually("granted", || run.is_as_wanted(who)).await;
            }
            // The state that an older backup has is one in which they had access.
            run.back_up();
            run.devices_come().await;
            assert_eq!(run.devices.len(), NAMES.len());
            let kicked = run.panel().node().kicked().len();
            for event in events {
                run = run.happens(event).await;
            }
            run.cycles(2).await;
            assert_eq!(run.panel().node().kicked().len(), kicked, "somebody was kicked");
            assert!(run.devices.iter().all(|(_, device)| !device.is_out()));
            run.agree().await;
            run.house.stop().await;
        });
    }
}

#[test]
fn an_operator_that_is_killed_at_whichever_call_leaves_nobody_in_who_is_denied() {
    on_a_runtime(async {
        for call in 0..24 {
            let mut run = Run::begin().await;
            for who in 0..NAMES.len() {
                run.want(who, TargetAccess::Granted, false);
            }
            run = run.killed_at(call).await;
            run.devices_come().await;
            run.devices_come().await;
            let before = run.panel().calls().len();
            run.want(0, TargetAccess::Denied, true);
            run.want(1, TargetAccess::Absent, true);
            run.want(2, TargetAccess::Granted, true);
            run = run.killed_at(before + call).await;
            run.agree().await;
            assert_eq!(run.panel().conflicts(), 0, "killed at {call}");
            run.house.stop().await;
        }
    });
}

#[tokio::test]
async fn an_account_that_the_panel_stumbles_over_holds_up_nobody_else() {
    let house = House::new().await;
    for name in NAMES {
        house.grant(name);
    }
    eventually("there", || NAMES.iter().all(|name| house.panel.account(name).is_some())).await;
    house.lists(1).await;
    // The first to be denied, and the first that is made.
    house.panel.stumble("corp_a", 400, usize::MAX);
    house.panel.stumble("corp_first", 500, usize::MAX);
    house.deny("corp_a");
    house.grant("corp_first");
    for name in ["corp_b", "corp_c"] {
        house.deny(name);
    }
    for n in 0..20 {
        house.grant(&format!("corp_{n}"));
    }
    for name in ["corp_b", "corp_c"] {
        eventually(name, || house.is_zero(name)).await;
    }
    eventually("made", || house.panel.database().accounts.len() == 23).await;
    assert!(!house.is_zero("corp_a"));
    eventually("it is said", || house.observe("corp_first").obstacle.is_some()).await;
    house.panel.mend();
    eventually("in the end", || {
        house.is_zero("corp_a") && house.panel.account("corp_first").is_some()
    })
    .await;
    house.stop().await;
}

#[tokio::test]
async fn links_that_cannot_be_read_hold_up_nobody() {
    let house = House::new().await;
    for _ in 0..50 {
        house.panel.fail_next(Op::UriBulk, Fault::Status(400));
    }
    house.grant("corp_a");
    eventually("there", || house.observe("corp_a").account == AccountPresence::Present).await;
    for n in 0..20 {
        house.grant(&format!("corp_{n}"));
    }
    eventually("made", || house.panel.database().accounts.len() == 21).await;
    assert!(
        house.panel.count(Op::UriBulk) < 10,
        "{}",
        house.panel.count(Op::UriBulk)
    );
    house.stop().await;
}

#[tokio::test]
async fn an_account_that_was_deleted_does_not_come_back_with_an_older_backup() {
    let house = House::new().await;
    house.grant("corp_a");
    eventually("there", || house.observe("corp_a").account == AccountPresence::Present).await;
    let backup = house.panel.database().accounts.clone();
    house.submit("corp_a", TargetAccess::Absent, account("corp_a"), true);
    eventually("gone", || house.observe("corp_a").account == AccountPresence::Absent).await;
    // Nothing more is to be known of somebody who is gone.
    house.gateway.forget("corp_a");
    house.panel.database().accounts = backup;
    let session = house.connect("corp_a").await;
    let device = Busy::begin(&house.panel, "corp_a", session);
    eventually("out", || device.is_out()).await;
    eventually("deleted again", || house.panel.account("corp_a").is_none()).await;
    // A stranger's account of that name is another matter.
    house.panel.database().accounts.insert("corp_a".to_owned(), stranger());
    house.lists(2).await;
    assert_eq!(house.panel.account("corp_a"), Some(stranger()));
    house.stop().await;
}

#[tokio::test]
async fn two_operators_at_one_panel_that_want_the_same_let_nobody_in_who_is_denied() {
    let one = House::new().await;
    let two = House::at(one.panel.clone(), Arc::default());
    for house in [&one, &two] {
        for name in NAMES {
            house.grant(name);
        }
    }
    for house in [&one, &two] {
        for name in NAMES {
            eventually(name, || house.observe(name).account == AccountPresence::Present).await;
        }
    }
    let session = one.connect("corp_a").await;
    let device = Busy::begin(&one.panel, "corp_a", session);
    for house in [&one, &two] {
        house.deny("corp_a");
        house.submit("corp_b", TargetAccess::Absent, account("corp_b"), true);
    }
    for house in [&one, &two] {
        eventually("zero", || house.is_zero("corp_a")).await;
        eventually("left", || house.observe("corp_b").account == AccountPresence::Absent).await;
    }
    assert!(device.is_out() && one.panel.account("corp_a").unwrap().blocked);
    assert!(one.panel.account("corp_b").is_none());
    let (before, lists) = (one.writes().len(), one.panel.count(Op::List));
    eventually("lists", || one.panel.count(Op::List) > lists + 4).await;
    assert_eq!(one.writes().len(), before, "they do not work against each other");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn two_operators_at_one_panel_with_people_of_their_own_leave_the_others_alone() {
    let one = House::new().await;
    let two = House::at(one.panel.clone(), Arc::default());
    one.grant("corp_a");
    two.grant("corp_b");
    eventually("there", || one.observe("corp_a").account == AccountPresence::Present).await;
    eventually("there", || two.observe("corp_b").account == AccountPresence::Present).await;
    one.deny("corp_a");
    eventually("zero", || one.is_zero("corp_a")).await;
    one.lists(2).await;
    assert!(!one.panel.account("corp_b").unwrap().blocked && one.panel.account("corp_a").unwrap().blocked);
    one.stop().await;
    two.stop().await;
}
