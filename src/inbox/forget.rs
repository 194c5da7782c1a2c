//! Taking what is said of a person out of the inbox.

use rusqlite::{Connection, params};

use super::Inbox;
use crate::store::StoreError;

/// What became of the events about a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForgottenEvents {
    /// Events that were emptied now.
    pub emptied: u64,
    /// Events that are still to be carried out, or to be decided about by a person: they are kept as they are.
    pub waiting: u64,
}

impl Inbox {
    /// Takes the bodies of events about a person out, and what was said about them. What tells a copy of an event, when it came and
    /// what became of it stays, so that no copy is carried out again. An event that is not carried out yet is kept whole. Durable
    /// when it returns; old pages of the file are cleared by [`Self::scrub`] alone.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn forget(&self, corporate_id: &str) -> Result<ForgottenEvents, StoreError> {
        let key = corporate_id.to_ascii_lowercase();
        let done = self.store.write(move |conn| forget(conn, &key)).await?;
        self.changed();
        Ok(done)
    }

    /// Clears what deleted and changed rows left behind in the file and in its log.
    ///
    /// # Errors
    /// The file cannot be written, or somebody reads it for too long.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub().await
    }
}

fn forget(conn: &Connection, key: &str) -> rusqlite::Result<ForgottenEvents> {
    let emptied = conn
        .prepare_cached(
            "UPDATE events SET body = NULL, text = NULL, reason = NULL, request_id = NULL \
             WHERE corporate_key = ?1 AND state IN ('processed', 'discarded') \
             AND (body IS NOT NULL OR text IS NOT NULL OR reason IS NOT NULL OR request_id IS NOT NULL)",
        )?
        .execute(params![key])? as u64;
    let waiting: i64 = conn
        .prepare_cached(
            "SELECT count(*) FROM events WHERE corporate_key = ?1 AND state NOT IN ('processed', 'discarded')",
        )?
        .query_row([key], |row| row.get(0))?;
    Ok(ForgottenEvents {
        emptied,
        waiting: waiting.unsigned_abs(),
    })
}
