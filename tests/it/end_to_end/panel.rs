//! A Blitz panel in the place of nodes, as the environment and as a `VpnGateway` name it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::operator::{House, Operator, credential, eventually, user};
use crate::support::{blitz::BlitzPanel, hysteria_node::Session};

const TOKEN: &str = "the-token-of-the-panel";

async fn house() -> (House, Arc<BlitzPanel>) {
    let panel = BlitzPanel::start(TOKEN).await;
    let mut house = House::new();
    house.set("BLITZ_API_URL", &panel.url());
    house.set("BLITZ_API_TOKEN", TOKEN);
    (house, panel)
}

/// The person's `account:password`, as soon as there is a link.
async fn link(operator: &Operator, id: &str) -> String {
    eventually("a link", async || {
        let (status, body) = operator.get(&format!("/user/{id}/config")).await;
        (status == 200).then(|| credential(body["hy2_url"].as_str().unwrap()))
    })
    .await
}

async fn connect(panel: &Arc<BlitzPanel>, credential: &str) -> Session {
    panel.connect(credential, "192.0.2.1:1000").await.unwrap()
}

fn revocation(page: &Value, time: &str) -> bool {
    page["revocation"][time].is_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_has_whom_the_operator_grants_and_no_others() {
    let (house, panel) = house().await;
    let operator = house.start().await;
    let (status, _) = operator
        .post("/access/grant", json!({ "corporate_id": "AB123456" }))
        .await;
    assert!(matches!(status, 200 | 202), "{status}");
    let credential = link(&operator, "AB123456").await;
    assert!(credential.starts_with("corp_ab123456:"));
    let mut device = connect(&panel, &credential).await;
    device.send(10, 10).unwrap();
    operator.becomes("AB123456", "Granted").await;

    // Somebody moves bytes all the time, and comes back when cut.
    let (busy_panel, busy_credential) = (panel.clone(), credential.clone());
    let busy = tokio::spawn(async move {
        loop {
            if device.send(1, 1).is_err() {
                match busy_panel.connect(&busy_credential, "192.0.2.1:1000").await {
                    Ok(again) => device = again,
                    Err(_) => return,
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let (status, answer) = operator
        .post("/user/AB123456/deactivate", json!({ "reason": "left" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    let page = eventually("proved gone", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        revocation(&page, "sessions_zero_at").then_some(page)
    })
    .await;
    assert!(
        revocation(&page, "contained_at") && page["access"] == "Denied",
        "{page}"
    );
    busy.await.unwrap();
    assert!(panel.account("corp_ab123456").unwrap().blocked);
    assert!(panel.connect(&credential, "192.0.2.1:1000").await.is_err());

    operator.post("/user/AB123456/activate", json!({})).await;
    eventually("let in again", async || {
        (!panel.account("corp_ab123456").unwrap().blocked).then_some(())
    })
    .await;
    operator.becomes("AB123456", "Granted").await;

    let everything = operator.log() + &operator.stdout() + &operator.text("/metrics").await;
    let password = credential.split_once(':').unwrap().1;
    for secret in [TOKEN, password, "rootpath", "obfspass"] {
        assert!(!everything.contains(secret), "a secret got out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_either_side_changes_nothing_at_the_panel() {
    let (house, panel) = house().await;
    house.write("anna.yaml", &user("AB123456", ""));
    let operator = house.start().await;
    let credential = link(&operator, "AB123456").await;
    let mut device = connect(&panel, &credential).await;
    operator.kill();
    let operator = house.start().await;
    operator.becomes("AB123456", "Granted").await;
    assert_eq!(link(&operator, "AB123456").await, credential);
    panel.take_down().await;
    panel.bring_up();
    operator.becomes("AB123456", "Granted").await;
    device.send(1, 1).unwrap();
    assert!(panel.node().kicked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_deleted_is_gone_from_the_panel_and_one_made_by_hand_stays() {
    let (house, panel) = house().await;
    house.write("anna.yaml", &user("AB123456", ""));
    let operator = house.start().await;
    link(&operator, "AB123456").await;
    let by_hand = panel.account("corp_ab123456").unwrap();
    let by_hand = crate::support::blitz::Account {
        note: None,
        password: "made-by-hand".to_owned(),
        ..by_hand
    };
    panel.database().accounts.insert("guest".to_owned(), by_hand.clone());
    house.remove("anna.yaml");
    eventually("gone", async || panel.account("corp_ab123456").is_none().then_some(())).await;
    operator.becomes_nobody("AB123456").await;
    assert_eq!(panel.account("guest"), Some(by_hand));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_panel_is_one_gateway_among_others() {
    let panel = BlitzPanel::start(TOKEN).await;
    let (house, [node]) = House::with_nodes::<1>().await;
    let token = house.path("panel-token");
    std::fs::write(&token, TOKEN).unwrap();
    let (url, token) = (panel.url(), token.display());
    house.write(
        "panel.yaml",
        &format!(
            "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: panel }}\nspec:\n  blitz: {{ url: \"{url}\", token: {{ file: \"{token}\" }} }}\n---\napiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: default }}\nspec:\n  hysteria:\n    nodes:\n    - {{ name: one, address: vpn.example.com, statsUrl: \"{}\" }}\n",
            node.stats_url()
        ),
    );
    house.write("anna.yaml", &user("AB123456", "  gateways: [default, panel]\n"));
    let operator = house.start().await;
    let page = eventually("links of both", async || {
        let (_, body) = operator.get("/user/AB123456/config").await;
        let links = body["links"].as_array()?.len();
        (links == 3).then_some(body)
    })
    .await;
    assert!(page["hy2_url"].is_string());
    house.write("anna.yaml", &user("AB123456", "  gateways: [default]\n"));
    eventually("taken away", async || {
        panel.account("corp_ab123456").is_none().then_some(())
    })
    .await;
    operator.becomes("AB123456", "Granted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_without_a_token_is_no_setting() {
    let mut house = House::new();
    house.set("BLITZ_API_URL", "https://panel.invalid/root-path-7");
    let (code, log) = house.refusal(&[]).await;
    assert!(code != 0 && log.contains("BLITZ_API_TOKEN"), "{code} {log}");
    assert!(!log.contains("root-path-7"));
}
