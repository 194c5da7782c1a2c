//! The head of the audit in a `ConfigMap` of its own: beside the volume with the database, and not on it.
//!
//! RBAC: `get` and `patch` of that one `ConfigMap`, and `create` of `ConfigMap`s.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{fence::Fence, history::HeadPlace};

/// Name of the `ConfigMap`. The Role of the chart names it.
pub const NAME: &str = "vpn-operator-audit-head";
/// The key in it.
const KEY: &str = "head.json";
/// Label of what the operator makes, and its value: another's `ConfigMap` is left alone.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "vpn-operator");
/// Shortest time between two writes: each is one to etcd.
const PACE: Duration = Duration::from_secs(30);

/// The `ConfigMap`. Only who acts writes it.
pub struct AuditHeadMap {
    api: Api<ConfigMap>,
    namespace: String,
    fence: Fence,
}

impl AuditHeadMap {
    /// The `ConfigMap` in this namespace.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, fence: &Fence) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            namespace: namespace.to_owned(),
            fence: fence.clone(),
        }
    }

    async fn find(&self) -> Result<Option<ConfigMap>, String> {
        self.api
            .get_opt(NAME)
            .await
            .map_err(|error| format!("it cannot be read: {error}: upgrade the chart, its Role has the rights for it"))
    }
}

#[async_trait]
impl HeadPlace for AuditHeadMap {
    fn name(&self) -> String {
        format!("ConfigMap {}/{NAME}", self.namespace)
    }

    fn pace(&self) -> Duration {
        PACE
    }

    async fn read(&self) -> Result<Option<String>, String> {
        let found = self.find().await?;
        Ok(found.and_then(|map| map.data).and_then(|mut data| data.remove(KEY)))
    }

    async fn write(&self, text: String) -> Result<(), String> {
        if !self.fence.is_open() {
            return Err("another process may act now".to_owned());
        }
        let failed = |error: kube::Error| format!("it cannot be written: {error}");
        let (label, value) = MANAGED_BY;
        match self.find().await? {
            None => {
                let map = ConfigMap {
                    metadata: ObjectMeta {
                        name: Some(NAME.to_owned()),
                        labels: Some(BTreeMap::from([(label.to_owned(), value.to_owned())])),
                        ..ObjectMeta::default()
                    },
                    data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
                    ..ConfigMap::default()
                };
                let made = self.api.create(&PostParams::default(), &map).await;
                made.map(drop).map_err(failed)
            }
            Some(map) if map.labels().get(label).map(String::as_str) == Some(value) => {
                let patch = json!({
                    // Not onto one that was made anew meanwhile.
                    "metadata": { "uid": map.uid() },
                    "data": { KEY: text },
                });
                let patched = self
                    .api
                    .patch(NAME, &PatchParams::default(), &Patch::Merge(&patch))
                    .await;
                patched.map(drop).map_err(failed)
            }
            Some(_) => Err(format!(
                "it is somebody else's: it has no label {label}: {value}; delete or rename it"
            )),
        }
    }
}
