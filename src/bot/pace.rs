//! Telegram's limits: so many messages in all, and one a second a chat.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Time between two messages in all: 30 a second.
const ALL: Duration = Duration::from_millis(34);
/// Time between two messages in one chat.
const CHAT: Duration = Duration::from_secs(1);
/// Chats that are remembered before those which may be written to anyway are forgotten.
const CHATS: usize = 1000;

/// Gives each message its moment.
#[derive(Default)]
pub struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    all: Option<Instant>,
    chats: HashMap<i64, Instant>,
}

impl Pace {
    /// Ends when a message may be sent to this chat. A chat that has to wait makes no other one wait.
    pub async fn turn(&self, chat: i64) {
        let own = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if state.chats.len() > CHATS {
                state.chats.retain(|_, next| *next > now);
            }
            let next = state.chats.entry(chat).or_insert(now);
            let mine = (*next).max(now);
            *next = mine + CHAT;
            mine
        };
        tokio::time::sleep_until(own).await;
        // The place among all is taken only now, so that nobody waits behind one that waits for its own chat.
        let mine = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let mine = state.all.map_or(now, |next| next.max(now));
            state.all = Some(mine + ALL);
            mine
        };
        tokio::time::sleep_until(mine).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_chat_that_floods_waits_for_itself_and_no_other_one_waits_for_it() {
        let (pace, begin) = (Arc::new(Pace::default()), Instant::now());
        let flood = (0..20).map(|_| pace.turn(1));
        let flood = futures::future::join_all(flood);
        let others = futures::future::join_all((2..30).map(|chat| pace.turn(chat)));
        tokio::select! {
            _ = flood => panic!("twenty messages to one chat take nineteen seconds"),
            _ = others => assert!(begin.elapsed() <= Duration::from_secs(1), "{:?}", begin.elapsed()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn thirty_messages_a_second_go_out_and_no_more() {
        let (pace, begin) = (Pace::default(), Instant::now());
        futures::future::join_all((0..90).map(|chat| pace.turn(chat))).await;
        assert!(
            (2900..3200).contains(&begin.elapsed().as_millis()),
            "{:?}",
            begin.elapsed()
        );
    }
}
