//! With `statsUrl` sessions are ended at the panel's own server, whatever the panel does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use vpn_operator::{
    clock::SystemClock,
    gateway::{Gateway as _, TargetAccess},
    model::user::AccountPresence,
};

use super::house::{Busy, House, TOKEN, account, config, config_with_stats, eventually};
use crate::{
    hysteria::house::SmallAuth,
    support::blitz::{BlitzPanel, Fault, Op},
};

async fn house() -> House {
    let panel = BlitzPanel::start(TOKEN).await;
    let config = config_with_stats(&panel);
    House::with(
        panel,
        Arc::default(),
        &config,
        Arc::new(SmallAuth::default()),
        Arc::new(SystemClock),
    )
}

async fn present(house: &House, name: &str) {
    eventually(name, || house.observe(name).account == AccountPresence::Present).await;
}

#[tokio::test]
async fn a_denial_is_proved_by_the_word_of_both() {
    let house = house().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let session = house.connect("corp_a").await;
    let device = Busy::begin(&house.panel, "corp_a", session);
    house.deny("corp_a");
    eventually("out", || device.is_out()).await;
    eventually("zero", || house.is_zero("corp_a")).await;
    let revocation = house.observe("corp_a").revocation.unwrap();
    assert!(revocation.contained_at.is_some() && revocation.waiting_for.is_empty());
    house.stop().await;
}

#[tokio::test]
async fn nothing_is_proved_before_the_server_has_said_it_too() {
    let panel = BlitzPanel::start_with_stats_secret(TOKEN, "of-the-server").await;
    let mut config = config_with_stats(&panel);
    let house = House::with(
        panel,
        Arc::default(),
        &config,
        Arc::new(SmallAuth::default()),
        Arc::new(SystemClock),
    );
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let session = house.connect("corp_a").await;
    let device = Busy::begin(&house.panel, "corp_a", session);
    house.deny("corp_a");
    // The panel ends it by itself, and its list shows nobody.
    eventually("out", || device.is_out()).await;
    house.lists(3).await;
    assert!(!house.is_zero("corp_a"));
    assert_eq!(
        house.observe("corp_a").revocation.unwrap().waiting_for,
        ["default/panel"]
    );
    let health = house.gateway.health().remove(0);
    assert!(health.error.unwrap().contains("refused the statistics secret"));
    assert!(health.polled_at.is_none(), "nobody's word is complete");
    config.stats.as_mut().unwrap().secret = "of-the-server".into();
    house.gateway.update(&config).unwrap();
    eventually("zero", || house.is_zero("corp_a")).await;
    eventually("healthy", || house.gateway.health()[0].error.is_none()).await;
    house.stop().await;
}

#[tokio::test]
async fn nothing_is_claimed_while_the_panel_acknowledged_no_block() {
    let house = house().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    house.panel.fail_next(Op::Patch, Fault::Status(500));
    house.panel.fail_next(Op::Patch, Fault::Hang);
    house.deny("corp_a");
    let looks = || {
        let calls = house.panel.node().calls();
        calls.iter().filter(|call| call.path == "/online").count()
    };
    let before = looks();
    eventually("looked at", || looks() > before + 3).await;
    let revocation = house.observe("corp_a").revocation.unwrap();
    assert!(revocation.contained_at.is_none() && revocation.sessions_zero_at.is_none());
    assert_eq!(revocation.waiting_for, ["default/panel"]);
    house.stop().await;
}

#[tokio::test]
async fn devices_are_cut_while_the_panel_hangs_and_only_those_that_are_to_go() {
    let house = house().await;
    for name in ["corp_a", "corp_b"] {
        house.grant(name);
    }
    for name in ["corp_a", "corp_b"] {
        present(&house, name).await;
    }
    let mut leaver = house.connect("corp_a").await;
    let mut stays = house.connect("corp_b").await;
    let mut guest = house.panel.node().register("guest".to_owned(), "192.0.2.9:1");
    house.panel.fail_next(Op::List, Fault::Hang);
    let before = house.panel.count(Op::List);
    eventually("hangs", || house.panel.count(Op::List) > before).await;
    let begun = Instant::now();
    house.deny("corp_a");
    eventually("cut", || leaver.send(1, 1).is_err()).await;
    println!(
        "a device was cut {:?} after the denial, while the panel hung",
        begun.elapsed()
    );
    assert!(stays.send(1, 1).is_ok() && guest.send(1, 1).is_ok());
    assert!(house.panel.node().kicked().iter().all(|id| id == "corp_a"));
    assert!(!house.is_contained("corp_a"), "the panel would let it in again");
    house.stop().await;
}

#[tokio::test]
async fn who_is_not_online_is_not_kicked_and_a_silent_device_not_all_the_time() {
    let house = house().await;
    for name in ["corp_a", "corp_b"] {
        house.grant(name);
    }
    for name in ["corp_a", "corp_b"] {
        present(&house, name).await;
    }
    let mut silent = house.connect("corp_b").await;
    house.panel.fail_next(Op::List, Fault::Hang);
    let before = house.panel.count(Op::List);
    eventually("hangs", || house.panel.count(Op::List) > before).await;
    house.deny("corp_a");
    house.deny("corp_b");
    let kicked = |name: &str| house.panel.node().kicked().iter().filter(|id| *id == name).count();
    eventually("kicked", || kicked("corp_b") > 0).await;
    tokio::time::timeout(Duration::from_millis(600), async {
        while kicked("corp_b") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect_err("the kick waits for its next byte");
    assert_eq!(kicked("corp_a"), 0);
    assert!(silent.send(1, 1).is_err());
    house.stop().await;
}

#[tokio::test]
async fn a_strangers_account_is_never_kicked() {
    let house = house().await;
    let theirs = crate::support::blitz::Account::by_hand("theirs");
    house
        .panel
        .database()
        .accounts
        .insert("corp_a".to_owned(), theirs.clone());
    let mut device = house.panel.connect("corp_a:theirs", "192.0.2.1:1").await.unwrap();
    house.deny("corp_a");
    house.lists(1).await;
    // Known from the list by now, and denied anew.
    house.deny("corp_a");
    house.lists(2).await;
    assert!(device.send(1, 1).is_ok() && house.panel.node().kicked().is_empty());
    assert_eq!(house.panel.account("corp_a"), Some(theirs));
    assert!(house.writes().is_empty(), "{:?}", house.writes());
    house.stop().await;
}

#[tokio::test]
async fn a_strangers_account_is_known_from_the_last_list_when_somebody_is_declared_for_it() {
    let house = house().await;
    let theirs = {
        house.grant("corp_other");
        present(&house, "corp_other").await;
        let mut entry = house.panel.account("corp_other").unwrap();
        entry.note = None;
        entry.password = "theirs".to_owned();
        entry
    };
    house
        .panel
        .database()
        .accounts
        .insert("corp_a".to_owned(), theirs.clone());
    house.lists(1).await;
    house.grant("corp_a");
    house.lists(2).await;
    assert_eq!(house.panel.account("corp_a"), Some(theirs));
    house.stop().await;
}

#[tokio::test]
async fn a_server_that_is_named_later_is_asked_from_then_on() {
    let panel = BlitzPanel::start(TOKEN).await;
    let alone = config(&panel);
    let house = House::with(
        panel,
        Arc::default(),
        &alone,
        Arc::new(SmallAuth::default()),
        Arc::new(SystemClock),
    );
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let looked = || {
        house
            .panel
            .node()
            .calls()
            .iter()
            .filter(|call| call.path == "/online")
            .count()
    };
    house.gateway.update(&config_with_stats(&house.panel)).unwrap();
    house.panel.set_database_down(true);
    let before = looked();
    house.submit("corp_a", TargetAccess::Denied, account("corp_a"), true);
    eventually("asked", || looked() > before + 2).await;
    house.panel.set_database_down(false);
    eventually("zero", || house.is_zero("corp_a")).await;
    house.stop().await;
}

#[tokio::test]
async fn whoever_leaves_a_panel_on_which_the_account_is_a_strangers_leaves_nothing() {
    let house = house().await;
    house.grant("corp_other");
    present(&house, "corp_other").await;
    let mut theirs = house.panel.account("corp_other").unwrap();
    theirs.note = None;
    theirs.password = "theirs".to_owned();
    house
        .panel
        .database()
        .accounts
        .insert("corp_a".to_owned(), theirs.clone());
    house.lists(1).await;
    house.grant("corp_a");
    assert_eq!(house.observe("corp_a").account, AccountPresence::Foreign);
    house.submit("corp_a", TargetAccess::Absent, account("corp_a"), true);
    eventually("left", || house.observe("corp_a").account == AccountPresence::Absent).await;
    house.lists(1).await;
    assert_eq!(house.panel.account("corp_a"), Some(theirs));
    house.stop().await;
}
