//! One writer a file at a time; those who wait are served together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    document_writer::{DocumentWriter, Edit},
    mailbox::{Found, closed},
    object::{FileKey, Notes, Root, Spec},
};
use crate::desired::{FieldManager, Result};

/// Something to write.
pub(super) enum Job {
    /// Creates an object.
    Create(
        Box<(Root, String, Spec, Notes, FieldManager)>,
        oneshot::Sender<Result<Found>>,
    ),
    /// Releases a hold.
    Release(String, oneshot::Sender<Result<()>>),
    /// Edits one document.
    Edit(String, Edit, oneshot::Sender<Result<()>>),
}

/// Jobs that wait, by file. A file has an entry while somebody works on it.
#[derive(Default)]
pub(super) struct JobQueue(Mutex<HashMap<FileKey, Vec<Job>>>);

impl JobQueue {
    /// Queues a job, and works on it at once if nobody works on the file.
    pub fn submit(self: &Arc<Self>, document_writer: &Arc<DocumentWriter>, file: FileKey, job: Job) {
        {
            let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(waiting) = jobs.get_mut(&file) {
                waiting.push(job);
                return;
            }
            jobs.insert(file.clone(), vec![job]);
        }
        let (queue, document_writer) = (self.clone(), document_writer.clone());
        tokio::task::spawn_blocking(move || {
            while let Some(jobs) = queue.take(&file) {
                work(&document_writer, &file, jobs);
            }
        });
    }

    fn take(&self, file: &FileKey) -> Option<Vec<Job>> {
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = jobs
            .get_mut(file)
            .map(std::mem::take)
            .filter(|waiting| !waiting.is_empty());
        if waiting.is_none() {
            jobs.remove(file);
        }
        waiting
    }

    /// Queues a job and waits for its answer.
    pub async fn run<T>(
        self: &Arc<Self>,
        document_writer: &Arc<DocumentWriter>,
        file: FileKey,
        job: impl FnOnce(oneshot::Sender<Result<T>>) -> Job,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.submit(document_writer, file, job(reply));
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}

fn work(document_writer: &DocumentWriter, file: &FileKey, jobs: Vec<Job>) {
    let mut edits = Vec::new();
    let mut replies = Vec::new();
    for job in jobs {
        match job {
            Job::Create(what, reply) => {
                let (root, name, spec, notes, manager) = *what;
                drop(reply.send(document_writer.create(root, &name, &spec, &notes, manager)));
            }
            Job::Release(name, reply) => drop(reply.send(document_writer.lift_hold(&name))),
            Job::Edit(name, edit, reply) => {
                edits.push((name, edit));
                replies.push(reply);
            }
        }
    }
    if !edits.is_empty() {
        for (reply, answer) in replies.into_iter().zip(document_writer.edit(file, &edits)) {
            drop(reply.send(answer));
        }
    }
}
