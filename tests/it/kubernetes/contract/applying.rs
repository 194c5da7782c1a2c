use serde_json::{Value, json};

use crate::kubernetes::house::{House, managers, user, version, with};

fn conditions(list: &Value) -> Value {
    json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": "anna" },
        "status": { "observedGeneration": 1, "conditions": list },
    })
}

fn condition(kind: &str, status: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": "Because", "lastTransitionTime": "2026-01-01T00:00:00Z" })
}

#[tokio::test]
async fn an_apply_creates_what_is_not_there_and_repeated_changes_nothing() {
    let house = House::open().await;
    let config = with(user("anna"), "/metadata/labels", json!({ "team": "a" }));
    let made = house.apply("git", "vpnusers/anna", &config).await.unwrap();
    assert_eq!(made["status"], json!({ "observedGeneration": -1 }));
    assert_eq!(made["spec"]["active"], true);
    assert_eq!(made["metadata"]["generation"], 1);
    let fields = json!({ "f:metadata": { "f:labels": { "f:team": {} } }, "f:spec": { "f:corporateId": {} } });
    assert_eq!(managers(&made), [("git Apply".to_owned(), fields)]);
    // The default of the status is stored with the first update, whatever that is.
    let again = house.apply("git", "vpnusers/anna", &config).await.unwrap();
    assert_ne!(version(&again), version(&made));
    assert_eq!(
        with(again.clone(), "/metadata/resourceVersion", json!(version(&made))),
        made
    );
    let third = house.apply("git", "vpnusers/anna", &config).await.unwrap();
    assert_eq!(third, again);
    let nameless = house
        .ask("PATCH", "vpnusers/anna", "application/apply-patch+yaml", &config)
        .await
        .unwrap_err();
    assert_eq!(nameless.code, 422, "{}", nameless.message);
    house.close().await;
}

#[tokio::test]
async fn a_conflict_names_the_manager_and_the_fields() {
    let house = House::open().await;
    let config = with(user("anna"), "/spec/active", json!(true));
    let config = with(config, "/spec/owner", json!("Anna"));
    house.apply("git", "vpnusers/anna", &config).await.unwrap();
    let flip = with(user("anna"), "/spec/active", json!(false));
    let conflict = house
        .apply("vpn-operator-hr", "vpnusers/anna", &flip)
        .await
        .unwrap_err();
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"git\": .spec.active"
    );
    let causes = conflict.details.clone().unwrap().causes;
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].field, ".spec.active");
    assert_eq!(causes[0].message, "conflict with \"git\"");
    let both = with(flip.clone(), "/spec/owner", json!("Bert"));
    let conflict = house
        .apply("vpn-operator-hr", "vpnusers/anna", &both)
        .await
        .unwrap_err();
    assert_eq!(
        conflict.message,
        "Apply failed with 2 conflicts: conflicts with \"git\":\n- .spec.active\n- .spec.owner"
    );

    let forced = house
        .apply("vpn-operator-hr", "vpnusers/anna?force=true", &flip)
        .await
        .unwrap();
    assert_eq!(forced["spec"]["active"], false);
    assert_eq!(forced["metadata"]["generation"], 2);
    let git = json!({ "f:spec": { "f:corporateId": {}, "f:owner": {} } });
    let hr = json!({ "f:spec": { "f:active": {}, "f:corporateId": {} } });
    assert_eq!(
        managers(&forced),
        [("git Apply".to_owned(), git), ("vpn-operator-hr Apply".to_owned(), hr)]
    );
    let back = house.apply("git", "vpnusers/anna", &config).await.unwrap_err();
    assert_eq!(
        back.message,
        "Apply failed with 1 conflict: conflict with \"vpn-operator-hr\": .spec.active"
    );
    house.close().await;
}

#[tokio::test]
async fn a_write_that_is_no_apply_owns_what_it_changed() {
    let house = House::open().await;
    let config = with(user("anna"), "/spec/active", json!(true));
    house.apply("git", "vpnusers/anna", &config).await.unwrap();
    let edit = json!({ "spec": { "active": false, "owner": "Anna" } });
    let edited = house
        .merge("vpnusers/anna?fieldManager=kubectl-edit", &edit)
        .await
        .unwrap();
    let git = json!({ "f:spec": { "f:corporateId": {} } });
    let person = json!({ "f:spec": { "f:active": {}, "f:owner": {} } });
    assert_eq!(
        managers(&edited),
        [
            ("git Apply".to_owned(), git),
            ("kubectl-edit Update".to_owned(), person)
        ]
    );
    let conflict = house.apply("git", "vpnusers/anna", &config).await.unwrap_err();
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using vpn-operator.io/v1alpha1: .spec.active"
    );
    let same = house
        .apply("git", "vpnusers/anna", &with(config, "/spec/active", json!(false)))
        .await
        .unwrap();
    assert_eq!(same["metadata"]["generation"], edited["metadata"]["generation"]);
    assert_ne!(version(&same), version(&edited), "one more owner is a change");
    house.close().await;
}

#[tokio::test]
async fn what_a_manager_no_longer_applies_goes_unless_another_owns_it() {
    let house = House::open().await;
    let labels = |labels: Value| with(user("anna"), "/metadata/labels", labels);
    let config = labels(json!({ "mine": "1", "ours": "1" }));
    let config = with(config, "/spec/owner", json!("Anna"));
    let config = with(config, "/spec/active", json!(false));
    let config = with(config, "/spec/traffic", json!({ "limit": "1Gi" }));
    let config = with(config, "/metadata/finalizers", json!(["vpn-operator.io/access"]));
    house.apply("git", "vpnusers/anna", &config).await.unwrap();
    house
        .apply("other", "vpnusers/anna", &labels(json!({ "ours": "1", "theirs": "1" })))
        .await
        .unwrap();
    let left = house.apply("git", "vpnusers/anna", &user("anna")).await.unwrap();
    assert_eq!(left["metadata"]["labels"], json!({ "ours": "1", "theirs": "1" }));
    assert_eq!(left["metadata"].get("finalizers"), None);
    assert_eq!(left["spec"].get("owner"), None);
    assert_eq!(left["spec"].get("traffic"), None, "with the default below it");
    assert_eq!(left["spec"]["active"], true, "the default comes back");
    let none = house.apply("other", "vpnusers/anna", &user("anna")).await.unwrap();
    assert_eq!(none["metadata"].get("labels"), None);
    house.close().await;
}

#[tokio::test]
async fn conditions_are_merged_by_type_and_finalizers_by_value() {
    let house = House::open().await;
    let first = with(user("anna"), "/metadata/finalizers", json!(["vpn-operator.io/access"]));
    house.apply("vpn-operator", "vpnusers/anna", &first).await.unwrap();
    let second = with(user("anna"), "/metadata/finalizers", json!(["other.io/x"]));
    let both = house.apply("other", "vpnusers/anna", &second).await.unwrap();
    assert_eq!(
        both["metadata"]["finalizers"],
        json!(["vpn-operator.io/access", "other.io/x"])
    );

    let status = "vpnusers/anna/status";
    let one = conditions(&json!([condition("Ready", "True"), condition("Granted", "True")]));
    let one = house.apply("vpn-operator", status, &one).await.unwrap();
    assert_eq!(one["status"]["observedGeneration"], 1);
    let mut odd = conditions(&json!([condition("Odd", "True")]));
    odd["status"].as_object_mut().unwrap().remove("observedGeneration");
    let two = house.apply("other", status, &odd).await.unwrap();
    let types: Vec<&Value> = two["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["type"])
        .collect();
    assert_eq!(types, ["Ready", "Granted", "Odd"]);
    let fields = json!({ "f:status": { "f:conditions": {
        "k:{\"type\":\"Odd\"}": { ".": {}, "f:lastTransitionTime": {}, "f:reason": {}, "f:status": {}, "f:type": {} },
    } } });
    assert!(
        managers(&two).contains(&("other Apply status".to_owned(), fields)),
        "{:#?}",
        managers(&two)
    );

    let stolen = conditions(&json!([condition("Odd", "False")]));
    let conflict = house.apply("vpn-operator", status, &stolen).await.unwrap_err();
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"other\" with subresource \"status\": .status.conditions[type=\"Odd\"].status"
    );
    let less = conditions(&json!([condition("Ready", "False")]));
    let less = house.apply("vpn-operator", status, &less).await.unwrap();
    let types: Vec<&Value> = less["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["type"])
        .collect();
    assert_eq!(types, ["Ready", "Odd"]);
    let release = json!([{ "op": "remove", "path": "/metadata/finalizers" }]);
    house.patch("vpnusers/anna", &release).await.unwrap();
    house.close().await;
}

#[tokio::test]
async fn an_apply_meant_for_another_object_of_the_name_is_refused() {
    let house = House::open().await;
    let gone = "00000000-0000-4000-8000-000000000000";
    let config = with(user("anna"), "/metadata/uid", json!(gone));
    let nothing = house.apply("git", "vpnusers/anna", &config).await.unwrap_err();
    assert_eq!(
        (nothing.code, nothing.reason.as_str()),
        (409, "Conflict"),
        "{}",
        nothing.message
    );
    assert!(nothing.message.contains("uid mismatch"), "{}", nothing.message);
    let made = house.apply("git", "vpnusers/anna", &user("anna")).await.unwrap();
    let other = house.apply("git", "vpnusers/anna", &config).await.unwrap_err();
    assert_eq!(
        (other.code, other.reason.as_str()),
        (422, "Invalid"),
        "{}",
        other.message
    );
    assert!(other.message.contains("metadata.uid"), "{}", other.message);
    let same = with(user("anna"), "/metadata/uid", made["metadata"]["uid"].clone());
    let same = house.apply("git", "vpnusers/anna", &same).await.unwrap();
    assert_eq!(same["metadata"]["generation"], 1);
    let stale = with(user("anna"), "/metadata/resourceVersion", json!("1"));
    let stale = house.apply("git", "vpnusers/anna", &stale).await.unwrap_err();
    assert_eq!(stale.code, 409, "{}", stale.message);
    house.close().await;
}

#[tokio::test]
async fn a_status_is_not_applied_to_what_is_not_there() {
    let house = House::open().await;
    let status = conditions(&json!([]));
    let missing = house
        .apply("vpn-operator", "vpnusers/anna/status", &status)
        .await
        .unwrap_err();
    assert_eq!((missing.code, missing.reason.as_str()), (404, "NotFound"));
    house.apply("git", "vpnusers/anna", &user("anna")).await.unwrap();
    let applied = house
        .apply("vpn-operator", "vpnusers/anna/status", &status)
        .await
        .unwrap();
    assert_eq!(applied["metadata"]["generation"], 1);
    let again = house
        .apply("vpn-operator", "vpnusers/anna/status", &status)
        .await
        .unwrap();
    assert_eq!(version(&again), version(&applied));
    house.close().await;
}

#[tokio::test]
async fn what_the_schema_does_not_declare_cannot_be_applied() {
    let house = House::open().await;
    let odd = with(user("anna"), "/spec/validUntill", json!("2026-01-01T00:00:00Z"));
    let refused = house.apply("git", "vpnusers/anna", &odd).await.unwrap_err();
    assert_eq!(refused.code, 500, "{}", refused.message);
    assert!(
        refused
            .message
            .contains(".spec.validUntill: field not declared in schema"),
        "{}",
        refused.message
    );
    let wrong = with(user("anna"), "/spec/active", json!("yes"));
    let refused = house.apply("git", "vpnusers/anna", &wrong).await.unwrap_err();
    assert!(refused.message.contains(".spec.active"), "{}", refused.message);
    let devices = with(user("anna"), "/spec/maxDevices", json!(0));
    assert_eq!(
        house.apply("git", "vpnusers/anna", &devices).await.unwrap_err().code,
        422
    );
    let managed = with(user("anna"), "/metadata/managedFields", json!([{ "manager": "x" }]));
    assert_eq!(
        house.apply("git", "vpnusers/anna", &managed).await.unwrap_err().code,
        400
    );
    let named = house.apply("git", "vpnusers/bert", &user("anna")).await.unwrap_err();
    assert_eq!(named.code, 400, "{}", named.message);
    house.close().await;
}

#[tokio::test]
async fn an_applied_secret_is_restored_when_somebody_changed_it() {
    let house = House::open().await;
    let config = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "anna-vpn", "labels": { "app.kubernetes.io/managed-by": "vpn-operator" } },
        "data": { "username": "YQ==", "password": "Yg==" },
    });
    let made = house.apply("vpn-operator", "secrets/anna-vpn", &config).await.unwrap();
    assert_eq!(made["type"], "Opaque");
    let edit = json!({ "data": { "password": "eA==", "username": null, "more": "eA==" } });
    house
        .merge("secrets/anna-vpn?fieldManager=person", &edit)
        .await
        .unwrap();
    let conflict = house
        .apply("vpn-operator", "secrets/anna-vpn", &config)
        .await
        .unwrap_err();
    assert_eq!(
        conflict.message,
        "Apply failed with 1 conflict: conflict with \"person\" using v1: .data.password"
    );
    let forced = house
        .apply("vpn-operator", "secrets/anna-vpn?force=true", &config)
        .await
        .unwrap();
    assert_eq!(
        forced["data"],
        json!({ "username": "YQ==", "password": "Yg==", "more": "eA==" })
    );
    let again = house
        .apply("vpn-operator", "secrets/anna-vpn?force=true", &config)
        .await
        .unwrap();
    assert_eq!(version(&again), version(&forced));
    house.close().await;
}
