//! The beginning of a key: from which row on it seals, and what it found.
//!
//! Whoever adds rows comes by here. When the last row has no seal, or that of another key, a row `audit.key` is added first: it
//! seals, by way of its hash, everything before it, so that rows of before the key, or of one that is lost, cannot be changed
//! any more either. Revocations that no row speaks of yet are taken in as they are found, and the checkpoint gets its seal.

use rusqlite::{Connection, params};
use serde_json::json;

use super::{
    appender::{self, Appender},
    chain,
    entry::{Stamped, of_operator},
    revocations,
    sealer::Sealer,
};

/// Action of the row with which a key begins.
pub(super) const ACTION: &str = "audit.key";

/// The end of the chain, under the present key.
///
/// # Errors
/// There is no key, or the file cannot be written.
pub(super) fn begin<'a>(conn: &'a Connection, sealer: &'a Sealer) -> rusqlite::Result<Appender<'a>> {
    let (mut appender, sealed_with) = appender::open(conn, &sealer.keys)?;
    if sealed_with.as_deref() == Some(appender.key.id()) {
        return Ok(appender);
    }
    let now = sealer.now();
    // An empty chain begins with its first row.
    if appender.head.seq > 0 {
        let mut entry = of_operator(ACTION);
        entry.before = sealed_with.map(|key| json!({ "key": key }).to_string());
        entry.after = Some(json!({ "key": appender.key.id(), "through": appender.head.seq }).to_string());
        entry.reason = Some(format!(
            "rows from here on are sealed with key {}, and it seals what is before them as it was found",
            appender.key.id()
        ));
        appender.push(&Stamped { at: now, entry })?;
        seal_checkpoint(conn, &appender)?;
    }
    revocations::take_in(&mut appender, now)?;
    Ok(appender)
}

fn seal_checkpoint(conn: &Connection, appender: &Appender<'_>) -> rusqlite::Result<()> {
    let checkpoint = chain::checkpoint(conn)?;
    if checkpoint.is_beginning() {
        return Ok(());
    }
    let seal = chain::seal_checkpoint(appender.key, &checkpoint.head, checkpoint.at);
    conn.prepare_cached("UPDATE audit_checkpoint SET key_id = ?1, seal = ?2")?
        .execute(params![appender.key.id(), seal])?;
    Ok(())
}
