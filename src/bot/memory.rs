//! What the bot has to know after a restart: `bot.db` in the data folder.
//!
//! An update is durable here before Telegram is told that it came, sealed, since it may hold a code. A button is gone before what it
//! stands for is done.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use getrandom::fill;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{action::Action, seal::Seal, telegram::types::Update};
use crate::{
    clock::SharedClock,
    store::{Schema, Store, StoreError},
    texts::Language,
};

/// Name of the file in the data folder.
pub const BOT_FILE: &str = "bot.db";

/// How long a button is good.
const BUTTON: SignedDuration = SignedDuration::from_mins(5);

// Times are microseconds since 1970 (UTC).
const FIRST: &str = "
CREATE TABLE updates (id INTEGER PRIMARY KEY, body TEXT) STRICT;
CREATE TABLE chats (account INTEGER PRIMARY KEY, asking TEXT, language TEXT) STRICT;
CREATE TABLE buttons (nonce TEXT PRIMARY KEY, account INTEGER NOT NULL, action TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
CREATE TABLE deletions (chat INTEGER NOT NULL, message INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (chat, message)) STRICT;
CREATE INDEX deletions_by_time ON deletions (at);
CREATE TABLE told (notice INTEGER NOT NULL, account INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (notice, account)) STRICT;
";

// By which update a button was taken.
const SECOND: &str = "ALTER TABLE buttons ADD COLUMN taken INTEGER;";

const SCHEMA: Schema = Schema {
    name: "the memory of the bot",
    application_id: 0x5650_4e42,
    steps: &[FIRST, SECOND],
    prune,
};

fn prune(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    // What was done is known by its number for as long as Telegram keeps updates, and long beyond.
    conn.execute(
        "DELETE FROM updates WHERE body IS NULL AND id < (SELECT max(id) FROM updates) - 5000",
        [],
    )?;
    conn.execute("DELETE FROM buttons WHERE until < ?1", [now.as_microsecond()])?;
    let old = now
        .checked_sub(SignedDuration::from_hours(24 * 45))
        .unwrap_or(Timestamp::MIN);
    conn.execute("DELETE FROM told WHERE at < ?1", [old.as_microsecond()])
        .map(drop)
}

/// What a chat is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asking {
    /// A corporate ID.
    Id,
    /// A code.
    Code,
}

/// What a button that is pressed stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pressed {
    /// This, and it is taken now.
    Action(Action),
    /// It was taken by this same update before: nobody knows whether what it stands for was done.
    Interrupted,
    /// Nothing, or nothing any more.
    Nothing,
}

/// A message that is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// The chat.
    pub chat: i64,
    /// The message.
    pub message: i64,
}

/// The file. Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    store: Store,
    seal: Seal,
}

impl Memory {
    /// Opens or makes the file in this folder.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open(folder: &Path, seal: Seal, clock: SharedClock) -> Result<Self, StoreError> {
        let store = Store::open_or_retry(&folder.join(BOT_FILE), SCHEMA, clock)?;
        Ok(Self { store, seal })
    }

    /// Keeps what came. Answers those that are new.
    pub(super) async fn keep(&self, updates: Vec<Update>) -> Result<Vec<Update>, StoreError> {
        let mut sealed = Vec::with_capacity(updates.len());
        for update in updates {
            let body = serde_json::to_string(&update).unwrap_or_default();
            let body = self.seal.seal(update.id, body);
            let body = body.map_err(|error| self.store.damaged(format!("an update cannot be kept: {error}")))?;
            sealed.push((update, body));
        }
        let write = move |conn: &Connection| {
            let mut fresh = Vec::new();
            for (update, body) in sealed {
                let new = conn.execute(
                    "INSERT OR IGNORE INTO updates VALUES (?1, ?2)",
                    params![update.id, body],
                )?;
                if new == 1 {
                    fresh.push(update);
                }
            }
            Ok(fresh)
        };
        self.store.write(write).await
    }

    /// What came and is not done, in its order. What cannot be read, because it was sealed with another token, is done with.
    pub(super) async fn left(&self) -> Result<Vec<Update>, StoreError> {
        let read = |conn: &Connection| {
            let mut rows = conn.prepare("SELECT id, body FROM updates WHERE body IS NOT NULL ORDER BY id")?;
            let rows = rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let mut left = Vec::new();
        for (id, body) in self.store.read(read).await? {
            let opened = self.seal.open(id, &body).ok();
            let update = opened.and_then(|body| serde_json::from_str(body.expose_secret()).ok());
            let Some(update) = update else {
                tracing::warn!(
                    update = id,
                    "a message of before cannot be read with this bot token: it is not answered"
                );
                self.done(id).await?;
                continue;
            };
            left.push(update);
        }
        Ok(left)
    }

    /// The number after the last update that is kept.
    pub(super) async fn offset(&self) -> Result<i64, StoreError> {
        let read =
            |conn: &Connection| conn.query_row("SELECT coalesce(max(id), -1) + 1 FROM updates", [], |row| row.get(0));
        self.store.read(read).await
    }

    /// An update is done; what was written in it is forgotten.
    pub(super) async fn done(&self, update: i64) -> Result<(), StoreError> {
        let write = move |conn: &Connection| {
            conn.execute("UPDATE updates SET body = NULL WHERE id = ?1", [update])
                .map(drop)
        };
        self.store.write(write).await
    }

    /// What a chat is asked for, and the language that was chosen.
    pub(super) async fn chat(&self, account: i64) -> Result<(Option<Asking>, Option<Language>), StoreError> {
        let read = move |conn: &Connection| {
            let row = conn.query_row(
                "SELECT asking, language FROM chats WHERE account = ?1",
                [account],
                |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?)),
            );
            row.optional()
        };
        let (asking, language) = self.store.read(read).await?.unwrap_or_default();
        let asking = match asking.as_deref() {
            Some("id") => Some(Asking::Id),
            Some("code") => Some(Asking::Code),
            _ => None,
        };
        Ok((asking, language.as_deref().and_then(Language::of)))
    }

    /// A chat is asked for something, or for nothing.
    pub(super) async fn ask(&self, account: i64, asking: Option<Asking>) -> Result<(), StoreError> {
        let word = asking.map(|asking| match asking {
            Asking::Id => "id",
            Asking::Code => "code",
        });
        let sql = "INSERT INTO chats (account, asking) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET asking = ?2";
        let write = move |conn: &Connection| conn.execute(sql, params![account, word]).map(drop);
        self.store.write(write).await
    }

    /// A person chose a language.
    pub(super) async fn speak(&self, account: i64, language: Language) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO chats (account, language) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET language = ?2";
        let write = move |conn: &Connection| conn.execute(sql, params![account, language.code()]).map(drop);
        self.store.write(write).await
    }

    /// Keeps what a button of this account stands for. Answers its number, which nobody can guess.
    pub(super) async fn button(&self, account: i64, action: &Action) -> Result<String, StoreError> {
        let mut random = [0_u8; 12];
        fill(&mut random).map_err(|error| self.store.damaged(format!("no random bytes: {error}")))?;
        let nonce = URL_SAFE_NO_PAD.encode(random);
        let action = serde_json::to_string(action).unwrap_or_default();
        let until = self
            .store
            .now()
            .checked_add(BUTTON)
            .unwrap_or(Timestamp::MAX)
            .as_microsecond();
        let kept = nonce.clone();
        let sql = "INSERT INTO buttons (nonce, account, action, until) VALUES (?1, ?2, ?3, ?4)";
        let write = move |conn: &Connection| conn.execute(sql, params![kept, account, action, until]).map(drop);
        self.store.write(write).await?;
        Ok(nonce)
    }

    /// Takes what a button stands for: once, for the account that it was made for, while it is good.
    pub(super) async fn press(&self, account: i64, nonce: &str, update: i64) -> Result<Pressed, StoreError> {
        let (nonce, now) = (nonce.to_owned(), self.store.now().as_microsecond());
        let write = move |conn: &Connection| {
            let sql =
                "SELECT action, taken FROM buttons WHERE nonce = ?1 AND account = ?2 AND (until > ?3 OR taken = ?4)";
            let row = conn.query_row(sql, params![nonce, account, now, update], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
            });
            let found = row.optional()?;
            if matches!(found, Some((_, None))) {
                conn.execute("UPDATE buttons SET taken = ?2 WHERE nonce = ?1", params![nonce, update])?;
            }
            Ok(found)
        };
        Ok(match self.store.write(write).await? {
            Some((action, None)) => serde_json::from_str(&action).map_or(Pressed::Nothing, Pressed::Action),
            Some((_, Some(by))) if by == update => Pressed::Interrupted,
            _ => Pressed::Nothing,
        })
    }

    /// Has a message deleted after a time.
    pub(super) async fn delete_later(&self, what: Deletion, after: SignedDuration) -> Result<(), StoreError> {
        let at = self
            .store
            .now()
            .checked_add(after)
            .unwrap_or(Timestamp::MAX)
            .as_microsecond();
        let sql = "INSERT OR REPLACE INTO deletions VALUES (?1, ?2, ?3)";
        let write = move |conn: &Connection| conn.execute(sql, params![what.chat, what.message, at]).map(drop);
        self.store.write(write).await
    }

    /// Messages whose time has come.
    pub(super) async fn due(&self) -> Result<Vec<Deletion>, StoreError> {
        let now = self.store.now().as_microsecond();
        let read = move |conn: &Connection| {
            let mut rows = conn.prepare("SELECT chat, message FROM deletions WHERE at <= ?1 ORDER BY at LIMIT 20")?;
            let rows = rows.query_map([now], |row| {
                Ok(Deletion {
                    chat: row.get(0)?,
                    message: row.get(1)?,
                })
            })?;
            rows.collect()
        };
        self.store.read(read).await
    }

    /// A message is deleted, or cannot be.
    pub(super) async fn deleted(&self, what: Deletion) -> Result<(), StoreError> {
        let sql = "DELETE FROM deletions WHERE chat = ?1 AND message = ?2";
        let write = move |conn: &Connection| conn.execute(sql, params![what.chat, what.message]).map(drop);
        self.store.write(write).await
    }

    /// Notes that an account is being told a notice; whether it was not noted before.
    pub(super) async fn tell(&self, notice: i64, account: i64) -> Result<bool, StoreError> {
        let now = self.store.now().as_microsecond();
        let sql = "INSERT OR IGNORE INTO told VALUES (?1, ?2, ?3)";
        let write = move |conn: &Connection| conn.execute(sql, params![notice, account, now]);
        Ok(self.store.write(write).await? == 1)
    }

    /// Telegram did not take the notice.
    pub(super) async fn untold(&self, notice: i64, account: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM told WHERE notice = ?1 AND account = ?2";
        let write = move |conn: &Connection| conn.execute(sql, params![notice, account]).map(drop);
        self.store.write(write).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::telegram::types::{Incoming, Person},
        *,
    };
    use crate::clock::SystemClock;

    const CODE: &str = "12345678";

    fn open(folder: &Path, token: &str) -> Memory {
        Memory::open(folder, Seal::of_token(&token.into()), Arc::new(SystemClock)).unwrap()
    }

    fn update(id: i64) -> Update {
        let person = Person {
            account: 42,
            name: "@anna".to_owned(),
            language: None,
        };
        Update {
            id,
            what: Incoming::Text {
                person,
                text: CODE.to_owned(),
                message: 1,
                forwarded: false,
            },
        }
    }

    #[tokio::test]
    async fn what_people_write_is_there_after_a_restart_and_stands_in_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let memory = open(folder.path(), "1:token");
        assert_eq!(memory.keep(vec![update(1), update(2)]).await.unwrap().len(), 2);
        assert_eq!(
            memory.keep(vec![update(2), update(3)]).await.unwrap().len(),
            1,
            "one of them came before"
        );
        memory.done(1).await.unwrap();
        let mut files = 0;
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            files += 1;
            for secret in [CODE, "anna"] {
                assert!(
                    !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
                    "{secret}"
                );
            }
        }
        assert!(files > 0);
        drop(memory);
        let memory = open(folder.path(), "1:token");
        let left = memory.left().await.unwrap();
        assert_eq!(left.iter().map(|update| update.id).collect::<Vec<_>>(), [2, 3]);
        assert!(matches!(&left[0].what, Incoming::Text { text, .. } if text == CODE));
        assert_eq!(memory.offset().await.unwrap(), 4);
    }

    #[tokio::test]
    async fn with_another_token_what_came_before_is_done_with() {
        let folder = tempfile::tempdir().unwrap();
        let memory = open(folder.path(), "1:token");
        memory.keep(vec![update(1)]).await.unwrap();
        drop(memory);
        let memory = open(folder.path(), "2:other");
        assert_eq!(memory.left().await.unwrap().len(), 0);
        drop(memory);
        assert_eq!(
            open(folder.path(), "1:token").left().await.unwrap().len(),
            0,
            "it does not come back"
        );
    }

    #[tokio::test]
    async fn a_button_counts_once_and_for_its_account_alone() {
        let folder = tempfile::tempdir().unwrap();
        let memory = open(folder.path(), "1:token");
        let nonce = memory.button(42, &Action::Rotate).await.unwrap();
        assert_eq!(memory.press(7, &nonce, 1).await.unwrap(), Pressed::Nothing);
        assert_eq!(memory.press(42, "another", 2).await.unwrap(), Pressed::Nothing);
        assert_eq!(
            memory.press(42, &nonce, 3).await.unwrap(),
            Pressed::Action(Action::Rotate)
        );
        assert_eq!(memory.press(42, &nonce, 4).await.unwrap(), Pressed::Nothing);
        drop(memory);
        let memory = open(folder.path(), "1:token");
        assert_eq!(
            memory.press(42, &nonce, 3).await.unwrap(),
            Pressed::Interrupted,
            "the same update again"
        );
        assert_eq!(memory.press(42, &nonce, 5).await.unwrap(), Pressed::Nothing);
    }
}
