//! Accounts of a panel become objects, with the operator running and the panel declared.

use serde_json::{Value, json};
use vpn_operator::model::gateway::VpnGateway;

use crate::{
    end_to_end::{
        import_blitz::{ODD_PASSWORD, TOKEN, accounts},
        operator::{eventually, run},
    },
    kubernetes::cluster::Cluster,
    support::blitz::{BlitzPanel, Op},
};

async fn import(cluster: &Cluster, panel: &BlitzPanel, more: &[&str]) -> (i32, Value) {
    let config = cluster.house.path("admin");
    cluster.kube.kubeconfig("admin", &config);
    let mut args = vec!["import", "blitz", "--to", "kubernetes", "--gateway", "panel"];
    args.extend(["--match", "accounts.csv", "-o", "json"]);
    args.extend(more);
    let mut command = cluster.house.command(&args);
    command
        .env("KUBECONFIG", &config)
        .env("BLITZ_API_URL", panel.url())
        .env("BLITZ_API_TOKEN", TOKEN)
        // What the operator has for nodes is of no interest here.
        .env_remove("HYSTERIA_STATS_URLS");
    let (code, stdout, stderr) = run(command).await;
    assert!(
        !stdout.contains("old-password") && !stderr.contains("old-password"),
        "{stdout}{stderr}"
    );
    (code, serde_json::from_str(&stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_declared_panel_become_objects_and_are_adopted() {
    let (cluster, operator) = Cluster::running().await;
    let panel = BlitzPanel::start(TOKEN).await;
    accounts(&panel, &cluster.house);
    let before = panel.database().accounts.clone();

    let (code, told) = import(&cluster, &panel, &["--dry-run"]).await;
    assert_eq!(
        (code, &told["people"]),
        (1, &json!({ "made": 6, "there": 0 })),
        "{told}"
    );
    assert!(cluster.user("AB123456").is_none() && cluster.object("secrets", "ab123456-imported").is_none());

    let (code, told) = import(&cluster, &panel, &[]).await;
    assert_eq!(
        (code, &told["people"]),
        (1, &json!({ "made": 6, "there": 0 })),
        "{told}"
    );
    assert_eq!(told["holds"], json!({ "made": 1, "there": 0 }));
    assert_eq!(panel.database().accounts, before, "the panel is only asked");
    assert!(panel.calls().iter().all(|call| call.op == Op::List));
    let dora = cluster.user("CD234567").unwrap();
    assert_eq!(
        (&dora["spec"]["gateways"], &dora["spec"]["traffic"]),
        (&json!(["panel"]), &json!({ "limit": "50Gi", "period": "Lifetime" }))
    );
    cluster.becomes("GH456789", "Held").await;

    let (code, told) = import(&cluster, &panel, &[]).await;
    assert_eq!(
        (code, &told["people"]),
        (1, &json!({ "made": 0, "there": 6 })),
        "{told}"
    );
    assert_eq!(cluster.user("CD234567").unwrap()["spec"], dora["spec"]);

    cluster.secret("panel", json!({ "key": TOKEN })).await;
    let token = json!({ "secretKeyRef": { "name": "panel", "key": "key" } });
    let gateway = json!({
        "apiVersion": "vpn-operator.io/v1alpha1",
        "kind": "VpnGateway",
        "metadata": { "name": "panel" },
        "spec": { "blitz": { "url": panel.url(), "token": token } },
    });
    let applied = cluster
        .kubectl
        .apply::<VpnGateway>("kubectl", &gateway.to_string(), false)
        .await;
    applied.unwrap();
    eventually("anna is taken over", async || {
        let note = panel.account("anna").unwrap().note.unwrap();
        note.ends_with("[vpn-operator]").then_some(())
    })
    .await;
    assert_eq!(panel.account("anna").unwrap().password, ODD_PASSWORD);
    operator.stop().await;
}
