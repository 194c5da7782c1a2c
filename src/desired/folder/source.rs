//! The folder as [`DesiredState`].

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use kube::ResourceExt as _;
use notify::{INotifyWatcher, Watcher as _};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    document_writer::{DocumentWriter, Edit, SyncFile, own_file},
    event_sender::{EventReceiver, streams},
    files,
    mailbox::{Bulk, Found, Mailbox, Urgent, closed},
    message_loop,
    object::{Assemble, Kind, Notes, Root, Spec, assemble},
    object_store::ObjectStore,
    queue::JobQueue,
    record::{self, Writer},
    scan::Digests,
    scanner,
    shared::Shared,
    source_status::SourceStatus,
    walk::Roots,
    wishes::{Scanner, Signal},
    writers::Writers,
};
use crate::{
    clock::SharedClock,
    desired::{DesiredError, DesiredState, FieldManager, HoldNotes, Result, SourceHealth, UserPatch, Version, Watches},
    model::{
        gateway::{VpnGateway, VpnGatewayStatus},
        hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
        hr::HrMarksPatch,
        user::{VpnUser, VpnUserSpec, VpnUserStatus},
    },
};

/// How often a change follows an object that moves between files.
const ATTEMPTS: usize = 3;

/// Settings of a folder source.
#[derive(Clone)]
pub struct FolderOptions {
    /// The folder that people write.
    pub root: PathBuf,
    /// Where the operator keeps its record (`desired.db`) and its own holds (`holds/`).
    pub data_dir: PathBuf,
    /// How long the last known state is served when the folder cannot be read at start.
    pub last_known_max_age: Duration,
    /// The clock.
    pub clock: SharedClock,
    /// Pause between walks that look at the metadata of every file, for what file events miss.
    pub rescan_interval: Duration,
}

/// A folder of YAML documents as the source of desired state.
///
/// One process owns the data folder. Loading begins with [`FolderSource::open`]; changes are seen while
/// [`FolderSource::run`] runs. Status and new objects are recorded within a fraction of a second after the call that
/// brought them (they can be derived again); files, and tombstones, before anybody hears of them, but for the operator's own holds,
/// which deny at once and are durable when the call returns.
pub struct FolderSource {
    shared: Arc<Shared>,
    scanner: Scanner,
    queue: Arc<JobQueue>,
    events: EventReceiver,
    writer: Writer,
    rescan_interval: Duration,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl FolderSource {
    /// Opens the record and begins to load the folder on threads of its own. A folder that cannot be read is no error:
    /// see [`DesiredState::health`]. Blocks for a moment; the load goes on after the return.
    ///
    /// # Errors
    /// The data folder or the record in it cannot be used.
    pub fn open(options: FolderOptions) -> Result<Arc<Self>> {
        Self::open_with(options, Arc::new(files::sync))
    }

    fn open_with(options: FolderOptions, sync: SyncFile) -> Result<Arc<Self>> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| DesiredError::Unavailable(format!("{path}: {error}"))
        };
        let people = std::path::absolute(&options.root).map_err(failed(&options.root))?;
        let data = std::path::absolute(&options.data_dir).map_err(failed(&options.data_dir))?;
        let own = data.join("holds");
        if own.starts_with(&people) {
            return Err(DesiredError::Invalid(format!(
                "the data folder {} is inside the folder of people's files {}: choose another place for it",
                data.display(),
                people.display()
            )));
        }
        fs::create_dir_all(&own).map_err(failed(&own))?;
        let shared = Arc::new(Shared {
            clock: options.clock.clone(),
            loaded: AtomicBool::new(false),
            roots: Roots::new(people, own, None),
            source_status: SourceStatus::default(),
            mailbox: Mailbox::default(),
            digests: Digests::default(),
            writers: Writers::default(),
        });
        let (sender, events) = streams();
        let record = record::open(&data, options.clock)?;
        let writer = record.writer.clone();
        let no_thread = |error: io::Error| DesiredError::Unavailable(format!("no thread can be had: {error}"));
        let (scanner, scanning) = scanner::start(shared.clone()).map_err(no_thread)?;
        let max_age = options.last_known_max_age;
        let object_store = ObjectStore::new(shared.clone(), sender, record, scanner.clone(), max_age);
        let keeping = thread::Builder::new()
            .name("folder-objects".into())
            .spawn(move || message_loop::run(object_store))
            .inspect_err(|_| scanner.tell(Signal::Stop))
            .map_err(no_thread)?;
        let document_writer = DocumentWriter {
            shared: shared.clone(),
            sync,
        };
        Ok(Arc::new(Self {
            shared,
            scanner,
            queue: JobQueue::new(document_writer),
            events,
            writer,
            rescan_interval: options.rescan_interval,
            threads: Mutex::new(vec![keeping, scanning]),
        }))
    }

    /// Watches the folder until cancelled; everything given to the record so far is durable then. Reads and writes
    /// through [`DesiredState`] work before and after.
    ///
    /// # Errors
    /// Watching ended by itself.
    pub async fn run(&self, cancel: CancellationToken) -> Result<()> {
        let (watching, mut ended) = oneshot::channel();
        let rest = RestOnDrop(self.scanner.clone());
        // Its thread has the niceness of the one that makes it, which is not that of reading in bulk.
        let told = self.scanner.clone();
        let hear = move |event| told.tell(Signal::Notify(event));
        let notify = INotifyWatcher::new(hear, notify::Config::default()).ok();
        self.scanner.tell(Signal::Watch(self.rescan_interval, notify, watching));
        tokio::select! {
            () = cancel.cancelled() => {
                drop(rest);
                // It ends by an error: nothing is sent.
                _ = ended.await;
            }
            _ = &mut ended => {
                return Err(DesiredError::Unavailable("the folder is not watched any more".to_owned()));
            }
        }
        let (done, wait) = oneshot::channel();
        self.writer.flush(Box::new(move || _ = done.send(())));
        drop(wait.await);
        Ok(())
    }

    async fn find(&self, kind: Kind, name: &str) -> Result<Option<Found>> {
        self.shared
            .mailbox
            .ask_async(|reply| Urgent::Get(kind, name.to_owned(), reply))
            .await
    }

    async fn create<K: Assemble>(
        &self,
        root: Root,
        name: &str,
        spec: Spec,
        notes: Notes,
        manager: FieldManager,
    ) -> Result<K> {
        let (file, name) = (own_file(root, name), name.to_owned());
        let work = move |writer: &DocumentWriter| writer.create(root, &name, &spec, &notes, manager);
        object(&self.queue.run(file, work).await?)
    }

    /// Edits a user's document, wherever it is.
    async fn edit(&self, name: &str, edit: Edit) -> Result<()> {
        let missing = || DesiredError::not_found(Kind::VpnUser, name);
        for attempt in 1.. {
            let found = self.find(Kind::VpnUser, name).await?.ok_or_else(missing)?;
            if found.row.deleted.is_some() {
                return match edit {
                    Edit::Delete => Ok(()),
                    Edit::Patch(_) => Err(missing()),
                };
            }
            let file = found.row.file.clone();
            let done = self.queue.edit(file, name, edit.clone()).await;
            if !matches!(done, Err(DesiredError::NotFound { .. })) {
                return done;
            }
            // The document is not in its file any more; perhaps it is in another by now.
            if attempt == ATTEMPTS {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let message = "its document is not where it was: it is being moved or removed";
        Err(DesiredError::conflict(Kind::VpnUser, name, message))
    }

    async fn report(&self, kind: Kind, name: &str, status: &(impl Serialize + Sync)) -> Result<Version> {
        let status = serde_json::to_string(status).map_err(|error| DesiredError::Invalid(error.to_string()))?;
        let (reply, answer) = oneshot::channel();
        self.shared
            .mailbox
            .bulk(Bulk::Report(kind, name.to_owned(), status, reply));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn release(&self, kind: Kind, name: &str) -> Result<()> {
        self.shared
            .mailbox
            .ask_async(|reply| Urgent::Release(kind, name.to_owned(), reply))
            .await
    }
}

/// Ends the watching, also when its future is dropped half-way.
struct RestOnDrop(Scanner);

impl Drop for RestOnDrop {
    fn drop(&mut self) {
        self.0.tell(Signal::Rest);
    }
}

fn object<K: Assemble>(found: &Found) -> Result<K> {
    assemble(&found.row).map_err(|error| DesiredError::Unavailable(format!("the record is not understood: {error}")))
}

impl Drop for FolderSource {
    fn drop(&mut self) {
        self.shared.mailbox.close();
        self.scanner.tell(Signal::Stop);
        for thread in std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner)) {
            drop(thread.join());
        }
    }
}

#[async_trait]
impl DesiredState for FolderSource {
    fn watch(&self) -> Watches {
        self.events.take()
    }

    fn health(&self) -> SourceHealth {
        self.shared.source_status.health(self.writer.problems())
    }

    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        self.find(Kind::VpnUser, name).await?.as_ref().map(object).transpose()
    }

    async fn place(&self, kind: Kind, name: &str) -> Option<String> {
        let found = self.find(kind, name).await.ok()??;
        Some(found.row.file.path.to_string())
    }

    async fn scrub(&self) -> Result<()> {
        self.writer.scrub().await
    }

    async fn create_user(&self, name: &str, spec: VpnUserSpec, manager: FieldManager) -> Result<VpnUser> {
        let spec = Spec::User(Box::new(spec));
        self.create(Root::People, name, spec, Notes::default(), manager).await
    }

    async fn patch_user(&self, name: &str, patch: UserPatch, _: FieldManager) -> Result<VpnUser> {
        let marks = patch.hr;
        if patch.changes_spec() || marks == HrMarksPatch::default() {
            self.edit(name, Edit::Patch(patch)).await?;
        }
        if marks != HrMarksPatch::default() {
            self.shared
                .mailbox
                .ask_async(|reply| Urgent::Mark(name.to_owned(), marks, reply))
                .await?;
        }
        let user = self.get_user(name).await?;
        user.ok_or_else(|| DesiredError::not_found(Kind::VpnUser, name))
    }

    async fn delete_user(&self, name: &str, _: FieldManager) -> Result<()> {
        self.edit(name, Edit::Delete).await
    }

    async fn create_hold(
        &self,
        name: &str,
        spec: VpnHoldSpec,
        notes: HoldNotes<'_>,
        manager: FieldManager,
    ) -> Result<VpnHold> {
        let notes = Notes {
            annotations: notes.annotations(),
            ..Notes::default()
        };
        let spec = Spec::Hold(Box::new(spec));
        self.create(Root::Own, name, spec, notes, manager).await
    }

    async fn lift_hold(&self, name: &str, _: FieldManager) -> Result<()> {
        let (file, name) = (own_file(Root::Own, name), name.to_owned());
        self.queue.run(file, move |writer| writer.lift_hold(&name)).await
    }

    async fn report_user(&self, user: &VpnUser, status: VpnUserStatus) -> Result<Version> {
        self.report(Kind::VpnUser, &user.name_any(), &status).await
    }

    async fn report_hold(&self, hold: &VpnHold, status: VpnHoldStatus) -> Result<()> {
        self.report(Kind::VpnHold, &hold.name_any(), &status).await.map(drop)
    }

    async fn report_gateway(&self, gateway: &VpnGateway, status: VpnGatewayStatus) -> Result<()> {
        self.report(Kind::VpnGateway, &gateway.name_any(), &status)
            .await
            .map(drop)
    }

    // Objects of the folder are born with the finalizer.
    async fn add_user_finalizer(&self, _: &VpnUser) -> Result<()> {
        Ok(())
    }

    async fn add_hold_finalizer(&self, _: &VpnHold) -> Result<()> {
        Ok(())
    }

    async fn add_gateway_finalizer(&self, _: &VpnGateway) -> Result<()> {
        Ok(())
    }

    async fn delete_gateway(&self, name: &str) -> Result<()> {
        let message = "gateways are declared by people only: remove its document";
        Err(DesiredError::not_editable(name, message))
    }

    async fn remove_user_finalizer(&self, name: &str) -> Result<()> {
        self.release(Kind::VpnUser, name).await
    }

    async fn remove_hold_finalizer(&self, name: &str) -> Result<()> {
        self.release(Kind::VpnHold, name).await
    }

    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()> {
        self.release(Kind::VpnGateway, name).await
    }
}

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;
