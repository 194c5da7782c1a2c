use std::{collections::HashMap, time::Duration};

use super::*;
use crate::{
    clock::{Clock, ManualClock},
    gateway::{ANY, SessionLedger, Standing},
};

fn name(text: &str) -> NodeName {
    NodeName::new("default", text)
}

fn granting() -> Arc<Terms> {
    Arc::new(Terms {
        active: true,
        ..Terms::default()
    })
}

fn change(terms: Arc<Terms>, granted: bool) -> Change {
    Change {
        password: Some(Digest::of("pw")),
        terms,
        max_devices: None,
        gateways: Gateways::default(),
        granted,
        epoch: EpochRule::Own {
            start: Epoch(0),
            raise: false,
        },
    }
}

fn index() -> (Arc<ManualClock>, AuthIndex) {
    let clock = ManualClock::at("2026-05-01T00:00:00Z".parse().unwrap());
    let index = AuthIndex::new(clock.clone(), Role::Controller);
    index.put(&"corp_a".into(), change(granting(), true), clock.now());
    index.set_loaded();
    (clock, index)
}

fn id(index: &AuthIndex, node: &str, address: &str) -> String {
    match index.login(&index.node(&name(node)), address, "corp_a:pw") {
        Verdict::Granted(session) => session.id().to_string(),
        other => panic!("{other:?}"),
    }
}

fn online(ids: &[&str]) -> HashMap<String, u32> {
    ids.iter().map(|id| ((*id).to_owned(), 1)).collect()
}

#[test]
fn after_a_restart_low_slots_wait_until_every_node_has_shown_its_sessions() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a"), name("b")].into());
    let early = id(&index, "a", "1.1.1.1:1");
    let slot = SessionId::parse(&early).unwrap().slot;
    assert!(slot >= BLOCK && slot.is_multiple_of(BLOCK), "{early}");
    clock.advance(Duration::from_secs(13));
    index.observed(&name("a"), clock.monotonic(), &online(&[&early, "corp_a.0.0"]));
    assert_eq!(
        SessionId::parse(&id(&index, "a", "1.1.1.1:2")).unwrap().slot,
        slot + 1,
        "b may show more"
    );
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_a.0.2"]));
    assert_eq!(id(&index, "b", "1.1.1.1:3"), "corp_a.0.1");
    assert_eq!(id(&index, "b", "1.1.1.1:4"), "corp_a.0.3");
}

#[test]
fn a_poll_that_began_before_the_old_process_last_said_yes_proves_nothing() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    clock.advance(Duration::from_secs(11));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    assert!(SessionId::parse(&id(&index, "a", "1.1.1.1:1")).unwrap().slot >= BLOCK);
}

#[test]
fn a_node_under_a_new_name_does_not_free_the_slots_it_holds() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    clock.advance(Duration::from_secs(13));
    index.observed(&name("a"), clock.monotonic(), &online(&["corp_a.0.0"]));
    index.node_removed(&name("a"));
    index.expect_polls_of(&[name("b")].into());
    assert_ne!(id(&index, "b", "1.1.1.1:1"), "corp_a.0.0");
    clock.advance(Duration::from_secs(1));
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_a.0.0"]));
    clock.advance(Duration::from_secs(20));
    assert_eq!(id(&index, "b", "1.1.1.1:2"), "corp_a.0.1");
}

#[test]
fn polls_that_arrive_out_of_order_are_left_out() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    let early = clock.monotonic();
    clock.advance(Duration::from_secs(13));
    index.observed(&name("a"), clock.monotonic(), &online(&["corp_a.0.0"]));
    index.observed(&name("a"), early, &online(&[]));
    assert_eq!(id(&index, "a", "1.1.1.1:1"), "corp_a.0.1");
}

#[test]
fn standing_follows_the_account_the_epoch_and_the_clock() {
    let (clock, index) = index();
    assert_eq!(index.standing(&name("a"), "corp_a.0.5"), Standing::Permitted);
    assert_eq!(index.standing(&name("a"), "corp_a.1.5"), Standing::Revoked);
    assert_eq!(index.standing(&name("a"), "corp_b.0.5"), Standing::Revoked);
    for foreign in ["corp_a", "corp_a.0", "someone", "corp_a.0.0.0", "", ".0.0"] {
        assert_eq!(index.standing(&name("a"), foreign), Standing::Foreign, "{foreign}");
    }
    let until = clock.now().checked_add(Duration::from_secs(10)).unwrap();
    let terms = Terms {
        valid_until: Some(until),
        ..(*granting()).clone()
    };
    index.put(&"corp_a".into(), change(Arc::new(terms), true), clock.now());
    assert_eq!(index.standing(&name("a"), "corp_a.0.5"), Standing::Permitted);
    clock.advance(Duration::from_secs(10));
    assert_eq!(
        index.standing(&name("a"), "corp_a.0.5"),
        Standing::Revoked,
        "nobody has to be told that time passes"
    );
}

#[test]
fn before_the_load_nothing_is_known_of_any_session() {
    let clock = ManualClock::at("2026-05-01T00:00:00Z".parse().unwrap());
    let index = AuthIndex::new(clock, Role::Controller);
    assert_eq!(index.standing(&name("a"), "corp_a.0.5"), Standing::Foreign);
    assert!(matches!(
        index.login(&index.node(&name("a")), "1.1.1.1:1", "corp_a:pw"),
        Verdict::NotLoaded
    ));
}

#[test]
fn an_earlier_process_may_have_said_yes_until_this_one_began() {
    let (clock, index) = index();
    let started = clock.monotonic();
    assert_eq!(index.last_yes("corp_a"), Some(started));
    clock.advance(Duration::from_secs(5));
    id(&index, "a", "1.1.1.1:1");
    assert_eq!(index.last_yes("corp_a"), Some(clock.monotonic()));
}

#[test]
fn a_denial_after_an_unnoticed_grant_names_the_sessions_in_between() {
    let (clock, index) = index();
    let from = clock.now().checked_add(Duration::from_secs(5)).unwrap();
    let terms = Arc::new(Terms {
        valid_from: Some(from),
        ..(*granting()).clone()
    });
    let (epoch, _) = index.put(&"corp_a".into(), change(terms, false), clock.now());
    clock.advance(Duration::from_secs(6));
    let late = id(&index, "a", "1.1.1.1:1");
    let (below, revoke) = index.put(&"corp_a".into(), change(Arc::default(), false), clock.now());
    assert!(below > epoch);
    assert_eq!(revoke.unwrap().known, [late]);
    assert_eq!(
        index.put(&"corp_a".into(), change(Arc::default(), false), clock.now()),
        (below, None),
        "one denial, one cut"
    );
}

#[test]
fn a_node_of_a_gateway_that_the_user_does_not_have_lets_nobody_in() {
    let (clock, index) = index();
    let login = |node: &NodeName| index.login(&index.node(node), "1.1.1.1:1", "corp_a:pw");
    let paris = NodeName::new("paris", "a");
    assert!(matches!(login(&paris), Verdict::OtherGateway));
    let both = ["default".to_owned(), "paris".to_owned()];
    let mut wider = change(granting(), true);
    wider.gateways = Gateways::of(Some(&both));
    let (epoch, revoke) = index.put(&"corp_a".into(), wider, clock.now());
    assert!(revoke.is_none(), "a gateway more ends no session");
    let Verdict::Granted(session) = login(&paris) else {
        panic!("refused")
    };
    let (later, revoke) = index.put(&"corp_a".into(), change(granting(), true), clock.now());
    assert!(later > epoch, "a gateway less ends the sessions that may live on it");
    assert_eq!(revoke.unwrap().known, [session.id().to_string()]);
    assert!(matches!(login(&paris), Verdict::OtherGateway));
    assert!(matches!(login(&NodeName::new(ANY, ANY)), Verdict::Granted(_)));
}

#[test]
fn a_slot_of_a_shared_token_waits_for_every_node_that_has_it() {
    let (clock, index) = index();
    let nodes = [name("a"), name("b")];
    index.expect_polls_of(&nodes.clone().into());
    clock.advance(Duration::from_secs(13));
    for node in &nodes {
        index.observed(node, clock.monotonic(), &online(&[]));
    }
    assert_eq!(id(&index, ANY, "1.1.1.1:1"), "corp_a.0.0");
    clock.advance(Duration::from_secs(60));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    assert_eq!(id(&index, ANY, "1.1.1.1:2"), "corp_a.0.1", "b may have the session");
    clock.advance(Duration::from_secs(60));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_a.0.0"]));
    assert_eq!(id(&index, ANY, "1.1.1.1:3"), "corp_a.0.1");
}

#[test]
fn a_node_that_never_answers_keeps_nobody_out() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a"), name("b")].into());
    for turn in 0..3000 {
        clock.advance(Duration::from_secs(20));
        index.observed(&name("a"), clock.monotonic(), &online(&[]));
        id(&index, "b", &format!("1.1.1.1:{turn}"));
    }
}

#[test]
fn a_node_that_lies_about_one_account_without_end_is_looked_at_in_no_time() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    let lies: HashMap<String, u32> = (0..200_000).map(|slot| (format!("corp_a.0.{}", slot * 7), 1)).collect();
    let begun = Instant::now();
    index.observed(&name("a"), clock.monotonic(), &lies);
    index.observed(&name("a"), clock.monotonic() + Duration::from_secs(1), &lies);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_denial_names_also_what_other_processes_may_hand_out_next() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    let theirs = 7 * BLOCK;
    let shown = [format!("corp_b.0.{theirs}"), format!("corp_a.0.{}", theirs + 1)];
    index.put(&"corp_b".into(), change(granting(), true), clock.now());
    clock.advance(Duration::from_secs(1));
    index.observed(&name("a"), clock.monotonic(), &online(&[&shown[0], &shown[1]]));
    let revoke = index
        .put(&"corp_a".into(), change(granting(), false), clock.now())
        .1
        .unwrap();
    let next = [0, 2, 3].map(|number| format!("corp_a.0.{}", theirs + number));
    assert!(revoke.known.contains(&shown[1]), "{revoke:?}");
    assert!(next.iter().all(|id| revoke.known.contains(id)), "{revoke:?}");
    let doubtful = index.last_yes("corp_a").unwrap();
    assert!(doubtful > clock.monotonic(), "a replica may hear of it later");
    clock.advance(Duration::from_secs(2 * 3600));
    let revoke = index
        .put(&"corp_b".into(), change(granting(), false), clock.now())
        .1
        .unwrap();
    assert_eq!(revoke.known, [shown[0].clone()], "nobody else lets people in any more");
}

#[test]
fn a_right_password_in_the_wrong_form_is_told_from_a_wrong_one_and_refused_all_the_same() {
    use super::super::wrong_form::Form::{Encoded, PasswordAlone};
    let (clock, index) = index();
    let password = Some(Digest::of("pa:ss/wd"));
    let change = Change {
        password,
        ..change(granting(), true)
    };
    index.put(&"corp_b".into(), change, clock.now());
    let node = index.node(&name("a"));
    let said = |auth: &str| {
        clock.advance(Duration::from_secs(1));
        match index.login(&node, "192.0.2.1:1", auth) {
            Verdict::WrongForm(wrong) => Some((wrong.account.to_string(), wrong.form)),
            Verdict::Granted(_) => panic!("{auth} is let in"),
            _ => None,
        }
    };
    for encoded in ["corp_b%3Apa%3Ass%2Fwd", "corp_b:pa%3Ass%2Fwd", "CORP%5FB:pa:ss%2fwd"] {
        assert_eq!(said(encoded), Some(("corp_b".to_owned(), Encoded)), "{encoded}");
    }
    for alone in ["pw", "%70w"] {
        assert_eq!(said(alone), Some(("corp_a".to_owned(), PasswordAlone)), "{alone}");
    }
    for wrong in [
        "corp_b%3Apass",
        "corp_a%3Apa%3Ass%2Fwd",
        "corp_c%3Apw",
        "p",
        "%",
        "corp_a",
        "",
    ] {
        assert_eq!(said(wrong), None, "{wrong}");
    }
}
