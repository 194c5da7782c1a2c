//! Passwords that are not derived: those that `spec.credentialsFrom` names. Read apart from the decisions, which only ever
//! look into memory.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use crate::{
    auth::roster::Input,
    credentials::{MasterKey, Sources},
    model::{corporate_id::CorporateId, user::VpnUser},
};

/// How often sources are read again, so that a changed file is noticed.
const AGAIN: Duration = Duration::from_secs(10);

/// What a sealed password begins with.
const SEALED: &str = "sealed:";

/// Passwords that were read, and the names of users whose password is to be read.
pub struct Imported {
    known: Mutex<HashMap<String, SecretString>>,
    touched: mpsc::UnboundedSender<String>,
    sources: Sources,
    key: MasterKey,
}

impl Imported {
    /// Nothing read yet, and the end that [`run`] takes.
    #[must_use]
    pub fn new(sources: Sources, key: MasterKey) -> (Arc<Self>, mpsc::UnboundedReceiver<String>) {
        let (touched, receiver) = mpsc::unbounded_channel();
        (
            Arc::new(Self {
                known: Mutex::default(),
                touched,
                sources,
                key,
            }),
            receiver,
        )
    }

    /// The password of a user with `spec.credentialsFrom`, from memory.
    #[must_use]
    pub fn password(&self, user: &VpnUser) -> Option<SecretString> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&user.name_any())
            .cloned()
    }

    /// A user is new or changed.
    pub fn touched(&self, user: &VpnUser) {
        if user.spec.credentials_from.is_some() {
            // The receiver is gone only while the process drains.
            let _ = self.touched.send(user.name_any());
        }
    }

    /// Reads a user's password. Answers whether it differs from what was known.
    async fn read(&self, user: &VpnUser) -> Result<bool, String> {
        let Some(source) = &user.spec.credentials_from else {
            return Ok(self
                .known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&user.name_any())
                .is_some());
        };
        let text = self.sources.resolve(source).await.map_err(|error| error.to_string())?;
        let password = match text.expose_secret().strip_prefix(SEALED) {
            Some(sealed) => self
                .key
                .open(&purpose(&user.spec.corporate_id), sealed.trim())
                .map_err(|error| error.to_string())?,
            None => text,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let new = known
            .get(&user.name_any())
            .is_none_or(|old| old.expose_secret() != password.expose_secret());
        if new {
            known.insert(user.name_any(), password);
        }
        Ok(new)
    }
}

/// Seals a password so that it can stand in a file under version control: only this installation can open it, and only
/// for this person.
///
/// # Errors
/// The operating system has no random bytes.
pub fn seal(key: &MasterKey, id: &CorporateId, password: &SecretString) -> Result<String, String> {
    let sealed = key.seal(&purpose(id), password).map_err(|error| error.to_string())?;
    Ok(format!("{SEALED}{sealed}"))
}

fn purpose(id: &CorporateId) -> String {
    format!("imported-password/{}", id.key())
}

/// Reads passwords until `cancel`.
pub async fn run(ctx: Arc<Context>, mut touched: mpsc::UnboundedReceiver<String>, cancel: CancellationToken) {
    let mut again = tokio::time::interval(AGAIN);
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut failed: BTreeSet<String> = BTreeSet::new();
    loop {
        let due: Vec<String> = tokio::select! {
            () = cancel.cancelled() => return,
            name = touched.recv() => match name {
                Some(name) => {
                    names.insert(name.clone());
                    vec![name]
                }
                None => return,
            },
            _ = again.tick() => names.iter().cloned().collect(),
        };
        for name in due {
            let Some(user) = ctx.user(&name) else {
                names.remove(&name);
                continue;
            };
            match ctx.imported.read(&user).await {
                Ok(true) => ctx.dispatch(ctx.roster.apply(vec![Input::User(user)])),
                Ok(false) => {}
                Err(error) => {
                    if failed.insert(name.clone()) {
                        tracing::warn!(
                            user = name,
                            error,
                            "the password in spec.credentialsFrom cannot be read: nobody can log in with it"
                        );
                    }
                    continue;
                }
            }
            failed.remove(&name);
        }
    }
}
