//! Links that are handed over: each opens one person's page so many times, for so long.
//!
//! Pure is [`link`] (how a link stands). [`Handovers`] is the SQLite file `handover.db`. Codes stand in it by their keyed hash alone.
//! Whatever one call decides, it decides in one transaction, which also has the row for the audit of what was decided.
//!
//! It decides nothing about access, and must never be needed for a login or a denial.

pub mod link;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

pub use self::link::{Handover, Standing, VISIT};
pub use crate::store::StoreError;
use crate::{
    clock::SharedClock,
    credentials::{CodeKey, is_long_code, long_code},
    model::corporate_id::CorporateId,
    store::{Outbox, Store},
};

/// Name of the file in the data folder.
pub const HANDOVER_FILE: &str = "handover.db";

/// The links. Cheap to clone. Every write is durable when it returns.
#[derive(Clone)]
pub struct Handovers {
    store: Store,
    clock: SharedClock,
    keys: CodeKey,
}

/// A link that is to be made.
#[derive(Debug, Clone)]
pub struct NewHandover {
    /// Whose page it opens.
    pub id: CorporateId,
    /// Who makes it.
    pub made_by: String,
    /// How long it is good.
    pub valid: SignedDuration,
    /// How many times it opens the page.
    pub uses: u32,
    /// What stands in its address.
    pub code: SecretString,
    /// What the request is called that makes it: the same one makes it once, and makes nothing good again that was used or withdrawn.
    pub request: Option<String>,
}

/// A link that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The link.
    pub handover: Handover,
    /// Number of the row for the audit; `None` if the request had made it before.
    pub unaudited: Option<i64>,
}

/// What became of opening a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// No link has this code.
    Unknown,
    /// It opens nothing any more.
    Ended(Standing),
    /// It opens the page, and one use less is left.
    Now(Use),
    /// It would open the page, and is not to. Nothing was used up.
    Refused,
    /// It opens the page for a browser that has opened it a moment ago. Nothing was used up.
    Again {
        /// Number of the row about the first time, while it is not known to stand in the audit.
        unaudited: Option<i64>,
    },
}

/// One use of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The link, with this use counted.
    pub handover: Handover,
    /// Number of the row for the audit.
    pub unaudited: i64,
    at: Timestamp,
    opened_before: Option<Timestamp>,
}

/// What became of withdrawing a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawn {
    /// The person has no such link.
    Unknown,
    /// It was withdrawn before.
    Before,
    /// It opens nothing any more.
    Now {
        /// Number of the row for the audit.
        unaudited: i64,
    },
}

impl Handovers {
    /// Opens or creates the file. One that cannot be opened stands in nobody's way: every call answers the error, and opening is
    /// tried again.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, keys: CodeKey, clock: SharedClock) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open_or_retry(path, schema::SCHEMA, SharedClock::clone(&clock))?,
            clock,
            keys,
        })
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<StoreError> {
        self.store.last_error()
    }

    /// Rows for the audit that are not known to stand there.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::of(&self.store)
    }

    /// To the microsecond, as it is kept.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// The hash of a code. It names nobody: the code alone says whose page it opens.
    fn hash(&self, code: &str) -> [u8; 32] {
        self.keys.hash("", code)
    }

    /// The code of a request, whether or not it was made: the same each time.
    #[must_use]
    pub fn code_of(&self, id: &CorporateId, request: &str) -> SecretString {
        long_code(&self.keys.bits(id.key(), request))
    }

    /// A new code from the random source of the operating system.
    ///
    /// # Errors
    /// It gives none.
    pub fn draw() -> Result<SecretString, getrandom::Error> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits)?;
        Ok(long_code(&bits))
    }

    /// Makes a link, once for each request that has a name. `row` makes the row for the audit.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn make(
        &self,
        new: NewHandover,
        row: impl FnOnce(&Handover) -> String + Send + 'static,
    ) -> Result<Made, StoreError> {
        let now = self.now();
        let hash = self.hash(new.code.expose_secret());
        let request = new.request.map(|request| self.keys.request(new.id.key(), &request));
        let link = Handover {
            number: 0,
            id: new.id,
            made_by: new.made_by,
            made_at: now,
            valid_until: now.checked_add(new.valid).unwrap_or(Timestamp::MAX),
            uses: new.uses,
            used: 0,
            opened_at: None,
            withdrawn_at: None,
        };
        self.store
            .write(move |conn| {
                let before = request.as_ref().map(|request| rows::of_request(conn, request));
                if let Some(handover) = before.transpose()?.flatten() {
                    let unaudited = None;
                    return Ok(Made { handover, unaudited });
                }
                let handover = rows::add(conn, &hash, request.as_ref(), &link)?;
                let unaudited = Some(Outbox::put(conn, &row(&handover))?);
                Ok(Made { handover, unaudited })
            })
            .await
    }

    /// Takes back that a link was made, unless its row stands in the audit by now. Answers whether it was taken back.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn unmake(&self, number: i64, unaudited: i64) -> Result<bool, StoreError> {
        self.store
            .write(move |conn| {
                let taken = Outbox::take(conn, unaudited)?;
                if taken {
                    rows::remove(conn, number)?;
                }
                Ok(taken)
            })
            .await
    }

    /// The link of a code, and how it stands.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn find(&self, code: &str) -> Result<Option<(Handover, Standing)>, StoreError> {
        if !is_long_code(code) {
            return Ok(None);
        }
        let (hash, now) = (self.hash(code), self.now());
        let found = self.store.read(move |conn| rows::of_code(conn, &hash)).await?;
        Ok(found.map(|handover| {
            let standing = handover.standing(now);
            (handover, standing)
        }))
    }

    /// Opens the link of a code: counts one use, unless the same `visit` has opened it a moment ago, or the person is `refused`.
    /// `row` makes the row for the audit of the link with this use counted. Of two for whom one use is left, one gets it.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn open(
        &self,
        code: &str,
        visit: Option<&str>,
        refused: bool,
        row: impl FnOnce(&Handover) -> String + Send + 'static,
    ) -> Result<Opened, StoreError> {
        if !is_long_code(code) {
            return Ok(Opened::Unknown);
        }
        let (hash, now, keys) = (self.hash(code), self.now(), self.keys.clone());
        let visit = visit.map(str::to_owned);
        self.store
            .write(move |conn| {
                let Some(found) = rows::of_code(conn, &hash)? else {
                    return Ok(Opened::Unknown);
                };
                let visit = visit.map(|visit| keys.hash(&format!("visit of {}", found.number), &visit));
                let standing = found.standing(now);
                let before = visit.as_ref().map(|visit| rows::visit(conn, visit));
                let before = before.transpose()?.flatten();
                let again = before.filter(|(at, _)| link::may_ask_again(*at, now) && standing != Standing::Withdrawn);
                if again.is_none() && standing != Standing::Open {
                    return Ok(Opened::Ended(standing));
                }
                if refused {
                    return Ok(Opened::Refused);
                }
                if let Some((_, number)) = again {
                    let unaudited = Outbox::waits(conn, number)?.then_some(number);
                    return Ok(Opened::Again { unaudited });
                }
                rows::used(conn, found.number, now)?;
                let opened_before = found.opened_at;
                let handover = Handover {
                    used: found.used + 1,
                    opened_at: Some(now),
                    ..found
                };
                let unaudited = Outbox::put(conn, &row(&handover))?;
                if let Some(visit) = visit {
                    rows::visited(conn, &visit, handover.number, now, unaudited)?;
                }
                Ok(Opened::Now(Use {
                    handover,
                    unaudited,
                    at: now,
                    opened_before,
                }))
            })
            .await
    }

    /// Takes a use back, unless its row stands in the audit by now. Answers whether it was taken back.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn give_back(&self, used: Use) -> Result<bool, StoreError> {
        self.store
            .write(move |conn| {
                let taken = Outbox::take(conn, used.unaudited)?;
                if taken {
                    rows::unused(conn, used.handover.number, used.at, used.opened_before)?;
                    rows::not_visited(conn, used.handover.number, used.unaudited)?;
                }
                Ok(taken)
            })
            .await
    }

    /// Withdraws a link of a person. `row` makes the row for the audit.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn withdraw(
        &self,
        id: &CorporateId,
        number: i64,
        row: impl FnOnce(&Handover) -> String + Send + 'static,
    ) -> Result<Withdrawn, StoreError> {
        let (id, now) = (id.clone(), self.now());
        self.store
            .write(move |conn| {
                let Some(found) = rows::of_number(conn, &id, number)? else {
                    return Ok(Withdrawn::Unknown);
                };
                if found.withdrawn_at.is_some() {
                    return Ok(Withdrawn::Before);
                }
                rows::withdrawn(conn, number, now)?;
                let unaudited = Outbox::put(conn, &row(&found))?;
                Ok(Withdrawn::Now { unaudited })
            })
            .await
    }

    /// Links that open a person's page at present, newest first; at most 100.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn open_of(&self, id: &CorporateId) -> Result<Vec<Handover>, StoreError> {
        let (id, now) = (id.clone(), self.now());
        let mut open = self.store.read(move |conn| rows::open(conn, &id, now)).await?;
        open.retain(|handover| handover.standing(now) == Standing::Open);
        Ok(open)
    }

    /// Forgets everything that is kept of a person.
    ///
    /// # Errors
    /// Nothing was forgotten.
    pub async fn forget(&self, id: &CorporateId) -> Result<(), StoreError> {
        let id = id.clone();
        self.store.write(move |conn| rows::forget(conn, &id)).await
    }

    /// Clears what was removed out of the old pages of the file.
    ///
    /// # Errors
    /// The file cannot be written, or somebody reads it for too long.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub().await
    }
}
