//! The faults of the double strike as they are ordered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::{
    Api, Client, Error, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use vpn_operator::model::{FINALIZER, user::VpnUser};

use super::house::{user, with};
use crate::support::kube::{
    KubeDouble,
    faults::{Fault, When},
    kstatus::{Kstatus, kstatus},
    kubectl::DEADLINE,
};

/// Long enough to say that nothing comes; nothing depends on its being exact.
const QUIET: Duration = Duration::from_millis(300);

fn users(client: Client) -> Api<VpnUser> {
    Api::namespaced(client, "default")
}

async fn apply(cluster: &KubeDouble, who: &str, config: &Value) -> Result<VpnUser, Error> {
    let name = config["metadata"]["name"].as_str().unwrap();
    users(cluster.client(who))
        .patch(name, &PatchParams::apply(who), &Patch::Apply(config))
        .await
}

/// What a watcher of users sees, as `name generation`.
fn follow(cluster: &KubeDouble) -> UnboundedReceiver<String> {
    let (send, receive) = unbounded_channel();
    let api = users(cluster.client("watcher"));
    tokio::spawn(async move {
        let stream = watcher(api, watcher::Config::default())
            .default_backoff()
            .applied_objects();
        let mut stream = std::pin::pin!(stream);
        while let Some(seen) = stream.next().await {
            if let Ok(object) = seen {
                let seen = format!("{} {}", object.name_any(), object.metadata.generation.unwrap());
                if send.send(seen).is_err() {
                    return;
                }
            }
        }
    });
    receive
}

async fn next(seen: &mut UnboundedReceiver<String>) -> String {
    tokio::time::timeout(DEADLINE, seen.recv()).await.unwrap().unwrap()
}

/// Skips what is repeated after a new list.
async fn until(seen: &mut UnboundedReceiver<String>, wanted: &str) {
    while next(seen).await != wanted {}
}

#[tokio::test]
async fn a_lost_answer_was_performed_and_a_dropped_request_was_not() {
    let cluster = KubeDouble::start().await;
    cluster.fault(When::request(1).by("a").verb("patch"), Fault::AnswerLost);
    assert!(matches!(apply(&cluster, "a", &user("anna")).await, Err(error) if !matches!(error, Error::Api(_))));
    assert!(cluster.stored("vpnusers", "default", "anna").is_some());
    cluster.fault(
        When::request(1).by("a").resource("vpnusers").name("bert"),
        Fault::Dropped,
    );
    assert!(apply(&cluster, "a", &user("bert")).await.is_err());
    assert!(cluster.stored("vpnusers", "default", "bert").is_none());
    assert!(apply(&cluster, "a", &user("bert")).await.is_ok());
    assert_eq!(cluster.faults().fired(), 2);
    let calls = cluster.recorder().writes("a");
    let codes: Vec<(u16, bool)> = calls.iter().map(|call| (call.code, call.changed)).collect();
    assert_eq!(codes, [(0, true), (0, false), (201, true)]);
}

#[tokio::test]
async fn an_error_strikes_the_request_that_was_chosen() {
    let cluster = KubeDouble::start().await;
    let api = users(cluster.client("a"));
    cluster.fault(When::request(2).by("a"), Fault::Status(409));
    cluster.fault(When::request(3).by("a"), Fault::Status(500));
    apply(&cluster, "b", &user("anna")).await.unwrap();
    assert!(api.get("anna").await.is_ok());
    let conflict = api.delete("anna", &DeleteParams::default()).await.unwrap_err();
    assert!(matches!(conflict, Error::Api(status) if status.is_conflict()));
    let failed = api.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(failed, Error::Api(status) if status.code == 500));
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn too_many_requests_are_tried_again_later() {
    let cluster = KubeDouble::start().await;
    cluster.fault(When::request(1).by("a"), Fault::Status(429));
    apply(&cluster, "a", &user("anna")).await.unwrap();
    let codes: Vec<u16> = cluster.recorder().of("a").iter().map(|call| call.code).collect();
    assert_eq!(codes, [429, 201]);
}

#[tokio::test]
async fn a_request_that_hangs_is_never_answered() {
    let cluster = KubeDouble::start().await;
    for (name, fault, there) in [("anna", Fault::Hang, false), ("bert", Fault::HangAfter, true)] {
        cluster.fault(When::request(1).by("a").name(name), fault);
        let config = user(name);
        let mut request = std::pin::pin!(apply(&cluster, "a", &config));
        let arrived = async {
            while !cluster.recorder().of("a").iter().any(|call| call.name == name) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            answer = &mut request => panic!("{answer:?}"),
            () = arrived => {}
        }
        assert!(tokio::time::timeout(QUIET, request).await.is_err());
        assert_eq!(cluster.stored("vpnusers", "default", name).is_some(), there, "{name}");
    }
}

#[tokio::test]
async fn a_crash_comes_after_the_request_was_performed() {
    let cluster = KubeDouble::start().await;
    let crashes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&crashes);
    let crash = Fault::crash(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    cluster.fault(When::request(2).by("a"), crash);
    apply(&cluster, "a", &user("anna")).await.unwrap();
    assert!(apply(&cluster, "a", &user("bert")).await.is_err());
    assert!(cluster.stored("vpnusers", "default", "bert").is_some());
    assert_eq!(crashes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stale_cache_sees_nothing_new_until_it_is_released() {
    let cluster = KubeDouble::start().await;
    apply(&cluster, "a", &user("anna")).await.unwrap();
    let mut seen = follow(&cluster);
    until(&mut seen, "anna 1").await;
    cluster.hold_watches();
    apply(&cluster, "a", &user("bert")).await.unwrap();
    assert!(tokio::time::timeout(QUIET, seen.recv()).await.is_err());
    let any = ListParams::default().match_any();
    assert_eq!(users(cluster.client("a")).list(&any).await.unwrap().items.len(), 1);
    assert_eq!(
        users(cluster.client("a"))
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    cluster.release();
    assert_eq!(next(&mut seen).await, "bert 1");
}

#[tokio::test]
async fn a_lagging_watch_is_one_change_behind() {
    let cluster = KubeDouble::start().await;
    let mut seen = follow(&cluster);
    apply(&cluster, "a", &user("anna")).await.unwrap();
    until(&mut seen, "anna 1").await;
    cluster.lag_watches();
    apply(&cluster, "a", &user("bert")).await.unwrap();
    assert!(tokio::time::timeout(QUIET, seen.recv()).await.is_err());
    apply(&cluster, "a", &user("carl")).await.unwrap();
    assert_eq!(next(&mut seen).await, "bert 1");
    assert!(tokio::time::timeout(QUIET, seen.recv()).await.is_err());
    cluster.release();
    assert_eq!(next(&mut seen).await, "carl 1");
    cluster.delay_watches(QUIET);
    let begun = std::time::Instant::now();
    apply(&cluster, "a", &user("dora")).await.unwrap();
    assert_eq!(next(&mut seen).await, "dora 1");
    assert!(begun.elapsed() >= QUIET);
}

#[tokio::test]
async fn a_watcher_survives_cut_streams_compaction_and_a_killed_server() {
    let mut cluster = KubeDouble::start().await;
    let mut seen = follow(&cluster);
    apply(&cluster, "a", &user("anna")).await.unwrap();
    until(&mut seen, "anna 1").await;
    cluster.cut_watches();
    apply(&cluster, "a", &user("bert")).await.unwrap();
    until(&mut seen, "bert 1").await;

    cluster.stop();
    assert!(apply(&cluster, "a", &user("carl")).await.is_err());
    cluster.restart().await;
    cluster.compact();
    assert!(cluster.stored("vpnusers", "default", "bert").is_some());
    apply(&cluster, "a", &user("carl")).await.unwrap();
    until(&mut seen, "carl 1").await;
}

#[tokio::test]
async fn what_no_rule_grants_is_forbidden() {
    let cluster = KubeDouble::start().await;
    let rule = |resource: &str, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec!["vpn-operator.io".to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    };
    cluster.restrict("a", vec![rule("vpnusers", &["get", "patch"])]);
    let refused = apply(&cluster, "a", &user("anna")).await.unwrap_err();
    let Error::Api(status) = refused else {
        panic!("{refused}")
    };
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            403,
            "vpnusers.vpn-operator.io \"anna\" is forbidden: User \"a\" cannot create resource \"vpnusers\" in API group \
             \"vpn-operator.io\" in the namespace \"default\""
        )
    );
    apply(&cluster, "b", &user("anna")).await.unwrap();
    assert!(apply(&cluster, "a", &user("anna")).await.is_ok());
    let patch = Patch::Merge(json!({ "status": { "access": "Denied" } }));
    let status = users(cluster.client("a"))
        .patch_status("anna", &PatchParams::default(), &patch)
        .await;
    assert!(matches!(status, Err(Error::Api(status)) if status.code == 403));
    let permission = |resource: &str, verb| ("vpn-operator.io".to_owned(), resource.to_owned(), verb);
    let used: Vec<_> = cluster.recorder().permissions("b").into_iter().collect();
    assert_eq!(
        used,
        [permission("vpnusers", "create"), permission("vpnusers", "patch")]
    );
}

#[tokio::test]
async fn a_namespace_ends_when_everything_in_it_is_gone() {
    let cluster = KubeDouble::start().await;
    let held = with(user("anna"), "/metadata/finalizers", json!([FINALIZER]));
    apply(&cluster, "a", &held).await.unwrap();
    apply(&cluster, "a", &user("bert")).await.unwrap();
    let kubectl = cluster.kubectl();
    let release = async {
        let marked = |user: &VpnUser| user.metadata.deletion_timestamp.is_some();
        kubectl.wait_for::<VpnUser>("anna", marked).await;
        kubectl.wait_gone::<VpnUser>("bert").await;
        let refused = apply(&cluster, "a", &user("carl")).await.unwrap_err();
        assert!(matches!(refused, Error::Api(status) if status.code == 403));
        kubectl
            .edit::<VpnUser>("anna", |user| user.finalizers_mut().clear())
            .await
            .unwrap();
    };
    tokio::join!(cluster.delete_namespace("default"), release);
    assert_eq!(cluster.names("vpnusers"), [""; 0]);
    let refused = apply(&cluster, "a", &user("carl")).await.unwrap_err();
    assert!(matches!(refused, Error::Api(status) if status.code == 404));
    cluster.create_namespace("default");
    apply(&cluster, "a", &user("carl")).await.unwrap();
}

#[tokio::test]
async fn a_kubeconfig_leads_to_the_server_as_its_user() {
    let cluster = KubeDouble::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    cluster.kubeconfig("controller", &path);
    let kubeconfig = kube::config::Kubeconfig::read_from(&path).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .unwrap();
    assert_eq!(config.default_namespace, "default");
    let client = Client::try_from(config).unwrap();
    client.apiserver_version().await.unwrap();
    users(client).list(&ListParams::default()).await.unwrap();
    assert_eq!(cluster.recorder().of("controller").len(), 1);
}

#[test]
fn a_deployment_tool_reads_the_conditions_and_the_generations() {
    let with = |generation: i64, observed: i64, conditions: Value| {
        json!({
            "metadata": { "generation": generation },
            "status": { "observedGeneration": observed, "conditions": conditions },
        })
    };
    let condition = |kind: &str, status: &str| json!({ "type": kind, "status": status });
    for (object, expected) in [
        (with(1, -1, json!([])), Kstatus::InProgress),
        (with(2, 1, json!([condition("Ready", "True")])), Kstatus::InProgress),
        (with(2, 2, json!([condition("Ready", "True")])), Kstatus::Current),
        (with(2, 2, json!([condition("Ready", "False")])), Kstatus::InProgress),
        (
            with(
                2,
                2,
                json!([condition("Ready", "True"), condition("Reconciling", "True")]),
            ),
            Kstatus::InProgress,
        ),
        (
            with(2, 2, json!([condition("Ready", "False"), condition("Stalled", "True")])),
            Kstatus::Failed,
        ),
        (
            json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }),
            Kstatus::Terminating,
        ),
        (json!({ "metadata": {} }), Kstatus::Current),
    ] {
        assert_eq!(kstatus(&object), expected, "{object}");
    }
}
