use std::time::Duration;

use super::*;
use crate::{
    clock::{Clock, ManualClock},
    gateway::{ANY, Doubt, SessionLedger, Standing},
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

fn id(index: &AuthIndex, node: &str) -> String {
    match index.login(&index.node(&name(node)), "corp_a:pw") {
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
    let early = id(&index, "a");
    let slot = SessionId::parse(&early).unwrap().slot;
    assert!(slot >= BLOCK && slot.is_multiple_of(BLOCK), "{early}");
    clock.advance(Duration::from_secs(13));
    index.observed(&name("a"), clock.monotonic(), &online(&[&early, "corp_a.0.0"]));
    assert_eq!(
        SessionId::parse(&id(&index, "a")).unwrap().slot,
        slot + 1,
        "b may show more"
    );
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_a.0.2"]));
    assert_eq!(id(&index, "b"), "corp_a.0.1");
    assert_eq!(id(&index, "b"), "corp_a.0.3");
}

#[test]
fn a_poll_that_began_before_the_old_process_last_said_yes_proves_nothing() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    clock.advance(Duration::from_secs(11));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    assert!(SessionId::parse(&id(&index, "a")).unwrap().slot >= BLOCK);
}

#[test]
fn a_node_under_a_new_name_does_not_free_the_slots_it_holds() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    clock.advance(Duration::from_secs(13));
    index.observed(&name("a"), clock.monotonic(), &online(&["corp_a.0.0"]));
    index.node_removed(&name("a"));
    index.expect_polls_of(&[name("b")].into());
    assert_ne!(id(&index, "b"), "corp_a.0.0");
    clock.advance(Duration::from_secs(1));
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_a.0.0"]));
    clock.advance(Duration::from_secs(20));
    assert_eq!(id(&index, "b"), "corp_a.0.1");
}

#[test]
fn polls_that_arrive_out_of_order_are_left_out() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a")].into());
    let early = clock.monotonic();
    clock.advance(Duration::from_secs(13));
    index.observed(&name("a"), clock.monotonic(), &online(&["corp_a.0.0"]));
    index.observed(&name("a"), early, &online(&[]));
    assert_eq!(id(&index, "a"), "corp_a.0.1");
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
        index.login(&index.node(&name("a")), "corp_a:pw"),
        Verdict::NotLoaded
    ));
}

#[test]
fn an_earlier_process_may_have_said_yes_until_this_one_began() {
    let (clock, index) = index();
    let started = clock.monotonic();
    assert_eq!(index.last_yes("corp_a"), Some(started));
    clock.advance(Duration::from_secs(5));
    id(&index, "a");
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
    let late = id(&index, "a");
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
    let login = |node: &NodeName| index.login(&index.node(node), "corp_a:pw");
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
    assert_eq!(id(&index, ANY), "corp_a.0.0");
    clock.advance(Duration::from_secs(60));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    assert_eq!(id(&index, ANY), "corp_a.0.1", "b may have the session");
    clock.advance(Duration::from_secs(60));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_a.0.0"]));
    assert_eq!(id(&index, ANY), "corp_a.0.1");
}

#[test]
fn a_node_that_never_answers_keeps_nobody_out() {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a"), name("b")].into());
    for _ in 0..3000 {
        clock.advance(Duration::from_secs(20));
        index.observed(&name("a"), clock.monotonic(), &online(&[]));
        id(&index, "b");
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
        match index.login(&node, auth) {
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

/// Both nodes have a token of their own, and are polled.
fn two_nodes() -> (Arc<ManualClock>, AuthIndex) {
    let (clock, index) = index();
    index.expect_polls_of(&[name("a"), name("b")].into());
    clock.advance(Duration::from_secs(1));
    (clock, index)
}

fn deny(index: &AuthIndex, clock: &ManualClock) -> Revoke {
    let denial = index.put(&"corp_a".into(), change(Arc::default(), false), clock.now());
    denial.1.unwrap()
}

#[test]
fn a_node_that_shows_the_sessions_of_another_is_not_believed_until_it_shows_its_own() {
    let (clock, index) = two_nodes();
    let on_a = id(&index, "a");
    for node in ["a", "b"] {
        index.observed(&name(node), clock.monotonic(), &online(&[&on_a]));
    }
    assert_eq!(index.doubt(&name("a")), None);
    assert_eq!(index.doubt(&name("b")), Some(Doubt::SessionsOf(name("a"))));
    clock.advance(Duration::from_secs(1));
    index.observed(&name("b"), clock.monotonic(), &online(&[]));
    assert!(index.doubt(&name("b")).is_some(), "nothing says that it got better");
    let on_b = id(&index, "b");
    clock.advance(Duration::from_secs(1));
    index.observed(&name("b"), clock.monotonic(), &online(&[&on_b]));
    assert_eq!(index.doubt(&name("b")), None);
}

#[test]
fn of_two_nodes_that_show_one_session_neither_is_believed_when_no_token_tells_them_apart() {
    let (clock, index) = two_nodes();
    let session = id(&index, ANY);
    index.observed(&name("a"), clock.monotonic(), &online(&[&session]));
    assert_eq!(index.doubt(&name("a")), None);
    index.observed(&name("b"), clock.monotonic(), &online(&[&session]));
    assert_eq!(index.doubt(&name("a")), Some(Doubt::SameAs(name("b"))));
    assert_eq!(index.doubt(&name("b")), Some(Doubt::SameAs(name("a"))));
    // Its address was corrected.
    index.node_removed(&name("b"));
    assert_eq!(index.doubt(&name("a")), None);
}

#[test]
fn a_session_that_no_node_shows_is_missed_where_it_was_handed_out() {
    let (clock, index) = two_nodes();
    let on_b = id(&index, "b");
    for _ in 0..2 {
        clock.advance(Duration::from_secs(20));
        for node in ["a", "b"] {
            index.observed(&name(node), clock.monotonic(), &online(&[]));
        }
    }
    let revoke = deny(&index, &clock);
    assert_eq!(revoke.known, [on_b]);
    assert!(index.misses(&name("b"), "corp_a", revoke.below));
    assert!(!index.misses(&name("a"), "corp_a", revoke.below));
    index.put(&"corp_b".into(), change(granting(), true), clock.now());
    index.observed(&name("b"), clock.monotonic(), &online(&["corp_b.0.0"]));
    assert!(
        !index.misses(&name("b"), "corp_a", revoke.below),
        "it shows what is on it, so the session had ended"
    );
}

#[test]
fn a_session_that_ended_on_a_node_that_shows_others_is_not_missed() {
    let (clock, index) = two_nodes();
    let first = id(&index, "b");
    index.observed(&name("b"), clock.monotonic(), &online(&[&first]));
    id(&index, "b");
    clock.advance(Duration::from_secs(20));
    index.observed(&name("b"), clock.monotonic(), &online(&[&first]));
    let revoke = deny(&index, &clock);
    assert_eq!(revoke.known, [first]);
    assert!(!index.misses(&name("b"), "corp_a", revoke.below));
}

#[test]
fn a_denial_names_the_node_that_left_with_a_session() {
    let (clock, index) = two_nodes();
    let on_b = id(&index, "b");
    index.observed(&name("b"), clock.monotonic(), &online(&[&on_b]));
    index.node_removed(&name("b"));
    index.expect_polls_of(&[name("a")].into());
    clock.advance(Duration::from_secs(3600));
    index.observed(&name("a"), clock.monotonic(), &online(&[]));
    assert_eq!(deny(&index, &clock).left_out, ["default/b"]);
    index.put(&"corp_a".into(), change(granting(), true), clock.now());
    assert!(deny(&index, &clock).left_out.is_empty(), "once");
}

#[test]
fn a_server_that_goes_on_under_another_name_is_not_left_out() {
    let (clock, index) = two_nodes();
    let on_b = id(&index, "b");
    index.observed(&name("b"), clock.monotonic(), &online(&[&on_b]));
    index.node_removed(&name("b"));
    index.expect_polls_of(&[name("a"), name("c")].into());
    clock.advance(Duration::from_secs(1));
    index.observed(&name("c"), clock.monotonic(), &online(&[&on_b]));
    assert_eq!(index.doubt(&name("c")), None);
    assert!(deny(&index, &clock).left_out.is_empty());
}

#[test]
fn nodes_that_are_declared_with_one_address_are_not_believed_whatever_they_show() {
    let (clock, index) = two_nodes();
    let alike = [(name("a"), name("b")), (name("b"), name("a"))];
    index.declare_alike(&alike.into());
    let on_a = id(&index, "a");
    index.observed(&name("a"), clock.monotonic(), &online(&[&on_a]));
    assert_eq!(index.doubt(&name("a")), Some(Doubt::SameAddress(name("b"))));
    index.declare_alike(&HashMap::new());
    assert_eq!(index.doubt(&name("a")), None);
}
