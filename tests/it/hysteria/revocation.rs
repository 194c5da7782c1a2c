//! Sessions are ended, and it is proved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use vpn_operator::{
    gateway::{Doubt, Gateway, NodeName, TargetAccess, hysteria::WITHOUT_EFFECT},
    model::user::AccountPresence,
};

use super::house::{House, POLL, SECRET, config, eventually, target};
use crate::support::hysteria_node::{Auth, HysteriaNode, Login, Mode, Session};

const IDLE: Duration = Duration::from_millis(600);

async fn node() -> Arc<HysteriaNode> {
    HysteriaNode::start(SECRET, IDLE).await
}

/// A device that moves bytes all the time until it is cut or told to stop. Answers the session and how often it moved.
fn busy(mut session: Session, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<(Session, bool)> {
    let stop = stop.clone();
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            if session.send(10, 100).is_err() {
                return (session, false);
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        (session, true)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_busy_devices_pass_no_byte_after_they_are_contained() {
    let (x, y) = (node().await, node().await);
    let house = House::with(vec![config("x", &x), config("y", &y)]);
    house.permit("corp_a");
    house.permit("corp_b");
    let stop = Arc::new(AtomicBool::new(false));
    let (mut leavers, mut others) = (Vec::new(), Vec::new());
    for at in 0..5 {
        let node = if at % 2 == 0 { &x } else { &y };
        leavers.push(busy(house.connect(node, "corp_a").await, &stop));
        others.push(busy(house.connect(node, "corp_b").await, &stop));
    }
    house.look_again("x").await;
    house.look_again("y").await;
    assert_eq!(house.gateway.observe("corp_a").sessions, 5);

    let denied = Instant::now();
    house.deny("corp_a");
    let contained = house.contained("corp_a").await;
    assert!(denied.elapsed() < Duration::from_secs(1), "{:?}", denied.elapsed());
    for leaver in leavers {
        let (session, alive) = leaver.await.unwrap();
        assert!(!alive);
        assert!(session.last_moved.unwrap() <= contained);
    }
    house.zero("corp_a").await;
    assert!(house.progress("corp_a").waiting_for.is_empty());

    // They stay gone, and nobody else was touched.
    house.look_again("x").await;
    house.look_again("y").await;
    assert_eq!(house.gateway.observe("corp_a").sessions, 0);
    assert_eq!(house.gateway.observe("corp_b").sessions, 5);
    stop.store(true, Ordering::Relaxed);
    for other in others {
        assert!(other.await.unwrap().1, "another account lost a session");
    }
    for node in [&x, &y] {
        assert!(node.kicked().iter().all(|id| id.starts_with("corp_a.")));
        let first = node.calls().into_iter().find(|call| call.path == "/kick").unwrap();
        assert_eq!(first.ids.len(), 5, "one call names every session");
        assert_eq!((node.most_under_way("/kick"), node.most_under_way("/online")), (1, 1));
    }
    house.stop().await;
}

#[tokio::test]
async fn five_silent_devices_get_nothing_through_when_they_wake() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut sessions = house.connect_many(&x, "corp_a", 5).await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    for session in &mut sessions {
        session.keep_alive().unwrap();
    }
    // They are online as long as they are silent, and that is what is said.
    house.look_again("x").await;
    assert_eq!(house.progress("corp_a").sessions_zero_at, None);
    assert_eq!(house.progress("corp_a").waiting_for, ["default/x"]);
    assert_eq!(house.gateway.observe("corp_a").sessions, 5);
    for session in &mut sessions {
        assert!(session.send(1, 0).is_err());
        assert_eq!(session.last_moved, None);
    }
    house.zero("corp_a").await;
    house.stop().await;
}

#[tokio::test]
async fn a_silent_session_is_kicked_every_second_and_a_dead_one_ends() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let silent = house.connect(&x, "corp_a").await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    let kicks = || -> Vec<_> { x.calls().into_iter().filter(|call| call.path == "/kick").collect() };
    let after = kicks().len();
    eventually(|| (kicks().len() >= after + 2).then_some(())).await;
    for pair in kicks()[after - 1..].windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between > Duration::from_millis(900), "{between:?}");
    }
    silent.vanish();
    house.zero("corp_a").await;
    house.stop().await;
}

#[tokio::test]
async fn an_unreachable_node_keeps_the_revocation_open() {
    let (x, y) = (node().await, node().await);
    let mut house = House::with(vec![config("x", &x), config("y", &y)]);
    house.permit("corp_a");
    let mut here = house.connect(&x, "corp_a").await;
    let mut there = house.connect(&y, "corp_a").await;
    house.look_again("y").await;
    y.take_down().await;
    house.deny("corp_a");
    eventually(|| (house.progress("corp_a").waiting_for == ["default/y"]).then_some(())).await;
    assert!(here.send(1, 1).is_err());
    assert!(there.send(1, 1).is_ok(), "it cannot be cut yet");
    let health = eventually(|| house.gateway.health().into_iter().find(|node| node.error.is_some())).await;
    assert_eq!(health.node.to_string(), "default/y");
    assert!(health.polled_at.is_some());
    assert_eq!(house.progress("corp_a").contained_at, None);

    while house.completions.try_recv().is_ok() {}
    y.bring_up().await;
    let contained = house.contained("corp_a").await;
    assert!(there.last_moved.unwrap() <= contained);
    assert!(there.send(1, 1).is_err());
    house.zero("corp_a").await;
    assert!(house.completions.recv().await.unwrap().contains("corp_a"));
    eventually(|| {
        house
            .gateway
            .health()
            .iter()
            .all(|node| node.error.is_none())
            .then_some(())
    })
    .await;
    house.stop().await;
}

#[tokio::test]
async fn a_session_that_registers_late_passes_no_byte() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    x.set_registration_delay(Duration::from_millis(700));
    let (auth, node) = (house.auth.clone(), x.clone());
    let asked = Arc::new(AtomicBool::new(false));
    let said_yes = asked.clone();
    let late = tokio::spawn(async move {
        let answer = move |login: &Login<'_>| {
            let id = auth.login(login);
            said_yes.store(true, Ordering::SeqCst);
            id
        };
        node.connect(Auth::Answer(&answer), "corp_a:pw", "192.0.2.1:1000").await
    });
    eventually(|| asked.load(Ordering::SeqCst).then_some(())).await;
    house.deny("corp_a");
    house.zero("corp_a").await;
    let mut session = late.await.unwrap().unwrap();
    eventually(|| house.progress("corp_a").sessions_zero_at.is_none().then_some(())).await;
    assert!(
        house.progress("corp_a").contained_at.is_some(),
        "its id was kicked before it was there"
    );
    assert!(session.send(1, 1).is_err());
    house.zero("corp_a").await;
    house.stop().await;
}

#[tokio::test]
async fn a_session_that_nobody_knew_of_is_found_and_held_down() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let _here = house.connect(&x, "corp_a").await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    let mut unknown = x.register("corp_a.0.77".to_owned(), "192.0.2.9:9");
    eventually(|| x.kicked().contains(&"corp_a.0.77".to_owned()).then_some(())).await;
    house.contained("corp_a").await;
    assert!(unknown.send(1, 1).is_err());
    house.stop().await;
}

#[tokio::test]
async fn both_connections_of_one_id_go_before_it_is_contained() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let first = house.connect(&x, "corp_a").await;
    let second = x.register(first.id.clone(), "192.0.2.1:1000");
    let stop = Arc::new(AtomicBool::new(false));
    let devices = [busy(first, &stop), busy(second, &stop)];
    house.look_again("x").await;
    house.deny("corp_a");
    let contained = house.contained("corp_a").await;
    for device in devices {
        let (session, alive) = device.await.unwrap();
        assert!(!alive && session.last_moved.unwrap() <= contained);
    }
    house.stop().await;
}

#[tokio::test]
async fn a_rotation_cuts_the_old_sessions_and_the_new_one_works() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut old = house.connect(&x, "corp_a").await;
    let target = house.auth.rotate("corp_a");
    house.gateway.submit("corp_a", target.clone());
    let mut new = house.connect(&x, "corp_a").await;
    house.contained("corp_a").await;
    assert!(old.send(1, 1).is_err());
    house.zero("corp_a").await;
    for _ in 0..3 {
        new.send(1, 1).unwrap();
        house.look_again("x").await;
    }
    assert!(!x.kicked().contains(&new.id));
    assert_eq!(house.gateway.observe("corp_a").account, AccountPresence::Present);
    // The same again does nothing.
    let kicks = x.kicked().len();
    house.gateway.submit("corp_a", target);
    house.look_again("x").await;
    assert_eq!(x.kicked().len(), kicks);
    new.send(1, 1).unwrap();
    house.stop().await;
}

#[tokio::test]
async fn granted_again_the_new_session_is_never_hit_by_a_left_over_kick() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let _silent = house.connect(&x, "corp_a").await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    house.permit("corp_a");
    let mut new = house.connect(&x, "corp_a").await;
    house.look_again("x").await;
    house.look_again("x").await;
    new.send(1, 1).unwrap();
    house.stop().await;
}

#[tokio::test]
async fn an_account_is_absent_only_when_no_session_is_left() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    assert_eq!(house.gateway.observe("corp_a").account, AccountPresence::Unknown);
    house.permit("corp_a");
    let mut session = house.connect(&x, "corp_a").await;
    let revoke = house.auth.deny("corp_a");
    house
        .gateway
        .submit("corp_a", target(TargetAccess::Absent, revoke.below, Some(revoke)));
    house.contained("corp_a").await;
    assert_eq!(house.gateway.observe("corp_a").account, AccountPresence::Present);
    assert!(session.send(1, 1).is_err());
    house.zero("corp_a").await;
    assert_eq!(house.gateway.observe("corp_a").account, AccountPresence::Absent);
    house.gateway.forget("corp_a");
    let forgotten = house.gateway.observe("corp_a");
    assert_eq!(
        (forgotten.account, forgotten.revocation),
        (AccountPresence::Unknown, None)
    );
    house.stop().await;
}

#[tokio::test]
async fn a_slow_read_of_the_counters_does_not_delay_a_kick() {
    let x = node().await;
    x.set_mode("/traffic", Mode::Slow(Duration::from_secs(4)));
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut session = house.connect(&x, "corp_a").await;
    house.look_again("x").await;
    let denied = Instant::now();
    house.deny("corp_a");
    house.contained("corp_a").await;
    assert!(denied.elapsed() < Duration::from_secs(1), "{:?}", denied.elapsed());
    assert!(session.send(1, 1).is_err());
    house.stop().await;
}

#[tokio::test]
async fn a_look_that_hangs_delays_neither_the_kick_nor_the_proof() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let _session = house.connect(&x, "corp_a").await;
    house.look_again("x").await;
    x.set_mode("/online", Mode::Hang);
    let looks = || x.calls().iter().filter(|call| call.path == "/online").count();
    let before = looks();
    eventually(|| (looks() > before).then_some(())).await;
    x.set_mode("/online", Mode::Normal);
    let denied = Instant::now();
    house.deny("corp_a");
    house.contained("corp_a").await;
    assert!(denied.elapsed() < Duration::from_secs(1), "{:?}", denied.elapsed());
    house.stop().await;
}

#[tokio::test]
async fn a_kick_that_fails_is_tried_again_and_contains_nothing_until_then() {
    let x = node().await;
    x.set_mode("/kick", Mode::Error);
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut session = house.connect(&x, "corp_a").await;
    house.deny("corp_a");
    eventually(|| {
        house
            .calls
            .lock()
            .unwrap()
            .contains(&("default/x".to_owned(), "kick", "status"))
            .then_some(())
    })
    .await;
    house.look_again("x").await;
    assert_eq!(house.progress("corp_a").contained_at, None);
    session.send(1, 1).unwrap();
    x.set_mode("/kick", Mode::Normal);
    house.contained("corp_a").await;
    assert!(session.send(1, 1).is_err());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kick_that_does_nothing_takes_the_claim_back_is_repeated_and_is_counted() {
    let x = node().await;
    x.set_mode("/kick", Mode::Ignored);
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let stop = Arc::new(AtomicBool::new(false));
    let device = busy(house.connect(&x, "corp_a").await, &stop);
    house.look_again("x").await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    let withdrawn = eventually(|| house.progress("corp_a").withdrawn_at).await;
    let progress = house.progress("corp_a");
    assert_eq!(
        (progress.contained_at, progress.waiting_for),
        (None, vec!["default/x".to_owned()])
    );
    let without_effect = ("default/x".to_owned(), "kick", WITHOUT_EFFECT);
    assert!(house.calls.lock().unwrap().contains(&without_effect));
    let error = eventually(|| house.gateway_error()).await;
    assert!(error.contains("sessions move on"), "{error}");
    let kicks = x.kicked().len();
    eventually(|| (x.kicked().len() > kicks).then_some(())).await;
    assert_eq!(
        house.progress("corp_a").contained_at,
        None,
        "its word proves nothing any more"
    );

    x.set_mode("/kick", Mode::Normal);
    let contained = house.contained("corp_a").await;
    let (session, alive) = device.await.unwrap();
    assert!(!alive && contained > withdrawn);
    assert!(session.last_moved.unwrap() <= contained);
    house.zero("corp_a").await;
    eventually(|| house.gateway_error().is_none().then_some(())).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_nodes_that_do_as_they_say_no_claim_is_ever_taken_back() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    let stop = Arc::new(AtomicBool::new(false));
    for round in 0..5 {
        house.permit("corp_a");
        let devices: Vec<_> = house.connect_many(&x, "corp_a", 3).await;
        let mut devices: Vec<_> = devices.into_iter().map(|session| busy(session, &stop)).collect();
        let mut silent = house.connect(&x, "corp_a").await;
        house.look_again("x").await;
        house.deny("corp_a");
        house.contained("corp_a").await;
        // Looks and counters are read several times while it is still there.
        house.look_again("x").await;
        house.look_again("x").await;
        assert!(silent.send(1, 1).is_err());
        for device in devices.drain(..) {
            assert!(!device.await.unwrap().1);
        }
        house.zero("corp_a").await;
        assert_eq!(house.progress("corp_a").withdrawn_at, None, "round {round}");
    }
    assert!(house.calls.lock().unwrap().iter().all(|call| call.2 != WITHOUT_EFFECT));
    house.stop().await;
}

#[tokio::test]
async fn a_node_that_shows_the_sessions_of_another_is_waited_for_and_named() {
    let (x, y) = (node().await, node().await);
    // Both names lead to x.
    let house = House::with(vec![config("x", &x), config("y", &x)]);
    let (x_name, y_name) = (NodeName::new("default", "x"), NodeName::new("default", "y"));
    house
        .auth
        .doubts
        .lock()
        .unwrap()
        .insert(y_name, Doubt::SessionsOf(x_name));
    house.permit("corp_a");
    let mut on_y = house.connect(&y, "corp_a").await;
    house.look_again("y").await;
    house.deny("corp_a");
    eventually(|| (house.progress("corp_a").waiting_for == ["default/y"]).then_some(())).await;
    house.look_again("y").await;
    assert_eq!(house.progress("corp_a").contained_at, None);
    on_y.send(1, 1).unwrap();
    let error = eventually(|| house.gateway_error()).await;
    assert!(error.contains("statsUrl") && error.contains("default/x"), "{error}");
    house.stop().await;
}

#[tokio::test]
async fn a_session_that_its_node_never_showed_keeps_the_revocation_open() {
    let (x, y) = (node().await, node().await);
    // Nothing that is on y shows at the address that is declared for it.
    let house = House::with(vec![config("y", &x)]);
    let y_name = NodeName::new("default", "y");
    house.auth.missed.lock().unwrap().insert((y_name, "corp_a".to_owned()));
    for account in ["corp_a", "corp_b"] {
        house.permit(account);
    }
    let _on_y = house.connect(&y, "corp_a").await;
    for account in ["corp_a", "corp_b"] {
        house.deny(account);
    }
    house.contained("corp_b").await;
    house.look_again("y").await;
    assert_eq!(house.progress("corp_a").contained_at, None);
    let error = eventually(|| house.gateway_error()).await;
    assert!(error.contains("never showed"), "{error}");
    house.auth.missed.lock().unwrap().clear();
    house.contained("corp_a").await;
    eventually(|| house.gateway_error().is_none().then_some(())).await;
    house.stop().await;
}

#[tokio::test]
async fn a_node_that_is_taken_out_while_it_lives_is_left_out_and_nothing_is_claimed_for_it() {
    let (x, y) = (node().await, node().await);
    let house = House::with(vec![config("x", &x), config("y", &y)]);
    house.permit("corp_a");
    let mut on_y = house.connect(&y, "corp_a").await;
    house.look_again("y").await;
    y.take_down().await;
    house.deny("corp_a");
    eventually(|| (house.progress("corp_a").waiting_for == ["default/y"]).then_some(())).await;
    house.gateway.update(vec![config("x", &x)]).unwrap();
    house.look_again("x").await;
    on_y.send(1, 1).unwrap();
    let progress = house.progress("corp_a");
    assert_eq!(progress.left_out, ["default/y"]);
    assert_eq!(
        (progress.contained_at, progress.sessions_zero_at, progress.waiting_for),
        (None, None, Vec::new())
    );
    y.bring_up().await;
    house.gateway.update(vec![config("x", &x), config("y", &y)]).unwrap();
    house.contained("corp_a").await;
    assert!(on_y.send(1, 1).is_err());
    assert!(house.progress("corp_a").left_out.is_empty());
    house.stop().await;
}

#[tokio::test]
async fn a_restarted_node_has_nothing_left_to_cut() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut session = house.connect(&x, "corp_a").await;
    house.deny("corp_a");
    house.contained("corp_a").await;
    x.restart();
    house.zero("corp_a").await;
    assert!(session.send(1, 1).is_err());
    house.stop().await;
}

#[tokio::test]
async fn sessions_of_a_former_process_are_cut_and_foreign_ones_are_not() {
    let x = node().await;
    let mut stray = x.register("corp_gone.5.0".to_owned(), "192.0.2.1:1");
    let mut foreign = x.register("somebody".to_owned(), "192.0.2.2:1");
    let house = House::with(vec![config("x", &x)]);
    house.permit("corp_a");
    let mut permitted = house.connect(&x, "corp_a").await;
    eventually(|| (!x.kicked().is_empty()).then_some(())).await;
    tokio::time::sleep(POLL).await;
    house.look_again("x").await;
    assert!(stray.send(1, 1).is_err());
    foreign.send(1, 1).unwrap();
    permitted.send(1, 1).unwrap();
    assert!(x.kicked().iter().all(|id| id == "corp_gone.5.0"));
    house.stop().await;
}

#[tokio::test]
async fn a_thousand_denials_at_once_are_few_calls() {
    let x = node().await;
    let house = House::with(vec![config("x", &x)]);
    let mut sessions = Vec::new();
    for at in 0..1_000 {
        let account = format!("corp_{at}");
        house.permit(&account);
        sessions.push(house.connect(&x, &account).await);
    }
    house.look_again("x").await;
    for at in 0..1_000 {
        house.deny(&format!("corp_{at}"));
    }
    for at in 0..1_000 {
        house.contained(&format!("corp_{at}")).await;
    }
    assert!(sessions.iter_mut().all(|session| session.send(1, 1).is_err()));
    let kicks = x.calls().iter().filter(|call| call.path == "/kick").count();
    assert!(kicks < 100, "{kicks}");
    house.stop().await;
}
