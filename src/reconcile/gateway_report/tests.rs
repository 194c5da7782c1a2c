use proptest::prelude::*;

use super::*;
use crate::gateway::NodeName;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn gateway() -> VpnGateway {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnGateway",
        "metadata": { "name": "default", "generation": 3 },
        "spec": { "hysteria": { "nodes": [{ "name": "fra1", "address": "fra1.example.com" }] } },
    }))
    .unwrap()
}

fn node(name: &str, reachable: Reachable) -> NodeHealth {
    NodeHealth {
        node: NodeName::new("default", name),
        polled_at: (reachable != Reachable::Unknown).then(|| at(10)),
        error: (reachable == Reachable::False).then(|| "http://127.0.0.1:9 cannot be reached".to_owned()),
        sessions: 7,
        proves: true,
        reachable,
        faulty: false,
        undeclared: false,
    }
}

fn with(nodes: &[NodeHealth]) -> GatewayFacts<'_> {
    GatewayFacts {
        refusal: None,
        users: None,
        nodes,
        backlog: Backlog::NONE,
        not_separated: None,
        guard: None,
    }
}

fn adding(accounts: usize, seconds: u64) -> Backlog {
    Backlog::NONE
        .with(Work::Add, accounts)
        .taking(Some(Duration::from_secs(seconds)))
}

#[test]
fn a_large_roll_out_is_said_in_coarse_steps_until_nothing_of_it_is_left() {
    let good = [node("fra1", Reachable::True)];
    let at_work = |before: &VpnGatewayStatus, backlog, second| {
        let facts = GatewayFacts { backlog, ..with(&good) };
        status(&gateway(), before, &facts, at(second))
    };
    let quiet = at_work(&VpnGatewayStatus::default(), Backlog::NONE, 0);
    let small = at_work(&quiet, adding(20, 28), 1);
    assert_eq!(small, quiet, "nobody needs to know of what is over in a moment");
    let large = at_work(&quiet, adding(987, 1340), 2);
    let (ready, .., others) = said(&large);
    assert_eq!((&*ready, &*others.join(",")), ("True", "Reconciling"));
    let message = |status: &VpnGatewayStatus| {
        let it = status.conditions.iter().find(|it| it.type_ == types::RECONCILING);
        it.map(|it| (it.reason.to_string(), it.message.to_string()))
    };
    let (reason, text) = message(&large).unwrap();
    assert_eq!(
        (&*reason, &*text),
        ("RollingOut", "accounts: about 950 to add; about 20 min left")
    );
    assert_eq!(
        at_work(&large, adding(960, 1300), 3),
        large,
        "the same step is not written again"
    );
    let next = at_work(&large, adding(899, 1200), 4);
    assert!(
        next != large && differ_in_numbers_only(&next, &large),
        "another step may wait"
    );
    let both = adding(3, 5).with(Work::Block, 2).with(Work::Prove, 7);
    let (_, text) = message(&at_work(&next, both, 5)).unwrap();
    assert_eq!(
        text, "accounts: about 2 to block, 3 to add; about 1 min left",
        "also when little is left"
    );
    let resting = Backlog::NONE.with(Work::Add, 899);
    let (_, text) = message(&at_work(&next, resting, 6)).unwrap();
    assert!(text.ends_with("is not known at present"), "{text}");
    let over = at_work(&next, Backlog::NONE.with(Work::Prove, 7), 7);
    assert_eq!(said(&over).3, [""; 0]);
    assert!(!differ_in_numbers_only(&over, &next));
}

#[test]
fn that_users_cannot_be_kept_apart_is_a_condition_of_its_own_and_only_while_it_is_so() {
    let good = [node("fra1", Reachable::True)];
    let facts = |not_separated| GatewayFacts {
        not_separated,
        ..with(&good)
    };
    let before = status(
        &gateway(),
        &VpnGatewayStatus::default(),
        &facts(Some("they share")),
        at(0),
    );
    let ready = said(&before);
    assert_eq!(
        (ready.0.as_str(), ready.3.as_slice()),
        ("True", ["Separated".to_owned()].as_slice())
    );
    let separated = before.conditions.iter().find(|it| it.type_ == "Separated").unwrap();
    let told = (&*separated.status, &*separated.reason, &*separated.message);
    assert_eq!(told, ("False", "SharedAuthToken", "they share"));
    assert_eq!(status(&gateway(), &before, &facts(Some("they share")), at(30)), before);
    let after = status(&gateway(), &before, &facts(None), at(30));
    assert_eq!(said(&after).3, [""; 0]);
}

#[test]
fn how_the_auth_guard_is_is_a_condition_of_its_own_where_there_is_one() {
    let good = [node("panel", Reachable::True)];
    let report = |before: &VpnGatewayStatus, guard: Option<&GuardState>, second| {
        let facts = GatewayFacts { guard, ..with(&good) };
        status(&gateway(), before, &facts, at(second))
    };
    let guarded = |status: &VpnGatewayStatus| {
        let found = status.conditions.iter().find(|it| it.type_ == types::GUARDED);
        found.map(|it| (it.status.to_string(), it.reason.to_string()))
    };
    let says = |status: &str, reason: &str| Some((status.to_owned(), reason.to_owned()));
    let new = report(&VpnGatewayStatus::default(), Some(&GuardState::NotAskedYet), 0);
    assert_eq!(guarded(&new), says("Unknown", "NotAskedYet"));
    let works = report(&new, Some(&GuardState::Works), 1);
    assert_eq!(guarded(&works), says("True", "BothAsked"));
    assert_eq!(
        report(&works, Some(&GuardState::NotAskedYet), 2),
        works,
        "a restart is no news"
    );
    let silent = |why: &str| GuardState::Silent(why.to_owned());
    let away = report(&works, Some(&silent("did not answer")), 3);
    assert_eq!(guarded(&away), says("False", "PanelSilent"));
    assert_eq!(said(&away).0, "True", "accounts are kept as before");
    let otherwise = report(&away, Some(&silent("answered HTTP 502")), 4);
    assert!(differ_in_numbers_only(&away, &otherwise) && away != otherwise);
    assert!(!differ_in_numbers_only(&works, &away));
    assert_eq!(guarded(&report(&away, None, 5)), None);
}

/// Status, reason and message of Ready, and which of the others are there.
fn said(status: &VpnGatewayStatus) -> (String, String, String, Vec<String>) {
    let ready = status.conditions.iter().find(|it| it.type_ == types::READY).unwrap();
    let others = status.conditions.iter().filter(|it| it.type_ != types::READY);
    (
        ready.status.to_string(),
        ready.reason.to_string(),
        ready.message.to_string(),
        others.map(|it| it.type_.to_string()).collect(),
    )
}

#[test]
fn a_gateway_is_ready_while_every_node_answers_and_names_the_one_that_does_not() {
    let before = VpnGatewayStatus::default();
    let good = [node("fra1", Reachable::True), node("ams1", Reachable::True)];
    let ready = status(&gateway(), &before, &with(&good), at(700));
    assert_eq!(
        said(&ready),
        ("True".into(), "Running".into(), "every node answers".into(), vec![])
    );
    assert_eq!(ready.reachable_nodes.as_deref(), Some("2/2"));
    assert_eq!((ready.sessions, ready.observed_generation), (Some(10), 3));

    let one_dead = [node("fra1", Reachable::True), node("ams1", Reachable::False)];
    let dead = status(&gateway(), &ready, &with(&one_dead), at(800));
    let (status_of, reason, message, others) = said(&dead);
    assert_eq!(
        (&*status_of, &*reason, &*others.join(",")),
        ("False", "NodeUnreachable", "Reconciling")
    );
    assert!(
        message.contains("ams1: has not answered since 2026-01-01T00:00:10Z") && message.contains("cannot be reached"),
        "{message}"
    );
    assert!(!message.contains("fra1"), "{message}");
    assert_eq!(dead.reachable_nodes.as_deref(), Some("1/2"));
    assert_eq!(dead.nodes[1].reachable, Reachable::False);

    let again = status(&gateway(), &dead, &with(&good), at(900));
    assert_eq!(said(&again), said(&ready));
}

#[test]
fn a_restart_is_no_news_of_a_node() {
    let good = [node("fra1", Reachable::True)];
    let ready = status(&gateway(), &VpnGatewayStatus::default(), &with(&good), at(700));
    let unknown = [node("fra1", Reachable::Unknown)];
    assert_eq!(status(&gateway(), &ready, &with(&unknown), at(800)), ready);
    let first = status(&gateway(), &VpnGatewayStatus::default(), &with(&unknown), at(800));
    assert_eq!(said(&first).0, "Unknown");
}

#[test]
fn what_cannot_run_or_be_asked_is_named_with_its_cause() {
    let faulty = NodeHealth {
        faulty: true,
        error: Some("node ams1: statsSecret: the environment variable X is not set".to_owned()),
        reachable: Reachable::Unknown,
        proves: false,
        ..node("ams1", Reachable::Unknown)
    };
    let nodes = [node("fra1", Reachable::True), faulty];
    let (ready, reason, message, others) =
        said(&status(&gateway(), &VpnGatewayStatus::default(), &with(&nodes), at(1)));
    assert_eq!(
        (&*ready, &*reason, &*others.join(",")),
        ("False", "NodeNotRunning", "Stalled")
    );
    assert!(
        message.contains("ams1") && message.contains("environment variable X"),
        "{message}"
    );

    let dark = NodeHealth {
        proves: false,
        error: Some("no statsUrl is declared".to_owned()),
        ..node("ams1", Reachable::Unknown)
    };
    let nodes = [node("fra1", Reachable::True), dark];
    let (ready, reason, ..) = said(&status(&gateway(), &VpnGatewayStatus::default(), &with(&nodes), at(1)));
    assert_eq!((&*ready, &*reason), ("False", "NoStatistics"));
}

#[test]
fn a_deleted_gateway_in_use_is_not_ready_and_names_up_to_three_users() {
    let users = |count: usize| Users {
        first: ["ab123456", "cd234567", "ef345678"]
            .map(str::to_owned)
            .into_iter()
            .take(count)
            .collect(),
        count,
    };
    let nodes = [node("fra1", Reachable::True)];
    let message = |count| {
        let facts = GatewayFacts {
            users: Some(&users(count)),
            ..with(&nodes)
        };
        let (ready, reason, message, others) = said(&status(&gateway(), &VpnGatewayStatus::default(), &facts, at(1)));
        assert_eq!((&*ready, &*reason, &*others.join(",")), ("False", "InUse", "Stalled"));
        message
    };
    assert!(message(1).starts_with("in use by ab123456: "), "{}", message(1));
    assert!(
        message(15).starts_with("in use by ab123456, cd234567, ef345678 and 12 more: "),
        "{}",
        message(15)
    );
}

#[test]
fn numbers_alone_may_wait_and_everything_else_may_not() {
    let status_of =
        |nodes: &[NodeHealth], second| status(&gateway(), &VpnGatewayStatus::default(), &with(nodes), at(second));
    let busy = NodeHealth {
        sessions: 900,
        polled_at: Some(at(7000)),
        ..node("fra1", Reachable::True)
    };
    let quiet = status_of(&[node("fra1", Reachable::True)], 0);
    let busy = status_of(&[busy], 0);
    assert_ne!(quiet, busy);
    assert!(differ_in_numbers_only(&quiet, &busy));
    let dead = status_of(&[node("fra1", Reachable::False)], 0);
    assert!(!differ_in_numbers_only(&quiet, &dead));
    let other_error = NodeHealth {
        error: Some("did not answer within 4 seconds".to_owned()),
        ..node("fra1", Reachable::False)
    };
    assert!(differ_in_numbers_only(&dead, &status_of(&[other_error], 0)));
}

fn reachable() -> impl Strategy<Value = Reachable> {
    prop_oneof![Just(Reachable::True), Just(Reachable::False), Just(Reachable::Unknown)]
}

fn any_node() -> impl Strategy<Value = NodeHealth> {
    (reachable(), any::<bool>(), any::<bool>(), 0..500u32).prop_map(|(reachable, proves, faulty, sessions)| {
        NodeHealth {
            proves,
            faulty,
            sessions,
            error: (faulty || !proves).then(|| "why".to_owned()),
            ..node("fra1", if proves { reachable } else { Reachable::Unknown })
        }
    })
}

proptest! {
    #[test]
    fn whatever_was_before_the_report_is_that_of_a_new_object(past in prop::collection::vec(any_node(), 0..6), last in any_node()) {
        let mut before = VpnGatewayStatus::default();
        for (second, node) in (0..).zip(&past) {
            before = status(&gateway(), &before, &with(std::slice::from_ref(node)), at(second));
        }
        let nodes = [last];
        let now = status(&gateway(), &before, &with(&nodes), at(100));
        prop_assert_eq!(&status(&gateway(), &now, &with(&nodes), at(101)), &now, "the same again is written again");
        let fresh = status(&gateway(), &VpnGatewayStatus::default(), &with(&nodes), at(100));
        // What is not known yet leaves the last word standing.
        if said(&fresh).0 != "Unknown" {
            prop_assert_eq!(said(&now), said(&fresh));
            prop_assert_eq!((now.nodes, now.reachable_nodes), (fresh.nodes, fresh.reachable_nodes));
        }
    }

    #[test]
    fn coarse_numbers_never_exceed_the_true_ones_nor_miss_more_than_a_third(sessions in any::<u32>()) {
        let shown = coarse(sessions);
        prop_assert!(shown <= sessions);
        prop_assert!(u64::from(sessions - shown) * 3 <= u64::from(sessions) || sessions < 10);
        prop_assert_eq!(coarse(shown), shown);
    }
}
