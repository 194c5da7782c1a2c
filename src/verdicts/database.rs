//! The file over its life: opened, damaged, moved aside, taken away, begun anew.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior};

use super::{
    open::{self, FileId, Refused},
    pending::Pending,
    rows::{self, Counting, Loaded},
};
use crate::{
    model::guard::{GuardChange, GuardMemory},
    sqlite::{self, Fault, OwnerLock},
};

/// What the file at the path is to this process.
enum Standing {
    /// Nobody looked yet.
    Unread,
    /// It holds what this process knows, apart from what waits to be written.
    Ours(FileId),
    /// It does not: it is moved aside, and what this process knows goes into a new one.
    Replace {
        /// Part of the name under which it is kept.
        what: &'static str,
        /// What was found, for people.
        why: String,
    },
}

/// An open file, with its log.
struct Open {
    conn: Connection,
    files: (FileId, FileId),
}

pub(super) struct Database {
    path: PathBuf,
    max_age: SignedDuration,
    lock: Option<OwnerLock>,
    standing: Standing,
    open: Option<Open>,
    /// What was read of a file that is replaced: it has to be written again.
    rescued: Option<Loaded>,
    /// What was found wrong.
    found: Vec<String>,
}

impl Database {
    pub(super) const fn new(path: PathBuf, max_age: SignedDuration) -> Self {
        Self {
            path,
            max_age,
            lock: None,
            standing: Standing::Unread,
            open: None,
            rescued: None,
            found: Vec::new(),
        }
    }

    /// Opens the file for the first time, and answers what is in it; with what stands in the way of writing it.
    pub(super) fn start(&mut self, now: Timestamp) -> (GuardMemory, Option<Fault>) {
        let counting = Counting::around(now, self.max_age);
        let outcome = self.connect(now).and_then(|()| self.load(counting));
        let (loaded, fault) = match outcome {
            Ok(Some(loaded)) => (loaded, None),
            Ok(None) => return (self.known(), None),
            Err(fault) => {
                // Another process may be writing it this very moment.
                if self.rescued.is_none() && !matches!(fault, Fault::InUse(_)) {
                    self.rescued = Some(open::rescue(&self.path, counting));
                }
                self.open = None;
                if !matches!(self.standing, Standing::Replace { .. }) {
                    let why = format!(
                        "{} could not be read whole when vpn-operator started",
                        self.path.display()
                    );
                    self.standing = Standing::Replace { what: "unread", why };
                }
                return (self.known(), Some(fault));
            }
        };
        if loaded.skipped > 0 {
            self.say(format!(
                "{} rows of {} cannot be read and are left out: what they speak of is judged anew",
                loaded.skipped,
                self.path.display()
            ));
        }
        (loaded.memory, fault)
    }

    fn known(&self) -> GuardMemory {
        self.rescued
            .as_ref()
            .map(|loaded| loaded.memory.clone())
            .unwrap_or_default()
    }

    /// Reads an open file, and removes what counts no more. `None` if the file was made a moment ago.
    fn load(&mut self, counting: Counting) -> Result<Option<Loaded>, Fault> {
        let (None, Some(open)) = (&self.rescued, &self.open) else {
            return Ok(None);
        };
        let failed = |error: rusqlite::Error| Fault::sqlite(&self.path, &error);
        let loaded = rows::read(&open.conn, counting).map_err(failed)?;
        if loaded.stale > 0
            && let Err(error) = rows::prune(&open.conn, counting)
        {
            tracing::warn!(%error, "old charges of the guard could not be removed");
        }
        Ok(Some(loaded))
    }

    /// Copies the file as it is.
    ///
    /// # Errors
    /// It is not open, or cannot be copied.
    pub(super) fn copy(&self, target: &Path) -> Result<(), Fault> {
        let closed = || Fault::Unavailable(format!("{} cannot be used at present", self.path.display()));
        sqlite::copy(&self.open.as_ref().ok_or_else(closed)?.conn, target)
    }

    /// Opens the file, if it is closed.
    ///
    /// # Errors
    /// What stands in the way; what can be read was kept.
    pub(super) fn connect(&mut self, now: Timestamp) -> Result<(), Fault> {
        if self.open.is_some() {
            return Ok(());
        }
        if self.lock.is_none() {
            self.lock = Some(OwnerLock::take(&self.path)?);
        }
        let conn = match self.reuse(now)? {
            Some(conn) => conn,
            None => self.begin_anew(now)?,
        };
        // The log is made by the first look at the file.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(|error| Fault::sqlite(&self.path, &error))?;
        let Some(files) = self.files()? else {
            return Err(Fault::Unavailable(format!("{} was taken away", self.path.display())));
        };
        self.standing = Standing::Ours(files.0);
        self.open = Some(Open { conn, files });
        Ok(())
    }

    /// Opens the file that is there, if what stands in it is what this process knows or may take over.
    fn reuse(&mut self, now: Timestamp) -> Result<Option<Connection>, Fault> {
        let present = open::file_id(&self.path)?;
        match &self.standing {
            Standing::Replace { .. } => return Ok(None),
            Standing::Unread if present.is_none() => {
                if open::file_id(&sqlite::log_of(&self.path))?.is_some() {
                    let why = format!("{} is gone, and its log is there", self.path.display());
                    self.standing = Standing::Replace { what: "damaged", why };
                }
                return Ok(None);
            }
            Standing::Ours(ours) if present != Some(*ours) => {
                let why = format!(
                    "{} was taken away or replaced while vpn-operator ran",
                    self.path.display()
                );
                self.standing = Standing::Replace { what: "unread", why };
                return Ok(None);
            }
            Standing::Unread | Standing::Ours(_) => {}
        }
        let shown = self.path.display();
        let (what, why) = match open::open(&self.path) {
            Ok(conn) => return Ok(Some(conn)),
            Err(Refused::Unavailable(fault)) => return Err(fault),
            Err(Refused::Damaged(message)) => ("damaged", format!("{shown} is damaged: {message}")),
            Err(Refused::Newer(found)) => (
                "newer",
                format!("{shown} is of a newer version of vpn-operator (schema version {found})"),
            ),
        };
        let rescued = match what {
            "damaged" => open::rescue(&self.path, Counting::around(now, self.max_age)),
            _ => Loaded::default(),
        };
        self.rescued = Some(rescued);
        self.standing = Standing::Replace { what, why };
        Ok(None)
    }

    /// Moves aside what is there, and makes a new file.
    fn begin_anew(&mut self, now: Timestamp) -> Result<Connection, Fault> {
        if let Standing::Replace { what, why } = &mut self.standing
            && let Some(aside) = sqlite::move_aside(&self.path, what, now)?
        {
            *why = format!("{why}; it was moved to {}", aside.display());
        }
        open::create(&self.path)?;
        let conn = open::open(&self.path).map_err(|refused| match refused {
            Refused::Unavailable(fault) => fault,
            Refused::Damaged(message) => Fault::damaged(&self.path, message),
            Refused::Newer(_) => Fault::damaged(&self.path, "another program wrote it"),
        })?;
        if let Standing::Replace { why, .. } = &self.standing {
            let (verdicts, skipped) = self
                .rescued
                .as_ref()
                .map_or((0, 0), |loaded| (loaded.memory.verdicts.len(), loaded.skipped));
            let line = format!(
                "{why}. A new one was begun with {verdicts} verdicts that could be read, without {skipped} rows that could \
                 not: what is missing is judged anew"
            );
            self.say(line);
        }
        Ok(conn)
    }

    fn say(&mut self, line: String) {
        tracing::error!("{line}");
        self.found.push(line);
    }

    fn files(&self) -> Result<Option<(FileId, FileId)>, Fault> {
        let log = open::file_id(&sqlite::log_of(&self.path))?;
        Ok(open::file_id(&self.path)?.zip(log))
    }

    /// If somebody took the open file or its log away, what is written into it would be lost: then everything is read from
    /// it once more and goes into a new one.
    fn let_go_if_taken_away(&mut self, now: Timestamp) {
        let files = self.files().ok().flatten();
        let Some(open) = self.open.take_if(|open| files != Some(open.files)) else {
            return;
        };
        self.rescued = Some(rows::rescue(&open.conn, Counting::around(now, self.max_age)));
        let why = format!(
            "{} or its log was taken away while vpn-operator ran",
            self.path.display()
        );
        self.standing = Standing::Replace { what: "unread", why };
    }

    /// Writes changes in one transaction; durable when it returns. Puts below them what was read of a file that had to be
    /// replaced.
    ///
    /// # Errors
    /// Nothing was written.
    pub(super) fn write(&mut self, changes: &mut Pending, now: Timestamp, prune: bool) -> Result<(), Fault> {
        self.let_go_if_taken_away(now);
        self.connect(now)?;
        changes.put_below(self.take_rescued());
        if changes.is_empty() {
            return Ok(());
        }
        let prune = prune.then(|| Counting::around(now, self.max_age));
        let Some(open) = &mut self.open else { return Ok(()) };
        transact(&mut open.conn, changes, prune).map_err(|error| {
            if sqlite::needs_reopen(&error) {
                self.open = None;
            }
            Fault::sqlite(&self.path, &error)
        })
    }

    /// What has to be written again.
    pub(super) fn take_rescued(&mut self) -> Vec<GuardChange> {
        self.rescued.take().map(Loaded::into_changes).unwrap_or_default()
    }

    /// What was found wrong since the last call.
    pub(super) fn take_found(&mut self) -> Vec<String> {
        std::mem::take(&mut self.found)
    }

    /// Leaves room for so many pages.
    #[cfg(test)]
    pub(super) fn limit_pages(&self, most: u32) {
        if let Some(open) = &self.open {
            let pragma = open
                .conn
                .pragma_update_and_check(None, "max_page_count", most, |_| Ok(()));
            pragma.unwrap();
        }
    }
}

fn transact(conn: &mut Connection, changes: &Pending, prune: Option<Counting>) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for change in changes.changes() {
        rows::write(&tx, change)?;
    }
    if let Some(counting) = prune {
        rows::prune(&tx, counting)?;
    }
    tx.commit()
}
