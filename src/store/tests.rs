//! The engine with a table of its own: who shares a flush, who is answered what, and what becomes of a file that is not as it
//! should be.

mod child;
mod files;
mod groups;

use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;

const NOON: &str = "2026-03-15T12:00:00Z";
const DAY: Duration = Duration::from_secs(86_400);

fn remove_old(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM notes WHERE day < ?1", [now.as_second() / 86_400])
        .map(drop)
}

const NOTES: Schema = Schema {
    name: "the notebook",
    application_id: 0x1234_5678,
    steps: &[
        "CREATE TABLE notes (text TEXT NOT NULL UNIQUE) STRICT",
        "ALTER TABLE notes ADD COLUMN day INTEGER NOT NULL DEFAULT 1000000",
    ],
    prune: remove_old,
};

struct Fixture {
    folder: TempDir,
    clock: Arc<ManualClock>,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = ManualClock::at(NOON.parse().unwrap());
        let store = Store::open(&folder.path().join("notes.db"), NOTES, clock.clone()).unwrap();
        Self { folder, clock, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("notes.db")
    }

    /// Closes the file, lets it be changed, and opens it again.
    fn reopened(self, change: impl FnOnce(&Path)) -> Result<Self, StoreError> {
        let Self { folder, clock, store } = self;
        drop(store);
        let path = folder.path().join("notes.db");
        change(&path);
        let store = Store::open(&path, NOTES, clock.clone())?;
        Ok(Self { folder, clock, store })
    }

    async fn limit_pages(&self, pages: u32) {
        self.store
            .write(move |conn| conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())))
            .await
            .unwrap();
    }
}

/// Writes a note and answers how many there are then.
fn note(text: impl Into<String>) -> impl FnOnce(&Connection) -> rusqlite::Result<u64> + Send + 'static {
    let text = text.into();
    move |conn| {
        conn.execute("INSERT INTO notes (text) VALUES (?1)", [text])?;
        count(conn)
    }
}

fn count(conn: &Connection) -> rusqlite::Result<u64> {
    conn.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

fn large() -> String {
    "x".repeat(20_000)
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
