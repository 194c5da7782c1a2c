use std::{sync::Arc, time::Duration};

use vpn_operator::{
    auth::index::Verdict,
    clock::{Clock as _, SystemClock},
    fence::Fence,
    history::RevocationRow,
    model::{access::Access, hold::HoldPhase, user::AccountPresence},
};

use super::world::{Operator, Source, is_in, node, open_when_free, settled, two_nodes, until, waiting};
use crate::support::hysteria_node::HysteriaNode;

const ANNA: &str = "AB123456";
const ADDRESS: &str = "192.0.2.1:1000";

/// Anna on two gateways with a node each.
async fn two_gateways() -> (tempfile::TempDir, Arc<Source>, [Arc<HysteriaNode>; 2]) {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    let (n1, n2) = (node().await, node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.gateway("paris", &[("n2", &n2)]);
    source.declare(ANNA, |spec| {
        spec.gateways = Some(vec!["default".to_owned(), "paris".to_owned()]);
    });
    (data, source, [n1, n2])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_is_lost_and_found_in_the_same_moment_still_denies() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    source.hold("hr-dismissed-ab123456", ANNA);
    let operator = Operator::start(&source, data.path()).await;
    assert!(!is_in(&operator, ANNA));
    source.lose_hold("hr-dismissed-ab123456");
    source.find_hold("hr-dismissed-ab123456");
    settled(&source).await;
    assert!(!is_in(&operator, ANNA), "the hold is there");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_is_lost_and_found_in_the_same_moment_keeps_access() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let session = operator.connect(&n1, ("default", "n1"), ANNA, ADDRESS).await.unwrap();
    source.delete(ANNA);
    source.declare(ANNA, |_| {});
    settled(&source).await;
    assert!(is_in(&operator, ANNA), "the user is declared");
    assert!(!n1.kicked().contains(&session.id));
    assert!(source.is_ready(ANNA), "{:?}", source.status(ANNA));
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lifted_hold_is_forgotten() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    source.hold("hr-dismissed-ab123456", ANNA);
    let operator = Operator::start(&source, data.path()).await;
    source.lose_hold("hr-dismissed-ab123456");
    source.lift("hr-dismissed-ab123456");
    settled(&source).await;
    assert!(is_in(&operator, ANNA));
    assert_eq!(operator.core.roster.lost_holds_confirmed(), Vec::<String>::new());
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_of_a_name_that_was_let_go_a_moment_ago_is_let_go_too() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let begun = std::time::Instant::now();
    for round in 1..=3 {
        source.hold("hr-dismissed-ab123456", ANNA);
        until("it denies", || {
            operator
                .core
                .roster
                .person_by_user("ab123456")
                .unwrap()
                .effective
                .access
                == Access::Denied
        })
        .await;
        source.lose_hold("hr-dismissed-ab123456");
        until("it is gone", || source.lock().forgotten.len() == round).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "no minute was waited for");
    operator.kill().await;
}

/// The keeper of holds looked at what is lost at least once after this began.
async fn holds_looked_at(source: &Source, name: &str) {
    let soon = jiff::Timestamp::now() + Duration::from_millis(300);
    source.hold_until(name, "ZZ999999", Some(soon));
    until("a deadline has come", || source.phase(name) == Some(HoldPhase::Expired)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_hold_with_a_foreign_finalizer_is_let_go_once() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.lock().keeps_holds = true;
    source.declare(ANNA, |_| {});
    source.hold("hr-dismissed-ab123456", ANNA);
    let operator = Operator::start(&source, data.path()).await;
    source.lose_hold("hr-dismissed-ab123456");
    until("it is let go", || !source.lock().forgotten.is_empty()).await;
    for name in ["git-a", "git-b"] {
        holds_looked_at(&source, name).await;
    }
    assert_eq!(operator.core.roster.lost_holds_confirmed(), ["hr-dismissed-ab123456"]);
    assert_eq!(source.lock().forgotten, ["hr-dismissed-ab123456"]);
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_act_lets_go_of_no_hold() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.declare(ANNA, |_| {});
    source.hold("hr-dismissed-ab123456", ANNA);
    let clock = Arc::new(SystemClock);
    let (keeper, fence) = Fence::closed(clock.clone());
    let operator = Operator::start_within(&source, data.path(), fence).await;
    source.lose_hold("hr-dismissed-ab123456");
    until("its loss took effect", || {
        operator.core.roster.lost_holds_confirmed() == ["hr-dismissed-ab123456"]
    })
    .await;
    holds_looked_at(&source, "git-a").await;
    assert!(source.lock().forgotten.is_empty());
    keeper.open_until(clock.since_boot() + Duration::from_secs(3600));
    until("it is let go", || !source.lock().forgotten.is_empty()).await;
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_person_stays_ready_over_a_restart_without_a_write() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    source.declare(ANNA, |spec| spec.active = false);
    until("zero", || {
        source
            .status(ANNA)
            .revocation
            .is_some_and(|it| it.sessions_zero_at.is_some())
    })
    .await;
    settled(&source).await;
    assert!(source.is_ready(ANNA));
    operator.kill().await;
    let writes = source.lock().writes.0;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    assert!(source.is_ready(ANNA), "{:?}", source.status(ANNA));
    assert_eq!(source.lock().writes.0, writes, "nothing changed");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_on_a_gateway_that_was_taken_away_has_to_be_proved_gone() {
    let (data, source, [_n1, n2]) = two_gateways().await;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    assert!(source.is_ready(ANNA));
    let mut left = operator.connect(&n2, ("paris", "n2"), ANNA, ADDRESS).await.unwrap();
    n2.take_down().await;
    source.declare(ANNA, |spec| spec.gateways = None);
    settled(&source).await;
    let open = source.status(ANNA).revocation.unwrap();
    assert_eq!(
        open.contained_at, None,
        "n2 said nothing, and its session lives: {open:?}"
    );
    assert!(waiting(&source, ANNA).contains("paris/n2"));
    assert!(!source.is_ready(ANNA));
    n2.bring_up().await;
    until("contained", || {
        source
            .status(ANNA)
            .revocation
            .is_some_and(|it| it.contained_at.is_some())
    })
    .await;
    assert!(left.send(1, 1).is_err());
    until("gone", || {
        source.status(ANNA).gateways.iter().all(|it| it.name == "default")
    })
    .await;
    settled(&source).await;
    assert!(source.is_ready(ANNA), "{:?}", source.status(ANNA));
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_taken_away_during_a_restart_is_left_too() {
    let (data, source, [_n1, n2]) = two_gateways().await;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    let mut left = operator.connect(&n2, ("paris", "n2"), ANNA, ADDRESS).await.unwrap();
    operator.kill().await;
    source.declare(ANNA, |spec| spec.gateways = None);
    let operator = Operator::start(&source, data.path()).await;
    until("cut", || left.send(1, 1).is_err()).await;
    until("left", || {
        source.status(ANNA).gateways.iter().all(|it| it.name == "default")
    })
    .await;
    assert!(n2.kicked().contains(&left.id));
    until("ready", || source.is_ready(ANNA)).await;
    let epoch = source.status(ANNA).epoch;
    operator.kill().await;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    assert_eq!(source.status(ANNA).epoch, epoch, "once is enough");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_taken_out_while_it_lives_is_named_in_status_and_history_and_nothing_is_claimed_for_it() {
    let (data, source, [n1, n2]) = two_nodes().await;
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let mut here = operator.connect(&n1, ("default", "n1"), ANNA, ADDRESS).await.unwrap();
    let mut there = operator.connect(&n2, ("default", "n2"), ANNA, ADDRESS).await.unwrap();
    let sessions = || {
        operator
            .core
            .gateways
            .get("default")
            .unwrap()
            .observe("corp_ab123456")
            .sessions
    };
    until("both are seen", || sessions() == 2).await;
    source.gateway("default", &[("n1", &n1)]);
    until("the node is out", || sessions() == 1).await;
    source.declare(ANNA, |spec| spec.active = false);
    until("the session on the other node is cut", || here.send(1, 1).is_err()).await;
    until("it is as proved as it can be", || source.is_ready(ANNA)).await;
    there.send(1, 1).unwrap();
    let claims = |what: &str| {
        let revocation = source.status(ANNA).revocation.unwrap();
        assert_eq!(revocation.left_out, ["default/n2"], "{what}");
        assert_eq!(
            (revocation.contained_at, revocation.sessions_zero_at),
            (None, None),
            "{what}"
        );
    };
    claims("by the process that saw it");
    operator.kill().await;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    claims("after a restart");
    operator.kill().await;
    let history = open_when_free(&data.path().join("history.db")).await;
    let rows = history.revocations(ANNA.to_owned(), 9).await.unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (rows[0].left_out.as_slice(), rows[0].contained_at),
        (&["default/n2".to_owned()][..], None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_are_declared_with_one_address_prove_nothing_until_it_is_mended() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    let (n1, n2) = (node().await, node().await);
    source.gateway("default", &[("n1", &n1), ("n2", &n1)]);
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let mut there = operator.connect(&n2, ("default", "n2"), ANNA, ADDRESS).await.unwrap();
    source.hold("hr-dismissed-ab123456", ANNA);
    until("both are waited for", || waiting(&source, ANNA).len() == 2).await;
    settled(&source).await;
    there.send(1, 1).unwrap();
    assert_eq!(source.status(ANNA).revocation.unwrap().contained_at, None);
    let health = operator.core.gateways.get("default").unwrap().health();
    for node in health {
        assert!(
            node.error.as_ref().is_some_and(|error| error.contains("statsUrl")),
            "{node:?}"
        );
    }
    source.gateway("default", &[("n1", &n1), ("n2", &n2)]);
    until("it is cut", || there.send(1, 1).is_err()).await;
    until("ready", || source.is_ready(ANNA)).await;
    assert!(source.status(ANNA).revocation.unwrap().contained_at.is_some());
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statistics_address_that_is_anothers_by_another_name_is_found_out_by_what_it_shows() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    let (n1, n2) = (node().await, node().await);
    let named =
        |name: &str, url: String| serde_json::json!({ "name": name, "address": "vpn.example.com", "statsUrl": url });
    let other_name = n1.stats_url().replace("127.0.0.1", "localhost");
    source.gateway_of(
        "default",
        &serde_json::json!({ "nodes": [named("n1", n1.stats_url()), named("n2", other_name)] }),
    );
    source.declare(ANNA, |_| {});
    source.declare("EF123456", |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let _other = operator
        .connect(&n1, ("default", "n1"), "EF123456", ADDRESS)
        .await
        .unwrap();
    let mut there = operator.connect(&n2, ("default", "n2"), ANNA, ADDRESS).await.unwrap();
    let error = || {
        let health = operator.core.gateways.get("default").unwrap().health();
        health
            .into_iter()
            .find(|node| &*node.node.0 == "default/n2")
            .unwrap()
            .error
    };
    until("it is found out", || {
        error().is_some_and(|error| error.contains("default/n1"))
    })
    .await;
    source.hold("hr-dismissed-ab123456", ANNA);
    until("it is waited for", || waiting(&source, ANNA).contains("default/n2")).await;
    settled(&source).await;
    there.send(1, 1).unwrap();
    assert_eq!(source.status(ANNA).revocation.unwrap().contained_at, None);
    assert!(
        waiting(&source, ANNA).iter().all(|node| node == "default/n2"),
        "n1 is believed"
    );
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_a_node_had_not_proved_is_proved_after_a_restart() {
    let (data, source, [_n1, n2]) = two_nodes().await;
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let mut old = operator.connect(&n2, ("default", "n2"), ANNA, ADDRESS).await.unwrap();
    n2.take_down().await;
    source.declare(ANNA, |spec| spec.credential_generation = 2);
    settled(&source).await;
    assert!(waiting(&source, ANNA).contains("default/n2"));
    operator.kill().await;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    assert!(!source.is_ready(ANNA));
    n2.bring_up().await;
    until("contained", || {
        source
            .status(ANNA)
            .revocation
            .is_some_and(|it| it.contained_at.is_some())
    })
    .await;
    assert!(old.send(1, 1).is_err());
    until("ready", || source.is_ready(ANNA)).await;
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_cannot_run_does_not_say_that_it_runs() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    let secret = data.path().join("secret");
    std::fs::write(&secret, "line\u{1}break").unwrap();
    source.gateway_of(
        "default",
        &serde_json::json!({ "nodes": [{
            "name": "n1", "address": "vpn.example.com", "statsUrl": n1.stats_url(), "statsSecret": { "file": secret },
        }] }),
    );
    let operator = Operator::start(&source, data.path()).await;
    until("reported", || !source.gateway_status("default").conditions.is_empty()).await;
    let status = source.gateway_status("default");
    let ready = status.conditions.iter().find(|it| it.type_ == "Ready").unwrap();
    assert_eq!(ready.status, "False", "{ready:?}");
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_declared_badly_runs_on_as_it_was() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let mut session = operator.connect(&n1, ("default", "n1"), ANNA, ADDRESS).await.unwrap();
    source.gateway_of(
        "default",
        &serde_json::json!({ "nodes": [{
            "name": "n1", "address": "vpn.example.com", "statsUrl": n1.stats_url(), "authToken": { "file": "/nowhere/token" },
        }] }),
    );
    until("refused", || {
        let status = source.gateway_status("default");
        status
            .conditions
            .iter()
            .any(|it| it.type_ == "Ready" && it.reason == "NodeNotRunning" && it.message.contains("/nowhere/token"))
    })
    .await;
    source.declare(ANNA, |spec| spec.active = false);
    until("contained", || {
        source
            .status(ANNA)
            .revocation
            .is_some_and(|it| it.contained_at.is_some())
    })
    .await;
    assert!(session.send(1, 1).is_err());
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_does_not_cut_people_whose_password_is_imported() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    let file = data.path().join("password");
    std::fs::write(&file, "imported").unwrap();
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |spec| {
        spec.credentials_from = serde_json::from_value(serde_json::json!({ "file": file })).unwrap();
    });
    let knows = |operator: &Operator| {
        let index = operator.core.roster.index();
        let node = index.node(&vpn_operator::gateway::NodeName::new("default", "n1"));
        match index.login(&node, "corp_ab123456:imported") {
            Verdict::Granted(session) => Some(session.id().to_string()),
            _ => None,
        }
    };
    let operator = Operator::start(&source, data.path()).await;
    until("known", || knows(&operator).is_some()).await;
    let mut session = n1.register(knows(&operator).unwrap(), ADDRESS);
    settled(&source).await;
    let epoch = source.status(ANNA).epoch;
    operator.kill().await;
    for _ in 0..3 {
        let operator = Operator::start(&source, data.path()).await;
        assert!(knows(&operator).is_some(), "right from the first answer");
        settled(&source).await;
        assert_eq!(source.status(ANNA).epoch, epoch);
        session.send(1, 1).unwrap();
        operator.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_of_a_gateway_that_is_gone_is_not_let_go() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("paris", &[("n1", &n1)]);
    source.declare(ANNA, |spec| spec.gateways = Some(vec!["paris".to_owned()]));
    let operator = Operator::start(&source, data.path()).await;
    until("ready", || source.is_ready(ANNA)).await;
    operator.kill().await;
    // The gateway is gone for good before the operator could keep it.
    let empty = Arc::new(Source::default());
    empty.gateway("other", &[("n1", &n1)]);
    let anna = source.user(ANNA).unwrap();
    empty.lock().adopt(anna);
    let operator = Operator::start(&empty, data.path()).await;
    settled(&empty).await;
    assert_eq!(
        empty.status(ANNA).gateways[0].account,
        AccountPresence::Present,
        "as it was read last"
    );
    empty.delete(ANNA);
    settled(&empty).await;
    assert_eq!(empty.status(ANNA).access, Some(Access::Denied));
    assert!(empty.user(ANNA).is_some(), "nobody proved that its sessions are gone");
    operator.kill().await;
}

/// Waits until the history has counted so much.
async fn stored(operator: &Operator, account: &str, bytes: u64) {
    let deadline = std::time::Instant::now() + Duration::from_secs(15);
    loop {
        let totals = operator.core.history.totals(account.to_owned()).await;
        let lifetime = totals.as_ref().map(|totals| totals.usage.lifetime);
        if lifetime.as_ref().is_ok_and(|lifetime| *lifetime == bytes) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{lifetime:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_traffic_counts_once_when_history_is_read_late() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |spec| {
        spec.traffic = serde_json::from_value(serde_json::json!({ "limit": "1Ki" })).unwrap();
    });
    let operator = Operator::start(&source, data.path()).await;
    let mut session = operator.connect(&n1, ("default", "n1"), ANNA, ADDRESS).await.unwrap();
    session.send(300, 300).unwrap();
    let account = "corp_ab123456";
    stored(&operator, account, 600).await;
    until("reported", || {
        let traffic = source.status(ANNA).traffic;
        traffic.is_some_and(|traffic| traffic.used.get() == 600)
    })
    .await;
    operator.kill().await;
    // Another process owns the database for a while.
    let other = open_when_free(&data.path().join("history.db")).await;
    let operator = Operator::start_over(&source, data.path()).await;
    settled(&source).await;
    assert!(is_in(&operator, ANNA));
    assert_eq!(
        (
            operator.core.usage.usage(account).lifetime,
            operator.core.usage.totals(account).usage.lifetime
        ),
        (600, 0),
        "what was reported counts, and nothing is counted that is not known to be new"
    );
    drop(other);
    until("the past is known", || {
        operator.core.usage.totals(account).usage.lifetime == 600
    })
    .await;
    session.send(300, 300).unwrap();
    until("used up", || !is_in(&operator, ANNA)).await;
    assert_eq!(operator.core.usage.usage(account).lifetime, 1200);
    stored(&operator, account, 1200).await;
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_was_never_let_in_is_left_alone_by_a_restart() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    let operator = Operator::start(&source, data.path()).await;
    source.hold("hr-dismissed-ab123456", ANNA);
    source.declare(ANNA, |_| {});
    until("zero", || {
        let revocation = source.status(ANNA).revocation;
        revocation.is_some_and(|it| it.sessions_zero_at.is_some())
    })
    .await;
    settled(&source).await;
    operator.kill().await;
    let status = source.status(ANNA);
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    assert_eq!(source.status(ANNA), status);
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_session_of_somebody_who_was_deleted_is_seen_go_after_a_restart() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let silent = operator.connect(&n1, ("default", "n1"), ANNA, ADDRESS).await.unwrap();
    source.delete(ANNA);
    until("let go", || source.user(ANNA).is_none()).await;
    let row = last_revocation(&operator).await;
    assert!(row.deleted_at.is_some() && row.contained_at.is_some(), "{row:?}");
    assert_eq!(
        row.sessions_zero_at, None,
        "the device is silent, and the node shows it"
    );
    operator.kill().await;

    let operator = Operator::start(&source, data.path()).await;
    silent.close();
    let began = std::time::Instant::now();
    let seen = loop {
        let row = last_revocation(&operator).await;
        if row.sessions_zero_at.is_some() {
            break row;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{row:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(
        (seen.denied_at, seen.contained_at),
        (row.denied_at, row.contained_at),
        "what was proved stands"
    );
    assert_eq!(seen.deleted_at, row.deleted_at);
    until("forgotten", || {
        let gateways = operator.core.gateways.all();
        gateways
            .iter()
            .all(|gateway| gateway.observe("corp_ab123456").revocation.is_none())
    })
    .await;
    operator.kill().await;
}

async fn last_revocation(operator: &Operator) -> RevocationRow {
    operator
        .core
        .history
        .revocations(ANNA.to_owned(), 1)
        .await
        .unwrap()
        .remove(0)
}
