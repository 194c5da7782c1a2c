//! Clearing what rows that are gone left behind in a file.

use std::time::Duration;

use rusqlite::Connection;

use super::{Store, error::StoreError};

/// How often, and after which pause, the log is tried to be emptied while somebody reads from it.
const ATTEMPTS: u32 = 100;
/// See [`ATTEMPTS`].
const PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// Clears what deleted and changed rows left behind: the file is written anew without its unused places, and the log is
    /// emptied. Writing waits for it, as long as it takes to write the file. Needs as much room again as the file has.
    ///
    /// # Errors
    /// The file is closed at present, there is no room, or somebody reads it for longer than a few seconds. What the rows say is
    /// as it was.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        let failed = |error: rusqlite::Error| self.inner.file.sqlite(&error);
        self.apart(rewrite).await?.map_err(failed)?;
        for _ in 0..ATTEMPTS {
            if self.apart(empty_log).await?.map_err(failed)? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(self.inner.file.unavailable(
            "its log still has what was cleared, because somebody reads the file: try again when that is over",
        ))
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = &self.inner;
        let closed = || match inner.health.last_error() {
            Some(error) => error,
            None => inner.file.unavailable("it is not open for writing"),
        };
        let queue = inner.queue.as_ref().ok_or_else(closed)?;
        queue.apart(work).await.ok_or_else(closed)
    }
}

fn rewrite(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("VACUUM").or_else(|_| {
        // There may be no folder for temporary files.
        let done = conn.execute_batch("PRAGMA temp_store = MEMORY; VACUUM");
        let reset = conn.execute_batch("PRAGMA temp_store = DEFAULT");
        done.and(reset)
    })
}

/// Writes the log back and cuts it to nothing; `false` while somebody reads from it.
fn empty_log(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .map(|busy| busy == 0)
}
