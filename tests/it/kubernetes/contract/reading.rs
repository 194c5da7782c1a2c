use kube::{Api, api::ListParams};
use serde_json::{Value, json};
use vpn_operator::model::user::VpnUser;

use crate::kubernetes::house::{House, user, version, with};

async fn names(house: &House, query: &str) -> Vec<String> {
    let list = house.get(&format!("vpnusers?{query}")).await.unwrap();
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn five(house: &House) {
    for (name, labels) in [
        ("a", json!({ "team": "x" })),
        ("b", json!({ "team": "y" })),
        ("c", json!({ "team": "x", "lead": "" })),
        ("d", json!({})),
        ("e", json!({ "team": "z" })),
    ] {
        let sent = with(user(name), "/metadata/labels", labels);
        house
            .post("vpnusers", &with(sent, "/spec/active", json!(name != "b")))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn selectors_choose_by_labels_and_fields() {
    let house = House::open().await;
    five(&house).await;
    for (query, expected) in [
        ("", "a b c d e"),
        ("labelSelector=team%3Dx", "a c"),
        ("labelSelector=team!%3Dx", "b d e"),
        ("labelSelector=team+in+(x,y)", "a b c"),
        ("labelSelector=team+notin+(x,y)", "d e"),
        ("labelSelector=lead", "c"),
        ("labelSelector=!team", "d"),
        ("labelSelector=team%3Dx,lead", "c"),
        ("fieldSelector=metadata.name%3Dd", "d"),
        ("fieldSelector=spec.corporateId%3De", "e"),
        ("fieldSelector=spec.active%3Dfalse", "b"),
    ] {
        assert_eq!(names(&house, query).await.join(" "), expected, "{query}");
    }
    let unknown = house.get("vpnusers?fieldSelector=spec.owner%3Dx").await.unwrap_err();
    assert_eq!(unknown.code, 400, "{}", unknown.message);
    house.close().await;
}

#[tokio::test]
async fn a_list_in_chunks_is_one_moment() {
    let house = House::open().await;
    five(&house).await;
    let first = house.get("vpnusers?limit=2").await.unwrap();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    assert_eq!(first["kind"], "VpnUserList");
    house.post("vpnusers", &user("f")).await.unwrap();
    house.delete("vpnusers/c", &Value::Null).await.unwrap();
    let next = first["metadata"]["continue"].as_str().unwrap();
    let second = house.get(&format!("vpnusers?limit=10&continue={next}")).await.unwrap();
    assert_eq!(version(&second), version(&first));
    let names: Vec<&Value> = second["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["metadata"]["name"])
        .collect();
    assert_eq!(names, ["c", "d", "e"]);
    assert_eq!(second["metadata"]["continue"].as_str().unwrap_or_default(), "");
    let odd = house.get("vpnusers?limit=1&continue=nonsense").await.unwrap_err();
    assert_eq!(odd.code, 400, "{}", odd.message);
    house.close().await;
}

#[tokio::test]
async fn a_chunk_of_a_list_that_is_no_longer_kept_is_gone() {
    let house = House::open().await;
    // A real server compacts every five minutes: nothing that a test could wait for.
    let Some(double) = house.double() else {
        return house.close().await;
    };
    five(&house).await;
    let first = house.get("vpnusers?limit=2").await.unwrap();
    house.post("vpnusers", &user("f")).await.unwrap();
    double.compact();
    let next = first["metadata"]["continue"].as_str().unwrap();
    let gone = house
        .get(&format!("vpnusers?limit=2&continue={next}"))
        .await
        .unwrap_err();
    assert_eq!((gone.code, gone.reason.as_str()), (410, "Expired"));
    house.close().await;
}

#[tokio::test]
async fn metadata_alone_can_be_asked_for() {
    let house = House::open().await;
    five(&house).await;
    let api: Api<VpnUser> = Api::namespaced(house.client.clone(), &house.namespace);
    let one = api.get_metadata("a").await.unwrap();
    assert_eq!(one.metadata.labels.unwrap()["team"], "x");
    assert_eq!(one.types.unwrap().kind, "PartialObjectMetadata");
    let all = api
        .list_metadata(&ListParams::default().labels("team=x"))
        .await
        .unwrap();
    assert_eq!(all.items.len(), 2);
    assert!(all.metadata.resource_version.is_some());
    house.close().await;
}
