//! A large roll-out: what is known of it, and what it does not hold up.

use std::time::Duration;

use vpn_operator::{
    gateway::{Gateway as _, Work},
    model::user::AccountPresence,
};

use super::house::{Busy, House, eventually};
use crate::support::blitz::{Op, PanelCall};

/// What one add of the panel takes, of which the double takes a part.
const ADD: Duration = Duration::from_millis(1415);

fn grant_many(house: &House, many: usize) {
    for n in 0..many {
        house.grant(&format!("corp_{n:04}"));
    }
}

#[tokio::test]
async fn what_waits_is_known_by_kind_with_about_how_long_it_takes() {
    let house = House::new().await;
    let pace = 0.01;
    house.panel.set_pace(pace);
    let backlog = || house.gateway.backlog();
    assert_eq!((backlog().total(), backlog().left()), (0, None));
    grant_many(&house, 120);
    eventually("begun", || house.panel.count(Op::Add) > 3).await;
    let at = backlog();
    let adds = at.of(Work::Add);
    assert!(adds > 60 && adds < 120 && at.total() == adds, "{at:?}");
    let least = ADD.mul_f64(pace) * u32::try_from(adds).unwrap();
    let left = at.left().unwrap();
    assert!(
        left >= least.mul_f64(0.9) && left < least * 20,
        "{left:?} of at least {least:?}"
    );
    house.deny("corp_0000");
    assert_eq!(backlog().of(Work::Block), 1);
    eventually("rolled out", || backlog().total() == 0).await;
    assert_eq!(house.panel.count(Op::Add), 120);
    house.stop().await;
}

#[tokio::test]
async fn how_long_it_takes_is_not_said_while_the_panel_cannot_be_called() {
    let house = House::new().await;
    house.lists(0).await;
    house.panel.set_pace(0.01);
    grant_many(&house, 120);
    eventually("said", || house.gateway.backlog().left().is_some()).await;
    house.panel.take_down().await;
    eventually("not said", || house.gateway.backlog().left().is_none()).await;
    let at = house.gateway.backlog();
    assert!(at.total() > 0, "{at:?}");
    house.panel.bring_up();
    eventually("rolled out", || house.gateway.backlog().total() == 0).await;
    house.stop().await;
}

#[tokio::test]
async fn a_denial_that_arrives_among_a_thousand_adds_has_the_next_two_calls() {
    let house = House::new().await;
    house.grant("corp_leaver");
    eventually("there", || {
        house.observe("corp_leaver").account == AccountPresence::Present
    })
    .await;
    // As at a real panel: a device comes back between kick and write.
    house.panel.set_pace(0.02);
    house.panel.set_gap(0.5);
    let mut devices = Vec::new();
    for _ in 0..5 {
        let session = house.connect("corp_leaver").await;
        devices.push(Busy::begin(&house.panel, "corp_leaver", session));
    }
    house.lists(1).await;
    grant_many(&house, 1000);
    eventually("under way", || house.panel.count(Op::Add) > 5).await;
    // The panel takes a call up when it is at it, so the last one that it took up is in flight, or its answer is.
    let before = house.panel.calls().len();
    house.deny("corp_leaver");
    eventually("out", || devices.iter().all(Busy::is_out)).await;
    let calls: Vec<PanelCall> = house.panel.calls();
    let ops: Vec<Op> = calls[before..].iter().map(|call| call.op).collect();
    let first = ops.iter().position(|op| *op == Op::Patch).unwrap();
    assert!(first <= 1, "one call may have begun: {ops:?}");
    assert_eq!(ops[first..first + 2], [Op::Patch, Op::Patch], "{ops:?}");
    // One kick closes one device, and the first meets nobody who stays: a block for each device and one more.
    assert!(
        ops[first..].iter().all(|op| matches!(op, Op::Patch | Op::List)),
        "nothing comes between: {ops:?}"
    );
    assert!(
        ops[first..].iter().filter(|op| **op == Op::Patch).count() <= 6,
        "{ops:?}"
    );
    eventually("zero", || house.is_zero("corp_leaver")).await;
    assert!(house.gateway.backlog().of(Work::Add) > 900, "the roll-out goes on");
    house.stop().await;
}
