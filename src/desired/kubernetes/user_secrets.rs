//! The Secret of each person: made, watched, and restored when somebody edits or deletes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    MANAGED_BY,
    call::{Subject, apply, call, fenced, plain},
    pace::Pace,
    source::watch_config,
};
use crate::{
    desired::{
        DesiredError, FieldManager, Result, Version,
        connection_secrets::{ConnectionSecret, ConnectionSecrets, SecretState},
    },
    fence::Fence,
    model::{API_VERSION, user::VpnUser},
};

const KIND: &str = "Secret";

/// Behind the name of the `VpnUser`.
const SUFFIX: &str = "-vpn";

/// How long somebody waits for the first list.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// Keys of the Secret.
const KEYS: [&str; 4] = ["hy2_url", "subscription_url", "username", "password"];

/// What matters of a Secret: its content, and whose it is.
type Fingerprint = [u8; 32];

/// Stands for a Secret that is not there.
const NOTHING: Fingerprint = [0; 32];

#[derive(Clone, Copy)]
struct Seen {
    fingerprint: Fingerprint,
    version: Version,
}

#[derive(Default)]
struct State {
    /// By name of the Secret: those that carry our label.
    seen: HashMap<String, Seen>,
    /// By name of the Secret: as it was when it last was as it should be.
    agreed: HashMap<String, Fingerprint>,
}

/// A Secret for each person.
pub struct UserSecrets {
    api: Api<Secret>,
    fence: Fence,
    state: Mutex<State>,
    synced: CancellationToken,
}

impl UserSecrets {
    /// Secrets in a namespace, written only while the fence is open. [`Self::run`] has to run for anything to be known.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, fence: &Fence) -> Arc<Self> {
        Arc::new(Self {
            api: Api::namespaced(client.clone(), namespace),
            fence: fence.clone(),
            state: Mutex::default(),
            synced: CancellationToken::new(),
        })
    }

    /// Name of the user whose Secret has this name, if there is such a user.
    #[must_use]
    pub fn owner(secret: &str) -> Option<&str> {
        secret.strip_suffix(SUFFIX)
    }

    /// Whether a Secret that does not look like ours is the user's all the same.
    async fn belongs_to(&self, user: &VpnUser, subject: Subject<'_>) -> Result<bool> {
        let there = call(subject, self.api.get_metadata_opt(subject.name)).await?;
        Ok(there.is_some_and(|secret| {
            let owners = secret.owner_references();
            owners
                .iter()
                .any(|owner| owner.controller == Some(true) && Some(&owner.uid) == user.metadata.uid.as_ref())
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the Secrets until `cancel`. Tells the name of the user whose Secret changed, and when the first list is complete:
    /// whoever has no Secret is not in it.
    pub async fn run(self: Arc<Self>, changed: impl Fn(&str), listed_once: impl Fn(), cancel: CancellationToken) {
        let (label, value) = MANAGED_BY;
        let config = watch_config().labels(&format!("{label}={value}"));
        let events = watcher(self.api.clone(), config).backoff(Pace::default());
        let mut events = Box::pin(events.take_until(cancel.cancelled_owned()));
        let mut listed: Option<HashMap<String, Seen>> = None;
        let mut before = HashMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => {
                    listed = Some(HashMap::new());
                    before = self.versions();
                }
                Ok(Event::InitApply(secret)) => {
                    if let Some(listed) = &mut listed {
                        listed.insert(secret.name_any(), seen(&secret));
                    }
                }
                Ok(Event::InitDone) => {
                    let changes = self.replace(listed.take().unwrap_or_default(), &std::mem::take(&mut before));
                    if self.synced.is_cancelled() {
                        changes.iter().filter_map(|name| Self::owner(name)).for_each(&changed);
                    } else {
                        self.synced.cancel();
                        listed_once();
                    }
                }
                Ok(Event::Apply(secret)) => {
                    let name = secret.name_any();
                    if self.see(&name, seen(&secret)) {
                        Self::owner(&name).into_iter().for_each(&changed);
                    }
                }
                Ok(Event::Delete(secret)) => {
                    let name = secret.name_any();
                    self.lose(&name, Version::of(&secret));
                    Self::owner(&name).into_iter().for_each(&changed);
                }
                Err(error) => {
                    tracing::warn!(error = plain(&error), "the watch of Secrets broke and is begun again");
                }
            }
        }
    }

    /// Takes one Secret in; answers whether anything about it is new.
    fn see(&self, name: &str, new: Seen) -> bool {
        let mut state = self.lock();
        match state.seen.get(name) {
            // What this process wrote last is newer.
            Some(old) if old.version > new.version => false,
            Some(old) if old.fingerprint == new.fingerprint => {
                state.seen.insert(name.to_owned(), new);
                false
            }
            _ => {
                state.seen.insert(name.to_owned(), new);
                true
            }
        }
    }

    /// A Secret was deleted, or lost the label. While a user misses it, the version of that is kept: what was written before
    /// must not pass for being there.
    fn lose(&self, name: &str, version: Version) {
        let mut state = self.lock();
        if state.agreed.contains_key(name) {
            let gone = Seen {
                fingerprint: NOTHING,
                version,
            };
            state.seen.insert(name.to_owned(), gone);
        } else {
            state.seen.remove(name);
        }
    }

    fn versions(&self) -> HashMap<String, Version> {
        let state = self.lock();
        state
            .seen
            .iter()
            .map(|(name, seen)| (name.clone(), seen.version))
            .collect()
    }

    /// Takes a whole list in, which was begun when Secrets were at these versions; answers the names of those that are new,
    /// other or gone.
    fn replace(&self, listed: HashMap<String, Seen>, before: &HashMap<String, Version>) -> Vec<String> {
        let mut state = self.lock();
        let mut changed = Vec::new();
        for (name, new) in &listed {
            let old = state.seen.get(name);
            if old.is_none_or(|old| old.fingerprint != new.fingerprint) {
                changed.push(name.clone());
            }
        }
        // What was written since the list was begun may be missing in it.
        let since = |name: &String, seen: &Seen| before.get(name) != Some(&seen.version);
        let old = std::mem::take(&mut state.seen);
        let newer: Vec<(String, Seen)> = old
            .into_iter()
            .filter(|(name, _)| !listed.contains_key(name))
            .filter(|(name, seen)| {
                let newer = since(name, seen);
                if !newer {
                    changed.push(name.clone());
                }
                newer
            })
            .collect();
        state.seen = listed;
        state.seen.extend(newer);
        changed
    }
}

#[async_trait]
impl ConnectionSecrets for UserSecrets {
    fn name(&self, user: &VpnUser) -> String {
        format!("{}{SUFFIX}", user.name_any())
    }

    fn compare(&self, user: &VpnUser, content: &ConnectionSecret) -> SecretState {
        if !self.synced.is_cancelled() {
            return SecretState::Unknown;
        }
        let name = self.name(user);
        let wanted = wanted(user, content);
        let mut state = self.lock();
        let there = state.seen.get(&name).map(|seen| seen.fingerprint);
        if there == Some(wanted) {
            state.agreed.insert(name, wanted);
            return SecretState::Same;
        }
        match (state.agreed.get(&name), there) {
            (Some(agreed), _) if *agreed == wanted => SecretState::Drifted,
            (Some(_), _) | (None, Some(_)) => SecretState::Outdated,
            (None, None) => SecretState::Missing,
        }
    }

    async fn put(&self, user: &VpnUser, content: &ConnectionSecret) -> Result<()> {
        let name = self.name(user);
        let body = body(user, &name, content);
        let subject = Subject {
            kind: KIND,
            name: &name,
        };
        let put = |force| apply(&self.api, subject, &body, FieldManager::Operator, force);
        let ours = self.lock().seen.contains_key(&name);
        let written: Secret = match fenced(&self.fence, put(ours)).await {
            // It may have lost its label only.
            Err(DesiredError::NotEditable { .. }) if self.belongs_to(user, subject).await? => {
                fenced(&self.fence, put(true)).await?
            }
            other => other?,
        };
        let mut state = self.lock();
        state.agreed.insert(name.clone(), wanted(user, content));
        let written = seen(&written);
        if state
            .seen
            .get(&name)
            .is_none_or(|known| known.version < written.version)
        {
            state.seen.insert(name, written);
        }
        Ok(())
    }

    fn forget(&self, user: &VpnUser) {
        self.lock().agreed.remove(&self.name(user));
    }

    async fn wait_synced(&self) {
        if tokio::time::timeout(FIRST_LIST_TIMEOUT, self.synced.cancelled())
            .await
            .is_err()
        {
            tracing::warn!("the Secrets of the namespace cannot be listed: nothing is written to them until they are");
        }
    }
}

fn body(user: &VpnUser, name: &str, content: &ConnectionSecret) -> serde_json::Value {
    let data: serde_json::Map<_, _> = KEYS
        .into_iter()
        .zip(values(content))
        .map(|(key, value)| (key.to_owned(), json!(ByteString(value.as_bytes().to_vec()))))
        .collect();
    let (label, value) = MANAGED_BY;
    json!({
        "apiVersion": "v1",
        "kind": KIND,
        "metadata": {
            "name": name,
            "labels": { label: value },
            "ownerReferences": [{
                "apiVersion": API_VERSION,
                "kind": "VpnUser",
                "name": user.name_any(),
                "uid": user.uid(),
                "controller": true,
            }],
        },
        "type": "Opaque",
        "data": data,
    })
}

fn values(content: &ConnectionSecret) -> [&str; 4] {
    [
        content.hy2_url.expose_secret(),
        content.subscription_url.expose_secret(),
        &content.username,
        content.password.expose_secret(),
    ]
}

fn seen(secret: &Secret) -> Seen {
    let data = secret.data.as_ref();
    let value = |key: &str| data.and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let controller = secret
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    Seen {
        fingerprint: fingerprint(controller.map_or("", |owner| &owner.uid), KEYS.map(value)),
        version: Version::of(secret),
    }
}

fn wanted(user: &VpnUser, content: &ConnectionSecret) -> Fingerprint {
    let uid = user.uid().unwrap_or_default();
    fingerprint(&uid, values(content).map(|value| Some(value.as_bytes())))
}

fn fingerprint(owner: &str, values: [Option<&[u8]>; 4]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in [Some(owner.as_bytes())].into_iter().chain(values) {
        // Lengths keep one value from passing for two.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().into()
}
