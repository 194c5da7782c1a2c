//! One transaction: the companion's part, the jobs of a group, and what is past retention.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{companion::Run, file::File, job::Job};

/// What became of a committed transaction.
pub(super) struct Results {
    /// The companion's part, or the probe in its place.
    pub part: rusqlite::Result<()>,
    pub jobs: Vec<rusqlite::Result<()>>,
}

/// Writes everything in one transaction, each job in a savepoint of its own.
///
/// # Errors
/// Nothing was written.
pub(super) fn transact(
    conn: &mut Connection,
    part: Option<Run>,
    group: &mut [Job],
    prune: Option<(Timestamp, &File)>,
) -> rusqlite::Result<Results> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let part = match part {
        Some(run) => contained(&tx, run)?,
        None if group.is_empty() => contained(&tx, probe)?,
        None => Ok(()),
    };
    let mut jobs = Vec::with_capacity(group.len());
    for job in group {
        jobs.push(contained(&tx, |conn| job.run(conn))?);
    }
    if let Some((now, file)) = prune
        && let Err(error) = contained(&tx, |conn| (file.schema.prune)(conn, now))?
    {
        tracing::warn!(%error, "what is past retention in {} could not be removed", file.schema.name);
    }
    tx.commit()?;
    Ok(Results { part, jobs })
}

/// Runs a part in a savepoint. The outer error means that SQLite gave up the whole transaction.
fn contained(
    tx: &Transaction<'_>,
    part: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<rusqlite::Result<()>> {
    // Statements that are kept: of a small job, reading them anew would be a good part.
    let run = |sql| tx.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT part")?;
    let result = part(tx);
    if tx.is_autocommit() {
        return Err(result.err().unwrap_or(rusqlite::Error::InvalidQuery));
    }
    if result.is_err() {
        run("ROLLBACK TO part")?;
    }
    run("RELEASE part")?;
    Ok(result)
}

/// Takes up some space and gives it back: fails for as long as there is none.
fn probe(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(
        "CREATE TABLE probe_for_space (filling TEXT); \
         INSERT INTO probe_for_space VALUES (printf('%.*c', 65536, 'x')); DROP TABLE probe_for_space;",
    )
}
