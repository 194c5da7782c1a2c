//! The rows of `users.db` as they are.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{
    row::{Cell, Row},
    snapshot::{Snapshot, SnapshotError},
    table::Table,
};
use crate::sqlite::{Fault, quick_check};

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The rows of each table, in the order of [`Table::ALL`].
    rows: [Vec<Row>; 7],
    /// Tables and columns that are not there: an older version of the service did not have them.
    pub absent: Vec<String>,
}

impl Tables {
    /// The rows of one table.
    #[must_use]
    pub fn rows(&self, table: Table) -> &[Row] {
        &self.rows[table as usize]
    }

    /// Replaces the rows of one table.
    pub fn set(&mut self, table: Table, rows: Vec<Row>) {
        self.rows[table as usize] = rows;
    }
}

/// Why nothing was read. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no copy to read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There are no people in it.
    #[error("{0} has no table users with a column corporate_id: it is not the database of the former service")]
    Stranger(String),
    /// It is damaged.
    #[error(
        "{path} is damaged: {message}: mend a copy with `sqlite3 {path} .recover | sqlite3 mended.db`, and import that"
    )]
    Damaged {
        /// The database.
        path: String,
        /// What SQLite says.
        message: String,
    },
}

/// Reads every table that is known. Blocks; works on a copy in a private folder of the system's folder for temporary files,
/// which is removed before this returns. Neither the database nor what lies beside it is written to.
///
/// # Errors
/// It is missing, damaged or something else, or is written without a pause.
pub fn read(path: &Path) -> Result<Tables, ReadError> {
    let snapshot = Snapshot::of(path)?;
    let copy = snapshot.database();
    let damaged = |message: String| ReadError::Damaged {
        path: path.display().to_string(),
        message,
    };
    let failed = |error: rusqlite::Error| damaged(error.to_string());
    // Writable, because it is the copy: a transaction that the service did not end is rolled back in it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(&copy, flags).map_err(failed)?;
    conn.execute_batch("PRAGMA trusted_schema = OFF").map_err(failed)?;
    quick_check(&conn, &copy).map_err(|fault| match fault {
        Fault::Damaged { message, .. } => damaged(message),
        other => damaged(other.to_string()),
    })?;
    let mut tables = Tables::default();
    for table in Table::ALL {
        let columns = columns(&conn, table).map_err(failed)?;
        if table == Table::Users && !columns.contains(&"corporate_id") {
            return Err(ReadError::Stranger(path.display().to_string()));
        }
        if columns.is_empty() {
            tables.absent.push(format!("table {}", table.name()));
            continue;
        }
        let missing = table.columns().iter().filter(|column| !columns.contains(column));
        tables
            .absent
            .extend(missing.map(|column| format!("column {}.{column}", table.name())));
        let rows = rows(&conn, table, &columns).map_err(failed)?;
        tables.set(table, rows);
    }
    Ok(tables)
}

/// Those of the columns of a table that are there.
fn columns(conn: &Connection, table: Table) -> rusqlite::Result<Vec<&'static str>> {
    let mut statement = conn.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let there: Vec<String> = statement
        .query_map([table.name()], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let is_there = |column: &&&str| there.iter().any(|it| it.eq_ignore_ascii_case(column));
    Ok(table.columns().iter().filter(is_there).copied().collect())
}

fn rows(conn: &Connection, table: Table, columns: &[&'static str]) -> rusqlite::Result<Vec<Row>> {
    // Names are constants of this file.
    let sql = format!(
        "SELECT rowid, {} FROM {} ORDER BY rowid",
        columns.join(", "),
        table.name()
    );
    let mut statement = conn.prepare(&sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        let cells = columns.iter().enumerate().map(|(at, column)| {
            let cell = match row.get_ref(at + 1)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Integer(number),
                ValueRef::Real(_) => Cell::Other("a fraction"),
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => Cell::Text(text.to_owned()),
                    Err(_) => Cell::Other("a text that is not UTF-8"),
                },
                ValueRef::Blob(_) => Cell::Other("binary"),
            };
            Ok((*column, cell))
        });
        Ok(Row::new(row.get(0)?, cells.collect::<rusqlite::Result<Vec<_>>>()?))
    };
    statement.query_map([], read)?.collect()
}
