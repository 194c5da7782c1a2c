//! Whatever goes wrong between operator and panel, they agree in the end, and nobody who is denied gets in.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use vpn_operator::{gateway::TargetAccess, model::user::AccountPresence};

use super::house::{Busy, House, account, eventually, password};
use crate::support::blitz::{BlitzPanel, Fault};

const NAMES: [&str; 3] = ["corp_a", "corp_b", "corp_c"];

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Dropped),
        Just(Fault::AnswerLost),
        Just(Fault::HalfDone),
        Just(Fault::DoesNothing),
        Just(Fault::Truncated),
        Just(Fault::Status(500)),
        Just(Fault::Status(400)),
        Just(Fault::SlowBody(Duration::from_millis(10))),
    ]
}

#[derive(Debug, Clone)]
enum Event {
    Grant(usize),
    Deny(usize),
    Leave(usize),
    /// The operator is killed and starts again.
    Restart,
    /// Somebody lets an account in at the panel, whatever the operator says.
    LetIn(usize),
    /// The panel loses everything.
    Reset,
    Fault(usize, Fault),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3usize).prop_map(Event::Grant),
        4 => (0..3usize).prop_map(Event::Deny),
        2 => (0..3usize).prop_map(Event::Leave),
        1 => Just(Event::Restart),
        1 => (0..3usize).prop_map(Event::LetIn),
        1 => Just(Event::Reset),
        6 => (0..6usize, fault()).prop_map(|(at, fault)| Event::Fault(at, fault)),
    ]
}

fn order(house: &House, name: &str, access: TargetAccess, revoke: bool) {
    house.submit(name, access, account(name), revoke);
}

async fn agrees(house: &House, wanted: &[TargetAccess; 3]) {
    for (name, access) in NAMES.iter().zip(wanted) {
        eventually("as wanted", || {
            let stored = house.panel.account(name);
            let there = house.observe(name).account;
            match access {
                TargetAccess::Granted => {
                    there == AccountPresence::Present
                        && stored.is_some_and(|it| !it.blocked && it.password == password(name))
                }
                TargetAccess::Denied => house.is_zero(name) && stored.is_none_or(|it| it.blocked),
                TargetAccess::Absent => there == AccountPresence::Absent && stored.is_none(),
            }
        })
        .await;
    }
}

async fn run(events: Vec<Event>) {
    let panel = BlitzPanel::start(super::house::TOKEN).await;
    let mut house = House::at(panel, Arc::default());
    let mut wanted = [TargetAccess::Denied; 3];
    for name in NAMES {
        order(&house, name, TargetAccess::Denied, true);
    }
    let mut devices = Vec::new();
    for event in events {
        match event {
            Event::Grant(who) => {
                wanted[who] = TargetAccess::Granted;
                order(&house, NAMES[who], TargetAccess::Granted, false);
            }
            Event::Deny(who) => {
                wanted[who] = TargetAccess::Denied;
                order(&house, NAMES[who], TargetAccess::Denied, true);
            }
            Event::Leave(who) => {
                wanted[who] = TargetAccess::Absent;
                order(&house, NAMES[who], TargetAccess::Absent, true);
            }
            Event::Restart => {
                let sink = house.sink.clone();
                house = House::at(house.stop().await, sink);
                for (name, access) in NAMES.iter().zip(wanted) {
                    order(&house, name, access, access != TargetAccess::Granted);
                }
            }
            Event::LetIn(who) => {
                if let Some(it) = house.panel.database().accounts.get_mut(NAMES[who]) {
                    it.blocked = false;
                }
            }
            Event::Reset => house.panel.database().accounts.clear(),
            Event::Fault(at, fault) => house.panel.fail_call(house.panel.calls().len() + at, fault),
        }
        for name in NAMES {
            let credential = format!("{name}:{}", password(name));
            if let Ok(session) = house.panel.connect(&credential, "192.0.2.1:1").await {
                devices.push((name, Busy::begin(&house.panel, name, session)));
            }
        }
        tokio::task::yield_now().await;
    }
    agrees(&house, &wanted).await;
    for (name, access) in NAMES.iter().zip(wanted) {
        if access != TargetAccess::Granted {
            let online = house.panel.node().online();
            assert_eq!(online.get(*name), None, "{name} is denied, and online");
        }
    }
    house.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn they_agree_in_the_end_and_nobody_who_is_denied_is_online(events in proptest::collection::vec(event(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(events));
    }
}
