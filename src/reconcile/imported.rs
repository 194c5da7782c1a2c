//! Passwords that are not derived: those that `spec.credentialsFrom` names. Read apart from the decisions, which only ever
//! look into memory.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    model::{corporate_id::CorporateId, secret_source::SecretSource, user::VpnUser},
};

/// How often sources are read again, so that a changed file is noticed.
const AGAIN: Duration = Duration::from_secs(10);

/// How long a start waits for the passwords.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a sealed password begins with.
const SEALED: &str = "sealed:";

/// Passwords that were read, and the names of users whose password is to be read.
pub struct Imported {
    /// By name of the user: what was read, and from where.
    known: Mutex<HashMap<String, (SecretSource, SecretString)>>,
    touched: mpsc::UnboundedSender<String>,
    /// What the first load named was read, or could not be.
    first_round: CancellationToken,
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
                first_round: CancellationToken::new(),
                sources,
                key,
            }),
            receiver,
        )
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, (SecretSource, SecretString)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The password of a user with `spec.credentialsFrom`, from memory. What was read from another source than the one that
    /// is named now does not count.
    #[must_use]
    pub fn password(&self, user: &VpnUser) -> Option<SecretString> {
        let known = self.known();
        let (source, password) = known.get(&user.name_any())?;
        (user.spec.credentials_from.as_ref() == Some(source)).then(|| password.clone())
    }

    /// Waits, for a bounded time, until what the first load named was read: who has such a password is to be let in from the
    /// first answer on.
    pub async fn first_round(&self) {
        if tokio::time::timeout(PATIENCE, self.first_round.cancelled())
            .await
            .is_err()
        {
            tracing::warn!(
                "reading the passwords in spec.credentialsFrom takes long: their users are let in one by one"
            );
        }
    }

    /// A user is new or changed.
    pub fn touched(&self, user: &VpnUser) {
        if user.spec.credentials_from.is_some() {
            // The receiver is gone only while the process drains.
            let _ = self.touched.send(user.name_any());
        }
    }

    fn forget(&self, name: &str) {
        self.known().remove(name);
    }

    /// Reads a user's password. Answers it with whether it differs from what was known; `None` if the user has none to read.
    async fn read(&self, user: &VpnUser) -> Result<Option<(SecretString, bool)>, String> {
        let Some(source) = &user.spec.credentials_from else {
            return Ok(None);
        };
        let text = self.sources.resolve(source).await.map_err(|error| error.to_string())?;
        let password = match text.expose_secret().strip_prefix(SEALED) {
            Some(sealed) => self
                .key
                .open(&purpose(&user.spec.corporate_id), sealed.trim())
                .map_err(|error| error.to_string())?,
            None => text,
        };
        let before = self.known().insert(user.name_any(), (source.clone(), password.clone()));
        let new = before.is_none_or(|(from, old)| from != *source || old.expose_secret() != password.expose_secret());
        Ok(Some((password, new)))
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
pub async fn run(ctx: Arc<Context>, mut changes: mpsc::UnboundedReceiver<String>, cancel: CancellationToken) {
    // Before its first list is complete the store answers nothing, and what it is asked about would be taken for gone.
    if !matches!(
        cancel.run_until_cancelled(ctx.users.wait_until_ready()).await,
        Some(Ok(()))
    ) {
        return;
    }
    let mut again = tokio::time::interval(AGAIN);
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut failed: BTreeSet<String> = BTreeSet::new();
    loop {
        let (due, touched): (Vec<String>, bool) = tokio::select! {
            () = cancel.cancelled() => return,
            name = changes.recv() => match name {
                Some(name) => {
                    names.insert(name.clone());
                    (vec![name], true)
                }
                None => return,
            },
            _ = again.tick() => (names.iter().cloned().collect(), false),
        };
        for name in due {
            let user = ctx.user(&name);
            let read = match &user {
                Some(user) => ctx.imported.read(user).await,
                None => Ok(None),
            };
            match read {
                // After a change always: the roster may have asked before this was known.
                Ok(Some((password, new))) if new || touched => {
                    let generation = user.and_then(|user| user.metadata.generation).unwrap_or(0);
                    let user = name.clone();
                    ctx.dispatch(ctx.roster.apply(vec![Input::Password {
                        user,
                        generation,
                        password,
                    }]));
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    names.remove(&name);
                    ctx.imported.forget(&name);
                }
                Err(error) => {
                    if failed.insert(name.clone()) {
                        tracing::warn!(
                            user = name,
                            error,
                            "the password in spec.credentialsFrom cannot be read: one that was read from there before stays in force, without one nobody can log in"
                        );
                    }
                    continue;
                }
            }
            failed.remove(&name);
        }
        if changes.is_empty() {
            ctx.imported.first_round.cancel();
        }
    }
}
