//! Corporate IDs: who got which, and where each stands. Unique for ever: a row is never removed, and an ID that has one is
//! never issued again.
//!
//! Pure are [`status`] (what may follow what), [`draw`] (new IDs) and [`table`] (CSV). [`Registry`] is the SQLite file
//! `registry.db`, [`Registrar`] finds an ID that nobody has. Personal data stands in columns of its own, so that it can be
//! forgotten; what was done with an ID is told without it.
//!
//! It decides nothing about access: that a revoked ID is denied is the work of a hold, which `access` places. It must never be
//! needed for a login or a denial.

pub mod draw;
pub mod entry;
mod forget;
mod former;
mod import;
mod registrar;
mod rows;
mod schema;
pub mod status;
pub mod table;
mod takeover;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, path::Path};

use self::{entry::whole, rows::Done};
pub use self::{
    entry::{By, Change, Entry, Invalid, Owner, TelegramLink},
    forget::forget_former,
    import::Plan,
    registrar::{FindError, Registrar},
    rows::Search,
    status::{Status, Step, StepError},
    table::{BadLine, Table},
    takeover::Takeover,
};
pub use crate::store::StoreError;
use crate::{clock::SharedClock, model::corporate_id::CorporateId, store::Store};

/// Name of the registry in the data folder.
pub const REGISTRY_FILE: &str = "registry.db";

/// What `import legacy` leaves in the data folder, one line a row.
pub const FORMER_FILE: &str = "imported-registry.jsonl";

/// IDs that are read at once where all are wanted.
const PAGE: u32 = 1000;

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: Store,
    clock: SharedClock,
}

/// An ID to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The ID.
    pub id: CorporateId,
    /// Its first status.
    pub status: Status,
    /// Whose it is.
    pub owner: Owner,
    /// What the caller calls the request, so that the same request enters one ID however often it is made.
    pub request_key: Option<String>,
    /// What is done, for the history of the ID.
    pub action: &'static str,
}

/// What became of an ID that was to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It is entered.
    Entered(Entry),
    /// It is there already. Nothing was changed.
    Taken,
    /// This request entered another one. Nothing was changed.
    Before(Entry),
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// Status before.
    pub before: Status,
    /// The ID as it is now.
    pub entry: Entry,
}

impl Stepped {
    /// Whether anything changed.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.before != self.entry.status
    }
}

impl Registry {
    /// Opens or creates the registry. One that cannot be opened stands in nobody's way: every call answers the error, and opening
    /// is tried again.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, clock: SharedClock) -> Result<Self, StoreError> {
        let store = Store::open_or_retry(path, schema::SCHEMA, SharedClock::clone(&clock))?;
        Ok(Self { store, clock })
    }

    /// Opens the registry for reading, also while an operator has it open.
    #[must_use]
    pub fn open_read_only(path: &Path, clock: SharedClock) -> Self {
        let store = Store::open_read_only(path, schema::SCHEMA, SharedClock::clone(&clock));
        Self { store, clock }
    }

    /// One ID.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn get(&self, id: &CorporateId) -> Result<Option<Entry>, StoreError> {
        let id = id.clone();
        self.store.read(move |conn| rows::get(conn, &id)).await
    }

    /// The ID that a request entered.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn of_request(&self, request_key: &str) -> Result<Option<Entry>, StoreError> {
        let key = request_key.to_owned();
        self.store.read(move |conn| rows::by_request(conn, &key)).await
    }

    /// IDs in their order, from behind the key `after` on.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn search(&self, search: Search, after: Option<String>, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let after = after.unwrap_or_default().to_ascii_lowercase();
        self.store
            .read(move |conn| rows::search(conn, &search, &after, limit))
            .await
    }

    /// Every ID of the present style, in order: those that can be drawn.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn standard_ids(&self) -> Result<Vec<CorporateId>, StoreError> {
        let (mut ids, mut after) = (Vec::new(), None);
        loop {
            let page = self.search(Search::default(), after.take(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(ids) };
            after = Some(last.id.key().to_owned());
            ids.extend(page.into_iter().map(|entry| entry.id).filter(CorporateId::is_standard));
        }
    }

    /// What was done with an ID, newest first.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn changes(&self, id: &CorporateId, limit: u32) -> Result<Vec<Change>, StoreError> {
        let id = id.clone();
        self.store.read(move |conn| rows::changes(conn, &id, limit)).await
    }

    /// The Telegram account that the former service had linked to an ID.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn telegram(&self, id: &CorporateId) -> Result<Option<TelegramLink>, StoreError> {
        let id = id.clone();
        self.store.read(move |conn| rows::telegram(conn, &id)).await
    }

    /// Every Telegram account that the former service had linked.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn telegram_links(&self) -> Result<Vec<TelegramLink>, StoreError> {
        self.store.read(rows::telegram_links).await
    }

    /// Whose IDs these are; without those that nothing is known of.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn owners(&self, ids: Vec<CorporateId>) -> Result<HashMap<CorporateId, Owner>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let owners = move |conn: &rusqlite::Connection| {
            let mut owners = HashMap::with_capacity(ids.len());
            for id in ids {
                if let Some(entry) = rows::get(conn, &id)? {
                    owners.insert(id, entry.owner);
                }
            }
            Ok(owners)
        };
        self.store.read(owners).await
    }

    /// Enters an ID that is not there. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn add(&self, new: NewEntry, by: By) -> Result<Added, StoreError> {
        let now = whole(self.clock.now());
        let job = move |conn: &rusqlite::Connection| {
            let entry = Entry {
                id: new.id,
                status: new.status,
                owner: new.owner,
                issued_at: Some(now),
                updated_at: now,
            };
            if !rows::insert(conn, &entry, new.request_key.as_deref())? {
                let before = new.request_key.map(|key| rows::by_request(conn, &key)).transpose()?;
                return Ok(before.flatten().map_or(Added::Taken, Added::Before));
            }
            let done = Done {
                id: &entry.id,
                at: now,
                action: new.action,
                by: &by,
                before: None,
                after: Some(entry.status),
                former: false,
            };
            rows::note(conn, &done)?;
            Ok(Added::Entered(entry))
        };
        self.store.write(job).await
    }

    /// Makes a step with an ID. One that changes nothing writes nothing. Durable when it returns; `None` if there is no such ID.
    ///
    /// # Errors
    /// Nothing was written. The inner error: the step may not follow.
    pub async fn step(
        &self,
        id: &CorporateId,
        step: Step,
        by: By,
    ) -> Result<Option<Result<Stepped, StepError>>, StoreError> {
        let (id, now) = (id.clone(), whole(self.clock.now()));
        let job = move |conn: &rusqlite::Connection| {
            let Some(known) = rows::get(conn, &id)? else {
                return Ok(None);
            };
            let before = known.status;
            let status = match before.after(step, &known.id) {
                Ok(status) if status == before => return Ok(Some(Ok(Stepped { before, entry: known }))),
                Ok(status) => status,
                Err(error) => return Ok(Some(Err(error))),
            };
            let entry = Entry {
                status,
                updated_at: now,
                ..known
            };
            rows::update(conn, &entry)?;
            let done = Done {
                id: &entry.id,
                at: now,
                action: step.as_str(),
                by: &by,
                before: Some(before),
                after: Some(status),
                former: false,
            };
            rows::note(conn, &done)?;
            Ok(Some(Ok(Stepped { before, entry })))
        };
        self.store.write(job).await
    }

    /// What a file would change now. The inner error: every line that cannot be taken.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn plan(&self, table: Table) -> Result<(Table, Result<Plan, Vec<BadLine>>), StoreError> {
        let now = whole(self.clock.now());
        self.store
            .read(move |conn| import::plan(conn, &table, now).map(|plan| (table, plan)))
            .await
    }

    /// Takes a file in, all of it or nothing. Durable when it returns. The inner error: every line that cannot be taken.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn import(&self, table: Table, by: By) -> Result<Result<Plan, Vec<BadLine>>, StoreError> {
        let now = whole(self.clock.now());
        self.store
            .write(move |conn| import::apply(conn, &table, &by, now))
            .await
    }

    /// Takes over what the former service knew, from the text of [`FORMER_FILE`]. A line counts once, and takes back nothing that
    /// people did here. Durable when it returns.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn take_over(&self, text: &str) -> Result<Takeover, StoreError> {
        let (lines, bad) = former::read(text);
        if lines.is_empty() && bad.is_empty() {
            return Ok(Takeover::default());
        }
        let now = whole(self.clock.now());
        let mut done = self.store.write(move |conn| takeover::run(conn, &lines, now)).await?;
        done.remarks.extend(bad);
        done.remarks.sort_by_key(|remark| remark.line);
        Ok(done)
    }

    /// Looks at every page of the file.
    ///
    /// # Errors
    /// The registry cannot be read, or the first thing that is wrong with it.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.store.check().await
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<StoreError> {
        self.store.last_error()
    }
}
