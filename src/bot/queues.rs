//! A queue for each chat, and a limit to it: one that floods loses its own messages and makes nobody wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Bot, telegram::types::Update};

/// Most updates of a chat that wait.
const WAITING: usize = 20;
/// Longest that answers may still take at the end of the process: less than what is given to all of its tasks.
const LAST: Duration = Duration::from_secs(10);

/// The queues, and those who work them off.
#[derive(Default)]
pub struct Queues {
    chats: Mutex<HashMap<i64, VecDeque<Update>>>,
    workers: TaskTracker,
    /// No further update is begun.
    closing: CancellationToken,
    /// What is being answered is broken off.
    broken_off: CancellationToken,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, VecDeque<Update>>> {
        self.chats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an update behind those of its chat. Whoever gets `false` was not taken in.
    pub fn push(self: &Arc<Self>, bot: &Arc<Bot>, account: i64, update: Update) -> bool {
        let mut chats = self.lock();
        if let Some(waiting) = chats.get_mut(&account) {
            if waiting.len() >= WAITING {
                return false;
            }
            waiting.push_back(update);
            return true;
        }
        chats.insert(account, VecDeque::from([update]));
        drop(chats);
        self.workers.spawn(work(Arc::clone(self), Arc::clone(bot), account));
        true
    }

    /// Begins something beside the chats that ends with them.
    pub fn beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.workers.spawn(async move {
            closing.run_until_cancelled(task).await;
        });
    }

    /// Ends: what is being answered is answered, and what waits is answered after the next start, for it is kept. What takes too
    /// long is broken off, and answered again then.
    pub async fn end(&self) {
        self.closing.cancel();
        self.workers.close();
        if tokio::time::timeout(LAST, self.workers.wait()).await.is_err() {
            tracing::warn!(
                left = self.workers.len(),
                "answers that do not end in time are given after the next start"
            );
            self.broken_off.cancel();
            self.workers.wait().await;
        }
    }

    /// The next one of a chat; its queue is gone when there is none, or when none is to be begun.
    fn next(&self, account: i64) -> Option<Update> {
        let mut chats = self.lock();
        let next = chats
            .get_mut(&account)
            .filter(|_| !self.closing.is_cancelled())
            .and_then(VecDeque::pop_front);
        if next.is_none() {
            chats.remove(&account);
        }
        next
    }
}

async fn work(queues: Arc<Queues>, bot: Arc<Bot>, account: i64) {
    while let Some(update) = queues.next(account) {
        let answered = async {
            bot.answer(&update).await;
            if let Err(error) = bot.memory.done(update.id).await {
                tracing::warn!(%error, "an answered update could not be noted");
            }
        };
        queues.broken_off.run_until_cancelled(answered).await;
    }
}
