use serde_json::{Value, json};

use crate::kubernetes::house::{House, managers, user, version, with};

#[tokio::test]
async fn a_new_object_has_its_defaults_a_generation_and_an_unobserved_status() {
    let house = House::open().await;
    let sent = with(user("anna"), "/status", json!({ "access": "Granted" }));
    let made = house.post("vpnusers?fieldManager=contract", &sent).await.unwrap();
    assert_eq!(made["status"], json!({ "observedGeneration": -1 }));
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(
        made["spec"],
        json!({
            "corporateId": "anna", "active": true, "credentialGeneration": 1, "subscriptionGeneration": 1,
            "deletionPolicy": "Delete", "adopt": "Never",
        })
    );
    assert!(made["metadata"]["uid"].as_str().is_some_and(|uid| uid.len() == 36));
    assert!(made["metadata"]["creationTimestamp"].is_string());
    assert_eq!(house.get("vpnusers/anna").await.unwrap(), made);
    let fields = json!({ "f:spec": {
        ".": {}, "f:active": {}, "f:adopt": {}, "f:corporateId": {}, "f:credentialGeneration": {},
        "f:deletionPolicy": {}, "f:subscriptionGeneration": {},
    } });
    assert_eq!(managers(&made), [("contract Update".to_owned(), fields)]);

    let again = house.post("vpnusers", &user("anna")).await.unwrap_err();
    assert_eq!((again.code, again.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(again.message, "vpnusers.vpn-operator.io \"anna\" already exists");
    let missing = house.get("vpnusers/nobody").await.unwrap_err();
    assert_eq!((missing.code, missing.reason.as_str()), (404, "NotFound"));
    assert_eq!(missing.message, "vpnusers.vpn-operator.io \"nobody\" not found");
    house.close().await;
}

#[tokio::test]
async fn schema_and_rules_refuse_and_name_the_field() {
    let house = House::open().await;
    for (pointer, value, reason, field) in [
        ("/spec/maxDevices", json!(0), "FieldValueInvalid", "spec.maxDevices"),
        (
            "/spec/maxDevices",
            json!("two"),
            "FieldValueTypeInvalid",
            "spec.maxDevices",
        ),
        ("/spec/adopt", json!("Always"), "FieldValueNotSupported", "spec.adopt"),
        ("/spec/owner", json!("o".repeat(257)), "FieldValueTooLong", "spec.owner"),
        ("/spec/email", json!("anna"), "FieldValueInvalid", "spec.email"),
        (
            "/spec/gateways",
            json!(["a", "a"]),
            "FieldValueDuplicate",
            "spec.gateways[1]",
        ),
        (
            "/spec/corporateId",
            Value::Null,
            "FieldValueRequired",
            "spec.corporateId",
        ),
        (
            "/spec/traffic",
            json!({ "limit": 0 }),
            "FieldValueInvalid",
            "spec.traffic.limit",
        ),
        ("/metadata/name", json!("Anna"), "FieldValueInvalid", "metadata.name"),
    ] {
        let refused = house
            .post("vpnusers", &with(user("anna"), pointer, value))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (422, "Invalid"),
            "{pointer}: {refused:?}"
        );
        let causes = refused.details.clone().unwrap().causes;
        let found = causes
            .iter()
            .any(|cause| cause.reason == reason && cause.field == field);
        assert!(found, "{pointer}: {causes:#?}");
    }
    let other = house
        .post("vpnusers", &with(user("anna"), "/metadata/name", json!("bert")))
        .await;
    assert_eq!(other.unwrap_err().code, 422);
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    let changed = house
        .merge("vpnusers/anna", &json!({ "spec": { "username": "corp_x" } }))
        .await
        .unwrap_err();
    assert_eq!(changed.code, 422);
    assert!(changed.message.contains("username is immutable"), "{}", changed.message);
    assert_eq!(house.get("vpnusers/anna").await.unwrap(), made);
    house.close().await;
}

#[tokio::test]
async fn a_time_needs_seconds_and_a_zone_and_is_not_looked_at_more_closely() {
    let house = House::open().await;
    for (name, time, good) in [
        ("a", "2027-01-01T00:00:00Z", true),
        ("b", "2027-01-01T02:00:00.25+02:00", true),
        ("c", "2027-01-01t00:00:00z", true),
        ("d", "2027-01-01T00:00:00,5Z", true),
        ("e", "2027-01-01T00:00:00+99:00", true),
        ("f", "2027-01-01T00:00:00Ztomorrow", true),
        ("g", "2027-01-01T00:00Z", false),
        ("h", "2027-01-01T00:00:00", false),
        ("i", "2027-01-01T00:00:60Z", false),
        ("j", "2027-01-01T24:00:00Z", false),
        ("k", "2027-02-30T00:00:00Z", false),
        ("l", "20270101T000000Z", false),
        ("m", "2027-01-01T00:00:00+02", false),
        ("n", "2027-01-01", false),
    ] {
        let sent = with(user(name), "/spec/validUntil", json!(time));
        let answer = house.post("vpnusers", &sent).await;
        assert_eq!(answer.is_ok(), good, "{time}: {answer:?}");
        if let Err(refusal) = answer {
            assert!(
                refusal.message.contains("spec.validUntil"),
                "{time}: {}",
                refusal.message
            );
        }
    }
    house.close().await;
}

#[tokio::test]
async fn an_unknown_field_is_dropped_or_refused_as_the_client_wishes() {
    let house = House::open().await;
    let odd = with(user("anna"), "/spec/validUntill", json!("2026-01-01T00:00:00Z"));
    let refused = house.post("vpnusers?fieldValidation=Strict", &odd).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (400, "BadRequest"));
    assert!(
        refused.message.contains("unknown field \"spec.validUntill\""),
        "{}",
        refused.message
    );
    let made = house.post("vpnusers?fieldValidation=Ignore", &odd).await.unwrap();
    assert!(made["spec"].get("validUntill").is_none());
    house.close().await;
}

#[tokio::test]
async fn the_generation_rises_with_the_spec_and_with_nothing_else() {
    let house = House::open().await;
    house.post("vpnusers", &user("anna")).await.unwrap();
    let labelled = json!({ "metadata": { "labels": { "team": "a" } } });
    let labelled = house.merge("vpnusers/anna", &labelled).await.unwrap();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let spec = house
        .merge("vpnusers/anna", &json!({ "spec": { "active": false } }))
        .await
        .unwrap();
    assert_eq!(spec["metadata"]["generation"], 2);
    let same = house
        .merge("vpnusers/anna", &json!({ "spec": { "active": false } }))
        .await
        .unwrap();
    assert_eq!(same, spec, "a patch that changes nothing writes nothing");
    let status = json!({ "status": { "observedGeneration": 2, "access": "Denied" } });
    let status = house.merge("vpnusers/anna/status", &status).await.unwrap();
    assert_eq!(status["metadata"]["generation"], 2);
    assert_ne!(version(&status), version(&spec));
    house.close().await;
}

#[tokio::test]
async fn the_status_subresource_and_the_object_leave_each_other_alone() {
    let house = House::open().await;
    house.post("vpnusers", &user("anna")).await.unwrap();
    let both = json!({
        "metadata": { "labels": { "a": "b" } }, "spec": { "active": false },
        "status": { "observedGeneration": 1, "access": "Granted" },
    });
    let status = house.merge("vpnusers/anna/status", &both).await.unwrap();
    assert_eq!(status["spec"]["active"], true);
    assert_eq!(status["metadata"]["labels"], Value::Null);
    assert_eq!(
        status["status"],
        json!({ "observedGeneration": 1, "access": "Granted" })
    );
    let both = with(both, "/status/access", json!("Denied"));
    let main = house.merge("vpnusers/anna", &both).await.unwrap();
    assert_eq!(main["spec"]["active"], false);
    assert_eq!(main["status"]["access"], "Granted");
    let wrong = json!({ "status": { "access": "Perhaps" } });
    assert_eq!(house.merge("vpnusers/anna/status", &wrong).await.unwrap_err().code, 422);
    house.close().await;
}

#[tokio::test]
async fn a_put_of_an_old_version_conflicts() {
    let house = House::open().await;
    let made = house.post("vpnusers", &user("anna")).await.unwrap();
    let changed = with(made.clone(), "/spec/owner", json!("Anna"));
    let stored = house.put("vpnusers/anna", &changed).await.unwrap();
    assert_eq!(stored["spec"]["owner"], "Anna");
    let stale = house
        .put("vpnusers/anna", &with(made, "/spec/owner", json!("Bert")))
        .await
        .unwrap_err();
    assert_eq!((stale.code, stale.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        stale.message,
        "Operation cannot be fulfilled on vpnusers.vpn-operator.io \"anna\": the object has been modified; please apply \
         your changes to the latest version and try again"
    );
    let unversioned = house.put("vpnusers/anna", &user("anna")).await.unwrap_err();
    assert_eq!(unversioned.code, 422, "{}", unversioned.message);
    let other = with(stored, "/metadata/uid", json!("00000000-0000-4000-8000-000000000000"));
    let other = house.put("vpnusers/anna", &other).await.unwrap_err();
    assert_eq!(
        (other.code, other.reason.as_str()),
        (409, "Conflict"),
        "{}",
        other.message
    );
    let uid = json!({ "metadata": { "uid": "00000000-0000-4000-8000-000000000000" } });
    let patched = house.merge("vpnusers/anna", &uid).await.unwrap_err();
    assert_eq!(
        (patched.code, patched.reason.as_str()),
        (422, "Invalid"),
        "{}",
        patched.message
    );
    let missing = with(
        with(user("nobody"), "/metadata/resourceVersion", json!("1")),
        "/spec/owner",
        json!("x"),
    );
    assert_eq!(house.put("vpnusers/nobody", &missing).await.unwrap_err().code, 404);
    house.close().await;
}

#[tokio::test]
async fn a_json_patch_whose_test_fails_changes_nothing() {
    let house = House::open().await;
    let made = with(
        user("anna"),
        "/metadata/finalizers",
        json!(["vpn-operator.io/access", "other.io/x"]),
    );
    let made = house.post("vpnusers", &made).await.unwrap();
    let release = |at: usize| {
        json!([
            { "op": "test", "path": format!("/metadata/finalizers/{at}"), "value": "vpn-operator.io/access" },
            { "op": "remove", "path": format!("/metadata/finalizers/{at}") },
        ])
    };
    let failed = house.patch("vpnusers/anna", &release(1)).await.unwrap_err();
    assert_eq!((failed.code, failed.reason.as_str()), (422, "Invalid"), "{failed:?}");
    assert_eq!(house.get("vpnusers/anna").await.unwrap(), made);
    let released = house.patch("vpnusers/anna", &release(0)).await.unwrap();
    assert_eq!(released["metadata"]["finalizers"], json!(["other.io/x"]));
    let versioned = json!([{ "op": "replace", "path": "/metadata/resourceVersion", "value": version(&made) }]);
    assert_eq!(house.patch("vpnusers/anna", &versioned).await.unwrap_err().code, 409);
    let nobody = house.patch("vpnusers/nobody", &release(0)).await.unwrap_err();
    assert_eq!(nobody.code, 404);
    house
        .patch(
            "vpnusers/anna",
            &json!([{ "op": "remove", "path": "/metadata/finalizers" }]),
        )
        .await
        .unwrap();
    house.close().await;
}

#[tokio::test]
async fn two_holders_of_a_lease_cannot_both_renew() {
    let house = House::open().await;
    let lease = |holder: &str| {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "vpn-operator" },
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z" },
        })
    };
    let made = house.post("leases", &lease("a")).await.unwrap();
    assert_eq!(made["metadata"].get("generation"), None);
    let taken = with(lease("b"), "/metadata/resourceVersion", json!(version(&made)));
    let stored = house.put("leases/vpn-operator", &taken).await.unwrap();
    assert_eq!(stored["spec"]["holderIdentity"], "b");
    let late = with(lease("c"), "/metadata/resourceVersion", json!(version(&made)));
    assert_eq!(house.put("leases/vpn-operator", &late).await.unwrap_err().code, 409);
    let blind = house.put("leases/vpn-operator", &lease("c")).await.unwrap_err();
    assert_eq!(blind.code, 422, "{}", blind.message);
    let created = with(lease("d"), "/metadata/name", json!("another"));
    assert_eq!(
        house.put("leases/another", &created).await.unwrap()["spec"]["holderIdentity"],
        "d"
    );
    house.close().await;
}

#[tokio::test]
async fn only_the_series_of_an_event_changes() {
    let house = House::open().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": { "name": "anna.1", "namespace": house.namespace }, "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "vpn-operator", "reportingInstance": "vpn-operator-0", "action": "Granting",
        "reason": "Granted", "type": "Normal", "note": "access is granted",
        "regarding": {
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "name": "anna", "namespace": house.namespace,
        },
    });
    house.post("events", &event).await.unwrap();
    let series = json!({ "series": { "count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z" } });
    let patched = house.merge("events/anna.1", &series).await.unwrap();
    assert_eq!(patched["series"]["count"], 2);
    let other = house
        .merge("events/anna.1", &json!({ "note": "something else" }))
        .await
        .unwrap_err();
    assert_eq!(other.code, 422, "{}", other.message);
    for (pointer, value) in [
        ("/note", json!("n".repeat(1025))),
        ("/reason", json!("")),
        ("/type", json!("Odd")),
        ("/reportingController", json!("")),
    ] {
        let wrong = with(with(event.clone(), "/metadata/name", json!("anna.2")), pointer, value);
        let refused = house.post("events", &wrong).await.unwrap_err();
        assert_eq!(refused.code, 422, "{pointer}: {}", refused.message);
    }
    house.close().await;
}

#[tokio::test]
async fn a_secret_keeps_its_type_and_takes_plain_text() {
    let house = House::open().await;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "anna-vpn" }, "stringData": { "a": "b" },
    });
    let made = house.post("secrets?fieldManager=contract", &secret).await.unwrap();
    assert_eq!(made["data"], json!({ "a": "Yg==" }));
    assert_eq!(made["type"], "Opaque");
    assert_eq!(made.get("stringData"), None);
    let fields = json!({ "f:data": { ".": {}, "f:a": {} }, "f:type": {} });
    assert_eq!(managers(&made), [("contract Update".to_owned(), fields)]);
    let typed = house
        .merge("secrets/anna-vpn", &json!({ "type": "other" }))
        .await
        .unwrap_err();
    assert_eq!(typed.code, 422);
    house.close().await;
}

#[tokio::test]
async fn a_generated_name_begins_with_its_prefix() {
    let house = House::open().await;
    let hold = json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnHold", "metadata": { "generateName": "api-x-" },
        "spec": { "corporateId": "x", "source": "api" },
    });
    let made = house.post("vpnholds", &hold).await.unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("api-x-") && name.len() == 11, "{name}");
    house.close().await;
}

#[tokio::test]
async fn of_two_who_add_to_a_config_map_the_later_looks_again() {
    let house = House::open().await;
    let map = |number: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "vpn-operator-ids-ab" }, "data": { number: "x" },
        })
    };
    let made = house.post("configmaps", &map("000001")).await.unwrap();
    assert_eq!(made["metadata"].get("generation"), None);
    let again = house.post("configmaps", &map("000002")).await.unwrap_err();
    assert_eq!((again.code, again.reason.as_str()), (409, "AlreadyExists"));
    let add = |number: &str, object: &Value| json!({ "metadata": { "resourceVersion": version(object) }, "data": { number: "x" } });
    let stored = house
        .merge("configmaps/vpn-operator-ids-ab", &add("000002", &made))
        .await
        .unwrap();
    assert_eq!(stored["data"], json!({ "000001": "x", "000002": "x" }));
    let late = house
        .merge("configmaps/vpn-operator-ids-ab", &add("000003", &made))
        .await
        .unwrap_err();
    assert_eq!((late.code, late.reason.as_str()), (409, "Conflict"));
    let gone = house
        .merge("configmaps/vpn-operator-ids-cd", &add("000001", &made))
        .await
        .unwrap_err();
    assert_eq!(gone.code, 404, "{}", gone.message);
    house.close().await;
}
