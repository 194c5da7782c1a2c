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

use crate::{
    credentials::{MasterKey, Sources},
    model::{corporate_id::CorporateId, secret_source::SecretSource, user::VpnUser},
    roster::Input,
};

/// How often sources are read again, so that a changed file is noticed.
const AGAIN: Duration = Duration::from_secs(10);

/// How long a start waits for the passwords.
const FIRST_READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What a sealed password begins with.
const SEALED: &str = "sealed:";

/// What has to be read again.
pub enum Touched {
    /// The password of the user of this name.
    User(String),
    /// What refers to the Secret of this name.
    Secret(String),
}

/// Passwords that were read, and the names of users whose password is to be read.
pub struct Imported {
    /// By name of the user: what was read, and from where.
    known: Mutex<HashMap<String, (SecretSource, SecretString)>>,
    /// By name of the user: why nothing could be read the last time.
    failures: Mutex<HashMap<String, String>>,
    touched: mpsc::UnboundedSender<Touched>,
    /// The first list of users is complete.
    listed: CancellationToken,
    /// What the first load named was read, or could not be.
    first_round: CancellationToken,
    sources: Sources,
    key: MasterKey,
}

impl Imported {
    /// Nothing read yet, and the end that [`run`] takes.
    #[must_use]
    pub fn new(sources: Sources, key: MasterKey) -> (Arc<Self>, mpsc::UnboundedReceiver<Touched>) {
        let (touched, receiver) = mpsc::unbounded_channel();
        (
            Arc::new(Self {
                known: Mutex::default(),
                failures: Mutex::default(),
                touched,
                listed: CancellationToken::new(),
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

    /// The password of a user: derived, or as [`Self::password`].
    #[must_use]
    pub fn or_derived(&self, user: &VpnUser) -> Option<SecretString> {
        let spec = &user.spec;
        match &spec.credentials_from {
            Some(_) => self.password(user),
            None => Some(self.key.password(&spec.corporate_id, spec.credential_generation)),
        }
    }

    /// The first list of users is complete, and the store holds it.
    pub fn listed(&self) {
        self.listed.cancel();
    }

    /// Waits, for a bounded time, until what the first load named was read: who has such a password is to be let in from the
    /// first answer on.
    pub async fn first_round(&self) {
        if tokio::time::timeout(FIRST_READ_TIMEOUT, self.first_round.cancelled())
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
            let _ = self.touched.send(Touched::User(user.name_any()));
        }
    }

    /// A Secret is new, changed or gone.
    pub fn secret_changed(&self, secret: &str) {
        // The receiver is gone only while the process drains.
        let _ = self.touched.send(Touched::Secret(secret.to_owned()));
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the password of a user could not be read, if it could not.
    #[must_use]
    pub fn failure(&self, user: &VpnUser) -> Option<String> {
        user.spec.credentials_from.as_ref()?;
        self.failures().get(user.metadata.name.as_deref()?).cloned()
    }

    /// Whether the password of a user has still to be read for the first time.
    #[must_use]
    pub fn is_awaited(&self, user: &VpnUser) -> bool {
        user.spec.credentials_from.is_some() && self.password(user).is_none() && self.failure(user).is_none()
    }

    fn forget(&self, name: &str) {
        self.failures().remove(name);
        self.known().remove(name);
    }

    /// Reads a user's password. Answers it with whether it differs from what was known; `None` if the user has none to read.
    async fn read(&self, user: &VpnUser) -> Result<Option<(SecretString, bool)>, String> {
        let Some(source) = &user.spec.credentials_from else {
            return Ok(None);
        };
        let text = self.sources.resolve(source).await.map_err(|error| error.to_string())?;
        let password = match text.expose_secret().strip_prefix(SEALED) {
            Some(_) => open(&self.key, &user.spec.corporate_id, text.expose_secret())?,
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

/// Opens what [`seal`] gave for the same person.
///
/// # Errors
/// It was sealed with a key that is not there, or for somebody else, or is damaged.
pub fn open(key: &MasterKey, id: &CorporateId, sealed: &str) -> Result<SecretString, String> {
    let sealed = sealed.strip_prefix(SEALED).unwrap_or(sealed);
    key.open(&purpose(id), sealed.trim()).map_err(|error| error.to_string())
}

fn purpose(id: &CorporateId) -> String {
    format!("imported-password/{}", id.key())
}

/// Whom the reader of passwords works for.
pub trait Reader: Send + Sync + 'static {
    /// A user as the source last showed it, if its password has to be read.
    fn user(&self, name: &str) -> Option<Arc<VpnUser>>;

    /// A user's password was read. `new` says whether it differs from what was known before.
    fn was_read(&self, user: &str, password: Input, new: bool);

    /// Whether the password of this user can be read has changed.
    fn failure_changed(&self, name: &str);

    /// What was read.
    fn imported(&self) -> &Imported;
}

/// Reads passwords until `cancel`.
pub async fn run<R: Reader>(ctx: Arc<R>, mut changes: mpsc::UnboundedReceiver<Touched>, cancel: CancellationToken) {
    // Before the first list is complete the store answers nothing, and who is asked about would be taken for gone.
    // Not by the store's own `wait_until_ready`: it wakes only one of those who wait, and the reconciler is one.
    if cancel
        .run_until_cancelled(ctx.imported().listed.cancelled())
        .await
        .is_none()
    {
        return;
    }
    let mut again = tokio::time::interval(AGAIN);
    let mut names: BTreeSet<String> = BTreeSet::new();
    loop {
        let (due, touched): (Vec<String>, bool) = tokio::select! {
            () = cancel.cancelled() => return,
            touched = changes.recv() => match touched {
                Some(Touched::User(name)) => {
                    names.insert(name.clone());
                    (vec![name], true)
                }
                Some(Touched::Secret(secret)) => (referring(&*ctx, &names, &secret), false),
                None => return,
            },
            _ = again.tick() => (names.iter().cloned().collect(), false),
        };
        for name in due {
            let user = ctx.user(&name);
            let read = match &user {
                Some(user) => ctx.imported().read(user).await,
                None => Ok(None),
            };
            match read {
                // After a change always: the roster may have asked before this was known.
                Ok(Some((password, new))) if new || touched => {
                    let generation = user.and_then(|user| user.metadata.generation).unwrap_or(0);
                    let user = name.clone();
                    let password = Input::Password {
                        user,
                        generation,
                        password,
                    };
                    ctx.was_read(&name, password, new);
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    names.remove(&name);
                    ctx.imported().forget(&name);
                }
                Err(error) => {
                    let before = ctx.imported().failures().insert(name.clone(), error.clone());
                    if before.as_ref() != Some(&error) {
                        ctx.failure_changed(&name);
                        tracing::warn!(
                            user = name,
                            error,
                            "the password in spec.credentialsFrom cannot be read: one that was read from there before stays in force, without one nobody can log in"
                        );
                    }
                    continue;
                }
            }
            if ctx.imported().failures().remove(&name).is_some() {
                ctx.failure_changed(&name);
            }
        }
        if changes.is_empty() {
            ctx.imported().first_round.cancel();
        }
    }
}

/// Those of the users whose password is in this Secret.
fn referring(ctx: &impl Reader, names: &BTreeSet<String>, secret: &str) -> Vec<String> {
    let refers = |name: &&String| {
        let user = ctx.user(name);
        let source = user.as_ref().and_then(|user| user.spec.credentials_from.as_ref());
        source
            .and_then(|source| source.secret_key_ref.as_ref())
            .is_some_and(|key| key.name == secret)
    };
    names.iter().filter(refers).cloned().collect()
}
