use std::{pin::Pin, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api,
    api::{PartialObjectMeta, WatchParams},
    core::{DynamicObject, WatchEvent},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use vpn_operator::model::user::VpnUser;

use crate::kubernetes::house::{House, user, version, with};

/// A watch without a pause in it: what it sends must come.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

struct Seen(Pin<Box<dyn Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Send>>);

impl Seen {
    async fn from(house: &House, params: &WatchParams, version: &str) -> Self {
        let kind = kube::core::ApiResource::erase::<VpnUser>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(house.client.clone(), &house.namespace, &kind);
        Self(Box::pin(api.watch(params, version).await.unwrap()))
    }

    async fn next(&mut self) -> Option<kube::Result<WatchEvent<DynamicObject>>> {
        tokio::time::timeout(EVENT_TIMEOUT, self.0.next())
            .await
            .expect("nothing comes")
    }

    /// The next event that is no bookmark, as its kind and object.
    async fn event(&mut self) -> (&'static str, Value) {
        loop {
            let (kind, object) = match self.next().await.unwrap().unwrap() {
                WatchEvent::Added(object) => ("ADDED", object),
                WatchEvent::Modified(object) => ("MODIFIED", object),
                WatchEvent::Deleted(object) => ("DELETED", object),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(status) => panic!("{status:?}"),
            };
            return (kind, serde_json::to_value(object).unwrap());
        }
    }
}

fn name(event: &(&'static str, Value)) -> String {
    format!("{} {}", event.0, event.1["metadata"]["name"].as_str().unwrap())
}

#[tokio::test]
async fn a_watch_tells_every_change_after_its_version_and_no_other() {
    let house = House::open().await;
    house.post("vpnusers", &user("a")).await.unwrap();
    let start = version(&house.get("vpnusers").await.unwrap());
    let mut seen = Seen::from(&house, &WatchParams::default(), &start).await;
    let made = house.post("vpnusers", &user("b")).await.unwrap();
    let changed = house
        .merge("vpnusers/a", &json!({ "spec": { "owner": "A" } }))
        .await
        .unwrap();
    house
        .merge("vpnusers/a", &json!({ "spec": { "owner": "A" } }))
        .await
        .unwrap();
    house
        .apply("git", "vpnusers/b", &with(user("b"), "/spec/owner", json!("B")))
        .await
        .unwrap();
    house
        .apply("git", "vpnusers/b", &with(user("b"), "/spec/owner", json!("B")))
        .await
        .unwrap();
    house.delete("vpnusers/a", &Value::Null).await.unwrap();
    let first = seen.event().await;
    assert_eq!((first.0, &first.1), ("ADDED", &made));
    let second = seen.event().await;
    assert_eq!((second.0, &second.1), ("MODIFIED", &changed));
    assert_eq!(name(&seen.event().await), "MODIFIED b");
    let last = seen.event().await;
    assert_eq!(name(&last), "DELETED a");
    let newer = version(&last.1).parse::<u64>().unwrap() > version(&changed).parse().unwrap();
    assert!(newer, "a deletion has a version of its own");

    let mut later = Seen::from(&house, &WatchParams::default(), &version(&changed)).await;
    assert_eq!(name(&later.event().await), "MODIFIED b");
    house.close().await;
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let house = House::open().await;
    house.post("vpnusers", &user("a")).await.unwrap();
    house.post("vpnusers", &user("b")).await.unwrap();
    let mut seen = Seen::from(&house, &WatchParams::default(), "0").await;
    let mut both = [name(&seen.event().await), name(&seen.event().await)];
    both.sort();
    assert_eq!(both, ["ADDED a", "ADDED b"]);
    house.post("vpnusers", &user("c")).await.unwrap();
    assert_eq!(name(&seen.event().await), "ADDED c");
    house.close().await;
}

#[tokio::test]
async fn what_no_longer_matches_a_selector_is_deleted_for_its_watch() {
    let house = House::open().await;
    let start = version(&house.get("vpnusers").await.unwrap());
    let mut labels = Seen::from(&house, &WatchParams::default().labels("team=x"), &start).await;
    let mut fields = Seen::from(&house, &WatchParams::default().fields("spec.active=true"), &start).await;
    house
        .post("vpnusers", &with(user("a"), "/metadata/labels", json!({ "team": "x" })))
        .await
        .unwrap();
    house.post("vpnusers", &user("b")).await.unwrap();
    let moved = house
        .merge("vpnusers/a", &json!({ "metadata": { "labels": { "team": "y" } } }))
        .await
        .unwrap();
    house
        .merge("vpnusers/b", &json!({ "metadata": { "labels": { "team": "x" } } }))
        .await
        .unwrap();
    house
        .merge("vpnusers/b", &json!({ "spec": { "active": false } }))
        .await
        .unwrap();
    assert_eq!(name(&labels.event().await), "ADDED a");
    let left = labels.event().await;
    assert_eq!(name(&left), "DELETED a");
    assert_eq!(left.1["metadata"]["labels"]["team"], "x", "as it was when it matched");
    assert_eq!(version(&left.1), version(&moved));
    assert_eq!(name(&labels.event().await), "ADDED b");
    assert_eq!(name(&labels.event().await), "MODIFIED b");
    for expected in ["ADDED a", "ADDED b", "MODIFIED a", "MODIFIED b", "DELETED b"] {
        assert_eq!(name(&fields.event().await), expected);
    }
    house.close().await;
}

#[tokio::test]
async fn the_last_word_on_a_deleted_object_still_has_its_finalizer() {
    let house = House::open().await;
    let start = version(&house.get("vpnusers").await.unwrap());
    let mut seen = Seen::from(&house, &WatchParams::default(), &start).await;
    let held = with(user("a"), "/metadata/finalizers", json!(["vpn-operator.io/access"]));
    house.post("vpnusers", &held).await.unwrap();
    house.delete("vpnusers/a", &Value::Null).await.unwrap();
    house
        .patch(
            "vpnusers/a",
            &json!([{ "op": "remove", "path": "/metadata/finalizers" }]),
        )
        .await
        .unwrap();
    assert_eq!(name(&seen.event().await), "ADDED a");
    let marked = seen.event().await;
    assert_eq!(name(&marked), "MODIFIED a");
    assert!(marked.1["metadata"]["deletionTimestamp"].is_string());
    let last = seen.event().await;
    assert_eq!(name(&last), "DELETED a");
    assert_eq!(last.1["metadata"]["finalizers"], json!(["vpn-operator.io/access"]));
    house.close().await;
}

#[tokio::test]
async fn a_quiet_watch_gets_bookmarks_and_ends_when_it_is_told_to() {
    let house = House::open().await;
    let start = version(&house.get("vpnusers").await.unwrap());
    let params = WatchParams::default().timeout(4).labels("team=x");
    let mut seen = Seen::from(&house, &params, &start).await;
    let made = house.post("vpnusers", &user("a")).await.unwrap();
    let mut bookmarks = Vec::new();
    while let Some(event) = seen.next().await {
        match event.unwrap() {
            WatchEvent::Bookmark(bookmark) => bookmarks.push(bookmark.metadata.resource_version),
            other => panic!("{other:?}"),
        }
    }
    let last: u64 = bookmarks.last().expect("no bookmark").parse().unwrap();
    assert!(last >= version(&made).parse().unwrap(), "{bookmarks:?}");
    house.close().await;
}

#[tokio::test]
async fn a_version_that_is_too_old_is_an_error_in_the_stream() {
    let house = House::open().await;
    house.post("vpnusers", &user("a")).await.unwrap();
    if let Some(double) = house.double() {
        double.compact();
    }
    let mut seen = Seen::from(&house, &WatchParams::default(), "1").await;
    match seen.next().await.unwrap().unwrap() {
        WatchEvent::Error(status) => assert_eq!((status.code, status.reason.as_str()), (410, "Expired"), "{status:?}"),
        other => panic!("{other:?}"),
    }
    house.close().await;
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_marked_bookmark() {
    let house = House::open().await;
    house.post("vpnusers", &user("a")).await.unwrap();
    let params = WatchParams {
        send_initial_events: true,
        ..WatchParams::default()
    };
    let mut seen = Seen::from(&house, &params, "").await;
    assert_eq!(name(&seen.event().await), "ADDED a");
    match seen.next().await.unwrap().unwrap() {
        WatchEvent::Bookmark(bookmark) => {
            assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
        }
        other => panic!("{other:?}"),
    }
    house.close().await;
}

#[tokio::test]
async fn a_watcher_of_metadata_follows_an_object() {
    let house = House::open().await;
    house.post("vpnusers", &user("a")).await.unwrap();
    let api: Api<PartialObjectMeta<VpnUser>> = Api::namespaced(house.client.clone(), &house.namespace);
    let stream = watcher(api, watcher::Config::default()).applied_objects();
    let mut stream = std::pin::pin!(stream);
    let mut next = async || -> PartialObjectMeta<VpnUser> {
        tokio::time::timeout(EVENT_TIMEOUT, stream.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
    };
    assert_eq!(next().await.metadata.generation, Some(1));
    house
        .merge("vpnusers/a", &json!({ "spec": { "owner": "A" } }))
        .await
        .unwrap();
    assert_eq!(next().await.metadata.generation, Some(2));
    house.close().await;
}
