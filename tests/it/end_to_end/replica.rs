//! Replicas that only answer logins, beside a controller and without one, in a cluster.

use secrecy::ExposeSecret as _;
use serde_json::json;
use vpn_operator::{
    credentials::MasterKey,
    model::{access::Access, corporate_id::CorporateId, hold::VpnHold, user::VpnUser},
};

use super::operator::{House, MASTER_KEY, Operator, eventually};
use crate::support::kube::{KubeDouble, kubectl::Kubectl};

/// What a person's client sends.
fn credential(id: &str) -> String {
    let key = MasterKey::given(Some(MASTER_KEY.into()), None).unwrap();
    let id = CorporateId::parse(id).unwrap();
    format!("{}:{}", id.account(), key.password(&id, 1).expose_secret())
}

/// A process in the cluster, as this user of the API server.
fn launch(house: &House, cluster: &KubeDouble, user: &str, components: &str) -> Operator {
    let kubeconfig = house.path(user);
    cluster.kubeconfig(user, &kubeconfig);
    let mut command = house.command(&["run", "--desired", "kubernetes", "--components", components]);
    command.env("KUBECONFIG", &kubeconfig);
    Operator::launch(command)
}

async fn declare(kubectl: &Kubectl, id: &str) {
    let manifest = json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": id.to_lowercase() },
        "spec": { "corporateId": id },
    });
    kubectl.create::<VpnUser>(&manifest.to_string()).await.unwrap();
}

async fn hold(kubectl: &Kubectl, id: &str) {
    let name = format!("api-deactivated-{}", id.to_lowercase());
    let manifest = json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnHold", "metadata": { "name": name },
        "spec": { "corporateId": id, "source": "api" },
    });
    kubectl.create::<VpnHold>(&manifest.to_string()).await.unwrap();
}

async fn until_login(replica: &Operator, id: &str, wanted: bool) {
    let credential = credential(id);
    eventually("the answer to the login changes", async || {
        (replica.login(&credential, "192.0.2.1:1").await == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_goes_on_without_the_api_server() {
    let (house, [node]) = House::with_nodes().await;
    let mut cluster = KubeDouble::start().await;
    let kubectl = cluster.kubectl();
    declare(&kubectl, "AB123456").await;
    declare(&kubectl, "AB222222").await;
    let replica = launch(&house, &cluster, "replica", "auth");
    replica.ready().await;
    until_login(&replica, "AB123456", true).await;
    assert!(
        !replica
            .login(&format!("{}~", credential("AB123456")), "192.0.2.1:1")
            .await
    );
    assert_eq!(
        replica.get("/users").await.0,
        404,
        "probes and metrics are all there is"
    );
    assert!(
        replica
            .text("/metrics")
            .await
            .contains("vpn_operator_auth_decisions_total{outcome=\"Granted\"}")
    );

    hold(&kubectl, "AB123456").await;
    until_login(&replica, "AB123456", false).await;
    eventually("the node is looked at", async || {
        (!node.calls().is_empty()).then_some(())
    })
    .await;

    cluster.stop();
    eventually("it is said since when nothing can be read", async || {
        let (status, ready) = replica.get("/readyz?verbose").await;
        assert_eq!(status, 200, "what was known last is in force: {ready}");
        let check = &ready["checks"][0];
        let said = check["details"][0].as_str().unwrap_or_default();
        (check["ok"] == false && said.contains("cannot be read since")).then_some(())
    })
    .await;
    assert!(replica.login(&credential("AB222222"), "192.0.2.1:2").await);
    assert!(!replica.login(&credential("AB123456"), "192.0.2.1:2").await);
    cluster.restart().await;
    hold(&kubectl, "AB222222").await;
    until_login(&replica, "AB222222", false).await;

    let writes = cluster.recorder().writes("replica");
    assert!(writes.is_empty(), "{writes:?}");
    let calls = node.calls();
    assert!(calls.iter().all(|call| call.path == "/online"), "{calls:?}");
    assert!(!house.data().exists(), "nothing is kept");
    let log = replica.stop().await;
    assert!(log.contains("drained"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_session_that_a_replica_let_in_is_cut() {
    let (house, [node]) = House::with_nodes().await;
    let cluster = KubeDouble::start().await;
    let kubectl = cluster.kubectl();
    declare(&kubectl, "AB123456").await;
    let controller = launch(&house, &cluster, "controller", "all");
    let replica = launch(&house, &cluster, "replica", "auth");
    controller.ready().await;
    replica.ready().await;
    // Held, and let in again: from now on there is an epoch.
    hold(&kubectl, "AB123456").await;
    let denied = |user: &VpnUser| {
        user.status
            .as_ref()
            .is_some_and(|it| it.access == Some(Access::Denied) && it.epoch.is_some())
    };
    kubectl.wait_for::<VpnUser>("ab123456", denied).await;
    until_login(&replica, "AB123456", false).await;
    let (status, _) = controller
        .call(reqwest::Method::DELETE, "/holds/api-deactivated-ab123456", None)
        .await;
    assert_eq!(status, 200);
    until_login(&replica, "AB123456", true).await;
    let user: VpnUser = kubectl
        .wait_for("ab123456", |user: &VpnUser| {
            user.status
                .as_ref()
                .is_some_and(|it| it.access == Some(Access::Granted))
        })
        .await;
    let epoch = u64::try_from(user.status.unwrap().epoch.unwrap()).unwrap();
    let mut device = replica
        .connect(&node, &credential("AB123456"), "192.0.2.1:9")
        .await
        .unwrap();
    let online: Vec<String> = node.online().into_keys().collect();
    let named = online
        .iter()
        .find_map(|id| vpn_operator::model::session::SessionId::parse(id))
        .unwrap();
    assert_eq!(named.epoch.0, epoch, "{online:?}");
    assert!(named.slot >= 4096, "{online:?}");
    // The controller looks several times, and cuts nothing.
    let looks = || node.calls().iter().filter(|call| call.path == "/online").count();
    let before = looks();
    eventually("the nodes were looked at", async || {
        (looks() > before + 8).then_some(())
    })
    .await;
    device.send(1, 1).unwrap();
    // Who is denied later is cut by the controller, whoever let the session in.
    hold(&kubectl, "AB123456").await;
    eventually("the session is cut", async || device.send(1, 1).is_err().then_some(())).await;
    // A replica may hear of it later. Whoever it lets in until then moves not one byte.
    let mut late = 0;
    eventually("the replica refuses", async || {
        match replica.connect(&node, &credential("AB123456"), "192.0.2.1:9").await {
            Ok(mut session) => {
                late += 1;
                assert!(
                    session.send(1, 1).is_err(),
                    "session {late} that came late: {}",
                    session.id
                );
                None
            }
            Err(_) => Some(()),
        }
    })
    .await;
    replica.stop().await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_makes_no_master_key() {
    let mut house = House::new();
    house.unset("MASTER_KEY");
    let (code, log) = house
        .refusal(&["--desired", "kubernetes", "--components", "auth"])
        .await;
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("MASTER_KEY_FILE") && !house.data().exists(), "{log}");
}
