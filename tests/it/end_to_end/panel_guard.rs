//! The auth guard of a panel, with the real binary: `BLITZ_AUTH_UPSTREAM`, and one that is declared.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::operator::{AUTH_TOKEN, House, Operator, STATS_SECRET, credential, eventually, user};
use crate::support::{
    blitz::{BlitzPanel, Fault, Op},
    hysteria_node::Session,
};

const TOKEN: &str = "the-token-of-the-panel";
const ADDRESS: &str = "192.0.2.1:1000";

async fn house() -> (House, Arc<BlitzPanel>) {
    let panel = BlitzPanel::start(TOKEN).await;
    panel.set_penalty(Duration::from_millis(200));
    let mut house = House::new();
    house.set("BLITZ_API_URL", &panel.url());
    house.set("BLITZ_API_TOKEN", TOKEN);
    house.set("BLITZ_STATS_URL", &panel.node().stats_url());
    house.set("BLITZ_AUTH_UPSTREAM", &panel.auth_url());
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

async fn through(panel: &Arc<BlitzPanel>, operator: &Operator, credential: &str) -> Option<Session> {
    panel
        .connect_through(&operator.auth_url(), credential, ADDRESS)
        .await
        .ok()
}

/// Five devices that move bytes all the time, and come back when they are cut. Each ends when it is refused.
async fn five_busy(panel: &Arc<BlitzPanel>, url: &str, credential: &str) -> Vec<tokio::task::JoinHandle<()>> {
    let mut devices = Vec::new();
    for _ in 0..5 {
        let first = panel.connect_through(url, credential, ADDRESS).await.unwrap();
        let (panel, url, credential) = (panel.clone(), url.to_owned(), credential.to_owned());
        devices.push(tokio::spawn(async move {
            let mut device = first;
            loop {
                if device.send(1, 1).is_err() {
                    match panel.connect_through(&url, &credential, ADDRESS).await {
                        Ok(again) => device = again,
                        Err(_) => return,
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }));
    }
    devices
}

#[tokio::test(flavor = "multi_thread")]
async fn five_busy_devices_are_gone_while_the_panel_hangs_and_it_is_proved_when_it_is_back() {
    let (house, panel) = house().await;
    house.write("anna.yaml", &user("AB123456", ""));
    let operator = house.start().await;
    let credential = link(&operator, "AB123456").await;
    let devices = five_busy(&panel, &operator.auth_url(), &credential).await;
    panel.fail_next(Op::List, Fault::Hang);
    let before = panel.count(Op::List);
    eventually("hangs", async || (panel.count(Op::List) > before).then_some(())).await;

    let begun = Instant::now();
    let refused = async {
        // One login after the other, from the moment in which the order is sent.
        while through(&panel, &operator, &credential)
            .await
            .map(Session::close)
            .is_some()
        {}
        begun.elapsed()
    };
    let gone = async {
        eventually("gone", async || panel.node().online().is_empty().then_some(())).await;
        begun.elapsed()
    };
    let order = operator.post("/user/AB123456/deactivate", json!({ "reason": "left" }));
    let ((status, _), refused, gone) = tokio::join!(order, refused, gone);
    println!("refused {refused:?} and five busy devices gone {gone:?} after the order was sent");
    assert!(matches!(status, 200 | 202), "{status}");
    for device in devices {
        device.await.unwrap();
    }
    let (_, page) = operator.get("/user/AB123456").await;
    assert!(page["revocation"]["sessions_zero_at"].is_null(), "{page}");
    panel.take_down().await;
    panel.bring_up();
    eventually("proved", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        page["revocation"]["sessions_zero_at"].is_string().then_some(())
    })
    .await;
    assert!(panel.account("corp_ab123456").unwrap().blocked);

    let everything = operator.log() + &operator.stdout() + &operator.text("/metrics").await;
    let password = credential.split_once(':').unwrap().1;
    for secret in [TOKEN, AUTH_TOKEN, STATS_SECRET, password, "rootpath"] {
        assert!(!everything.contains(secret), "a secret got out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_that_refuses_is_named() {
    let (house, panel) = house().await;
    house.write("anna.yaml", &user("AB123456", ""));
    let operator = house.start().await;
    assert!(operator.check("auth-guard/default").await.is_empty());
    let credential = link(&operator, "AB123456").await;
    assert!(through(&panel, &operator, &credential).await.is_some());
    let guest = panel.account("corp_ab123456").unwrap();
    let guest = crate::support::blitz::Account {
        note: None,
        password: "by-hand".to_owned(),
        ..guest
    };
    panel.database().accounts.insert("guest".to_owned(), guest);
    assert_eq!(through(&panel, &operator, "guest:by-hand").await.unwrap().id, "guest");

    let listener = operator.auth.to_string();
    let doctor = ["doctor", "--auth-listen", &listener];
    let (_, found, _) = operator.cli(&house, &doctor).await;
    assert!(found.contains("✓ auth service of default"), "{found}");
    assert!(
        found.contains("✓ auth listener") && found.contains("✓ auth-guard/default"),
        "{found}"
    );

    panel.take_down().await;
    assert!(through(&panel, &operator, &credential).await.is_none());
    let details = operator.check("auth-guard/default").await;
    assert!(
        details[0].contains("the panel's own auth service refuses everybody"),
        "{details:?}"
    );
    let (code, found, _) = operator.cli(&house, &doctor).await;
    assert!(code != 0 && found.contains("✗ auth service of default"), "{found}");
    assert!(found.contains("✗ auth-guard/default"), "{found}");
    eventually("down", async || {
        (operator.metric("vpn_operator_auth_guard_up").await < 0.5).then_some(())
    })
    .await;

    panel.bring_up();
    assert!(through(&panel, &operator, &credential).await.is_some());
    assert!(operator.check("auth-guard/default").await.is_empty());
    eventually("up", async || {
        (operator.metric("vpn_operator_auth_guard_up").await > 0.5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_guard_has_a_path_secret_of_its_own_or_is_not_answered() {
    let panel = BlitzPanel::start(TOKEN).await;
    panel.set_penalty(Duration::from_millis(200));
    let house = House::new();
    let secret = |name: &str, value: &str| {
        std::fs::write(house.path(name), value).unwrap();
        house.path(name).display().to_string()
    };
    let (token, auth, nodes) = (
        secret("panel-token", TOKEN),
        secret("panel-auth", "path-secret-of-the-panel"),
        secret("node-auth", "path-secret-of-a-node"),
    );
    let gateways = |of_node: &str| {
        format!(
            "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: panel }}\nspec:\n  blitz:\n    url: \"{}\"\n    token: {{ file: \"{token}\" }}\n    \
             authGuard: {{ token: {{ file: \"{auth}\" }}, upstream: \"{}\" }}\n---\napiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: default }}\nspec:\n  hysteria:\n    \
             nodes: [{{ name: one, address: vpn.example.com, authToken: {{ file: \"{of_node}\" }} }}]\n",
            panel.url(),
            panel.auth_url()
        )
    };
    house.write("gateways.yaml", &gateways(&nodes));
    house.write("anna.yaml", &user("AB123456", "  gateways: [panel]\n"));
    let operator = house.start().await;
    let credential = link(&operator, "AB123456").await;
    let url = format!("http://{}/auth/path-secret-of-the-panel", operator.auth);
    assert!(panel.connect_through(&url, &credential, ADDRESS).await.is_ok());
    // At the node she has no account.
    let node = format!("http://{}/auth/path-secret-of-a-node", operator.auth);
    assert!(panel.connect_through(&node, &credential, ADDRESS).await.is_err());

    house.write("gateways.yaml", &gateways(&auth));
    let details = eventually("found", async || {
        let details = operator.check("auth-guard/panel").await;
        (!details.is_empty()).then_some(details)
    })
    .await;
    assert!(details[0].contains("default/one"), "{details:?}");
    eventually("it is not answered", async || {
        let refused = panel.connect_through(&url, &credential, ADDRESS).await.is_err();
        refused.then_some(())
    })
    .await;
    assert!(!operator.log().contains("path-secret-of"), "a secret got out");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_speaks_of_a_panel_without_a_panel_is_refused() {
    for name in ["BLITZ_AUTH_UPSTREAM", "BLITZ_STATS_URL"] {
        let mut house = House::new();
        house.set(name, "http://127.0.0.1:9/auth");
        let (code, log) = house.refusal(&[]).await;
        assert!(
            code != 0 && log.contains(name) && log.contains("BLITZ_API_URL"),
            "{code} {log}"
        );
    }
}
