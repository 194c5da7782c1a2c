//! The tables: verdicts and charges.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Row, params, types::ToSqlOutput};

use crate::{
    model::{
        access::HoldSpan,
        corporate_id::CorporateId,
        guard::{Budget, Charge, GuardChange, GuardMemory, KeptTerms, Verdict, VerdictRecord},
    },
    store::Schema,
};

/// What stands in the file. It is marked with "VPNG".
pub(super) const SCHEMA: Schema = Schema {
    name: "the guard's memory",
    application_id: 0x5650_4e47,
    steps: &[TABLES],
    // How long charges count is a setting: they are removed by whoever writes.
    prune: |_, _| Ok(()),
};

// Times of verdicts are text, exact as they stand in statuses. `at` is nanoseconds since 1970 (UTC), to be compared.
const TABLES: &str = "
CREATE TABLE verdicts (
    uid TEXT NOT NULL,
    budget TEXT NOT NULL,
    key TEXT NOT NULL,
    verdict TEXT NOT NULL,
    since TEXT NOT NULL,
    corporate_id TEXT NOT NULL,
    name TEXT NOT NULL,
    -- JSON: what stays in force of an object whose new version is held back.
    kept TEXT,
    -- Of a hold: 1, and when it denies.
    is_hold INTEGER NOT NULL,
    from_at TEXT,
    until_at TEXT,
    PRIMARY KEY (uid, budget)
) STRICT, WITHOUT ROWID;

CREATE TABLE charges (
    budget TEXT NOT NULL,
    who TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (budget, who)
) STRICT, WITHOUT ROWID;
CREATE INDEX charges_by_time ON charges (at);
";

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) memory: GuardMemory,
    /// Rows that could not be understood.
    pub(super) skipped: usize,
    /// Charges that count no more.
    pub(super) stale: usize,
}

impl Loaded {
    /// The changes that lead from nothing to this.
    pub(super) fn into_changes(self) -> Vec<GuardChange> {
        let verdicts = self.memory.verdicts.into_iter().map(GuardChange::Verdict);
        let charges = self.memory.charges.into_iter().map(GuardChange::Charge);
        verdicts.chain(charges).collect()
    }
}

/// The span of time from which charges count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counting {
    from: i64,
    /// A clock that was wrong must not leave charges behind for ever.
    until: i64,
}

impl Counting {
    pub(super) fn around(now: Timestamp, max_age: SignedDuration) -> Self {
        Self {
            from: nanoseconds(now.checked_sub(max_age).unwrap_or(Timestamp::MIN)),
            until: nanoseconds(now.checked_add(max_age).unwrap_or(Timestamp::MAX)),
        }
    }

    fn has(self, at: Timestamp) -> bool {
        (self.from..=self.until).contains(&nanoseconds(at))
    }
}

/// From which end a table is read.
#[derive(Debug, Clone, Copy)]
enum Order {
    Ascending,
    Descending,
}

impl Order {
    const fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }
}

/// Reads both tables.
///
/// # Errors
/// The file is damaged.
pub(super) fn read(conn: &Connection, counting: Counting) -> rusqlite::Result<Loaded> {
    let mut loaded = Loaded::default();
    read_verdicts(conn, Order::Ascending, &mut loaded)?;
    read_charges(conn, Order::Ascending, counting, &mut loaded)?;
    Ok(loaded)
}

/// Reads what can be read of both tables, from either end.
pub(super) fn rescue(conn: &Connection, counting: Counting) -> Loaded {
    let mut loaded = Loaded::default();
    // In between lies what cannot be read; nothing is to be done about it.
    if read_verdicts(conn, Order::Ascending, &mut loaded).is_err() {
        let _ = read_verdicts(conn, Order::Descending, &mut loaded);
    }
    if read_charges(conn, Order::Ascending, counting, &mut loaded).is_err() {
        let _ = read_charges(conn, Order::Descending, counting, &mut loaded);
    }
    let GuardMemory { verdicts, charges } = &mut loaded.memory;
    verdicts.sort_by(|a, b| (&a.uid, a.budget).cmp(&(&b.uid, b.budget)));
    verdicts.dedup_by(|a, b| a.uid == b.uid && a.budget == b.budget);
    charges.sort_by(|a, b| (a.budget, &a.who).cmp(&(b.budget, &b.who)));
    charges.dedup_by(|a, b| a.budget == b.budget && a.who == b.who);
    loaded
}

fn read_verdicts(conn: &Connection, order: Order, loaded: &mut Loaded) -> rusqlite::Result<()> {
    let order = order.sql();
    let query = format!(
        "SELECT uid, budget, key, verdict, since, corporate_id, name, kept, is_hold, from_at, until_at \
         FROM verdicts ORDER BY uid {order}, budget {order}"
    );
    read_rows(conn, &query, loaded, Loaded::add_verdict)
}

fn read_charges(conn: &Connection, order: Order, counting: Counting, loaded: &mut Loaded) -> rusqlite::Result<()> {
    let order = order.sql();
    let query = format!("SELECT budget, who, at FROM charges ORDER BY budget {order}, who {order}");
    read_rows(conn, &query, loaded, |loaded, row| loaded.add_charge(row, counting))
}

fn read_rows(
    conn: &Connection,
    query: &str,
    loaded: &mut Loaded,
    add: impl Fn(&mut Loaded, &Row<'_>) -> Result<(), Unreadable>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Err(Unreadable(what)) = add(loaded, row) {
            loaded.skipped += 1;
            tracing::error!(what, "a row of the guard's store cannot be read and is left out");
        }
    }
    Ok(())
}

/// What of a row cannot be understood.
struct Unreadable(String);

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl Loaded {
    fn add_verdict(&mut self, row: &Row<'_>) -> Result<(), Unreadable> {
        let span = HoldSpan {
            from: optional_time(row, 9)?,
            until: optional_time(row, 10)?,
        };
        let kept: Option<String> = row.get(7)?;
        let kept = kept.map(|text| serde_json::from_str::<KeptTerms>(&text));
        let id: String = row.get(5)?;
        self.memory.verdicts.push(VerdictRecord {
            uid: row.get(0)?,
            budget: word(row, 1, Budget::parse)?,
            key: row.get(2)?,
            verdict: word(row, 3, Verdict::parse)?,
            since: time(&row.get::<_, String>(4)?)?,
            corporate_id: CorporateId::parse(&id).map_err(|error| Unreadable(error.to_string()))?,
            name: row.get(6)?,
            kept: kept.transpose().map_err(|error| Unreadable(error.to_string()))?,
            span: row.get::<_, bool>(8)?.then_some(span),
        });
        Ok(())
    }

    fn add_charge(&mut self, row: &Row<'_>, counting: Counting) -> Result<(), Unreadable> {
        let at = Timestamp::from_nanosecond(row.get::<_, i64>(2)?.into());
        let charge = Charge {
            budget: word(row, 0, Budget::parse)?,
            who: row.get(1)?,
            at: at.map_err(|error| Unreadable(error.to_string()))?,
        };
        if counting.has(charge.at) {
            self.memory.charges.push(charge);
        } else {
            self.stale += 1;
        }
        Ok(())
    }
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T, Unreadable> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| Unreadable(format!("{text:?} is not known")))
}

fn time(text: &str) -> Result<Timestamp, Unreadable> {
    text.parse().map_err(|_| Unreadable(format!("{text:?} is no time")))
}

fn optional_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Unreadable> {
    let text: Option<String> = row.get(column)?;
    text.as_deref().map(time).transpose()
}

fn nanoseconds(at: Timestamp) -> i64 {
    let saturated = if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(saturated)
}

/// Writes one change. Its cost is that of finding a row.
///
/// # Errors
/// The disk refuses.
pub(super) fn write(conn: &Connection, change: &GuardChange) -> rusqlite::Result<()> {
    match change {
        GuardChange::Verdict(record) => {
            let kept = record.kept.as_ref().map(serde_json::to_string).transpose();
            let kept = kept.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            let text = |at: Option<Timestamp>| at.map(|at| ToSqlOutput::from(at.to_string()));
            conn.prepare_cached(
                "INSERT OR REPLACE INTO verdicts \
                 (uid, budget, key, verdict, since, corporate_id, name, kept, is_hold, from_at, until_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                record.uid,
                record.budget.as_str(),
                record.key,
                record.verdict.as_str(),
                record.since.to_string(),
                record.corporate_id.as_str(),
                record.name,
                kept,
                record.span.is_some(),
                text(record.span.and_then(|span| span.from)),
                text(record.span.and_then(|span| span.until)),
            ])?;
        }
        GuardChange::Forget { uid, budget } => {
            conn.prepare_cached("DELETE FROM verdicts WHERE uid = ?1 AND budget = ?2")?
                .execute(params![uid, budget.as_str()])?;
        }
        GuardChange::Charge(charge) => {
            conn.prepare_cached("INSERT OR REPLACE INTO charges (budget, who, at) VALUES (?1, ?2, ?3)")?
                .execute(params![charge.budget.as_str(), charge.who, nanoseconds(charge.at)])?;
        }
    }
    Ok(())
}

/// Removes charges that count no more.
///
/// # Errors
/// The disk refuses.
pub(super) fn prune(conn: &Connection, counting: Counting) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM charges WHERE at < ?1 OR at > ?2")?
        .execute(params![counting.from, counting.until])?;
    Ok(())
}
