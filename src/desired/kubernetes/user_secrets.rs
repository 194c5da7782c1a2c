//! The Secret of each person: made, watched, and restored when somebody edits or deletes it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::watcher::Event,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    MANAGED_BY,
    call::{Subject, call, create, fenced},
    user_secret::{self as content, Fingerprint, NOTHING},
    watching::watch,
};
use crate::{
    desired::{
        DesiredError, FieldManager, Result, Version,
        connection_secrets::{ConnectionSecret, ConnectionSecrets, SecretState},
    },
    fence::Fence,
    model::user::VpnUser,
};

const KIND: &str = "Secret";

/// Behind the name of the `VpnUser`.
const SUFFIX: &str = "-vpn";

/// How long somebody waits for the first list.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a write is tried again when the Secret changes at the same time.
const ATTEMPTS: usize = 5;

#[derive(Clone, Copy)]
struct Seen {
    fingerprint: Fingerprint,
    version: Version,
    /// Something controls it, and it goes with that.
    is_owned: bool,
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

    /// Changes the Secret that is there, if it is the user's. Bound to the version that was looked at: a stranger's that takes
    /// its place meanwhile is not touched.
    async fn change(&self, user: &VpnUser, content: &ConnectionSecret, subject: Subject<'_>) -> Result<Secret> {
        let there = call(subject, self.api.get(subject.name)).await?;
        if let Some(message) = content::stranger(user, &content.username, &there) {
            let name = subject.name.to_owned();
            return Err(DesiredError::NotEditable { name, message });
        }
        self.patch(subject, &content::change(user, content, &there)).await
    }

    async fn patch(&self, subject: Subject<'_>, body: &serde_json::Value) -> Result<Secret> {
        let params = PatchParams {
            field_manager: Some(FieldManager::Operator.as_str().to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(body);
        let write = call(subject, self.api.patch(subject.name, &params, &patch));
        fenced(&self.fence, write).await
    }

    /// Remembers what was written, unless the watch showed something later already.
    fn remember(&self, name: &str, written: &Secret) {
        let mut state = self.lock();
        let written = seen(written);
        if state.seen.get(name).is_none_or(|known| known.version < written.version) {
            state.seen.insert(name.to_owned(), written);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the Secrets until `cancel`. Tells the name of the user whose Secret changed, and when the first list is complete:
    /// whoever has no Secret is not in it.
    pub async fn run(self: Arc<Self>, changed: impl Fn(&str), listed_once: impl Fn(), cancel: CancellationToken) {
        let (label, value) = MANAGED_BY;
        let events = watch(self.api.clone(), Some(&format!("{label}={value}")));
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
                    tracing::warn!(error, "the watch of Secrets broke and is begun again");
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
                is_owned: false,
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
        let wanted = content::wanted(user, content);
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
        let subject = Subject {
            kind: KIND,
            name: &name,
        };
        let seen = self.lock().seen.get(&name).copied();
        let mut there = seen.is_some_and(|seen| seen.fingerprint != NOTHING);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let written = if there {
                self.change(user, content, subject).await
            } else {
                let new = content::new(user, &name, content);
                fenced(&self.fence, create(&self.api, subject, &new, FieldManager::Operator)).await
            };
            let error = match written {
                Ok(written) => {
                    self.lock().agreed.insert(name.clone(), content::wanted(user, content));
                    self.remember(&name, &written);
                    return Ok(());
                }
                Err(error) => error,
            };
            match &error {
                DesiredError::AlreadyExists { .. } => there = true,
                DesiredError::NotFound { .. } => there = false,
                // Changed since it was looked at.
                DesiredError::Conflict { .. } => {}
                _ => return Err(error),
            }
            last = Some(error);
        }
        Err(DesiredError::Unavailable(format!(
            "Secret {name} changes all the time: {}",
            last.map_or_else(String::new, |error| error.to_string())
        )))
    }

    async fn settle(&self, user: &VpnUser, account: &str) -> Result<()> {
        let name = self.name(user);
        if self.lock().seen.get(&name).is_some_and(|seen| seen.is_owned) {
            return Ok(());
        }
        let subject = Subject {
            kind: KIND,
            name: &name,
        };
        let Some(there) = call(subject, self.api.get_opt(&name)).await? else {
            return Ok(());
        };
        if content::controller(&there).is_some() || content::stranger(user, account, &there).is_some() {
            return Ok(());
        }
        let meta = json!({
            "uid": there.uid(), "resourceVersion": there.resource_version(), "ownerReferences": content::owners(user, &there),
        });
        match self.patch(subject, &json!({ "metadata": meta })).await {
            Ok(_) | Err(DesiredError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
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

fn seen(secret: &Secret) -> Seen {
    Seen {
        fingerprint: content::found(secret),
        version: Version::of(secret),
        is_owned: content::controller(secret).is_some(),
    }
}
