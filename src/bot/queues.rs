//! A queue for each chat, and a limit to it: one that floods loses its own messages and makes nobody wait.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Bot, telegram::types::Update};

/// Most updates of a chat that wait.
const WAITING: usize = 20;

/// The queues.
#[derive(Default)]
pub struct Queues(Mutex<HashMap<i64, VecDeque<Update>>>);

impl Queues {
    fn lock(&self) -> MutexGuard<'_, HashMap<i64, VecDeque<Update>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        tokio::spawn(work(Arc::clone(self), Arc::clone(bot), account));
        true
    }

    /// The next one of a chat; its queue is gone when there is none.
    fn next(&self, account: i64) -> Option<Update> {
        let mut chats = self.lock();
        let next = chats.get_mut(&account).and_then(VecDeque::pop_front);
        if next.is_none() {
            chats.remove(&account);
        }
        next
    }
}

async fn work(queues: Arc<Queues>, bot: Arc<Bot>, account: i64) {
    while let Some(update) = queues.next(account) {
        bot.answer(&update).await;
        if let Err(error) = bot.memory.done(update.id).await {
            tracing::warn!(%error, "an answered update could not be noted");
        }
    }
}
