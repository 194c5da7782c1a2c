//! What statuses say of people and gateways: what is, whatever was before.

use std::sync::Arc;

use vpn_operator::model::user::VpnUserStatus;

use super::world::{Operator, Source, is_in, node, settled, two_nodes, until, waiting};

const ANNA: &str = "AB123456";
const ADDRESS: &str = "192.0.2.1:1000";

/// What a status says, apart from when, and from what was cut on the way.
fn said(source: &Source, id: &str) -> (VpnUserStatus, Vec<(String, String, String, String)>) {
    let mut status = source.status(id);
    let text = |text: &std::borrow::Cow<'_, str>| text.to_string();
    let mut conditions: Vec<_> = status
        .conditions
        .drain(..)
        .map(|it| (text(&it.type_), text(&it.status), text(&it.reason), text(&it.message)))
        .collect();
    conditions.sort();
    (
        status.revocation,
        status.epoch,
        status.observed_generation,
        status.username,
    ) = (None, None, 0, None);
    (status, conditions)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_denied_and_is_let_in_again_is_as_ready_as_who_never_was() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway_of(
        "default",
        &serde_json::json!({ "nodes": [
            { "name": "n1", "address": "vpn.example.com", "statsUrl": n1.stats_url() },
            { "name": "dark", "address": "vpn.example.com" },
        ] }),
    );
    source.declare(ANNA, |_| {});
    source.declare("CD234567", |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let _session = operator.connect(&n1, ("default", "n1"), ANNA, ADDRESS).await.unwrap();
    source.declare(ANNA, |spec| spec.active = false);
    until("it is said that nothing can be proved on the dark node", || {
        let conditions = source.status(ANNA).conditions;
        conditions
            .iter()
            .any(|it| it.type_ == "Stalled" && it.reason == "NoStatistics")
    })
    .await;
    source.declare(ANNA, |spec| spec.active = true);
    until("ready again", || source.is_ready(ANNA)).await;
    settled(&source).await;
    assert!(is_in(&operator, ANNA));
    assert_eq!(said(&source, ANNA), said(&source, "CD234567"));
    operator.kill().await;
    let operator = Operator::start(&source, data.path()).await;
    settled(&source).await;
    assert_eq!(
        said(&source, ANNA),
        said(&source, "CD234567"),
        "a restart brings nothing back"
    );
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_that_cannot_be_run_takes_its_own_link_away_and_no_other() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    let both = |secret: &str| {
        serde_json::json!({ "nodes": [
            { "name": "n1", "address": "vpn.example.com", "statsUrl": n1.stats_url() },
            { "name": "n2", "address": "other.example.com", "statsUrl": "http://127.0.0.1:9", "statsSecret": { "file": secret } },
        ] })
    };
    source.gateway_of("default", &both("/nowhere/secret"));
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let links = |operator: &Operator| {
        let credentials = vpn_operator::gateway::Credentials {
            username: "corp_ab123456".to_owned(),
            password: "pw".into(),
        };
        let gateway = operator.core.gateways.get("default").unwrap();
        gateway
            .links(&credentials)
            .known()
            .into_iter()
            .map(|link| link.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(links(&operator), ["n1"]);
    assert!(is_in(&operator, ANNA));
    until("the gateway names node and cause", || {
        let ready = source
            .gateway_status("default")
            .conditions
            .into_iter()
            .find(|it| it.type_ == "Ready");
        ready.is_some_and(|it| {
            it.status == "False" && it.message.contains("n2") && it.message.contains("/nowhere/secret")
        })
    })
    .await;
    until("the person is well", || source.is_ready(ANNA)).await;

    // What cannot be proved on the node is not claimed.
    source.declare(ANNA, |spec| spec.active = false);
    until("the denial names node and cause", || {
        let stalled = source
            .status(ANNA)
            .conditions
            .into_iter()
            .find(|it| it.type_ == "Stalled");
        stalled.is_some_and(|it| it.reason == "NodeNotRunning" && it.message.contains("/nowhere/secret"))
    })
    .await;
    assert_eq!(waiting(&source, ANNA), ["default/n2".to_owned()].into());
    source.declare(ANNA, |spec| spec.active = true);

    let secret = data.path().join("n2-secret");
    std::fs::write(&secret, "s").unwrap();
    source.gateway_of("default", &both(secret.to_str().unwrap()));
    until("mended", || links(&operator) == ["n1", "n2"]).await;
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_node_that_can_be_run_person_and_gateway_name_the_cause() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    source.gateway_of(
        "default",
        &serde_json::json!({ "nodes": [{
            "name": "n1", "address": "vpn.example.com", "authToken": { "env": "NO_SUCH_VARIABLE_OF_N1" },
        }] }),
    );
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    until("said", || {
        let conditions = source.status(ANNA).conditions;
        let named = |kind: &str| {
            let found = conditions.iter().find(|it| it.type_ == kind);
            found.is_some_and(|it| it.reason == "NodeNotRunning" && it.message.contains("NO_SUCH_VARIABLE_OF_N1"))
        };
        named("Ready") && named("Granted") && named("Stalled")
    })
    .await;
    let conditions = source.status(ANNA).conditions;
    assert!(
        conditions
            .iter()
            .any(|it| it.type_ == "Granted" && it.status == "False"),
        "{conditions:?}"
    );
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_not_there_grants_nothing_and_one_that_comes_does() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    let file = data.path().join("password");
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |spec| {
        spec.credentials_from = serde_json::from_value(serde_json::json!({ "file": file })).unwrap();
    });
    let operator = Operator::start(&source, data.path()).await;
    let granted = || {
        let conditions = source.status(ANNA).conditions;
        let granted = conditions.into_iter().find(|it| it.type_ == "Granted");
        granted.map(|it| (it.status.to_string(), it.reason.to_string()))
    };
    until("not granted", || {
        granted() == Some(("False".into(), "CredentialsNotFound".into()))
    })
    .await;
    settled(&source).await;
    std::fs::write(&file, "correct horse").unwrap();
    // An edit has it read again at once.
    source.declare(ANNA, |spec| spec.owner = Some("Anna".to_owned()));
    until("granted", || granted() == Some(("True".into(), "Active".into()))).await;
    until("ready", || source.is_ready(ANNA)).await;
    std::fs::remove_file(&file).unwrap();
    source.declare(ANNA, |spec| spec.owner = None);
    until("said", || !source.is_ready(ANNA)).await;
    settled(&source).await;
    assert_eq!(
        granted(),
        Some(("True".into(), "Active".into())),
        "what was read before lets the person in"
    );
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_node_ends_the_readiness_of_its_gateway_and_a_quiet_one_writes_nothing() {
    let (data, source, [n1, n2]) = two_nodes().await;
    source.declare(ANNA, |_| {});
    let operator = Operator::start(&source, data.path()).await;
    let ready = || {
        let status = source.gateway_status("default");
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready").cloned();
        ready.map(|it| (it.status.to_string(), it.reason.to_string(), it.message.to_string()))
    };
    until("it runs", || {
        ready().is_some_and(|it| it.0 == "True" && it.1 == "Running")
    })
    .await;
    assert_eq!(source.gateway_status("default").reachable_nodes.as_deref(), Some("2/2"));
    settled(&source).await;
    let (before, polls) = (source.lock().writes, n1.calls().len());
    until("many polls", || n1.calls().len() > polls + 10).await;
    assert_eq!(source.lock().writes, before, "polls alone write nothing");
    n2.take_down().await;
    until("it is dead", || {
        ready().is_some_and(|it| it.0 == "False" && it.1 == "NodeUnreachable" && it.2.contains("n2"))
    })
    .await;
    let status = source.gateway_status("default");
    assert_eq!(status.reachable_nodes.as_deref(), Some("1/2"));
    assert!(source.is_ready(ANNA), "that is no fault of a person");
    n2.bring_up().await;
    until("it runs again", || ready().is_some_and(|it| it.0 == "True")).await;
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_gateway_in_use_says_who_keeps_it() {
    let (data, source, n1) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()), node().await);
    source.gateway("default", &[("n1", &n1)]);
    source.declare(ANNA, |_| {});
    source.declare("CD234567", |_| {});
    let operator = Operator::start(&source, data.path()).await;
    until("ready", || source.is_ready(ANNA)).await;
    source.delete_gateway("default");
    until("in use", || {
        let conditions = source.gateway_status("default").conditions;
        let ready = conditions.into_iter().find(|it| it.type_ == "Ready");
        ready.is_some_and(|it| {
            it.status == "False" && it.reason == "InUse" && it.message.contains("ab123456, cd234567:")
        })
    })
    .await;
    assert!(is_in(&operator, ANNA), "it is asked and answered meanwhile");
    for id in [ANNA, "CD234567"] {
        source.declare(id, |spec| spec.gateways = Some(vec!["other".to_owned()]));
    }
    until("gone", || !source.has_gateway("default")).await;
    operator.kill().await;
}
