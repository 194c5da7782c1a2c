//! The file over its life: owned, opened, taken away, damaged, begun anew.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    companion::{Companion, Keeper, Part},
    connection::{self, Opening},
    error::StoreError,
    file::File,
    health::Health,
};
use crate::sqlite::{self, Fault, FileId, OwnerLock};

/// Who has a part in the file besides those who hand over jobs; this also says what becomes of a file that cannot be used.
pub(super) enum Beside {
    /// Nobody. What cannot be used is refused and left as it is.
    Nobody,
    /// Somebody with work for transactions. What cannot be used is refused and left as it is.
    Companion(Arc<dyn Companion>),
    /// Somebody who can do without the file. What cannot be used is moved aside and begun anew.
    Keeper(Arc<dyn Keeper>),
}

impl Beside {
    /// Who has work for transactions.
    pub fn companion(&self) -> Option<Arc<dyn Companion>> {
        match self {
            Self::Nobody => None,
            Self::Companion(companion) => Some(Arc::clone(companion)),
            Self::Keeper(keeper) => Some(Arc::clone(keeper) as _),
        }
    }

    fn keeper(&self) -> Option<&Arc<dyn Keeper>> {
        match self {
            Self::Nobody | Self::Companion(_) => None,
            Self::Keeper(keeper) => Some(keeper),
        }
    }
}

/// What the file at the path is to this process.
enum Standing {
    /// It was not opened yet.
    Unread,
    /// It holds what this process wrote and read.
    Ours(FileId),
    /// It is to be moved aside.
    Replace {
        /// Part of the name under which it is kept.
        what: &'static str,
        /// What was found, for people.
        why: String,
    },
}

/// An open file, with its log.
pub(super) struct Open {
    pub conn: Connection,
    files: (FileId, FileId),
    /// It was made a moment ago.
    new: bool,
}

pub(super) struct Lifecycle {
    file: Arc<File>,
    health: Arc<Health>,
    beside: Beside,
    lock: Option<OwnerLock>,
    /// Another process has the lock, and may be writing the file this very moment.
    in_use: bool,
    standing: Standing,
    /// Damage was seen.
    suspect: bool,
}

impl Lifecycle {
    pub fn new(file: Arc<File>, health: Arc<Health>, beside: Beside) -> Self {
        Self {
            file,
            health,
            beside,
            lock: None,
            in_use: false,
            standing: Standing::Unread,
            suspect: false,
        }
    }

    pub fn beside(&self) -> &Beside {
        &self.beside
    }

    /// The next opening looks at every page.
    pub fn suspect(&mut self) {
        self.suspect = true;
    }

    /// Opens the file when the process starts, and has it read by whoever keeps what stands in it. If that fails, the keeper
    /// goes on with what could be read, so that from then on the file is not what this process knows.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn start(&mut self, now: Timestamp) -> Result<Open, StoreError> {
        let Beside::Keeper(keeper) = &self.beside else {
            return self.open(now);
        };
        let keeper = Arc::clone(keeper);
        let outcome = self.open(now).and_then(|open| {
            if !open.new {
                keeper.load(&open.conn, now).map_err(|error| self.file.sqlite(&error))?;
            }
            Ok(open)
        });
        let refused = matches!(outcome, Err(StoreError::Newer { .. }));
        if outcome.is_err() && !refused && !matches!(self.standing, Standing::Replace { .. }) {
            if !self.in_use {
                self.rescue(&keeper, now);
            }
            self.replace(
                "unread",
                format!(
                    "{} could not be read whole when vpn-operator started",
                    self.file.path.display()
                ),
            );
        }
        outcome
    }

    /// Opens the file, and makes it if it is missing at the start. Takes the owner's lock first, once.
    ///
    /// # Errors
    /// What stands in the way. Of a file that is not replaced nothing was changed.
    pub fn open(&mut self, now: Timestamp) -> Result<Open, StoreError> {
        self.own().map_err(|fault| self.file.fault(fault))?;
        let (conn, new) = match self.beside.keeper().cloned() {
            None => (self.open_or_refuse()?, false),
            Some(keeper) => match self.reuse(&keeper, now)? {
                Some(conn) => (conn, false),
                None => (self.begin_anew(&keeper, now)?, true),
            },
        };
        // The log is made by the first look at the file.
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(|error| self.file.sqlite(&error))?;
        let Some(files) = self.files().map_err(|fault| self.file.fault(fault))? else {
            return Err(self.taken_away());
        };
        self.standing = Standing::Ours(files.0);
        self.suspect = false;
        Ok(Open { conn, files, new })
    }

    fn own(&mut self) -> Result<(), Fault> {
        if self.lock.is_some() {
            return Ok(());
        }
        let lock = OwnerLock::take(&self.file.path);
        self.in_use = matches!(lock, Err(Fault::InUse(_)));
        self.lock = Some(lock?);
        if let Some(companion) = self.beside.companion() {
            companion.owned();
        }
        Ok(())
    }

    fn present(&self) -> Result<Option<FileId>, StoreError> {
        sqlite::file_id(&self.file.path).map_err(|fault| self.file.fault(fault))
    }

    /// Whether there is a log without its file: it would be taken for that of a new one.
    fn log_is_left(&self) -> Result<bool, StoreError> {
        sqlite::file_id(&sqlite::log_of(&self.file.path))
            .map(|log| log.is_some())
            .map_err(|fault| self.file.fault(fault))
    }

    fn open_or_refuse(&self) -> Result<Connection, StoreError> {
        if self.present()?.is_none() {
            match self.standing {
                Standing::Ours(_) => return Err(self.taken_away()),
                _ if self.log_is_left()? => return Err(self.file.damaged("it is gone, and its log is there")),
                _ => sqlite::create_private(&self.file.path).map_err(|fault| self.file.fault(fault))?,
            }
        }
        let opening = Opening {
            check_whole: self.suspect,
            may_be_empty: matches!(self.standing, Standing::Unread),
            alone: false,
        };
        connection::open_writer(&self.file, opening)
    }

    fn taken_away(&self) -> StoreError {
        self.file.unavailable(format!(
            "{} was taken away while vpn-operator ran: put it back, or restart vpn-operator to begin a new one",
            self.file.path.display()
        ))
    }

    fn replace(&mut self, what: &'static str, why: String) {
        self.standing = Standing::Replace { what, why };
    }

    /// Opens the file that is there, if what stands in it is what this process knows or may take over.
    fn reuse(&mut self, keeper: &Arc<dyn Keeper>, now: Timestamp) -> Result<Option<Connection>, StoreError> {
        let present = self.present()?;
        let shown = self.file.path.display().to_string();
        match &self.standing {
            Standing::Replace { .. } => return Ok(None),
            Standing::Unread if present.is_none() => {
                if self.log_is_left()? {
                    self.replace("damaged", format!("{shown} is gone, and its log is there"));
                }
                return Ok(None);
            }
            Standing::Ours(ours) if present != Some(*ours) => {
                self.replace(
                    "unread",
                    format!("{shown} was taken away or replaced while vpn-operator ran"),
                );
                return Ok(None);
            }
            Standing::Unread | Standing::Ours(_) => {}
        }
        match self.open_whole(keeper) {
            Ok(conn) => return Ok(Some(conn)),
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(error @ StoreError::Newer { .. }) if !keeper.replaces_newer() => return Err(error),
            Err(StoreError::Damaged { message, .. }) => {
                self.rescue(keeper, now);
                self.replace("damaged", format!("{shown} is damaged: {message}"));
            }
            Err(StoreError::Newer { found, .. }) => {
                let why = format!("{shown} is of a newer version of vpn-operator (schema version {found})");
                self.replace("newer", why);
            }
        }
        Ok(None)
    }

    fn open_whole(&self, keeper: &Arc<dyn Keeper>) -> Result<Connection, StoreError> {
        let opening = Opening {
            check_whole: true,
            may_be_empty: false,
            alone: !keeper.is_shared(),
        };
        connection::open_writer(&self.file, opening)
    }

    /// Makes a new file with everything that its keeper has, and puts it in the place of what is there, which is moved aside. A
    /// disk without room leaves everything as it is.
    fn begin_anew(&mut self, keeper: &Arc<dyn Keeper>, now: Timestamp) -> Result<Connection, StoreError> {
        let part = Arc::clone(keeper).next(now);
        let (run, done) = part.map(|Part { run, done }| (run, done)).unzip();
        let placed = connection::build(&self.file, run).and_then(|made| self.put_in_place(&made, now));
        let durable = placed.is_ok();
        if let Ok(Some(why)) = &placed {
            self.health
                .found(format!("{why}. A new one was begun with {}", keeper.rescued()));
        }
        if durable {
            // Whoever is told that it is durable may want to read it.
            self.health.opened();
        }
        if let Some(done) = done {
            done(durable);
        }
        placed?;
        self.open_whole(keeper)
    }

    /// Answers what was wrong with what was there, and where it is now.
    fn put_in_place(&mut self, made: &File, now: Timestamp) -> Result<Option<String>, StoreError> {
        let mut said = None;
        if let Standing::Replace { what, why } = &self.standing {
            let aside = sqlite::move_aside(&self.file.path, what, now).map_err(|fault| self.file.fault(fault))?;
            said = Some(aside.map_or_else(
                || why.clone(),
                |aside| format!("{why}; it was moved to {}", aside.display()),
            ));
        }
        connection::place(made, &self.file)?;
        // From now on it is not moved aside any more.
        self.standing = self.present()?.map_or(Standing::Unread, Standing::Ours);
        Ok(said)
    }

    /// Has what can be read of a file read that cannot be opened as it should be. Changes nothing of it.
    fn rescue(&self, keeper: &Arc<dyn Keeper>, now: Timestamp) {
        sqlite::read_damaged(&self.file.path, |conn| {
            keeper.rescue(conn, now);
            Ok(())
        });
    }

    fn files(&self) -> Result<Option<(FileId, FileId)>, Fault> {
        let log = sqlite::file_id(&sqlite::log_of(&self.file.path))?;
        Ok(sqlite::file_id(&self.file.path)?.zip(log))
    }

    /// Whether the names still lead to the open file and its log. If not, what is written into them would be lost.
    pub fn is_in_place(&self, open: &Open) -> bool {
        self.files().ok().flatten() == Some(open.files)
    }

    /// Lets go of a file that is not in its place any more, or whose log is not. Its keeper reads everything from it once
    /// more, and it goes into a new one. Without a keeper a log that is missing is written back, and whatever stands in the
    /// file's place is opened next.
    pub fn let_go(&mut self, open: &Open, now: Timestamp) {
        if let Some(keeper) = self.beside.keeper() {
            keeper.rescue(&open.conn, now);
            let why = format!(
                "{} or its log was taken away while vpn-operator ran",
                self.file.path.display()
            );
            self.replace("unread", why);
        } else if self.present().is_ok_and(|present| present == Some(open.files.0)) {
            let written = open.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            if let Err(error) = written {
                tracing::error!(%error, "the log of {} was taken away and cannot be written back", self.file.schema.name);
            }
        } else {
            // Closing it must not take the log of what stands in its place for its own.
            let _ = sqlite::keep_log(&open.conn, true);
        }
    }
}
