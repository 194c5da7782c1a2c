//! One writer a file at a time; those who wait are served together.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    document_writer::{DocumentWriter, Edit},
    mailbox::{Reply, closed},
    object::FileKey,
};
use crate::desired::Result;

/// Something to write.
enum Job {
    /// Edits one document.
    Edit(String, Edit, Reply<()>),
    /// Everything else.
    Other(Box<dyn FnOnce(&DocumentWriter) + Send>),
}

/// Writes, and the jobs that wait, by file. A file has an entry while somebody works on it.
pub(super) struct JobQueue {
    writer: DocumentWriter,
    jobs: Mutex<HashMap<FileKey, Vec<Job>>>,
}

impl JobQueue {
    pub fn new(writer: DocumentWriter) -> Arc<Self> {
        Arc::new(Self {
            writer,
            jobs: Mutex::default(),
        })
    }

    /// Edits one document of a file.
    pub async fn edit(self: &Arc<Self>, file: FileKey, name: &str, edit: Edit) -> Result<()> {
        self.submit(file, |reply| Job::Edit(name.to_owned(), edit, reply)).await
    }

    /// Does something about a file.
    pub async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        file: FileKey,
        work: impl FnOnce(&DocumentWriter) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let job = |reply: Reply<T>| Job::Other(Box::new(move |writer| drop(reply.send(work(writer)))));
        self.submit(file, job).await
    }

    /// Queues a job, has it worked on at once if nobody works on the file, and waits for its answer.
    async fn submit<T>(self: &Arc<Self>, file: FileKey, job: impl FnOnce(Reply<T>) -> Job) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let first = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let first = !jobs.contains_key(&file);
            jobs.entry(file.clone()).or_default().push(job(reply));
            first
        };
        if first {
            let queue = self.clone();
            tokio::task::spawn_blocking(move || {
                while let Some(jobs) = queue.take(&file) {
                    queue.work(&file, jobs);
                }
            });
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    fn take(&self, file: &FileKey) -> Option<Vec<Job>> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = jobs.get_mut(file).map(mem::take).filter(|waiting| !waiting.is_empty());
        if waiting.is_none() {
            jobs.remove(file);
        }
        waiting
    }

    fn work(&self, file: &FileKey, jobs: Vec<Job>) {
        let (mut edits, mut replies) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Other(work) => work(&self.writer),
                Job::Edit(name, edit, reply) => {
                    edits.push((name, edit));
                    replies.push(reply);
                }
            }
        }
        if !edits.is_empty() {
            for (reply, answer) in replies.into_iter().zip(self.writer.edit(file, &edits)) {
                drop(reply.send(answer));
            }
        }
    }
}
