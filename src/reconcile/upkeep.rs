//! Small loops beside the reconciler: what gateways learned, the guard's memory, and gauges.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use crate::roster::guard::GuardState;

/// Accounts about which gateways learned something.
pub type Learned = mpsc::UnboundedReceiver<HashSet<String>>;

/// How often gauges are set.
const GAUGES: Duration = Duration::from_secs(1);

/// Queues the users whose accounts a gateway learned something about, until `cancel`.
pub async fn completions(ctx: Arc<Core>, mut learned: Learned, cancel: CancellationToken) {
    loop {
        let accounts = tokio::select! {
            () = cancel.cancelled() => return,
            accounts = learned.recv() => accounts,
        };
        let Some(accounts) = accounts else { return };
        for account in accounts {
            if let Some(user) = ctx.roster.person_by_account(&account).and_then(|person| person.user) {
                ctx.queue.push(&user, &ctx.namespace);
            }
        }
    }
}

/// What the guard knew when the process ended; the default if there is no such file.
///
/// # Errors
/// The file is there and cannot be read: starting without it could let through what was held back.
pub fn load_guard(path: &Path) -> Result<GuardState, String> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            format!(
                "{} is damaged ({error}): restore it, or remove it to start afresh",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(GuardState::default()),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}

/// Keeps what the guard knows in a file, until `cancel`, and says how far that is in [`Core::guard_kept`].
pub async fn keep_guard(ctx: Arc<Core>, path: PathBuf, cancel: CancellationToken) {
    let mut changes = ctx.roster.guard_changes();
    loop {
        tokio::select! {
            () = cancel.cancelled() => {}
            changed = changes.changed() => if changed.is_err() { return },
        }
        // What changed last is kept also when the end was told at the same moment.
        let version = *changes.borrow_and_update();
        if version > *ctx.guard_kept.borrow() {
            let state = ctx.roster.guard_state();
            let target = path.clone();
            let written = tokio::task::spawn_blocking(move || save_guard(&target, &state)).await;
            match written.map_err(std::io::Error::other).flatten() {
                Ok(()) => drop(ctx.guard_kept.send_replace(version)),
                Err(error) => {
                    tracing::error!(%error, path = %path.display(), "what the guard holds back cannot be kept over a restart");
                }
            }
        }
        if cancel.is_cancelled() {
            return;
        }
    }
}

fn save_guard(path: &Path, state: &GuardState) -> std::io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    serde_json::to_writer(&mut file, state)?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Sets gauges until `cancel`.
pub async fn gauges(ctx: Arc<Core>, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(GAUGES);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let guard = ctx.roster.guard();
        ctx.metrics.users(&ctx.roster.counts());
        ctx.metrics.guard(guard.pending.len(), guard.limit);
        let source = ctx.desired.health();
        ctx.metrics.source(source.problems.len(), source.unreadable_since);
        ctx.metrics.leading(ctx.fence.is_open());
        ctx.metrics.history_failing(ctx.history.last_error().is_some());
        ctx.metrics.queue_depth(ctx.backoff.len());
        for gateway in ctx.gateways.all() {
            for node in gateway.health() {
                ctx.metrics
                    .node_up(&node.node.0, node.error.is_none() && node.polled_at.is_some());
            }
        }
    }
}
