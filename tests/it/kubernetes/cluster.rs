//! A cluster for scenarios: the API server's double with the chart's own Role, a node's double, and the real binary.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::api::{core::v1::Secret, events::v1::Event, rbac::v1::PolicyRule};
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};
use vpn_operator::model::{gateway::VpnGateway, hold::VpnHold, user::VpnUser};

use crate::{
    end_to_end::operator::{AUTH_TOKEN, CORPORATE_SECRET, House, MASTER_KEY, Operator, STATS_SECRET, within},
    support::{
        hysteria_node::HysteriaNode,
        kube::{
            KubeDouble,
            kstatus::{Kstatus, kstatus},
            kubectl::{Kind, Kubectl},
            recorder::Call,
        },
    },
};

/// Whom the API server takes the operator for.
pub const OPERATOR: &str = "vpn-operator";
/// The resource in which the head of the audit is published, at a pace of its own.
pub const HEAD: &str = "configmaps";
/// Longest time that anything here may take before a test fails.
pub const UNTIL_TIMEOUT: Duration = Duration::from_secs(40);

/// What the chart grants the controller.
pub fn role(name: &str) -> Vec<PolicyRule> {
    let path = format!(
        "{}/charts/vpn-operator/files/rules/{name}.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub struct Cluster {
    pub kube: KubeDouble,
    pub house: House,
    pub node: Arc<HysteriaNode>,
    pub kubectl: Kubectl,
    /// The namespace is being deleted: nothing can be created, whatever the Role says.
    pub ending: bool,
}

impl Cluster {
    /// An empty cluster, with one node known from the environment.
    pub async fn new() -> Self {
        let kube = KubeDouble::start().await;
        kube.restrict(OPERATOR, role("controller"));
        let (mut house, [node]) = House::with_nodes::<1>().await;
        let config = house.path("kubeconfig");
        kube.kubeconfig(OPERATOR, &config);
        house.set("KUBECONFIG", config.to_str().unwrap());
        let kubectl = kube.kubectl();
        Self {
            kube,
            house,
            node,
            kubectl,
            ending: false,
        }
    }

    /// An empty cluster with a running operator.
    pub async fn running() -> (Self, Operator) {
        let cluster = Self::new().await;
        let operator = cluster.start().await;
        (cluster, operator)
    }

    /// Starts the operator and waits until it is ready.
    pub async fn start(&self) -> Operator {
        let operator = self.launch(&[]).await;
        operator.ready().await;
        operator
    }

    /// Starts the operator.
    pub async fn launch(&self, more: &[&str]) -> Operator {
        let mut args = vec!["--desired", "kubernetes"];
        args.extend(more);
        self.house.launch(&args).await
    }

    /// Starts a replica that only answers logins, as this user of the API server, with what the chart grants it.
    pub async fn replica(&self, user: &str) -> Operator {
        self.kube.restrict(user, role("auth"));
        let config = self.house.path(user);
        self.kube.kubeconfig(user, &config);
        let mut command = self
            .house
            .command(&["run", "--desired", "kubernetes", "--components", "auth"]);
        command.env("KUBECONFIG", &config);
        let replica = Operator::launch(command);
        replica.ready().await;
        replica
    }

    /// `kill -9`, and the next one at once: the lease is taken away too, so that nobody waits until it expires.
    pub async fn crash(&self, operator: Operator) -> Operator {
        operator.kill();
        self.free_lease().await;
        self.start().await
    }

    pub async fn free_lease(&self) {
        use k8s_openapi::api::coordination::v1::Lease;
        self.kubectl.delete::<Lease>("vpn-operator").await.unwrap();
    }

    /// `kubectl apply --server-side` of a user.
    pub async fn apply(&self, id: &str, rest: Value) -> VpnUser {
        self.kubectl
            .apply("kubectl", &user(id, rest).to_string(), false)
            .await
            .unwrap()
    }

    /// As [`Self::apply`], and waits until it is done.
    pub async fn add(&self, id: &str) -> String {
        self.apply(id, json!({})).await;
        self.current(id).await;
        self.credential(id)
    }

    /// Changes single fields of a user's spec, as `kubectl patch`.
    pub async fn edit(&self, id: &str, spec: Value) -> VpnUser {
        self.kubectl.merge(&name(id), json!({ "spec": spec })).await.unwrap()
    }

    pub async fn hold(&self, hold: &str, id: &str) -> VpnHold {
        let manifest = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnHold", "metadata": { "name": hold },
            "spec": { "corporateId": id, "source": hold.split('-').next() },
        });
        self.kubectl
            .apply("helpdesk", &manifest.to_string(), false)
            .await
            .unwrap()
    }

    /// Deletes every object of a kind with this label, or all, in one request.
    pub async fn delete_all<K: Kind>(&self, label: Option<&str>) {
        let which = label.map_or_else(ListParams::default, |label| ListParams::default().labels(label));
        let api = self.kubectl.api::<K>();
        api.delete_collection(&DeleteParams::default(), &which).await.unwrap();
    }

    /// Declares a gateway whose only node is the node.
    pub async fn gateway(&self, name: &str, more: Value) -> VpnGateway {
        let mut node =
            json!({ "name": "one", "address": format!("{name}.example.com"), "statsUrl": self.node.stats_url() });
        merge(&mut node, more);
        let manifest = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnGateway", "metadata": { "name": name },
            "spec": { "hysteria": { "nodes": [node] } },
        });
        self.kubectl
            .apply("kubectl", &manifest.to_string(), false)
            .await
            .unwrap()
    }

    /// Makes a Secret of somebody.
    pub async fn secret(&self, name: &str, values: Value) {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "type": "Opaque", "stringData": values,
        });
        self.kubectl.create::<Secret>(&manifest.to_string()).await.unwrap();
    }

    /// Waits until a deployment tool takes the user for done.
    pub async fn current(&self, id: &str) -> Value {
        let what = format!("{id} is Current");
        self.until(&what, || self.user(id).filter(|user| kstatus(user) == Kstatus::Current))
            .await
    }

    /// Waits until the user is `Stalled` for this reason, and answers the message.
    pub async fn stalled(&self, id: &str, reason: &str) -> String {
        let what = format!("{id} is Stalled: {reason}");
        let condition = self
            .until(&what, || {
                let user = self.user(id)?;
                assert!(
                    kstatus(&user) != Kstatus::Current || condition(&user, "Stalled").is_none(),
                    "{user}"
                );
                condition(&user, "Stalled").filter(|it| it["reason"] == reason)
            })
            .await;
        assert_eq!(condition["status"], "True");
        condition["message"].as_str().unwrap().to_owned()
    }

    /// Waits until the status says so: `Granted`, or the reason of the denial.
    pub async fn becomes(&self, id: &str, verdict: &str) -> Value {
        let what = format!("the status of {id} says {verdict}");
        self.until(&what, || {
            let user = self.user(id)?;
            let status = &user["status"];
            let denied = status["access"] == "Denied" && status["reason"] == verdict;
            (denied || status["access"] == verdict).then_some(user)
        })
        .await
    }

    /// Waits until there is no such object.
    pub async fn gone(&self, plural: &str, name: &str) {
        let what = format!("{plural} {name} is gone");
        self.until(&what, || self.object(plural, name).is_none().then_some(()))
            .await;
    }

    /// Waits until `look` answers something.
    #[track_caller]
    #[expect(clippy::unused_self, reason = "reads as what happens in the cluster")]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> impl Future<Output = T> {
        within(UNTIL_TIMEOUT, what, async move || look())
    }

    /// Waits until everything that is under way is done: the operator is asked to look at a user of its own, twice.
    pub async fn rest(&self) {
        const MARK: &str = "ZZ999999";
        if self.user(MARK).is_none() {
            self.add(MARK).await;
        }
        for _ in 0..2 {
            let before = self.user(MARK).unwrap()["status"]["lastHandledReconcileAt"].clone();
            let next = format!("{}x", before.as_str().unwrap_or_default());
            self.annotate(MARK, "vpn-operator.io/reconcile-now", Some(&next)).await;
            self.until("the operator looks at it", || {
                (self.user(MARK)?["status"]["lastHandledReconcileAt"] == next.as_str()).then_some(())
            })
            .await;
        }
    }

    pub async fn annotate(&self, id: &str, annotation: &str, value: Option<&str>) {
        self.kubectl
            .annotate::<VpnUser>(&name(id), annotation, value)
            .await
            .unwrap();
    }

    /// An object as it is stored.
    pub fn object(&self, plural: &str, name: &str) -> Option<Value> {
        self.kube.stored(plural, "default", name)
    }

    pub fn user(&self, id: &str) -> Option<Value> {
        self.object("vpnusers", &name(id))
    }

    /// The values in a user's Secret.
    pub fn handed_out(&self, id: &str) -> Option<BTreeMap<String, String>> {
        values(&self.object("secrets", &secret_name(id))?)
    }

    /// Changes a user's Secret, as somebody else would.
    pub async fn merge_secret(&self, id: &str, patch: Value) {
        self.kubectl.merge::<Secret>(&secret_name(id), patch).await.unwrap();
    }

    /// `account:password` out of a user's Secret.
    pub fn credential(&self, id: &str) -> String {
        let values = self.handed_out(id).unwrap();
        format!("{}:{}", values["username"], values["password"])
    }

    /// Writes of the operator since the recorder was cleared, apart from its lease, the head of its audit and what is about the mark of
    /// [`Self::rest`], as `verb resource name`.
    pub fn writes(&self) -> Vec<String> {
        let concerns = |call: &Call| !["leases", HEAD].contains(&&*call.resource) && !call.name.starts_with("zz999999");
        let writes = self.kube.recorder().writes(OPERATOR);
        let told = |call: &Call| format!("{} {} {}", call.verb, call.resource_with_subresource(), call.name);
        writes.iter().filter(|call| concerns(call)).map(told).collect()
    }

    /// Events about a user.
    pub async fn events(&self, id: &str) -> Vec<Event> {
        let events: Vec<Event> = self.kubectl.list().await;
        let about = |event: &Event| event.regarding.as_ref().and_then(|it| it.name.clone());
        events
            .into_iter()
            .filter(|event| about(event) == Some(name(id)))
            .collect()
    }

    /// Waits for an Event with this reason.
    pub async fn event(&self, id: &str, reason: &str) -> Event {
        let what = format!("an Event {reason} about {id}");
        within(UNTIL_TIMEOUT, &what, async || {
            let events = self.events(id).await;
            events.into_iter().find(|event| event.reason.as_deref() == Some(reason))
        })
        .await
    }

    /// Checks that nothing secret stands in any object but Secrets, nor in what else is said.
    pub fn check_for_leaks(&self, said: &[&str]) {
        let mut secrets: Vec<String> = [AUTH_TOKEN, STATS_SECRET, CORPORATE_SECRET, MASTER_KEY]
            .map(Into::into)
            .into();
        for secret in self.kube.versions("secrets") {
            for (key, value) in values(&secret).unwrap_or_default() {
                if key != "username" && value.len() > 8 {
                    secrets.extend(value.strip_prefix("http://vpn.example.com").map(str::to_owned));
                    secrets.push(value);
                }
            }
        }
        assert!(secrets.len() > 4, "no Secret was ever made");
        let mut places: Vec<String> = said.iter().map(|text| (*text).to_owned()).collect();
        for plural in ["vpnusers", "vpnholds", "vpngateways", "events", "leases", "configmaps"] {
            places.extend(self.kube.versions(plural).iter().map(Value::to_string));
        }
        for place in places {
            for secret in &secrets {
                assert!(!place.contains(secret.as_str()), "{secret} stands in: {place}");
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let calls = self.kube.recorder().of(OPERATOR);
            let unmade = |call: &Call| self.ending && (call.verb == "create" || call.resource == "secrets");
            let forbidden: Vec<_> = calls
                .into_iter()
                .filter(|call| call.code == 403 && !unmade(call))
                .collect();
            assert!(forbidden.is_empty(), "the chart's Role does not allow: {forbidden:#?}");
        }
    }
}

/// A user's manifest.
pub fn user(id: &str, rest: Value) -> Value {
    let mut spec = json!({ "corporateId": id });
    merge(&mut spec, rest);
    json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": name(id) }, "spec": spec,
    })
}

/// Name of a user's object.
pub fn name(id: &str) -> String {
    id.to_lowercase()
}

/// Name of a user's Secret.
pub fn secret_name(id: &str) -> String {
    format!("{}-vpn", name(id))
}

/// A condition of an object.
pub fn condition(object: &Value, kind: &str) -> Option<Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind).cloned()
}

/// Finalizers of an object.
pub fn finalizers(object: &Value) -> Vec<&str> {
    let list = object["metadata"]["finalizers"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The values in a Secret.
pub fn values(secret: &Value) -> Option<BTreeMap<String, String>> {
    let data = secret["data"].as_object()?;
    let text = |value: &Value| {
        let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    Some(data.iter().map(|(key, value)| (key.clone(), text(value))).collect())
}

/// Name of whoever manages a field of a spec.
pub fn managers_of(object: &Value, pointer: &str) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array();
    let owning = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["fieldsV1"].pointer(pointer).is_some());
    owning
        .map(|entry| entry["manager"].as_str().unwrap().to_owned())
        .collect()
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}
