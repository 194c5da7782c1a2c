//! Secrets that gateways and users refer to: their versions are watched, their values read when somebody needs them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt, core::PartialObjectMeta, runtime::watcher::Event};
use secrecy::{SecretString, zeroize::Zeroizing};
use tokio_util::sync::CancellationToken;

use super::{
    MANAGED_BY,
    call::{Subject, call},
    watching::watch,
};
use crate::{credentials::SecretLookup, model::secret_source::SecretKeyRef};

/// Label of the operator's own Secrets. Whoever may write a `VpnUser` must not be able to copy the master key into a link.
const OWN: &str = "vpn-operator.io/own";

const FORBIDDEN: &str = "the Secret is the operator's own, and no resource may use it: keep this secret in another one";
const NO_KEY: &str = "the Secret has no such key: add it, or correct the reference";
const NO_TEXT: &str = "the value is not UTF-8 text";
const MISSING: &str = "there is no such Secret in the namespace: create it, or correct the reference";

/// How long a lookup waits for the first list.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of a Secret from its metadata.
#[derive(Clone, PartialEq, Eq)]
struct There {
    version: String,
    /// It is one of the operator's own.
    own: bool,
}

impl There {
    fn of(secret: &PartialObjectMeta<Secret>) -> Self {
        Self {
            version: secret.resource_version().unwrap_or_default(),
            own: secret.labels().get(OWN).is_some_and(|value| value == "true"),
        }
    }
}

/// The version of a Secret, and what was found in it.
type Reading = (String, Result<SecretString, &'static str>);

#[derive(Default)]
struct State {
    /// By name.
    there: HashMap<String, There>,
    /// What was read, by name and key, with the version it is of. What is wrong with a value is wrong until there is another
    /// version: whoever asks again and again must not cause a read each time.
    read: HashMap<(String, String), Reading>,
}

/// Secrets of a namespace that are not the operator's own.
pub struct ReferencedSecrets {
    api: Api<Secret>,
    metadata: Api<PartialObjectMeta<Secret>>,
    state: Mutex<State>,
    synced: CancellationToken,
}

impl ReferencedSecrets {
    /// Secrets of a namespace. [`Self::run`] has to run for anything to be known.
    #[must_use]
    pub fn new(client: &Client, namespace: &str) -> Arc<Self> {
        Arc::new(Self {
            api: Api::namespaced(client.clone(), namespace),
            metadata: Api::namespaced(client.clone(), namespace),
            state: Mutex::default(),
            synced: CancellationToken::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches versions until `cancel`, and tells the name of each Secret that is new, changed or gone.
    pub async fn run(self: Arc<Self>, changed: impl Fn(&str), cancel: CancellationToken) {
        let (label, value) = MANAGED_BY;
        let events = watch(self.metadata.clone(), Some(&format!("{label}!={value}")));
        let mut events = Box::pin(events.take_until(cancel.cancelled_owned()));
        let mut listed: Option<HashMap<String, There>> = None;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listed = Some(HashMap::new()),
                Ok(Event::InitApply(secret)) => {
                    if let Some(listed) = &mut listed {
                        listed.insert(secret.name_any(), There::of(&secret));
                    }
                }
                Ok(Event::InitDone) => {
                    let listed = listed.take().unwrap_or_default();
                    let before = std::mem::replace(&mut self.lock().there, listed.clone());
                    self.synced.cancel();
                    for name in before.keys().filter(|name| !listed.contains_key(*name)) {
                        self.gone(name);
                        changed(name);
                    }
                    for (name, _) in listed.iter().filter(|(name, there)| before.get(*name) != Some(there)) {
                        changed(name);
                    }
                }
                Ok(Event::Apply(secret)) => {
                    let name = secret.name_any();
                    self.lock().there.insert(name.clone(), There::of(&secret));
                    changed(&name);
                }
                Ok(Event::Delete(secret)) => {
                    let name = secret.name_any();
                    self.gone(&name);
                    changed(&name);
                }
                Err(error) => {
                    tracing::warn!(error, "the watch of Secrets broke and is begun again");
                }
            }
        }
    }

    fn gone(&self, name: &str) {
        let mut state = self.lock();
        state.there.remove(name);
        state.read.retain(|(secret, _), _| secret != name);
    }

    /// What was read of the present version.
    fn remembered(&self, key: &SecretKeyRef) -> Option<Result<SecretString, &'static str>> {
        let state = self.lock();
        let version = &state.there.get(&key.name)?.version;
        let (of, value) = state.read.get(&(key.name.clone(), key.key.clone()))?;
        (of == version).then(|| value.clone())
    }
}

#[async_trait]
impl SecretLookup for ReferencedSecrets {
    async fn lookup(&self, key: &SecretKeyRef) -> Result<SecretString, String> {
        if tokio::time::timeout(FIRST_LIST_TIMEOUT, self.synced.cancelled())
            .await
            .is_err()
        {
            return Err("the Secrets of the namespace cannot be listed".to_owned());
        }
        if let Some(value) = self.remembered(key) {
            return value.map_err(str::to_owned);
        }
        match self.lock().there.get(&key.name) {
            None => return Err(MISSING.to_owned()),
            Some(there) if there.own => return Err(FORBIDDEN.to_owned()),
            Some(_) => {}
        }
        let subject = Subject {
            kind: "Secret",
            name: &key.name,
        };
        let found = call(subject, self.api.get_opt(&key.name))
            .await
            .map_err(|error| error.to_string())?;
        let secret = found.ok_or(MISSING)?;
        let version = secret.resource_version().unwrap_or_default();
        let value = value(secret, &key.key);
        let at = (key.name.clone(), key.key.clone());
        self.lock().read.insert(at, (version, value.clone()));
        value.map_err(str::to_owned)
    }
}

fn value(secret: Secret, key: &str) -> Result<SecretString, &'static str> {
    let bytes = secret.data.and_then(|mut data| data.remove(key)).ok_or(NO_KEY)?;
    let bytes = Zeroizing::new(bytes.0);
    std::str::from_utf8(&bytes).map(SecretString::from).map_err(|_| NO_TEXT)
}
