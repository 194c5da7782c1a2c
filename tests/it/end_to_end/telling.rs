//! What the log says of denials, of nodes that cannot be run, and of logins.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::operator::{House, STATS_SECRET, eventually, hold, user};
use crate::support::hysteria_node::HysteriaNode;

fn lines_of(log: &str, id: &str) -> Vec<String> {
    let told = |line: &&str| line.contains("denial") && line.contains(id);
    log.lines().filter(told).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denial_is_one_line_with_who_and_why_and_without_a_secret() {
    let (house, [node]) = House::with_nodes().await;
    let people = ["AB100001", "AB100002", "AB100003", "AB100004", "AB100005", "AB100006"];
    for id in people {
        house.write(&format!("{id}.yaml"), &user(id, "  traffic: { limit: 10Mi }\n"));
    }
    let operator = house.start().await;
    let credential = operator.credential("AB100006").await;
    let mut device = operator.connect(&node, &credential, "192.0.2.1:1").await.unwrap();

    let (status, _) = operator
        .post_as(
            "helpdesk",
            "/user/AB100001/deactivate",
            json!({ "reason": "laptop lost\nat night" }),
        )
        .await;
    assert_eq!(status, 200);
    house.write(
        "hold.yaml",
        &hold("helpdesk-paper-ab100002", "AB100002", "  reason: contract ended\n"),
    );
    house.write("AB100003.yaml", &user("AB100003", "  active: false\n"));
    house.write(
        "AB100004.yaml",
        &user("AB100004", "  validUntil: 2020-01-01T00:00:00Z\n"),
    );
    house.remove("AB100005.yaml");
    device.send(8 << 20, 8 << 20).unwrap();

    let told = eventually("each of them is told", async || {
        let log = operator.log();
        let told = people.map(|id| lines_of(&log, id));
        told.iter().all(|lines| !lines.is_empty()).then_some(told)
    })
    .await;
    for (lines, (who, why)) in told.iter().zip([
        ("hold helpdesk-deactivated-ab100001 of helpdesk, by ", "laptop lost"),
        ("hold helpdesk-paper-ab100002 of helpdesk", "contract ended"),
        ("VpnUser ab100003", "spec.active is false"),
        ("VpnUser ab100004", "spec.validUntil has passed"),
        ("VpnUser ab100005", "being deleted"),
        ("the traffic limit", "used up"),
    ]) {
        let [line] = &lines[..] else {
            panic!("one line each: {lines:?}");
        };
        assert!(line.contains(who) && line.contains(why), "{line}");
    }
    let log = operator.log();
    let (_, password) = credential.split_once(':').unwrap();
    assert!(!log.contains(password) && !log.contains(STATS_SECRET));
}

/// A gateway of two nodes, of which one names an environment variable for its statistics secret.
fn two_nodes(node: &Arc<HysteriaNode>) -> String {
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: default }}\nspec:\n  hysteria:\n    nodes:\n    - {{ name: fra1, address: fra1.example.com, statsUrl: \"http://127.0.0.1:1\", statsSecret: {{ env: SECRET_OF_FRA1 }} }}\n    - {{ name: ams1, address: ams1.example.com, statsUrl: \"{url}\" }}\n",
        url = node.stats_url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_one_node_lacks_is_named_everywhere_and_costs_that_node_alone() {
    let mut house = House::new();
    let node = HysteriaNode::start(STATS_SECRET, Duration::from_millis(300)).await;
    house.write("anna.yaml", &user("AB123456", ""));
    house.write("gateways.yaml", &two_nodes(&node));
    let operator = house.start().await;
    let (status, config) = operator.get("/user/AB123456/config").await;
    assert_eq!(status, 200, "{config}");
    let links = config["links"].as_array().unwrap();
    assert_eq!(links.len(), 1, "{config}");
    assert!(config["hy2_url"].as_str().unwrap().contains("ams1.example.com"));
    assert!(operator.check("node/default/fra1").await[0].contains("SECRET_OF_FRA1"));
    let (code, said, _) = operator.cli(&house, &["check", "vpn", "--strict"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("gateways.yaml") && said.contains("fra1") && said.contains("SECRET_OF_FRA1"),
        "{said}"
    );
    let (code, said, _) = operator.cli(&house, &["check", "vpn"]).await;
    assert_eq!(code, 0, "what it needs to run may be elsewhere: {said}");
    operator.stop().await;

    // Without the other one there is nothing to connect to.
    house.write(
        "gateways.yaml",
        &two_nodes(&node)
            .lines()
            .filter(|line| !line.contains("ams1"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    let operator = house.start().await;
    let (status, problem) = operator.get("/user/AB123456/config").await;
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert_eq!(status, 503, "{problem}");
    assert!(
        detail.contains("SECRET_OF_FRA1") && !detail.contains("create it"),
        "{detail}"
    );
    operator.recorded_with(&house, "SECRET_OF_FRA1", 2).await;
    operator.stop().await;

    house.set("SECRET_OF_FRA1", STATS_SECRET);
    let operator = house.start().await;
    assert!(!operator.credential("AB123456").await.is_empty());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_server_it_is_said_once_and_of_nobody() {
    let house = House::new();
    house.write("anna.yaml", &user("AB123456", ""));
    house.write("dana.yaml", &user("CD234567", "  active: false\n"));
    let operator = house.start().await;
    // Both people and nothing else are recorded, and both are well.
    operator.recorded_with(&house, "\"reason\":\"Reconciled\"", 2).await;
    let (_, body) = operator.get("/readyz?verbose").await;
    let checks = body["checks"].as_array().unwrap();
    let node = checks.iter().find(|it| it["name"] == "node/default/node-1").unwrap();
    assert_eq!(node["ok"], true, "{node}");
    assert!(
        node["details"][0].as_str().unwrap().contains("no server is declared"),
        "{node}"
    );
    assert!(!operator.log().contains("statsUrl"), "{}", operator.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_password_in_the_wrong_form_is_counted_and_told_once() {
    let (house, [_node]) = House::with_nodes().await;
    house.write("anna.yaml", &user("AB123456", ""));
    let operator = house.start().await;
    let credential = operator.credential("AB123456").await;
    let (name, password) = credential.split_once(':').unwrap();
    for number in 0..20 {
        assert!(
            !operator
                .login(&format!("{name}%3A{password}"), &format!("192.0.2.1:{number}"))
                .await
        );
        assert!(
            !operator
                .login(&format!("{name}%3Awrong"), &format!("192.0.2.2:{number}"))
                .await
        );
    }
    assert!(
        operator.login(&credential, "192.0.2.1:100").await,
        "nothing is held against the person"
    );
    let metrics = operator.text("/metrics").await;
    let counted = metrics
        .lines()
        .find(|line| line.contains("outcome=\"WrongForm\""))
        .unwrap();
    assert!(counted.ends_with(" 20"), "{counted}");
    let log = operator.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("wrong form")).collect();
    let [line] = &told[..] else { panic!("once: {told:?}") };
    assert!(line.contains(name) && line.contains("username:password"), "{line}");
    assert!(!log.contains(password));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_logins_grow_neither_log_nor_database() {
    const CLIENTS: usize = 500;
    let (house, [_node]) = House::with_nodes().await;
    let people: Vec<String> = (0..CLIENTS)
        .map(|number| format!("AB{:06}", 200_000 + number))
        .collect();
    let documents: Vec<String> = people.iter().map(|id| user(id, "  active: false\n")).collect();
    house.write("people.yaml", &documents.join("\n---\n"));
    let operator = house.start().await;
    operator
        .recorded_with(&house, "sessionsZeroAt", CLIENTS.try_into().unwrap())
        .await;
    let kept = || {
        let files = [
            "history.db",
            "history.db-wal",
            "desired.db",
            "desired.db-wal",
            "guard.db",
            "guard.db-wal",
        ];
        files.map(|file| std::fs::metadata(house.data().join(file)).map_or(0, |it| it.len()))
    };
    // One round beforehand, so that whatever is said once is said.
    let mut before = (String::new(), [0; 6]);
    for round in 0..3 {
        for id in &people {
            let right = super::operator::derived(id);
            for auth in [right.clone(), format!("{right}x"), right.replace(':', "%3A")] {
                assert!(!operator.login(&auth, &format!("192.0.2.{round}:1000")).await);
            }
        }
        let now = (operator.log(), kept());
        if round > 0 {
            assert!(now == before, "round {round} left something behind");
        }
        before = now;
    }
    assert!(before.0.lines().filter(|line| line.contains("wrong form")).count() <= 60);
}
