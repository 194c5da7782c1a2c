//! The tables of the record: objects, and a few facts beside them.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use super::object::{FileKey, Kind, Root, Row};
use crate::{model::hr::HrMarks, store::Schema};

/// What stands in the file. The record has no mark of its own (`PRAGMA application_id`): the first ones were made without.
pub(super) const SCHEMA: Schema = Schema {
    name: "the folder's record",
    application_id: 0,
    steps: &[TABLES, HR_MARKS],
    prune: |_, _| Ok(()),
};
const TABLES: &str = "
CREATE TABLE objects (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    uid BLOB NOT NULL, generation INTEGER NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
    deleted INTEGER, own INTEGER NOT NULL, file TEXT NOT NULL, digest BLOB NOT NULL, spec TEXT NOT NULL,
    notes TEXT, status TEXT) STRICT;
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// What events of HR left on an object.
const HR_MARKS: &str = "ALTER TABLE objects ADD COLUMN hr TEXT;";

/// Columns of an object, in the order in which they are read and written.
pub(super) const COLUMNS: &str =
    "id, kind, namespace, name, uid, generation, version, created, deleted, own, file, digest, spec, notes, status, hr";
/// As [`COLUMNS`], of a file of the first schema.
const FIRST_COLUMNS: &str = "id, kind, namespace, name, uid, generation, version, created, deleted, own, file, digest, spec, notes, status, NULL";
/// As [`COLUMNS`], without spec, notes and status.
pub(super) const HEAD_COLUMNS: &str =
    "id, kind, namespace, name, uid, generation, version, created, deleted, own, file, digest, '', NULL, NULL, hr";
const PLACES: &str = "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16";
/// Most that the number of an object can be: numbers are given out again, so a higher one was never given out.
const LAST_ID: u32 = 1 << 24;

/// What the record knows besides objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    /// When the folder was last read whole, in milliseconds.
    ReadAt,
    /// Highest resource version given out.
    Version,
    /// Device of the folder when it was last read.
    Device,
    /// Inode of the folder when it was last read.
    Inode,
}

impl Fact {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ReadAt, Self::Version, Self::Device, Self::Inode];

    const fn name(self) -> &'static str {
        match self {
            Self::ReadAt => "read_at",
            Self::Version => "version",
            Self::Device => "device",
            Self::Inode => "inode",
        }
    }
}

/// A row that says not even whose it is. Carries its number, if that can be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnreadableRow(pub Option<u32>);

/// From which end the table is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// Whether both tables are there, with these columns.
pub(super) fn are_ours(conn: &Connection) -> rusqlite::Result<()> {
    conn.prepare(&format!("SELECT {COLUMNS} FROM objects LIMIT 0"))?;
    conn.prepare("SELECT name, value FROM facts LIMIT 0").map(drop)
}

/// The columns that a file has which may be of the first schema.
pub(super) fn columns_of(conn: &Connection) -> &'static str {
    let has_marks = conn.prepare("SELECT hr FROM objects LIMIT 0").is_ok();
    if has_marks { COLUMNS } else { FIRST_COLUMNS }
}

/// Reads objects in the order of their numbers, as far as the table can be read.
pub(super) fn each(
    conn: &Connection,
    columns: &str,
    order: Order,
    mut visit: impl FnMut(Result<Row, UnreadableRow>),
) -> rusqlite::Result<()> {
    let order = match order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let mut query = conn.prepare(&format!("SELECT {columns} FROM objects ORDER BY id {order}"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        visit(read_row(row).map_err(|_| UnreadableRow(row.get(0).ok())));
    }
    Ok(())
}

/// One object.
pub(super) fn get(conn: &Connection, id: u32) -> rusqlite::Result<Option<Row>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM objects WHERE id = ?1"))?
        .query_row([id], read_row)
        .optional()
}

/// One fact.
pub(super) fn fact(conn: &Connection, fact: Fact) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT value FROM facts WHERE name = ?1")?
        .query_row([fact.name()], |row| row.get(0))
        .optional()
}

fn read_row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let text = |at: usize| {
        row.get_ref(at)?
            .as_str()
            .map(Arc::<str>::from)
            .map_err(rusqlite::Error::from)
    };
    // What is no text is no JSON either, and is mended as such: the object is still told by the rest.
    let json = |at: usize| match row.get_ref(at) {
        Ok(value) => value.as_str_or_null().unwrap_or(Some("")).map(Arc::<str>::from),
        Err(_) => Some("".into()),
    };
    let unknown = |at: usize| rusqlite::Error::IntegralValueOutOfRange(at, row.get(at).unwrap_or_default());
    let kind = match row.get::<_, i64>(1)? {
        0 => Kind::User,
        1 => Kind::Hold,
        2 => Kind::Gateway,
        _ => return Err(unknown(1)),
    };
    let id: u32 = row.get(0)?;
    if id > LAST_ID {
        return Err(unknown(0));
    }
    let second = |value: i64| Timestamp::from_second(value).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Row {
        id,
        kind,
        namespace: text(2)?,
        name: text(3)?,
        uid: row.get(4)?,
        generation: row.get(5)?,
        version: row.get::<_, i64>(6)?.unsigned_abs(),
        created: second(row.get(7)?),
        deleted: row.get::<_, Option<i64>>(8)?.map(second),
        file: FileKey {
            root: if row.get(9)? { Root::Own } else { Root::People },
            path: text(10)?,
        },
        digest: row.get(11)?,
        spec: json(12).unwrap_or_default(),
        notes: json(13),
        status: json(14),
        hr: marks(row, 15),
    })
}

/// Marks as they are kept: the annotations that say them. What cannot be read is none, and safe: nobody is let in by it.
fn marks(row: &SqlRow<'_>, at: usize) -> HrMarks {
    let text = row.get_ref(at).ok().and_then(|value| value.as_str().ok());
    let annotations = text.and_then(|text| serde_json::from_str(text).ok());
    HrMarks::of(annotations.as_ref())
}

fn marks_json(marks: HrMarks) -> Option<String> {
    let annotations = marks.annotations();
    (!annotations.is_empty()).then(|| serde_json::to_string(&annotations).unwrap_or_default())
}

/// Writes an object.
pub(super) fn put(conn: &Connection, row: &Row) -> rusqlite::Result<()> {
    let kind = match row.kind {
        Kind::User => 0,
        Kind::Hold => 1,
        Kind::Gateway => 2,
    };
    conn.prepare_cached(&format!("INSERT OR REPLACE INTO objects ({COLUMNS}) VALUES ({PLACES})"))?
        .execute(params![
            row.id,
            kind,
            &*row.namespace,
            &*row.name,
            row.uid,
            row.generation,
            row.version.cast_signed(),
            row.created.as_second(),
            row.deleted.map(Timestamp::as_second),
            row.file.root == Root::Own,
            &*row.file.path,
            row.digest,
            &*row.spec,
            row.notes.as_deref(),
            row.status.as_deref(),
            marks_json(row.hr)
        ])
        .map(drop)
}

/// Forgets an object.
pub(super) fn forget(conn: &Connection, id: u32) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM objects WHERE id = ?1")?
        .execute([id])
        .map(drop)
}

/// Writes a fact.
pub(super) fn put_fact(conn: &Connection, fact: Fact, value: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)")?
        .execute(params![fact.name(), value])
        .map(drop)
}
