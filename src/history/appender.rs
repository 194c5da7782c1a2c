//! Adds rows at the end of the chain, sealed.

use rusqlite::{CachedStatement, Connection, ToSql, ffi};

use super::{
    chain::{self, Content, Head, TEXTS},
    entry::Stamped,
};
use crate::credentials::{AuditKey, AuditKeys};

/// Bytes of a salt.
const SALT: usize = 16;

/// The end of the chain, inside the writer's transaction.
pub(super) struct Appender<'a> {
    pub conn: &'a Connection,
    pub key: &'a AuditKey,
    pub head: Head,
    insert: CachedStatement<'a>,
    room: Vec<u8>,
}

/// The end of the chain, and the id of the key that sealed it last; a row that is added is sealed with the present one.
///
/// # Errors
/// There is no key, or the file cannot be read.
pub(super) fn open<'a>(conn: &'a Connection, keys: &'a AuditKeys) -> rusqlite::Result<(Appender<'a>, Option<String>)> {
    let key = keys
        .current()
        .ok_or_else(|| failed("the audit has no key to seal with: it was opened for reading"))?;
    let insert = conn.prepare_cached(
        "INSERT INTO audit (seq, at, actor, source, action, corporate_id, corporate_key, state_before, state_after, \
         reason, request_id, address, event, salt, key_id, hash, seal) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?;
    let (head, sealed_with) = chain::end(conn)?;
    let appender = Appender {
        conn,
        key,
        head,
        insert,
        room: Vec::new(),
    };
    Ok((appender, sealed_with))
}

impl Appender<'_> {
    /// Adds a row and answers its number.
    ///
    /// # Errors
    /// Nothing was written.
    pub(super) fn push(&mut self, Stamped { at, entry }: &Stamped) -> rusqlite::Result<i64> {
        let corporate_key = entry.corporate_id.as_deref().map(str::to_ascii_lowercase);
        let texts: [Option<&str>; TEXTS] = [
            Some(&entry.actor),
            Some(&entry.source),
            Some(&entry.action),
            entry.corporate_id.as_deref(),
            corporate_key.as_deref(),
            entry.before.as_deref(),
            entry.after.as_deref(),
            entry.reason.as_deref(),
            entry.request_id.as_deref(),
            entry.address.as_deref(),
            entry.event.as_deref(),
        ];
        let mut salt = [0u8; SALT];
        getrandom::fill(&mut salt).map_err(|error| failed(&format!("no random bytes for the audit: {error}")))?;
        let (seq, at) = (self.head.seq + 1, at.as_microsecond());
        let content = Content {
            seq,
            at,
            texts: texts.map(|text| text.map(str::as_bytes)),
            sealed_with: Some((self.key.id().as_bytes(), &salt)),
        };
        let hash = content.hash(&self.head.hash, &mut self.room);
        let (seal, key_id) = (chain::seal_row(self.key, &hash), self.key.id());
        let mut values: Vec<&dyn ToSql> = vec![&seq, &at];
        values.extend(texts.iter().map(|text| text as &dyn ToSql));
        values.extend([&salt as &dyn ToSql, &key_id, &hash, &seal]);
        self.insert.execute(values.as_slice())?;
        self.head = Head { seq, hash };
        Ok(seq)
    }
}

fn failed(why: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(why.to_owned()))
}
