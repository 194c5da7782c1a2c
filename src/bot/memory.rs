//! What the bot has to know after a restart: `bot.db` in the data folder.
//!
//! An update is durable here before Telegram is told that it came. A button is gone before what it stands for is done.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use getrandom::fill;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{action::Action, telegram::types::Update};
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

const SCHEMA: Schema = Schema {
    name: "the memory of the bot",
    application_id: 0x5650_4e42,
    steps: &[FIRST],
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
}

impl Memory {
    /// Opens or makes the file in this folder.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open(folder: &Path, clock: SharedClock) -> Result<Self, StoreError> {
        let store = Store::open_or_retry(&folder.join(BOT_FILE), SCHEMA, clock)?;
        Ok(Self { store })
    }

    /// Keeps what came. Answers those that are new.
    pub(super) async fn keep(&self, updates: Vec<Update>) -> Result<Vec<Update>, StoreError> {
        let write = move |conn: &Connection| {
            let mut fresh = Vec::new();
            for update in updates {
                let body = serde_json::to_string(&update).unwrap_or_default();
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

    /// What came and is not done, in its order.
    pub(super) async fn left(&self) -> Result<Vec<Update>, StoreError> {
        let read = |conn: &Connection| {
            let mut rows = conn.prepare("SELECT body FROM updates WHERE body IS NOT NULL ORDER BY id")?;
            let rows = rows.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = self.store.read(read).await?;
        Ok(rows.iter().filter_map(|body| serde_json::from_str(body).ok()).collect())
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
        let sql = "INSERT INTO buttons VALUES (?1, ?2, ?3, ?4)";
        let write = move |conn: &Connection| conn.execute(sql, params![kept, account, action, until]).map(drop);
        self.store.write(write).await?;
        Ok(nonce)
    }

    /// Takes what a button stands for: once, for the account that it was made for, while it is good.
    pub(super) async fn press(&self, account: i64, nonce: &str) -> Result<Option<Action>, StoreError> {
        let (nonce, now) = (nonce.to_owned(), self.store.now().as_microsecond());
        let sql = "DELETE FROM buttons WHERE nonce = ?1 AND account = ?2 RETURNING action, until";
        let write = move |conn: &Connection| {
            let row = conn.query_row(sql, params![nonce, account], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            });
            row.optional()
        };
        let taken = self.store.write(write).await?.filter(|(_, until)| now < *until);
        Ok(taken.and_then(|(action, _)| serde_json::from_str(&action).ok()))
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
