//! What a person or a deployment tool does, in the double or in a real cluster.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Error, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::kstatus::{Kstatus, kstatus};

/// How long something may take that is expected to happen.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A kind of object in a namespace.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync
{
}
impl<K> Kind for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
{
}

/// A person with a client.
#[derive(Clone)]
pub struct Kubectl {
    client: Client,
    namespace: String,
}

impl Kubectl {
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// The same person in another namespace.
    pub fn within(&self, namespace: &str) -> Self {
        Self::new(self.client.clone(), namespace)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// `kubectl apply --server-side --field-manager=<manager>`; the manifest is YAML or JSON.
    pub async fn apply<K: Kind>(&self, manager: &str, manifest: &str, force: bool) -> Result<K, Error> {
        let manifest: Value = serde_yaml::from_str(manifest).unwrap();
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let mut params = PatchParams::apply(manager);
        params.force = force;
        self.api().patch(name, &params, &Patch::Apply(&manifest)).await
    }

    /// `kubectl create`.
    pub async fn create<K: Kind>(&self, manifest: &str) -> Result<K, Error> {
        let object: K = serde_yaml::from_str(manifest).unwrap();
        self.api().create(&PostParams::default(), &object).await
    }

    /// `kubectl replace`: whatever is there becomes the manifest.
    pub async fn replace<K: Kind>(&self, manifest: &str) -> Result<K, Error> {
        let mut object: K = serde_yaml::from_str(manifest).unwrap();
        let name = object.name_any();
        object.meta_mut().resource_version = self.get::<K>(&name).await.resource_version();
        self.api().replace(&name, &PostParams::default(), &object).await
    }

    /// `kubectl edit`: reads, changes, writes, and begins anew when somebody else was faster.
    pub async fn edit<K: Kind>(&self, name: &str, change: impl Fn(&mut K)) -> Result<K, Error> {
        loop {
            let mut object: K = self.api().get(name).await?;
            change(&mut object);
            match self.api().replace(name, &PostParams::default(), &object).await {
                Err(Error::Api(status)) if status.is_conflict() => {}
                other => return other,
            }
        }
    }

    /// `kubectl patch --type=merge`.
    pub async fn merge<K: Kind>(&self, name: &str, patch: Value) -> Result<K, Error> {
        self.api()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
    }

    /// `kubectl annotate --overwrite`; without a value the annotation goes.
    pub async fn annotate<K: Kind>(&self, name: &str, annotation: &str, value: Option<&str>) -> Result<K, Error> {
        let patch = serde_json::json!({ "metadata": { "annotations": { annotation: value } } });
        self.merge(name, patch).await
    }

    /// `kubectl delete --wait=false`.
    pub async fn delete<K: Kind>(&self, name: &str) -> Result<(), Error> {
        self.api::<K>().delete(name, &DeleteParams::default()).await.map(drop)
    }

    /// An object that must be there.
    pub async fn get<K: Kind>(&self, name: &str) -> K {
        self.api().get(name).await.unwrap()
    }

    /// An object that may be there.
    pub async fn find<K: Kind>(&self, name: &str) -> Option<K> {
        self.api().get_opt(name).await.unwrap()
    }

    /// Every object of a kind.
    pub async fn list<K: Kind>(&self) -> Vec<K> {
        self.api().list(&kube::api::ListParams::default()).await.unwrap().items
    }

    /// Waits until an object is as it should be. A server that cannot be reached meanwhile is asked again.
    ///
    /// # Panics
    /// After [`DEADLINE`], with what is there.
    pub async fn wait_for<K: Kind>(&self, name: &str, is_good: impl Fn(&K) -> bool) -> K {
        let found = self
            .wait_until(name, |object: Option<&K>| object.is_some_and(&is_good))
            .await;
        found.unwrap()
    }

    /// Waits until there is no such object.
    ///
    /// # Panics
    /// After [`DEADLINE`], with what is there.
    pub async fn wait_gone<K: Kind>(&self, name: &str) {
        self.wait_until(name, |object: Option<&K>| object.is_none()).await;
    }

    /// Waits until a deployment tool would say so.
    ///
    /// # Panics
    /// After [`DEADLINE`], with what is there.
    pub async fn wait_status<K: Kind>(&self, name: &str, wanted: Kstatus) -> K {
        self.wait_for(name, |object: &K| {
            kstatus(&serde_json::to_value(object).unwrap()) == wanted
        })
        .await
    }

    async fn wait_until<K: Kind>(&self, name: &str, is_good: impl Fn(Option<&K>) -> bool) -> Option<K> {
        // Real time, also where the test's clock is paused.
        let started = std::time::Instant::now();
        let mut last = None;
        while started.elapsed() < DEADLINE {
            if let Ok(found) = self.api::<K>().get_opt(name).await {
                if is_good(found.as_ref()) {
                    return found;
                }
                last = found;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("{} {name} is not as it should be: {last:#?}", K::kind(&()))
    }
}
