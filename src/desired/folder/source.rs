//! The folder as [`DesiredState`].

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use kube::ResourceExt as _;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    document_writer::{DocumentWriter, Edit, SyncFile},
    event_sender::{EventReceiver, streams},
    files,
    mailbox::{Bulk, Found, Mailbox, Urgent, closed},
    message_loop,
    object::{Assemble, FileKey, Kind, Notes, Root, Spec, assemble},
    object_store::{Dependencies, ObjectStore},
    queue::{Job, JobQueue},
    record::{self, Record, Writer},
    scan::Digests,
    scanner::{self, Scanner},
    source_status::SourceStatus,
    walk::Roots,
    watch,
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
    roots: Arc<Roots>,
    source_status: Arc<SourceStatus>,
    mailbox: Arc<Mailbox>,
    scanner: Mutex<Option<Scanner>>,
    writers: Arc<Writers>,
    document_writer: Arc<DocumentWriter>,
    queue: Arc<JobQueue>,
    events: EventReceiver,
    writer: Writer,
    options: FolderOptions,
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
        let roots = Arc::new(Roots::new(people, own, None));
        let source_status = Arc::new(SourceStatus::default());
        let mailbox = Arc::new(Mailbox::default());
        let digests = Digests::default();
        let writers = Arc::new(Writers::default());
        let (sender, events) = streams();
        let Record { reader, writer } = record::open(&data, options.clock.clone())?;
        let no_thread = |error: io::Error| DesiredError::Unavailable(format!("no thread can be had: {error}"));
        let (scanner, scanning) = scanner::start(roots.clone(), digests.clone(), mailbox.clone()).map_err(no_thread)?;
        let object_store = ObjectStore::new(Dependencies {
            clock: options.clock.clone(),
            roots: roots.clone(),
            source_status: source_status.clone(),
            out: sender,
            reader,
            writer: writer.clone(),
            digests: digests.clone(),
            mailbox: mailbox.clone(),
            scanner: scanner.clone(),
            writers: writers.clone(),
            last_known_max_age: options.last_known_max_age,
        });
        let keeping = thread::Builder::new()
            .name("folder-objects".into())
            .spawn(move || message_loop::run(object_store))
            .map_err(no_thread)?;
        let document_writer = Arc::new(DocumentWriter {
            roots: roots.clone(),
            digests,
            mailbox: mailbox.clone(),
            clock: options.clock.clone(),
            sync,
        });
        Ok(Arc::new(Self {
            roots,
            source_status,
            mailbox,
            scanner: Mutex::new(Some(scanner)),
            writers,
            document_writer,
            queue: Arc::default(),
            events,
            writer,
            options,
            threads: Mutex::new(vec![keeping, scanning]),
        }))
    }

    /// Watches the folder until cancelled; everything given to the record so far is durable then. Reads and writes
    /// through [`DesiredState`] work before and after.
    ///
    /// # Errors
    /// Watching ended by itself.
    pub async fn run(&self, cancel: CancellationToken) -> Result<()> {
        let scanner = self
            .scanner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(closed)?;
        let dependencies = watch::Dependencies {
            roots: self.roots.clone(),
            source_status: self.source_status.clone(),
            mailbox: self.mailbox.clone(),
            scanner,
            writers: self.writers.clone(),
            clock: self.options.clock.clone(),
            rescan_interval: self.options.rescan_interval,
        };
        let (sender, signals) = mpsc::channel();
        let stop = StopOnDrop(sender.clone());
        let mut watching = tokio::task::spawn_blocking(move || watch::run(dependencies, &signals, sender));
        tokio::select! {
            () = cancel.cancelled() => {
                drop(stop);
                drop(watching.await);
            }
            _ = &mut watching => {
                return Err(DesiredError::Unavailable("the folder is not watched any more".to_owned()));
            }
        }
        let (done, wait) = oneshot::channel();
        self.writer.flush(Box::new(move || _ = done.send(())));
        drop(wait.await);
        Ok(())
    }

    async fn find(&self, kind: Kind, name: &str) -> Result<Option<Found>> {
        self.mailbox
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
        let file = FileKey {
            root,
            path: format!("{name}.yaml").into(),
        };
        let what = Box::new((root, name.to_owned(), spec, notes, manager));
        let found = self
            .queue
            .run(&self.document_writer, file, |reply| Job::Create(what, reply))
            .await?;
        object(&found)
    }

    /// Edits a user's document, wherever it is.
    async fn edit(&self, name: &str, edit: Edit) -> Result<()> {
        let missing = || DesiredError::NotFound {
            kind: Kind::User.as_str(),
            name: name.to_owned(),
        };
        for attempt in 1.. {
            let found = self.find(Kind::User, name).await?.ok_or_else(missing)?;
            if found.row.deleted.is_some() {
                return match edit {
                    Edit::Delete => Ok(()),
                    Edit::Patch(_) => Err(missing()),
                };
            }
            let file = found.row.file.clone();
            let done = self
                .queue
                .run(&self.document_writer, file, |reply| {
                    Job::Edit(name.to_owned(), edit.clone(), reply)
                })
                .await;
            if !matches!(done, Err(DesiredError::NotFound { .. })) {
                return done;
            }
            // The document is not in its file any more; perhaps it is in another by now.
            if attempt == ATTEMPTS {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(DesiredError::Conflict {
            kind: Kind::User.as_str(),
            name: name.to_owned(),
            message: "its document is not where it was: it is being moved or removed".to_owned(),
        })
    }

    async fn report(&self, kind: Kind, name: &str, status: &(impl Serialize + Sync)) -> Result<Version> {
        let status = serde_json::to_string(status).map_err(|error| DesiredError::Invalid(error.to_string()))?;
        let (reply, answer) = oneshot::channel();
        self.mailbox.bulk(Bulk::Report(kind, name.to_owned(), status, reply));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn release(&self, kind: Kind, name: &str) -> Result<()> {
        self.mailbox
            .ask_async(|reply| Urgent::Release(kind, name.to_owned(), reply))
            .await
    }
}

/// Ends the watching thread, also when its future is dropped half-way.
struct StopOnDrop(mpsc::Sender<watch::Signal>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        // A thread that has ended needs no signal.
        drop(self.0.send(watch::Signal::Stop));
    }
}

fn object<K: Assemble>(found: &Found) -> Result<K> {
    assemble(&found.row).map_err(|error| DesiredError::Unavailable(format!("the record is not understood: {error}")))
}

impl Drop for FolderSource {
    fn drop(&mut self) {
        self.mailbox.close();
        drop(self.scanner.lock().unwrap_or_else(PoisonError::into_inner).take());
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
        self.source_status.health(self.writer.problems())
    }

    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        self.find(Kind::User, name).await?.as_ref().map(object).transpose()
    }

    async fn place(&self, kind: crate::model::Kind, name: &str) -> Option<String> {
        let kind = Kind::ALL.into_iter().find(|own| own.model() == kind)?;
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
            self.mailbox
                .ask_async(|reply| Urgent::Mark(name.to_owned(), marks, reply))
                .await?;
        }
        self.get_user(name).await?.ok_or_else(|| DesiredError::NotFound {
            kind: Kind::User.as_str(),
            name: name.to_owned(),
        })
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
        let file = FileKey {
            root: Root::Own,
            path: format!("{name}.yaml").into(),
        };
        self.queue
            .run(&self.document_writer, file, |reply| {
                Job::Release(name.to_owned(), reply)
            })
            .await
    }

    async fn report_user(&self, user: &VpnUser, status: VpnUserStatus) -> Result<Version> {
        self.report(Kind::User, &user.name_any(), &status).await
    }

    async fn report_hold(&self, hold: &VpnHold, status: VpnHoldStatus) -> Result<()> {
        self.report(Kind::Hold, &hold.name_any(), &status).await.map(drop)
    }

    async fn report_gateway(&self, gateway: &VpnGateway, status: VpnGatewayStatus) -> Result<()> {
        self.report(Kind::Gateway, &gateway.name_any(), &status).await.map(drop)
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
        Err(DesiredError::NotEditable {
            name: name.to_owned(),
            message: "gateways are declared by people only: remove its document".to_owned(),
        })
    }

    async fn remove_user_finalizer(&self, name: &str) -> Result<()> {
        self.release(Kind::User, name).await
    }

    async fn remove_hold_finalizer(&self, name: &str) -> Result<()> {
        self.release(Kind::Hold, name).await
    }

    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()> {
        self.release(Kind::Gateway, name).await
    }
}

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;
