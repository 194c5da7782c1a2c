use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use vpn_operator::model::user::VpnUser;

use crate::kubernetes::house::{House, user, with};

fn secret(name: &str, owner: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": name, "ownerReferences": [{
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
        }] },
    })
}

#[tokio::test]
async fn what_an_object_owns_goes_after_it() {
    let house = House::open().await;
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    house
        .apply("vpn-operator", "secrets/anna-vpn", &secret("anna-vpn", &made))
        .await
        .unwrap();
    house.delete("vpnusers/anna", &Value::Null).await.unwrap();
    house.kubectl.wait_gone::<Secret>("anna-vpn").await;
    house.close().await;
}

#[tokio::test]
async fn in_the_foreground_what_is_owned_goes_first() {
    let house = House::open().await;
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    let held = with(
        secret("anna-vpn", &made),
        "/metadata/finalizers",
        json!(["contract.test/keep"]),
    );
    house.post("secrets", &held).await.unwrap();
    let marked = house
        .delete("vpnusers/anna", &json!({ "propagationPolicy": "Foreground" }))
        .await
        .unwrap();
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let marked = |secret: &Secret| secret.metadata.deletion_timestamp.is_some();
    house.kubectl.wait_for::<Secret>("anna-vpn", marked).await;
    assert!(house.kubectl.find::<VpnUser>("anna").await.is_some());
    house
        .patch(
            "secrets/anna-vpn",
            &json!([{ "op": "remove", "path": "/metadata/finalizers" }]),
        )
        .await
        .unwrap();
    house.kubectl.wait_gone::<Secret>("anna-vpn").await;
    house.kubectl.wait_gone::<VpnUser>("anna").await;
    house.close().await;
}

#[tokio::test]
async fn orphans_stay() {
    let house = House::open().await;
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    house.post("secrets", &secret("anna-vpn", &made)).await.unwrap();
    house
        .delete("vpnusers/anna", &json!({ "propagationPolicy": "Orphan" }))
        .await
        .unwrap();
    house.kubectl.wait_gone::<VpnUser>("anna").await;
    let left: Secret = house.kubectl.get("anna-vpn").await;
    assert_eq!(left.metadata.owner_references.unwrap_or_default(), []);
    house.close().await;
}
