//! Rows that another file is to take: each is written in the transaction that makes what it speaks of, and stays until it is known to
//! stand there. Of two that say the same one is too many, and of none one too few.

use rusqlite::Connection;

use super::{Store, error::StoreError};

/// Most rows that are read at a time.
const AT_ONCE: u32 = 1000;

/// A row that is not known to stand where it belongs yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its number.
    pub number: i64,
    /// The row as it was written.
    pub entry: String,
}

/// The table in which the rows of a file wait, for the step of its schema that makes it: `concat!("…", outbox_table!())`.
macro_rules! outbox_table {
    () => {
        "
-- Rows for the audit that are not known to stand there yet. A number is never given twice.
CREATE TABLE unaudited (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry TEXT NOT NULL
) STRICT;
"
    };
}
pub(crate) use outbox_table;

/// The rows of a file that wait in the table that `outbox_table!` makes. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    store: Store,
}

impl Outbox {
    /// Those of this file.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// Adds a row, in a transaction of the file. Answers its number.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(conn: &Connection, entry: &str) -> rusqlite::Result<i64> {
        conn.prepare_cached("INSERT INTO unaudited (entry) VALUES (?1)")?
            .execute([entry])?;
        Ok(conn.last_insert_rowid())
    }

    /// Takes a row back, in a transaction of the file. Answers whether it was there still.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn take(conn: &Connection, number: i64) -> rusqlite::Result<bool> {
        let taken = conn
            .prepare_cached("DELETE FROM unaudited WHERE number = ?1")?
            .execute([number])?;
        Ok(taken > 0)
    }

    /// Whether a row waits, as a transaction of the file sees it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn waits(conn: &Connection, number: i64) -> rusqlite::Result<bool> {
        conn.prepare_cached("SELECT 1 FROM unaudited WHERE number = ?1")?
            .exists([number])
    }

    /// Rows that wait, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        self.store
            .read(|conn| {
                let mut query = conn.prepare_cached("SELECT number, entry FROM unaudited ORDER BY number LIMIT ?1")?;
                let rows = query.query_map([AT_ONCE], waiting)?;
                rows.collect()
            })
            .await
    }

    /// Those of these rows that wait, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn waiting_of(&self, numbers: &[i64]) -> Result<Vec<Waiting>, StoreError> {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        self.store
            .read(move |conn| {
                let mut query = conn.prepare_cached("SELECT number, entry FROM unaudited WHERE number = ?1")?;
                let mut found = Vec::with_capacity(numbers.len());
                for number in numbers {
                    for row in query.query_map([number], waiting)? {
                        found.push(row?);
                    }
                }
                Ok(found)
            })
            .await
    }

    /// A row stands where it belongs.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn done(&self, number: i64) -> Result<(), StoreError> {
        self.store.write(move |conn| Self::take(conn, number).map(drop)).await
    }
}

fn waiting(row: &rusqlite::Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        number: row.get(0)?,
        entry: row.get(1)?,
    })
}
