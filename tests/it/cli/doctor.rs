//! `doctor`: nodes with path secrets of their own, and the cluster.

use assert_cmd::Command;

use serde_json::{Value, json};
use vpn_operator::model::Kind;

use super::{Fake, doctor, findings, result_of};

fn ready() -> (u16, Value) {
    (200, json!({ "status": "ready", "checks": [] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_with_the_path_secret_of_each_node() {
    let fake = Fake::start(|seen, _| match (seen.method.as_str(), seen.uri.path()) {
        ("GET", "/readyz") => ready(),
        ("POST", "/auth/one" | "/auth/two") => (200, json!({ "ok": false })),
        ("POST", _) => (404, Value::Null),
        _ => (200, json!({})),
    })
    .await;
    let vpn = tempfile::tempdir().unwrap();
    for (name, secret) in [("one", "one"), ("two", "two"), ("old", "was-rotated")] {
        std::fs::write(vpn.path().join(name), secret).unwrap();
    }
    let declare = |second: &str| {
        let file = |name: &str| vpn.path().join(name).display().to_string();
        let document = format!(
            "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: europe }}\nspec:\n  hysteria:\n    \
             nodes:\n      - {{ name: fra, address: a, authToken: {{ file: {} }} }}\n      \
             - {{ name: ams, address: b, authToken: {{ file: {} }} }}\n",
            file("one"),
            file(second),
        );
        std::fs::write(vpn.path().join("gateways.yaml"), document).unwrap();
    };
    let desired = format!("folder:{}", vpn.path().display());
    declare("two");
    let (code, found) = findings(doctor(&fake, &["--desired", &desired])).await;
    assert_eq!((code, result_of(&found, "auth listener")), (0, "ok"), "{found:?}");
    for second in ["old", "missing"] {
        declare(second);
        let (code, found) = findings(doctor(&fake, &["--desired", &desired])).await;
        assert_eq!(code, 1, "{found:?}");
        assert_eq!(result_of(&found, "path secret of europe/ams"), "failed", "{found:?}");
        assert!(
            found.iter().all(|finding| finding.0 != "path secret of europe/fra"),
            "{found:?}"
        );
    }
}

/// `doctor` against an API server that is the same double.
fn in_cluster(fake: &Fake) -> Command {
    let kubeconfig = fake.data.path().join("kubeconfig");
    let server = format!("http://{}", fake.address);
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{ "name": "test", "cluster": { "server": server } }],
        "users": [{ "name": "test", "user": {} }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": "vpn" } }],
    });
    std::fs::write(&kubeconfig, text.to_string()).unwrap();
    let mut command = doctor(fake, &[]);
    command.env("DESIRED", "kubernetes").env("KUBECONFIG", kubeconfig);
    command
}

fn definition(kind: Kind) -> Value {
    serde_json::to_value(kind.definition()).unwrap()
}

fn status(code: u16) -> (u16, Value) {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no", "reason": "no" });
    (code, body)
}

/// What the double answers of the cluster; `good`: all is well there.
fn cluster(good: bool, path: &str, body: &Value) -> (u16, Value) {
    let kind = |kind: Kind| {
        format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.vpn-operator.io",
            kind.plural()
        )
    };
    let namespaced = |group: &str, rest: &str| format!("/apis/{group}/namespaces/vpn/{rest}");
    if path == kind(Kind::VpnUser) {
        return (200, definition(Kind::VpnUser));
    }
    if path == kind(Kind::VpnHold) {
        let mut found = definition(Kind::VpnHold);
        if !good {
            let schema =
                &mut found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
            schema.as_object_mut().unwrap().remove("source");
        }
        return (200, found);
    }
    if path == kind(Kind::VpnGateway) {
        return if good {
            (200, definition(Kind::VpnGateway))
        } else {
            status(404)
        };
    }
    if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
        let asked = &body["spec"]["resourceAttributes"];
        let refused = !good && asked["resource"] == "leases" && asked["verb"] == "update";
        assert_eq!(asked["namespace"], "vpn");
        let mut review = body.clone();
        review["status"] = json!({ "allowed": !refused });
        return (201, review);
    }
    if path == namespaced("coordination.k8s.io/v1", "leases/vpn-operator") {
        let now = jiff::Timestamp::now().to_string();
        let renewed = if good {
            now.as_str()
        } else {
            "2026-01-01T00:00:00.000000Z"
        };
        let spec = json!({ "holderIdentity": "pod-1", "leaseDurationSeconds": 15, "renewTime": renewed });
        return (
            200,
            json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "vpn-operator" }, "spec": spec }),
        );
    }
    if path == namespaced("apps/v1", "deployments") {
        let ready = if good { 2 } else { 1 };
        let deployment = json!({
            "metadata": { "name": "auth" },
            "spec": { "replicas": 2, "selector": {}, "template": {} },
            "status": { "readyReplicas": ready },
        });
        return (
            200,
            json!({ "kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {}, "items": [deployment] }),
        );
    }
    if path == namespaced("vpn-operator.io/v1alpha1", "vpngateways") {
        let token = json!({ "secretKeyRef": { "name": "nodes", "key": "token" } });
        let gateway = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnGateway", "metadata": { "name": "europe" },
            "spec": { "hysteria": { "nodes": [{ "name": "fra", "address": "a", "ports": "443", "authToken": token }] } },
        });
        return (
            200,
            json!({ "kind": "VpnGatewayList", "apiVersion": "vpn-operator.io/v1alpha1", "metadata": {}, "items": [gateway] }),
        );
    }
    if path == "/api/v1/namespaces/vpn/secrets/nodes" {
        // "one"
        return (
            200,
            json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "nodes" }, "data": { "token": "b25l" } }),
        );
    }
    status(404)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_looks_at_the_cluster() {
    for good in [true, false] {
        let fake = Fake::start(move |seen, _| match (seen.method.as_str(), seen.uri.path()) {
            ("GET", "/readyz") => ready(),
            ("GET", "/users") => (200, json!({})),
            ("POST", "/auth/one") => (200, json!({ "ok": false })),
            (_, path) => cluster(good, path, &seen.body),
        })
        .await;
        let (code, found) = findings(in_cluster(&fake)).await;
        assert_eq!(code, i32::from(!good), "{found:?}");
        // The path secret of the declared node is read from its Secret.
        assert_eq!(result_of(&found, "auth listener"), "ok", "{found:?}");
        for (name, bad) in [
            ("definition of VpnUser", "ok"),
            ("definition of VpnHold", "warning"),
            ("definition of VpnGateway", "failed"),
            ("permissions", "failed"),
            ("lease vpn-operator", "failed"),
            ("auth replicas", "warning"),
        ] {
            assert_eq!(
                result_of(&found, name),
                if good { "ok" } else { bad },
                "{name}: {found:?}"
            );
        }
        if !good {
            assert!(
                found
                    .iter()
                    .any(|finding| finding.2.ends_with("may not: update leases")),
                "{found:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_read_definitions_it_asks_whether_the_kinds_are_served() {
    let fake = Fake::start(move |seen, _| match (seen.method.as_str(), seen.uri.path()) {
        ("GET", "/readyz") => ready(),
        ("GET", path) if path.contains("customresourcedefinitions") || path.ends_with("/deployments") => status(403),
        ("GET", "/apis/vpn-operator.io/v1alpha1") => {
            let resource = |plural: &str, kind: &str| {
                json!({ "name": plural, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"] })
            };
            let resources = [resource("vpnusers", "VpnUser"), resource("vpnholds", "VpnHold")];
            (200, json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "vpn-operator.io/v1alpha1", "resources": resources }))
        }
        (_, path) => cluster(true, path, &seen.body),
    })
    .await;
    let (_, found) = findings(in_cluster(&fake)).await;
    assert_eq!(result_of(&found, "definition of VpnUser"), "ok", "{found:?}");
    assert_eq!(result_of(&found, "definition of VpnGateway"), "failed", "{found:?}");
    assert_eq!(result_of(&found, "auth replicas"), "skipped", "{found:?}");
}
