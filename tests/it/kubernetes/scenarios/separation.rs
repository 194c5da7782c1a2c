//! Users are kept to the gateways that they name only where nodes can be told apart.

use serde_json::json;

use crate::kubernetes::cluster::{Cluster, condition};

const ANNA: &str = "AB123456";

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_token_say_so_while_somebody_names_only_one_of_them() {
    let (cluster, operator) = Cluster::running().await;
    let separated = |gateway: &str| condition(&cluster.object("vpngateways", gateway)?, "Separated");
    let ready = |gateway: &str| {
        let ready = condition(&cluster.object("vpngateways", gateway)?, "Ready")?;
        (ready["status"] == "True").then_some(())
    };
    cluster.apply(ANNA, json!({ "gateways": ["fra"] })).await;
    cluster.gateway("default", json!({})).await;
    cluster.until("the gateway is ready", || ready("default")).await;
    assert_eq!(separated("default"), None, "there is no other gateway");

    cluster.gateway("fra", json!({ "statsUrl": null })).await;
    for gateway in ["default", "fra"] {
        let told = cluster
            .until("that she is not kept to it is said", || separated(gateway))
            .await;
        assert_eq!(
            (&told["status"], &told["reason"]),
            (&json!("False"), &json!("SharedAuthToken"))
        );
        assert!(told["message"].as_str().unwrap().contains("ab123456"), "{told}");
    }
    let verbose = operator.text("/readyz?verbose").await;
    assert!(verbose.contains("separation/fra"), "{verbose}");

    // A token of its own is an end of it.
    cluster.secret("fra", json!({ "token": "a-token-of-its-own" })).await;
    let own = json!({ "statsUrl": null, "authToken": { "secretKeyRef": { "name": "fra", "key": "token" } } });
    cluster.gateway("fra", own).await;
    cluster
        .until("nothing is said any more", || {
            (separated("default").is_none() && separated("fra").is_none()).then_some(())
        })
        .await;
    cluster.check_for_leaks(&[&operator.stop().await]);
}
