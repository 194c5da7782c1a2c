//! People of the former service become objects, with the operator running.

use serde_json::{Value, json};

use crate::{
    end_to_end::{
        legacy::{database, password},
        operator::{eventually, run},
    },
    kubernetes::cluster::Cluster,
};

async fn import(cluster: &Cluster, more: &[&str]) -> (i32, Value) {
    let config = cluster.house.path("admin");
    cluster.kube.kubeconfig("admin", &config);
    let mut args = vec!["import", "legacy", "automation_data/users.db", "--zone", "UTC"];
    args.extend(["--to", "kubernetes", "-o", "json"]);
    args.extend(more);
    let mut command = cluster.house.command(&args);
    command.env("KUBECONFIG", &config);
    let (code, stdout, stderr) = run(command).await;
    assert!(
        !stdout.contains("old-password") && !stderr.contains("old-password"),
        "{stdout}{stderr}"
    );
    (code, serde_json::from_str(&stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_the_former_service_become_objects_and_what_a_stranger_made_stays() {
    let (cluster, operator) = Cluster::running().await;
    drop(database(&cluster.house));
    let theirs = json!({ "password": "somebody else's" });
    cluster.secret("ef345678-imported", theirs).await;
    let stranger = cluster.object("secrets", "ef345678-imported");

    let (code, told) = import(&cluster, &["--dry-run"]).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(told["people"], json!({ "made": 3, "there": 0 }));
    assert!(cluster.user("AB123456").is_none() && cluster.object("secrets", "ab123456-imported").is_none());

    let (code, told) = import(&cluster, &[]).await;
    assert_eq!(code, 1, "{told}");
    assert_eq!(told["people"], json!({ "made": 2, "there": 0 }));
    assert!(
        told["refused"]
            .to_string()
            .contains("EF345678: the Secret ef345678-imported is there"),
        "{told}"
    );
    assert!(
        told["notes"].to_string().contains("give --data") && told["history"].is_null(),
        "{told}"
    );
    assert_eq!(cluster.object("secrets", "ef345678-imported"), stranger);
    assert!(cluster.user("EF345678").is_none());
    cluster.becomes("CD234567", "Held").await;
    let credential = |id: &str| format!("corp_{}:{}", id.to_lowercase(), password(id));
    eventually("the password of before is read", async || {
        operator
            .login(&credential("AB123456"), "192.0.2.1:1")
            .await
            .then_some(())
    })
    .await;
    assert!(!operator.login(&credential("CD234567"), "192.0.2.2:1").await);

    let user = cluster.user("AB123456").unwrap();
    let (code, told) = import(&cluster, &[]).await;
    assert_eq!(
        (code, &told["people"]),
        (1, &json!({ "made": 0, "there": 2 })),
        "{told}"
    );
    assert_eq!(cluster.user("AB123456").unwrap()["spec"], user["spec"]);
}
