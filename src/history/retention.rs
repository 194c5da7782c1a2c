//! What is past retention goes from the front of the chain, and revocations go with the rows that speak of them.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, named_params, params};

use super::{
    appender::Appender,
    chain::{self, Head},
    time::{self, RETENTION_DAYS},
};

/// Most rows that one step looks at.
const STEP: u32 = 2_000;

/// Removes the oldest rows that are past retention, a bounded number a call, and moves the sealed checkpoint to the last of
/// them. A revocation goes with the row that has its present state.
pub(super) fn prune(appender: &Appender<'_>, now: Timestamp) -> rusqlite::Result<()> {
    let conn = appender.conn;
    let last: Option<Head> = conn
        .prepare_cached(
            "WITH oldest AS (SELECT seq, at FROM audit ORDER BY seq LIMIT :step), \
             gone AS (SELECT max(seq) AS seq FROM oldest \
             WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at >= :cutoff), seq + 1)) \
             SELECT audit.seq, audit.hash FROM gone JOIN audit ON audit.seq = gone.seq",
        )?
        .query_row(
            named_params! { ":step": STEP, ":cutoff": time::days_before(now, RETENTION_DAYS).as_microsecond() },
            |row| {
                Ok(Head {
                    seq: row.get(0)?,
                    hash: row.get(1)?,
                })
            },
        )
        .optional()?;
    let Some(last) = last else { return Ok(()) };
    let at = now.as_microsecond();
    let seal = chain::seal_checkpoint(appender.key, &last, at);
    conn.prepare_cached("UPDATE audit_checkpoint SET through = ?1, hash = ?2, at = ?3, key_id = ?4, seal = ?5")?
        .execute(params![last.seq, last.hash, at, appender.key.id(), seal])?;
    conn.prepare_cached("DELETE FROM audit WHERE seq <= ?1")?
        .execute([last.seq])?;
    conn.prepare_cached("DELETE FROM revocations WHERE sealed_by <= ?1")?
        .execute([last.seq])?;
    Ok(())
}
