//! Claims of corporate IDs in `ConfigMaps`: one for each two letters, with the six digits as keys.
//!
//! The API server takes a change only of the version that was looked at. So of two processes that claim the same ID at the same
//! moment, each with a registry of its own, one is told that it came late.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    MANAGED_BY,
    call::{Subject, call, create, fenced},
};
use crate::{
    clock::SharedClock,
    desired::{DesiredError, FieldManager, Result, id_claims::IdClaims},
    fence::Fence,
    model::corporate_id::CorporateId,
};

const KIND: &str = "ConfigMap";

/// Before the two letters.
const PREFIX: &str = "vpn-operator-ids-";

/// How often a claim is tried again when others claim IDs with the same letters at the same time.
const ATTEMPTS: usize = 20;

/// How many `ConfigMaps` are looked at at a time.
const AT_A_TIME: usize = 8;

/// Claims in a namespace.
pub struct ConfigMapClaims {
    api: Api<ConfigMap>,
    fence: Fence,
    clock: SharedClock,
}

impl ConfigMapClaims {
    /// Claims in this namespace, made only while the fence is open.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, fence: &Fence, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            api: Api::namespaced(client.clone(), namespace),
            fence: fence.clone(),
            clock,
        })
    }

    /// Adds those of `numbers` that are not there. Says whether there were any.
    async fn claim_all(&self, letters: &str, numbers: &BTreeSet<String>) -> Result<bool> {
        let name = format!("{PREFIX}{letters}");
        let subject = Subject {
            kind: KIND,
            name: &name,
        };
        let mut refused = None;
        for _ in 0..ATTEMPTS {
            let written = match call(subject, self.api.get_opt(&name)).await? {
                None => {
                    let fresh = self.fresh(&name, numbers);
                    fenced(&self.fence, create(&self.api, subject, &fresh, FieldManager::Operator)).await
                }
                Some(there) => {
                    let version = version_of_ours(&there, &name)?;
                    let known = there.data.unwrap_or_default();
                    let new: BTreeMap<&String, String> = numbers
                        .iter()
                        .filter(|number| !known.contains_key(*number))
                        .map(|number| (number, self.now()))
                        .collect();
                    if new.is_empty() {
                        return Ok(false);
                    }
                    // With the version that was read: another one's claim meanwhile is a conflict.
                    let change = json!({ "metadata": { "resourceVersion": version }, "data": new });
                    fenced(&self.fence, add(&self.api, subject, &change)).await
                }
            };
            match written {
                Ok(_) => return Ok(true),
                // Somebody else was faster, or removed the map: look again.
                Err(
                    error @ (DesiredError::AlreadyExists { .. }
                    | DesiredError::Conflict { .. }
                    | DesiredError::NotFound { .. }),
                ) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| DesiredError::Unavailable(format!("{KIND} {name} could not be changed"))))
    }

    /// A map with these numbers.
    fn fresh(&self, name: &str, numbers: &BTreeSet<String>) -> ConfigMap {
        let (label, value) = MANAGED_BY;
        let data = numbers.iter().map(|number| (number.clone(), self.now()));
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some([(label.to_owned(), value.to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some(data.collect()),
            ..ConfigMap::default()
        }
    }

    /// When a number was claimed, for people who look.
    fn now(&self) -> String {
        let at = self.clock.now();
        Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
    }
}

#[async_trait]
impl IdClaims for ConfigMapClaims {
    async fn claim(&self, id: &CorporateId) -> Result<bool> {
        let Some((letters, number)) = parts(id) else {
            return Err(DesiredError::Invalid(format!("{id} is none of the IDs that are drawn")));
        };
        self.claim_all(&letters, &BTreeSet::from([number])).await
    }

    async fn keep(&self, ids: &[CorporateId]) -> Result<()> {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (letters, number) in ids.iter().filter_map(parts) {
            groups.entry(letters).or_default().insert(number);
        }
        stream::iter(groups)
            .map(|(letters, numbers)| async move { self.claim_all(&letters, &numbers).await })
            .buffer_unordered(AT_A_TIME)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }
}

/// The letters in small, and the digits, of an ID of the present style.
fn parts(id: &CorporateId) -> Option<(String, String)> {
    let id = CorporateId::capital(id.as_str()).filter(CorporateId::is_standard)?;
    let (letters, number) = id.key().split_at_checked(2)?;
    Some((letters.to_owned(), number.to_owned()))
}

/// The version of a map that is the operator's. Nothing is written onto what others made.
fn version_of_ours(map: &ConfigMap, name: &str) -> Result<String> {
    let (label, value) = MANAGED_BY;
    if map.labels().get(label).is_none_or(|it| it != value) {
        return Err(DesiredError::NotEditable {
            name: name.to_owned(),
            message: format!(
                "the {KIND} has no label {label}={value}, so somebody else made it: delete it, or, if it holds corporate IDs that were \
                 issued, give it the label"
            ),
        });
    }
    // Without a version a change would be taken whatever stands there by then.
    map.resource_version()
        .ok_or_else(|| DesiredError::Unavailable(format!("the API server told no version of {KIND} {name}")))
}

async fn add(api: &Api<ConfigMap>, subject: Subject<'_>, change: &Value) -> Result<ConfigMap> {
    let params = PatchParams {
        field_manager: Some(FieldManager::Operator.as_str().to_owned()),
        ..PatchParams::default()
    };
    call(subject, api.patch(subject.name, &params, &Patch::Merge(change))).await
}
