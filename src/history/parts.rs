//! Verifying the audit: along the whole chain, in one go or in parts at the same time.
//!
//! Whether a row fits depends on what is kept of the row before it alone, so a walk can begin behind any row. Parts are the quick
//! way to say that nothing is wrong: where something is, one walk along the whole chain says what, in its order.

use std::{num::NonZero, thread};

use rusqlite::{Connection, OptionalExtension as _};

use super::{
    agreement::Agreement,
    chain::{self, Checkpoint, Head},
    emptied,
    walk::{Place, Verified, Walk},
};
use crate::credentials::AuditKeys;

/// Rows below which a second connection is not worth it.
const LONG: i64 = if cfg!(test) { 8 } else { 20_000 };
/// Most parts: whoever else lives on the machine wants to get on as well.
const MOST: i64 = 4;

/// Walks along the chain, and compares with it what is kept beside it: revocations, and who had access when. Of a long chain
/// parts are walked along at the same time, as far as `more` opens connections to the same file.
pub(super) fn verify(
    conn: &Connection,
    keys: &AuditKeys,
    more: &dyn Fn() -> Option<Connection>,
) -> rusqlite::Result<Verified> {
    let snapshot = conn.unchecked_transaction()?;
    let checkpoint = chain::checkpoint(&snapshot)?;
    let mut walk = match in_parts(&snapshot, keys, &checkpoint, more)? {
        Some(walk) => walk,
        None => Walk::from(keys, Place::after(&checkpoint), Agreement::default()).along(&snapshot, i64::MAX)?,
    };
    walk.checkpoint(&checkpoint);
    walk.sealed_somewhere();
    walk.revocations(&snapshot)?;
    walk.spans(&snapshot, &checkpoint)?;
    Ok(walk.finish(&checkpoint))
}

/// Walks along the whole chain in parts. `None` where it is short, where something does not fit, or where another connection
/// cannot be had or sees something else: then one walk has to do it.
fn in_parts<'a>(
    snapshot: &Connection,
    keys: &'a AuditKeys,
    checkpoint: &Checkpoint,
    more: &dyn Fn() -> Option<Connection>,
) -> rusqlite::Result<Option<Walk<'a>>> {
    let (end, begin) = (chain::head(snapshot)?, checkpoint.head.seq);
    let rows = end.seq - begin;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = i64::try_from(cores).map_or(MOST, |cores| cores.min(MOST));
    if rows < LONG || parts < 2 {
        return Ok(None);
    }
    let Some(others) = (1..parts).map(|_| more()).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let bound = |part: i64| begin + rows / parts * part;
    let agreement = Agreement::default();
    thread::scope(|scope| {
        let others: Vec<_> = (1..parts)
            .zip(others)
            .map(|(part, conn)| {
                let agreement = agreement.of_other_rows();
                let up_to = if part + 1 == parts { end.seq } else { bound(part + 1) };
                scope.spawn(move || {
                    let snapshot = conn.unchecked_transaction()?;
                    if !sees_the_same(&snapshot, checkpoint, &end)? {
                        return Ok(None);
                    }
                    let place = Place::behind(&snapshot, bound(part))?;
                    place
                        .map(|place| Walk::from(keys, place, agreement).along(&snapshot, up_to))
                        .transpose()
                })
            })
            .collect();
        let first = Walk::from(keys, Place::after(checkpoint), agreement.of_other_rows());
        let mut whole = first.along(snapshot, bound(1))?;
        let mut clean = whole.is_clean();
        for other in others {
            // A part that did not come to its end is walked along again.
            let part: rusqlite::Result<Option<Walk<'_>>> = other.join().unwrap_or(Ok(None));
            match part? {
                Some(part) if clean && part.is_clean() => whole.join(part),
                _ => clean = false,
            }
        }
        Ok(clean.then_some(whole))
    })
}

/// Whether what the chain has up to its `end` is the same for this snapshot: rows may have been added since, and nothing else
/// changes a row but forgetting, which adds one that says so, and retention, which moves the checkpoint.
fn sees_the_same(snapshot: &Connection, checkpoint: &Checkpoint, end: &Head) -> rusqlite::Result<bool> {
    if chain::checkpoint(snapshot)? != *checkpoint {
        return Ok(false);
    }
    let mut added = snapshot.prepare_cached("SELECT EXISTS (SELECT 1 FROM audit WHERE seq > ?1 AND action = ?2)")?;
    if added.query_row((end.seq, emptied::ACTION), |row| row.get(0))? {
        return Ok(false);
    }
    let hash = snapshot
        .prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
        .query_row([end.seq], |row| row.get::<_, chain::Hash>(0))
        .optional()?;
    Ok(hash == Some(end.hash))
}
