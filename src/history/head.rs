//! The end of the chain as it is published where the database is not.

use std::cmp::Ordering;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::{
    chain::{self, Hash, Head, hex},
    finding::Finding,
    time,
};
use crate::credentials::AuditKeys;

/// The end of the chain at a moment, sealed: whoever has it can say later whether a database still has all that it had then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditHead {
    /// Number of the last row; 0 when there was none yet.
    pub row: i64,
    /// Its hash, 64 hexadecimal digits.
    pub hash: String,
    /// When it was the last one.
    pub at: Timestamp,
    /// Id of the key that sealed this.
    pub key: String,
    /// The seal, 64 hexadecimal digits.
    pub seal: String,
}

/// The end of the chain, sealed with the present key; `None` without a key.
pub(super) fn of(conn: &Connection, keys: &AuditKeys, now: Timestamp) -> rusqlite::Result<Option<AuditHead>> {
    let Some(key) = keys.current() else { return Ok(None) };
    let head = chain::head(conn)?;
    Ok(Some(AuditHead {
        row: head.seq,
        hash: hex(&head.hash),
        at: Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now),
        key: key.id().to_owned(),
        seal: hex(&chain::seal_head(key, &head, now.as_microsecond())),
    }))
}

impl AuditHead {
    /// Reads what was published.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let head: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        head.head()
            .map(|_| head)
            .ok_or_else(|| "its hash is not 64 hexadecimal digits".to_owned())
    }

    /// As it is published.
    #[must_use]
    pub fn text(&self) -> String {
        // Nothing in it can fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    fn head(&self) -> Option<Head> {
        Some(Head {
            seq: self.row,
            hash: from_hex(&self.hash)?,
        })
    }
}

/// What speaks against this database having everything that the text, which was published at `place`, says it had.
///
/// With a key the text itself is checked as well; without one it is believed.
pub(super) fn compare(
    conn: &Connection,
    keys: &AuditKeys,
    place: &str,
    text: &str,
) -> rusqlite::Result<Option<Finding>> {
    let forged = |why: &str| {
        let what = format!("the head of the audit in {place} is not what the operator wrote there: {why}");
        Ok(Some(Finding::new(None, what, &[text.as_bytes()])))
    };
    let published = match AuditHead::parse(text) {
        Ok(published) => published,
        Err(why) => return forged(&why),
    };
    let Some(head) = published.head() else {
        return forged("it has no hash");
    };
    if keys.current().is_some() {
        let seal = from_hex(&published.seal).unwrap_or_default();
        let Some(key) = keys.find(&published.key) else {
            return forged(&format!(
                "it is sealed with key {}, which is neither the present nor a previous one",
                published.key
            ));
        };
        if !chain::head_fits(key, &head, published.at.as_microsecond(), &seal) {
            return forged("it is not sealed with the key");
        }
    }
    let what = missing(conn, &published, &head, place)?;
    Ok(what.map(|(row, what)| Finding::new(Some(row), what, &[text.as_bytes()])))
}

/// What is not there of what was published; the number of the first row.
fn missing(
    conn: &Connection,
    published: &AuditHead,
    head: &Head,
    place: &str,
) -> rusqlite::Result<Option<(i64, String)>> {
    let checkpoint = chain::checkpoint(conn)?.head;
    let last = chain::head(conn)?;
    let was = format!("{place} has row {} as the last one at {}", head.seq, published.at);
    if head.seq > last.seq {
        let since = conn
            .query_row("SELECT at FROM audit WHERE seq = ?1", [last.seq], |row| {
                time::column(row, 0)
            })
            .optional()?;
        let since = since.map_or_else(
            || "and nothing before them is there".to_owned(),
            |at| format!("row {} of {at} is the last one", last.seq),
        );
        let first = last.seq + 1;
        return Ok(Some((
            first,
            format!("audit rows {first} to {} are missing: {was}, {since}", head.seq),
        )));
    }
    let there: Option<Hash> = match head.seq.cmp(&checkpoint.seq) {
        // Retention has passed it; that this was retention is for the walk to say.
        Ordering::Less => return Ok(None),
        Ordering::Equal => Some(checkpoint.hash),
        Ordering::Greater => conn
            .query_row("SELECT hash FROM audit WHERE seq = ?1", [head.seq], |row| row.get(0))
            .optional()?,
    };
    if there == Some(head.hash) {
        return Ok(None);
    }
    Ok(Some((
        head.seq,
        format!(
            "audit row {} is not the one that was published: {was}, and its hash was another. The database was written anew, or another \
             was put in its place; which rows before it are still the same the database alone cannot say",
            head.seq
        ),
    )))
}

fn from_hex(text: &str) -> Option<Hash> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
