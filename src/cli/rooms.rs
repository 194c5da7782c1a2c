//! What the commands ask of other rooms, in the commands' words.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use secrecy::SecretString;

use super::exit::CommandError;
use crate::{
    api::records::{StoryBody, WhoBody},
    clock::SystemClock,
    config::{HISTORY_FILE, Secrets, secrets::Secret},
    credentials::{AuditKeys, KEY_FILE, KEY_ID_FILE, KeyError, MasterKey},
    history::{History, WhoQuestion},
    http,
    model::{Kind, corporate_id::CorporateId, crds_yaml},
    reconcile::imported,
    registry::{REGISTRY_FILE, Registry},
};

/// The definitions of all kinds, or of one, as YAML.
pub(super) fn crds(kind: Option<&str>) -> String {
    let kinds = Kind::ALL
        .into_iter()
        .filter(|known| kind.is_none_or(|kind| known.as_str() == kind));
    kinds.map(crds_yaml).collect::<Vec<_>>().join("---\n")
}

/// The OpenAPI description of the HTTP API, as JSON.
pub(super) fn openapi() -> Result<String, CommandError> {
    let text = http::openapi().to_pretty_json();
    text.map(|text| text + "\n")
        .map_err(|error| CommandError::failed(format!("cannot write the description: {error}")))
}

/// Looks at the database without writing to it and without getting in the way of an operator that has it open.
/// Answers one line on what is in it; `None` when there is none yet.
pub(super) async fn check_history(data_dir: &Path) -> Result<Option<String>, String> {
    check_history_file(&data_dir.join(HISTORY_FILE)).await
}

/// As [`check_history`], of one file.
pub(super) async fn check_history_file(path: &Path) -> Result<Option<String>, String> {
    if !path.exists() {
        return Ok(None);
    }
    let history = History::open_read_only(path, AuditKeys::none(), Arc::new(SystemClock));
    history.check().await.map_err(|error| error.to_string())?;
    let rows = history.verify().await.map_err(|error| error.to_string())?;
    Ok(Some(format!(
        "{} is whole; {rows} audit rows, their chain unbroken",
        path.display()
    )))
}

/// History, for reading, also while an operator has it open. With the master key, where there is one, its audit can be proved;
/// why there is none is answered beside it.
pub(super) fn history_for_reading(data_dir: &Path, secrets: &Secrets) -> (History, Option<String>) {
    let (keys, why) = match master_key(data_dir, secrets) {
        Ok(key) => (key.audit_keys(), None),
        Err(error) => (AuditKeys::none(), Some(error.to_string())),
    };
    let path = data_dir.join(HISTORY_FILE);
    (History::open_read_only(&path, keys, Arc::new(SystemClock)), why)
}

/// History, for reading what anybody may read who may read the file.
pub(super) fn history(data_dir: &Path) -> History {
    History::open_read_only(&data_dir.join(HISTORY_FILE), AuditKeys::none(), Arc::new(SystemClock))
}

/// Looks at the registry of corporate IDs as [`check_history`] does at history.
pub(super) async fn check_registry(data_dir: &Path) -> Result<Option<String>, String> {
    let path = data_dir.join(REGISTRY_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let registry = Registry::open_read_only(&path, Arc::new(SystemClock));
    registry.check().await.map_err(|error| error.to_string())?;
    Ok(Some(format!("{} is whole", path.display())))
}

/// Who had access, from a file, as the API would answer.
pub(super) async fn who(
    path: &Path,
    at: Timestamp,
    denied: bool,
    after: Option<String>,
    limit: u32,
) -> Result<WhoBody, CommandError> {
    let question = WhoQuestion {
        at,
        denied,
        after,
        limit,
    };
    let who = history_file(path)?.who(question).await;
    let who = who.map_err(|error| CommandError::failed(error.to_string()))?;
    Ok(WhoBody::of(who, limit))
}

/// Everything that is kept about one person, from a file, as the API would answer.
pub(super) async fn story(path: &Path, id: &CorporateId) -> Result<StoryBody, CommandError> {
    let told = history_file(path)?.story(id.to_string(), id.account()).await;
    let told = told.map_err(|error| CommandError::failed(error.to_string()))?;
    Ok(told.into())
}

fn history_file(path: &Path) -> Result<History, CommandError> {
    if !path.is_file() {
        return Err(CommandError::invalid(format!(
            "--file: there is no file {}",
            path.display()
        )));
    }
    Ok(History::open_read_only(path, AuditKeys::none(), Arc::new(SystemClock)))
}

/// Looks at the master key without changing anything. Answers one line on it; `None` when there is none yet.
pub(super) fn check_master_key(data_dir: &Path, secrets: &Secrets) -> Result<Option<String>, String> {
    let (kept, recorded) = (data_dir.join(KEY_FILE).exists(), data_dir.join(KEY_ID_FILE).exists());
    let place = match &secrets.master_key {
        Some(secret) => format!("given by {}", secret.origin()),
        None => format!("kept in {}", data_dir.join(KEY_FILE).display()),
    };
    if !recorded {
        return Ok((kept || secrets.master_key.is_some()).then(|| format!("{place}; not used yet")));
    }
    let key = master_key(data_dir, secrets).map_err(|error| error.to_string())?;
    Ok(Some(format!("{place}; fingerprint {} fits the data", key.id())))
}

/// Seals an imported password for one person.
pub(super) fn seal(
    data_dir: &Path,
    secrets: &Secrets,
    id: &CorporateId,
    password: &SecretString,
) -> Result<String, CommandError> {
    let key = master_key(data_dir, secrets).map_err(|error| CommandError::invalid(error.to_string()))?;
    imported::seal(&key, id, password).map_err(CommandError::failed)
}

/// The master key, made if there is none yet, as `run` makes it. The caller owns the data folder.
pub(super) fn key_for_import(data_dir: &Path, secrets: &Secrets) -> Result<MasterKey, CommandError> {
    let value = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.value.clone());
    let (given, previous) = (value(&secrets.master_key), value(&secrets.master_key_previous));
    MasterKey::load_or_rotate(data_dir, given, previous)
        .map(|(key, _)| key)
        .map_err(|error| CommandError::invalid(error.to_string()))
}

/// The master key that the data was made with; none is made.
pub(super) fn known_key(data_dir: &Path, secrets: &Secrets) -> Result<MasterKey, CommandError> {
    master_key(data_dir, secrets).map_err(|error| CommandError::invalid(error.to_string()))
}

fn master_key(data_dir: &Path, secrets: &Secrets) -> Result<MasterKey, KeyError> {
    let value = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.value.clone());
    MasterKey::load(
        data_dir,
        value(&secrets.master_key),
        value(&secrets.master_key_previous),
    )
}

/// Who works here, as the machine knows them.
pub(super) fn user_name() -> String {
    std::env::var("USER").unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}
