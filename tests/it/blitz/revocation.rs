//! Who is denied is out, and it is proved although the panel does not prove it.

use std::time::Duration;

use vpn_operator::{gateway::TargetAccess, model::user::AccountPresence};

use super::house::{Busy, House, account, eventually};
use crate::support::blitz::{BlitzPanel, Fault, Op};

async fn present(house: &House, name: &str) {
    eventually(name, || house.observe(name).account == AccountPresence::Present).await;
}

async fn busy(house: &House, name: &str, devices: usize) -> Vec<Busy> {
    let mut all = Vec::new();
    for _ in 0..devices {
        let session = house.connect(name).await;
        all.push(Busy::begin(&house.panel, name, session));
    }
    all
}

#[tokio::test]
async fn five_busy_devices_are_gone_within_four_calls_after_the_two_blocks() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    // A device comes back between kick and write, as it does at a real panel.
    house.panel.set_pace(0.05);
    house.panel.set_gap(0.5);
    let devices = busy(&house, "corp_a", 5).await;
    house.lists(1).await;
    let before = house.panel.calls().len();
    house.deny("corp_a");
    eventually("out", || devices.iter().all(Busy::is_out)).await;
    let calls: Vec<Op> = house.panel.calls()[before..].iter().map(|call| call.op).collect();
    let first = calls.iter().position(|op| *op == Op::Patch).unwrap();
    assert!(first <= 1, "a list may be under way: {calls:?}");
    assert_eq!(calls[first..first + 2], [Op::Patch, Op::Patch]);
    // One kick ends one device, and the first is lost to the time between kick and write.
    let until_out = calls.iter().filter(|op| **op == Op::Patch).count();
    assert!(until_out <= 6, "{calls:?}");
    eventually("zero", || house.is_zero("corp_a")).await;
    assert!(house.panel.account("corp_a").unwrap().blocked);
    house.stop().await;
}

#[tokio::test]
async fn nothing_is_claimed_while_a_device_is_online() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let mut one = house.connect("corp_a").await;
    let mut two = house.connect("corp_a").await;
    house.lists(1).await;
    house.deny("corp_a");
    house.lists(3).await;
    // Both are silent: a kick holds down one of them, and nobody knows which.
    assert!(!house.is_contained("corp_a") && !house.is_zero("corp_a"));
    assert!(one.send(1, 1).is_err() || two.send(1, 1).is_err());
    eventually("held down", || house.is_contained("corp_a")).await;
    assert!(!house.is_zero("corp_a"));
    assert!(
        one.send(1, 1).is_err() && two.send(1, 1).is_err(),
        "whoever is left is cut by its next byte"
    );
    eventually("zero", || house.is_zero("corp_a")).await;
    house.stop().await;
}

#[tokio::test]
async fn a_denial_during_a_rollout_begins_with_the_next_call() {
    let house = House::new().await;
    house.grant("corp_leaver");
    present(&house, "corp_leaver").await;
    house.panel.set_pace(0.01);
    let rollout: Vec<String> = (0..40).map(|n| format!("corp_{n}")).collect();
    for name in &rollout {
        house.grant(name);
    }
    eventually("under way", || house.panel.count(Op::Add) > 5).await;
    let before = house.panel.calls().len();
    house.deny("corp_leaver");
    eventually("zero", || house.is_zero("corp_leaver")).await;
    let calls = house.panel.calls();
    let blocks: Vec<usize> = (before..calls.len()).filter(|at| calls[*at].op == Op::Patch).collect();
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    assert!(
        blocks[0] <= before + 1 && blocks[1] == blocks[0] + 1,
        "{before} {blocks:?}"
    );
    assert!(calls[blocks[0]..].iter().filter(|call| call.op == Op::Add).count() < 40);
    eventually("rolled out", || house.panel.database().accounts.len() == 41).await;
    house.stop().await;
}

#[tokio::test]
async fn whoever_somebody_waits_for_comes_before_the_rest_of_a_rollout() {
    let house = House::new().await;
    house.lists(0).await;
    house.panel.set_pace(0.02);
    for n in 0..30 {
        house.grant(&format!("corp_{n:02}"));
    }
    assert!(house.links("corp_29").is_none());
    eventually("there", || house.panel.account("corp_29").is_some()).await;
    assert!(house.panel.count(Op::Add) <= 3, "{}", house.panel.count(Op::Add));
    house.stop().await;
}

#[tokio::test]
async fn a_block_that_did_nothing_is_made_again() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let devices = busy(&house, "corp_a", 1).await;
    house.panel.fail_next(Op::Patch, Fault::DoesNothing);
    house.panel.fail_next(Op::Patch, Fault::DoesNothing);
    house.deny("corp_a");
    eventually("zero", || house.is_zero("corp_a")).await;
    assert!(devices[0].is_out() && house.panel.account("corp_a").unwrap().blocked);
    house.stop().await;
}

#[tokio::test]
async fn a_denial_waits_out_the_traffic_api_and_the_database() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let devices = busy(&house, "corp_a", 1).await;
    house.panel.node().take_down().await;
    house.deny("corp_a");
    house.panel.set_database_down(true);
    eventually("tried", || house.panel.count(Op::Patch) > 1).await;
    assert!(!house.is_contained("corp_a"));
    house.panel.set_database_down(false);
    house.panel.node().bring_up().await;
    eventually("zero", || house.is_zero("corp_a")).await;
    assert!(devices[0].is_out());
    house.stop().await;
}

#[tokio::test]
async fn who_was_let_in_again_at_the_panel_is_cut_again() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    house.deny("corp_a");
    eventually("zero", || house.is_zero("corp_a")).await;
    house.panel.database().accounts.get_mut("corp_a").unwrap().blocked = false;
    let session = house.connect("corp_a").await;
    let device = Busy::begin(&house.panel, "corp_a", session);
    eventually("out again", || device.is_out()).await;
    eventually("zero again", || house.is_zero("corp_a")).await;
    assert!(house.observe("corp_a").revocation.unwrap().withdrawn_at.is_some());
    house.stop().await;
}

#[tokio::test]
async fn who_is_granted_again_is_let_in_after_the_former_sessions_are_proved_gone() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let mut old = house.connect("corp_a").await;
    house.lists(1).await;
    // A rotation.
    house.submit("corp_a", TargetAccess::Granted, account("corp_a"), true);
    eventually("blocked", || house.panel.account("corp_a").unwrap().blocked).await;
    assert!(old.send(1, 1).is_err());
    present(&house, "corp_a").await;
    assert!(house.is_zero("corp_a") && !house.panel.account("corp_a").unwrap().blocked);
    // The panel kicks whoever it changes, and a kick that met nobody meets who comes next; that one comes again.
    let mut first = house.connect("corp_a").await;
    assert!(first.send(1, 1).is_err());
    let mut second = house.connect("corp_a").await;
    second.send(1, 1).unwrap();
    // A rotation that is over is no reason to cut anybody for what can wait.
    house.panel.database().accounts.get_mut("corp_a").unwrap().note = None;
    house.lists(2).await;
    second.send(1, 1).unwrap();
    house.stop().await;
}

#[tokio::test]
async fn who_never_had_an_account_needs_no_block() {
    let house = House::new().await;
    house.lists(0).await;
    house.deny("corp_a");
    eventually("zero", || house.is_zero("corp_a")).await;
    assert!(house.writes().is_empty());
    house.stop().await;
}

#[tokio::test]
async fn a_panel_that_hangs_delays_a_denial_and_loses_none() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    let devices = busy(&house, "corp_a", 1).await;
    house.panel.fail_next(Op::List, Fault::Hang);
    let before = house.panel.count(Op::List);
    eventually("hangs", || house.panel.count(Op::List) > before).await;
    house.deny("corp_a");
    tokio::time::timeout(Duration::from_secs(20), house.panel.take_down())
        .await
        .unwrap();
    house.panel.bring_up();
    eventually("zero", || house.is_zero("corp_a")).await;
    assert!(devices[0].is_out());
    house.stop().await;
}

#[tokio::test]
async fn who_was_let_in_at_the_panel_while_the_operator_was_down_is_cut() {
    let house = House::new().await;
    house.grant("corp_a");
    present(&house, "corp_a").await;
    house.deny("corp_a");
    eventually("zero", || house.is_zero("corp_a")).await;
    let panel = house.stop().await;
    panel.database().accounts.get_mut("corp_a").unwrap().blocked = false;
    let house = House::at(panel, std::sync::Arc::default());
    let session = house.connect("corp_a").await;
    let device = Busy::begin(&house.panel, "corp_a", session);
    // As after a restart: everything was proved, and nothing is left to prove.
    house.submit("corp_a", TargetAccess::Denied, account("corp_a"), false);
    eventually("out", || device.is_out()).await;
    eventually("zero", || house.is_zero("corp_a")).await;
    assert!(house.panel.account("corp_a").unwrap().blocked);
    house.stop().await;
}

#[tokio::test]
async fn an_account_that_was_blocked_before_is_left_alone_while_nobody_uses_it() {
    let house = House::new().await;
    for name in ["corp_idle", "corp_used", "corp_busy"] {
        house.grant(name);
        present(&house, name).await;
    }
    // Somebody blocked them in the panel's pages, which does not end a session whose kick comes too early.
    let mut used = house.connect("corp_used").await;
    let devices = busy(&house, "corp_busy", 1).await;
    let panel = house.stop().await;
    for name in ["corp_idle", "corp_used", "corp_busy"] {
        panel.database().accounts.get_mut(name).unwrap().blocked = true;
    }
    let writes = |panel: &BlitzPanel, name: &str| {
        let calls = panel.calls().into_iter();
        calls.filter(|call| call.name == name && call.op == Op::Patch).count()
    };
    let house = House::at(panel, std::sync::Arc::default());
    for name in ["corp_idle", "corp_used", "corp_busy"] {
        house.deny(name);
    }
    eventually("the idle one is proved out", || house.is_zero("corp_idle")).await;
    assert_eq!(writes(&house.panel, "corp_idle"), 0);
    eventually("the busy one is cut", || devices.iter().all(Busy::is_out)).await;
    eventually("the silent one is held down", || house.is_contained("corp_used")).await;
    assert!(used.send(1, 1).is_err());
    eventually("everybody is out", || {
        house.is_zero("corp_used") && house.is_zero("corp_busy")
    })
    .await;
    house.stop().await;
}
