//! How many calls of the panel everything takes. Lists are shared, so they are counted by the time.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use vpn_operator::{gateway::TargetAccess, model::user::AccountPresence};

use super::house::{Busy, House, POLL, account, eventually};
use crate::support::blitz::{Fault, Op};

/// Calls that are no list since so many calls, by kind.
fn since(house: &House, before: usize) -> HashMap<Op, usize> {
    let mut counts = HashMap::new();
    let calls = house.panel.calls();
    for call in calls[before..].iter().filter(|call| call.op != Op::List) {
        *counts.entry(call.op).or_default() += 1;
    }
    counts
}

async fn granted(house: &House, many: usize) -> Vec<String> {
    let names: Vec<String> = (0..many).map(|n| format!("corp_{n:03}")).collect();
    for name in &names {
        house.grant(name);
    }
    for name in &names {
        eventually(name, || house.observe(name).account == AccountPresence::Present).await;
    }
    eventually("links", || house.links(&names[0]).is_some()).await;
    names
}

#[tokio::test]
async fn somebody_with_one_busy_device_is_cut_with_two_calls_and_a_list_a_poll() {
    let house = House::new().await;
    granted(&house, 1).await;
    let session = house.connect("corp_000").await;
    let device = Busy::begin(&house.panel, "corp_000", session);
    house.lists(1).await;
    let (before, lists, begun) = (house.panel.calls().len(), house.panel.count(Op::List), Instant::now());
    house.deny("corp_000");
    eventually("zero", || house.is_zero("corp_000")).await;
    let polls = usize::try_from(begun.elapsed().as_millis() / POLL.as_millis()).unwrap();
    assert!(device.is_out());
    assert_eq!(since(&house, before), HashMap::from([(Op::Patch, 2)]));
    let lists = house.panel.count(Op::List) - lists;
    assert!(lists <= polls + 2, "{lists} in {polls} polls");
    house.stop().await;
}

#[tokio::test]
async fn somebody_who_leaves_takes_three_calls_and_those_who_leave_together_share_the_last() {
    let house = House::new().await;
    let names = granted(&house, 30).await;
    let leave = |names: &[String]| {
        for name in names {
            house.submit(name, TargetAccess::Absent, account(name), true);
        }
    };
    let before = house.panel.calls().len();
    leave(&names[..1]);
    eventually("gone", || house.observe("corp_000").account == AccountPresence::Absent).await;
    let one = HashMap::from([(Op::Patch, 2), (Op::Delete, 1)]);
    assert_eq!(since(&house, before), one);

    let before = house.panel.calls().len();
    leave(&names[1..]);
    for name in &names[1..] {
        eventually(name, || house.observe(name).account == AccountPresence::Absent).await;
    }
    let all = since(&house, before);
    assert_eq!(all[&Op::Patch], 58);
    // A list that comes between the blocks proves some of them sooner.
    let deletions = all.get(&Op::Delete).unwrap_or(&0) + all[&Op::BulkDelete];
    assert!(deletions <= 3, "{all:?}");
    assert!(house.panel.database().accounts.is_empty());
    house.stop().await;
}

#[tokio::test]
async fn those_with_whom_a_common_deletion_failed_are_deleted_one_by_one() {
    let house = House::new().await;
    let names = granted(&house, 8).await;
    house.panel.fail_next(Op::BulkDelete, Fault::Status(400));
    for name in &names {
        house.submit(name, TargetAccess::Absent, account(name), true);
    }
    for name in &names {
        eventually(name, || house.observe(name).account == AccountPresence::Absent).await;
    }
    assert!(house.panel.count(Op::Delete) > 1);
    house.stop().await;
}

#[tokio::test]
async fn a_roll_out_is_one_add_each_with_the_list_of_each_cycle_between() {
    let house = House::new().await;
    house.lists(0).await;
    // The cycle is to a call as it is at a real panel: 30 s to 1.4 s.
    house
        .panel
        .set_pace(POLL.as_secs_f64() / Duration::from_secs(30).as_secs_f64());
    let (before, begun) = (house.panel.calls().len(), Instant::now());
    granted(&house, 300).await;
    let cycles = usize::try_from(begun.elapsed().as_millis() / POLL.as_millis()).unwrap();
    assert_eq!(since(&house, before), HashMap::from([(Op::Add, 300), (Op::UriBulk, 1)]));
    let lists = house.panel.calls()[before..]
        .iter()
        .filter(|call| call.op == Op::List)
        .count();
    assert!(lists <= cycles + 1, "{lists} lists in {cycles} cycles");
    assert_eq!(house.panel.conflicts(), 0);
    house.stop().await;
}
