//! A double of the Kubernetes API server: plain HTTP on loopback, faithful where this project looks, with faults on order.
//! The contract suite holds it against a real one. It runs on a thread of its own, so that neither a paused clock nor a
//! blocked test stops it.

mod collector;
mod decode;
mod delete;
pub mod faults;
mod fields;
mod jsonpatch;
pub mod kstatus;
pub mod kubectl;
mod listing;
mod managed;
mod merge;
mod rbac;
pub mod recorder;
mod refusal;
mod resource;
mod rules;
mod schema;
mod select;
mod serve;
mod shared;
mod store;
mod watching;
mod write;

use std::{fs, path::Path, sync::Arc, time::Duration};

use axum::Router;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::Client;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::net::{Peer, Port};
use faults::{Fault, Faults, When};
use kubectl::Kubectl;
use recorder::Recorder;
use shared::Shared;

/// A cluster of one API server.
pub struct KubeDouble {
    shared: Arc<Shared>,
    port: Port,
    running: Option<CancellationToken>,
    runtime: Option<Runtime>,
}

impl KubeDouble {
    /// Starts a server without objects. Every namespace exists.
    pub async fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let port = Port::reserve().unwrap();
        drop(entered);
        let shared = Arc::new(Shared::default());
        runtime.spawn(collector::run(Arc::clone(&shared)));
        let mut double = Self {
            shared,
            port,
            running: None,
            runtime: Some(runtime),
        };
        double.restart().await;
        double
    }

    /// Kills the server: connections break, new ones are refused, its state stays.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.cancel();
        }
    }

    /// Starts the server again on the same port. Watches from before are told that their version is too old.
    #[expect(clippy::unused_async, reason = "callers should not come to rely on it being at once")]
    pub async fn restart(&mut self) {
        self.stop();
        self.shared.change(store::Store::forget_watches);
        let runtime = self.runtime.as_ref().unwrap();
        let running = CancellationToken::new();
        let entered = runtime.enter();
        let listener = loop {
            // The one before may not have let go of the port yet.
            match self.port.listen(running.clone()) {
                Ok(listener) => break listener,
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        drop(entered);
        let service = Router::new()
            .fallback(serve::handle)
            .with_state(Arc::clone(&self.shared))
            .into_make_service_with_connect_info::<Peer>();
        let ended = running.clone();
        runtime.spawn(async move {
            tokio::select! {
                _ = axum::serve(listener, service) => {}
                () = ended.cancelled() => {}
            }
        });
        self.running = Some(running);
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address)
    }

    /// A client of this user in the namespace `default`.
    pub fn client(&self, user: &str) -> Client {
        self.client_in(user, "default")
    }

    /// A client of this user.
    pub fn client_in(&self, user: &str, namespace: &str) -> Client {
        let mut config = kube::Config::new(self.url().parse().unwrap());
        // Without TLS there is nothing to trust: the machine's certificates take a while to load.
        config.root_cert = Some(Vec::new());
        // The machine's certificates take longer to read than all the rest.
        config.root_cert = Some(Vec::new());
        config.auth_info.token = Some(user.to_owned().into());
        namespace.clone_into(&mut config.default_namespace);
        Client::try_from(config).unwrap()
    }

    /// Writes a kubeconfig file of this user, for the namespace `default`.
    pub fn kubeconfig(&self, user: &str, path: &Path) {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "double",
            "clusters": [{ "name": "double", "cluster": { "server": self.url() } }],
            "users": [{ "name": user, "user": { "token": user } }],
            "contexts": [{ "name": "double", "context": { "cluster": "double", "user": user, "namespace": "default" } }],
        });
        fs::write(path, serde_yaml::to_string(&config).unwrap()).unwrap();
    }

    /// What a person does in the namespace `default`.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.client("person"), "default")
    }

    /// Every request since the beginning.
    pub fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Adds a fault.
    pub fn fault(&self, when: When, fault: Fault) {
        self.shared.faults.add(when, fault);
    }

    /// From now on this user may do only what these rules grant.
    pub fn restrict(&self, user: &str, rules: Vec<PolicyRule>) {
        self.shared.rbac(|rbac| rbac.restrict(user, rules));
    }

    /// The version of the latest change.
    pub fn version(&self) -> u64 {
        self.shared.read(store::Store::version)
    }

    /// Forgets history: older versions can neither be watched from nor listed.
    pub fn compact(&self) {
        self.shared.change(store::Store::compact);
    }

    /// Breaks every watch that is open.
    pub fn cut_watches(&self) {
        self.shared.cut_streams();
    }

    /// From now on watches, and lists that accept any version, see nothing new: a stale cache.
    pub fn hold_watches(&self) {
        let version = self.version();
        self.shared.set_gate(|gate| gate.held = Some(version));
    }

    /// From now on the latest change that a watch is about stays unseen until the next one: a cache that is stale by one version.
    pub fn lag_watches(&self) {
        self.shared.set_gate(|gate| gate.lagging = true);
    }

    /// From now on watches see a change so much later.
    pub fn delay_watches(&self, delay: Duration) {
        self.shared.set_gate(|gate| gate.delay = delay);
    }

    /// From now on a list is told in pages of this many objects: as one of thousands is.
    pub fn list_in_pages_of(&self, objects: usize) {
        self.shared.set_gate(|gate| gate.page = Some(objects));
    }

    /// Watches see everything at once again.
    pub fn release(&self) {
        self.shared.set_gate(|gate| {
            *gate = shared::Gate {
                page: gate.page,
                ..shared::Gate::default()
            };
        });
    }

    /// From now on nothing can be created in a namespace.
    pub fn mark_terminating(&self, namespace: &str) {
        self.shared.change(|store| store.mark_terminating(namespace));
    }

    /// Deletes a namespace; returns when everything in it is gone.
    pub async fn delete_namespace(&self, namespace: &str) {
        collector::end_namespace(&self.shared, namespace).await;
    }

    /// Makes a namespace that was deleted anew.
    pub fn create_namespace(&self, namespace: &str) {
        self.shared.change(|store| store.revive(namespace));
    }

    /// An object as it is stored, without a request.
    pub fn stored(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let plural = resource::named(plural).plural.as_str();
        let key = (plural, namespace.to_owned(), name.to_owned());
        self.shared
            .read(|store| store.get(&key).map(|object| (**object).clone()))
    }

    /// Every version of every object of a resource, in their order, without a request. What was deleted is left out.
    pub fn versions(&self, plural: &str) -> Vec<Value> {
        self.shared.read(|store| {
            let changes = store.since(0).iter().filter(|change| change.key.0 == plural);
            changes.filter_map(|change| change.new.as_deref().cloned()).collect()
        })
    }

    /// Puts an object into the store as it is, without a look at it: what a newer version of the definitions may hold.
    pub fn put(&self, plural: &str, namespace: &str, name: &str, object: Value) {
        let plural = resource::named(plural).plural.as_str();
        let key = (plural, namespace.to_owned(), name.to_owned());
        self.shared.change(|store| store.write(key, Some(object)));
    }

    /// Puts an object of the namespace `default` into the store, also from within a fault.
    pub fn writer(&self) -> impl Fn(&str, &str, Value) + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move |plural, name, object| {
            let plural = resource::named(plural).plural.as_str();
            let key = (plural, "default".to_owned(), name.to_owned());
            shared.change(|store| store.write(key, Some(object)));
        }
    }

    /// Names of everything that is stored of a resource, as `namespace/name`, without a request.
    pub fn names(&self, plural: &str) -> Vec<String> {
        self.shared.read(|store| {
            let keys = store.objects().map(|(key, _)| key).filter(|key| key.0 == plural);
            keys.map(|(_, namespace, name)| format!("{namespace}/{name}")).collect()
        })
    }
}

impl Drop for KubeDouble {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
