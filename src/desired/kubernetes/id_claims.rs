//! Claims of corporate IDs in ConfigMaps: one for each two letters, with the six digits as keys.
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
    api::{ObjectMeta, PostParams},
};

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

/// How many ConfigMaps are looked at at a time.
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
                    let fresh = self.with(named(&name), numbers);
                    fenced(&self.fence, create(&self.api, subject, &fresh, FieldManager::Operator)).await
                }
                Some(there) => {
                    check_ours(&there, &name)?;
                    let known = there.data.as_ref();
                    let new: BTreeSet<String> = numbers
                        .iter()
                        .filter(|number| known.is_none_or(|known| !known.contains_key(*number)))
                        .cloned()
                        .collect();
                    if new.is_empty() {
                        return Ok(false);
                    }
                    // With the version that was read: another one's claim meanwhile is a conflict.
                    let changed = self.with(there, &new);
                    fenced(&self.fence, replace(&self.api, subject, &changed)).await
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

    /// The map with these numbers, and when they were claimed, for people who look.
    fn with(&self, mut map: ConfigMap, numbers: &BTreeSet<String>) -> ConfigMap {
        let at = self.clock.now();
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at).to_string();
        let data = map.data.get_or_insert_default();
        data.extend(numbers.iter().map(|number| (number.clone(), at.clone())));
        map
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

fn named(name: &str) -> ConfigMap {
    let (label, value) = MANAGED_BY;
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([(label.to_owned(), value.to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

/// Nothing is written onto what others made.
fn check_ours(map: &ConfigMap, name: &str) -> Result<()> {
    let (label, value) = MANAGED_BY;
    if map.resource_version().is_none() {
        // A change would be taken whatever stands there by then.
        let why = format!("the API server told no version of {KIND} {name}");
        return Err(DesiredError::Unavailable(why));
    }
    if map.labels().get(label).is_some_and(|it| it == value) {
        return Ok(());
    }
    Err(DesiredError::NotEditable {
        name: name.to_owned(),
        message: format!(
            "the {KIND} has no label {label}={value}, so somebody else made it: delete it, or, if it holds corporate IDs that were \
             issued, give it the label"
        ),
    })
}

async fn replace(api: &Api<ConfigMap>, subject: Subject<'_>, map: &ConfigMap) -> Result<ConfigMap> {
    let params = PostParams {
        field_manager: Some(FieldManager::Operator.as_str().to_owned()),
        ..PostParams::default()
    };
    call(subject, api.replace(subject.name, &params, map)).await
}
