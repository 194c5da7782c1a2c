use serde_json::{Value, json};

use crate::kubernetes::house::{House, user, version, with};

#[tokio::test]
async fn a_finalizer_keeps_a_deleted_object_until_it_is_released() {
    let house = House::open().await;
    let made = with(user("anna"), "/metadata/finalizers", json!(["vpn-operator.io/access"]));
    let made = house.post("vpnusers", &made).await.unwrap();
    let marked = house.delete("vpnusers/anna", &Value::Null).await.unwrap();
    assert_eq!(marked["kind"], "VpnUser");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["generation"], 2);
    assert_ne!(version(&marked), version(&made));
    let again = house.delete("vpnusers/anna", &Value::Null).await.unwrap();
    assert_eq!(version(&again), version(&marked));

    let more = json!({ "metadata": { "finalizers": ["vpn-operator.io/access", "other.io/x"] } });
    let refused = house.merge("vpnusers/anna", &more).await.unwrap_err();
    assert_eq!(refused.code, 422, "{}", refused.message);
    let status = json!({ "status": { "access": "Denied" } });
    let status = house.merge("vpnusers/anna/status", &status).await.unwrap();
    assert_eq!(status["status"]["access"], "Denied");
    let exists = house.post("vpnusers", &user("anna")).await.unwrap_err();
    assert_eq!((exists.code, exists.reason.as_str()), (409, "AlreadyExists"));

    let release = json!([
        { "op": "test", "path": "/metadata/finalizers/0", "value": "vpn-operator.io/access" },
        { "op": "remove", "path": "/metadata/finalizers/0" },
    ]);
    let released = house.patch("vpnusers/anna", &release).await.unwrap();
    assert_eq!(released["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(house.get("vpnusers/anna").await.unwrap_err().code, 404);
    assert_eq!(house.patch("vpnusers/anna", &release).await.unwrap_err().code, 404);
    let anew = house.post("vpnusers", &user("anna")).await.unwrap();
    assert_ne!(anew["metadata"]["uid"], made["metadata"]["uid"]);
    house.close().await;
}

#[tokio::test]
async fn an_apply_that_leaves_a_finalizer_out_releases_it() {
    let house = House::open().await;
    let held = with(user("anna"), "/metadata/finalizers", json!(["vpn-operator.io/access"]));
    house.apply("vpn-operator", "vpnusers/anna", &held).await.unwrap();
    house.delete("vpnusers/anna", &Value::Null).await.unwrap();
    house
        .apply("vpn-operator", "vpnusers/anna", &user("anna"))
        .await
        .unwrap();
    assert_eq!(house.get("vpnusers/anna").await.unwrap_err().code, 404);
    house.close().await;
}

#[tokio::test]
async fn an_object_without_finalizers_goes_at_once() {
    let house = House::open().await;
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    let gone = house.delete("vpnusers/anna", &Value::Null).await.unwrap();
    assert_eq!((&gone["kind"], &gone["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
    assert_eq!(house.delete("vpnusers/anna", &Value::Null).await.unwrap_err().code, 404);
    house.close().await;
}

#[tokio::test]
async fn a_deletion_can_be_bound_to_a_uid_and_a_version() {
    let house = House::open().await;
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    let changed = house
        .merge("vpnusers/anna", &json!({ "spec": { "owner": "Anna" } }))
        .await
        .unwrap();
    for wrong in [
        json!({ "uid": "00000000-0000-4000-8000-000000000000" }),
        json!({ "resourceVersion": version(&made) }),
    ] {
        let refused = house
            .delete("vpnusers/anna", &json!({ "preconditions": wrong }))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (409, "Conflict"),
            "{}",
            refused.message
        );
        assert!(refused.message.contains("in the precondition"), "{}", refused.message);
    }
    let right = json!({ "uid": made["metadata"]["uid"], "resourceVersion": version(&changed) });
    house
        .delete("vpnusers/anna", &json!({ "preconditions": right }))
        .await
        .unwrap();
    assert_eq!(house.get("vpnusers/anna").await.unwrap_err().code, 404);
    house.close().await;
}
