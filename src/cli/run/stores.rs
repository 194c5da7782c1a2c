//! Opens the files of the data folder. One that cannot be used stands in nobody's way, unless a newer version wrote it.

use std::{path::Path, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::{RunError, source::Source};
use crate::{
    access::{Ids, LinkDesk, LinkSettings},
    clock::SharedClock,
    config::Config,
    credentials::MasterKey,
    handover::{HANDOVER_FILE, Handovers},
    history::{History, HistoryError},
    linking::{LINKING_FILE, Linking},
    mail::{Post, Smtp},
    reconcile::core::Core,
    registry::{REGISTRY_FILE, Registrar, Registry, draw::SystemDraw},
    roster::Roster,
    verdicts::{GUARD_FILE, VerdictStore},
};

/// The corporate IDs, over their registry.
pub fn open_ids(data: &Path, source: &Source, clock: &SharedClock) -> Result<Arc<Ids>, RunError> {
    let registry = open_registry(data, clock)?;
    let registrar = Registrar::new(registry, source.id_claims(), Arc::new(SystemDraw));
    Ok(Arc::new(Ids::new(registrar)))
}

/// One that cannot be opened stands in nobody's way.
fn open_registry(data: &Path, clock: &SharedClock) -> Result<Registry, RunError> {
    let registry = Registry::open_or_retry(&data.join(REGISTRY_FILE), Arc::clone(clock))?;
    if let Some(error) = registry.last_error() {
        tracing::error!(%error, "starting without the registry of corporate IDs: none are issued, logins and denials work");
    }
    Ok(registry)
}

/// The guard's store, and the roster with its limits and what it decided before.
pub fn open_guard(config: &Config, roster: &Roster, clock: &SharedClock) -> Arc<VerdictStore> {
    let path = config.state.data_dir.join(GUARD_FILE);
    let (verdicts, memory) = VerdictStore::open(&path, Arc::clone(clock), config.guard.window());
    roster.set_limits(config.guard.clone());
    roster.restore(memory);
    Arc::new(verdicts)
}

/// A database of a newer version stops the start; any other trouble must not keep auth from answering.
pub fn open_history(path: &Path, key: &MasterKey, clock: &SharedClock) -> Result<History, RunError> {
    // Every operator that acted in this folder has a memory of the guard.
    let was_used = path.with_file_name(GUARD_FILE).exists();
    if was_used && std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        tracing::error!(
            path = %path.display(),
            "the history is missing or empty although this data folder was used before: the audit begins anew, and traffic counts from \
             what was reported last; stop the operator and put a backup back if that is not meant"
        );
    }
    let history = History::open_or_retry(path, key.audit_keys(), Arc::clone(clock))?;
    match history.last_error() {
        Some(error @ HistoryError::Newer { .. }) => return Err(error.into()),
        Some(error) => tracing::error!(%error, "starting without history: grants are refused, logins and denials work"),
        None => {}
    }
    Ok(history)
}

/// The links that are handed over. A file that cannot be opened stands in nobody's way.
pub fn open_handovers(data: &Path, key: &MasterKey, clock: &SharedClock) -> Result<Handovers, RunError> {
    let handovers = Handovers::open_or_retry(&data.join(HANDOVER_FILE), key.handover_key(), Arc::clone(clock))?;
    if let Some(error) = handovers.last_error() {
        tracing::error!(%error, "starting without the handed-over links: logins and denials work");
    }
    Ok(handovers)
}

/// The desk at which Telegram accounts are linked. A file that cannot be opened stands in nobody's way.
pub fn link_desk(
    config: &Config,
    key: &MasterKey,
    core: &Arc<Core>,
    closing: &CancellationToken,
) -> Result<Arc<LinkDesk>, RunError> {
    let path = config.state.data_dir.join(LINKING_FILE);
    let (keys, limits) = (key.link_code_key(), config.linking.limits());
    let linking = Linking::open_or_retry(&path, keys, limits, Arc::clone(&core.clock))?;
    if let Some(error) = linking.last_error() {
        tracing::error!(%error, "starting without the links to Telegram accounts: logins and denials work");
    }
    let post = config.mail.as_ref().map(Smtp::new).transpose()?;
    let usage = Arc::clone(&core.usage);
    Ok(LinkDesk::new(
        linking,
        Arc::clone(&core.linked),
        Arc::new(move |account| usage.usage(account)),
        Arc::clone(&core.metrics),
        LinkSettings {
            post: post.map(|post| Arc::new(post) as Arc<dyn Post>),
            title: crate::http::Settings::default().title,
            closing: closing.clone(),
        },
    ))
}
