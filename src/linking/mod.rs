//! Which Telegram account belongs to whom: links, the codes by which they come about, how often somebody may try, and what
//! people are to be told.
//!
//! Pure are [`limits`] (how often), [`code`] (what a code is) and [`watch`] (what is to be told). [`Linking`] is the SQLite file
//! `linking.db`. Codes stand in it by their keyed hash alone. Whatever one call decides, it decides in one transaction.
//!
//! It decides nothing about access, sends nothing, and must never be needed for a login or a denial.

pub mod code;
mod counts;
pub mod limits;
mod link;
mod notices;
mod outbox;
mod schema;
#[cfg(test)]
mod tests;
mod tries;
pub mod watch;

use std::{path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::sync::watch as channel;

use self::{counts::Subject, limits::Limits, tries::Rules};
pub use self::{
    link::{Link, Request},
    notices::{Notice, Outcome, What},
    outbox::Observed,
    tries::{Asked, CODE_VALID, Former, Rows, Tried, Try},
};
pub use crate::store::StoreError;
use crate::{
    clock::SharedClock,
    credentials::CodeKey,
    model::corporate_id::CorporateId,
    store::{Outbox, Store},
};

/// Name of the file in the data folder.
pub const LINKING_FILE: &str = "linking.db";

/// The links. Cheap to clone. Every write is durable when it returns.
#[derive(Clone)]
pub struct Linking {
    store: Store,
    clock: SharedClock,
    keys: CodeKey,
    limits: Limits,
    /// Rises whenever there may be something new to tell.
    news: Arc<channel::Sender<u64>>,
}

/// A link that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinked {
    /// The link.
    pub link: Link,
    /// Number of the row for the audit.
    pub unaudited: i64,
}

/// A link that the former service made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedLink {
    /// The account.
    pub account: i64,
    /// The person.
    pub id: CorporateId,
    /// When they were linked, as far as it is known.
    pub linked_at: Option<Timestamp>,
}

/// What was taken over of the former service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Links that are new.
    pub links: Vec<ImportedLink>,
    /// Those that are left out, because the person or the account is linked otherwise by now.
    pub left_out: Vec<CorporateId>,
    /// Numbers of the rows for the audit.
    pub unaudited: Vec<i64>,
}

impl Linking {
    /// Opens or creates the file. One that cannot be opened stands in nobody's way: every call answers the error, and opening is
    /// tried again.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open_or_retry(path: &Path, keys: CodeKey, limits: Limits, clock: SharedClock) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open_or_retry(path, schema::SCHEMA, SharedClock::clone(&clock))?,
            clock,
            keys,
            limits,
            news: Arc::new(channel::Sender::new(0)),
        })
    }

    /// The last error of the writer, while it lasts.
    #[must_use]
    pub fn last_error(&self) -> Option<StoreError> {
        self.store.last_error()
    }

    fn rules(&self) -> Rules {
        Rules {
            limits: self.limits,
            keys: self.keys.clone(),
            now: self.now(),
        }
    }

    /// To the microsecond, as it is kept.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    fn is_news(&self) {
        self.news.send_modify(|number| *number += 1);
    }

    /// Makes a code for whoever asks for one, for every ID alike: whether anybody can receive it is the caller's business. A code of
    /// before for this account is good no more.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn ask(&self, mut request: Request, code: SecretString) -> Result<Asked, StoreError> {
        let rules = self.rules();
        request.at = rules.now;
        self.store
            .write(move |conn| tries::ask(conn, &rules, &request, &code))
            .await
    }

    /// What an account said last, while there is time to prove it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn request_of(&self, account: i64) -> Result<Option<Request>, StoreError> {
        let since = self.now().checked_sub(tries::REQUEST_OPEN).unwrap_or(Timestamp::MIN);
        self.store
            .read(move |conn| link::request_of(conn, account, since))
            .await
    }

    /// Looks at a code, counts it if it is wrong, and links the account if it is right, all of it or nothing.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn attempt(&self, tried: Try) -> Result<Tried, StoreError> {
        let rules = self.rules();
        let outcome = self
            .store
            .write(move |conn| tries::attempt(conn, &rules, &tried))
            .await?;
        if matches!(outcome, Tried::Linked { .. }) {
            self.is_news();
        }
        Ok(outcome)
    }

    /// Keeps a code that somebody gives out for a person, in the place of the one before. Answers when it is good no more.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn give_out(
        &self,
        id: &CorporateId,
        code: SecretString,
        valid: SignedDuration,
    ) -> Result<Timestamp, StoreError> {
        self.keep_given_out(id, code, valid, None).await
    }

    /// As [`Self::give_out`], for a request that the caller has a name for. The same request gets the same code, however often it is
    /// made, and makes nothing anew: a code that was used meanwhile, or that another one took the place of, stays so.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn give_out_once(
        &self,
        id: &CorporateId,
        code: SecretString,
        valid: SignedDuration,
        request: &str,
    ) -> Result<Timestamp, StoreError> {
        let request = self.keys.request(id.key(), request);
        self.keep_given_out(id, code, valid, Some(request)).await
    }

    async fn keep_given_out(
        &self,
        id: &CorporateId,
        code: SecretString,
        valid: SignedDuration,
        request: Option<[u8; 32]>,
    ) -> Result<Timestamp, StoreError> {
        let (rules, id) = (self.rules(), id.clone());
        self.store
            .write(move |conn| tries::give_out(conn, &rules, &id, &code, valid, request.as_ref()))
            .await
    }

    /// The code of a request, whether or not it was made. `None` if its bits give none.
    #[must_use]
    pub fn code_of(&self, id: &CorporateId, request: &str) -> Option<SecretString> {
        code::of_bits(&self.keys.bits(id.key(), request))
    }

    /// When the code of a request is good no more; `None` for a request that was not made.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn given_out(&self, id: &CorporateId, request: &str) -> Result<Option<Timestamp>, StoreError> {
        let request = self.keys.request(id.key(), request);
        self.store.read(move |conn| tries::given_out(conn, &request)).await
    }

    /// To whom an account is linked.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn of_account(&self, account: i64) -> Result<Option<Link>, StoreError> {
        self.store.read(move |conn| link::of_account(conn, account)).await
    }

    /// Which account a person has linked.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn of_person(&self, id: &CorporateId) -> Result<Option<Link>, StoreError> {
        let id = id.clone();
        self.store.read(move |conn| link::of_person(conn, &id)).await
    }

    /// Every link, in the order of the accounts.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn all(&self) -> Result<Vec<Link>, StoreError> {
        self.store.read(link::all).await
    }

    /// Keeps the language of an account. Answers whether it is linked.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn set_language(&self, account: i64, language: &str) -> Result<bool, StoreError> {
        let language = language.to_owned();
        self.store
            .write(move |conn| link::set_language(conn, account, &language))
            .await
    }

    /// Takes a link away, if it is still this one. With `tell`, the account has a notice of it.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn unlink(&self, which: Link, entry: String, tell: bool) -> Result<Option<Unlinked>, StoreError> {
        let rules = self.rules();
        let gone = self.store.write(move |conn| {
            let present = link::of_account(conn, which.account)?.filter(|link| link.id == which.id);
            let Some(link) = present else { return Ok(None) };
            link::remove(conn, link.account)?;
            notices::drop_waiting(conn, link.account)?;
            if tell {
                tries::tell_once(conn, &rules, &link, What::Unlinked)?;
            }
            let unaudited = Outbox::put(conn, &entry)?;
            Ok(Some(Unlinked { link, unaudited }))
        });
        let gone = gone.await?;
        if gone.is_some() {
            self.is_news();
        }
        Ok(gone)
    }

    /// Forgets everything that is kept of a person: link, codes, counts, what they were told and are to be told. Answers the account
    /// that was linked.
    ///
    /// # Errors
    /// Nothing was forgotten.
    pub async fn forget(&self, id: &CorporateId) -> Result<Option<i64>, StoreError> {
        let id = id.clone();
        self.store
            .write(move |conn| {
                let linked = link::of_person(conn, &id)?.map(|link| link.account);
                counts::forget(conn, &Subject::person(&id))?;
                if let Some(account) = linked {
                    counts::forget(conn, &Subject::account(account))?;
                    conn.prepare_cached("DELETE FROM notices WHERE account = ?1")?
                        .execute([account])?;
                }
                for sql in [
                    "DELETE FROM links WHERE key = ?1",
                    "DELETE FROM codes WHERE key = ?1",
                    "DELETE FROM given_out WHERE key = ?1",
                    "DELETE FROM requests WHERE key = ?1",
                    "DELETE FROM notices WHERE instr(name, ':' || ?1 || ':') > 0",
                ] {
                    conn.prepare_cached(sql)?.execute([id.key()])?;
                }
                Ok(linked)
            })
            .await
    }

    /// Clears what was removed out of the old pages of the file.
    ///
    /// # Errors
    /// The file cannot be written, or somebody reads it for too long.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub().await
    }

    /// Takes links over that the former service had. Each counts once, and takes back nothing that people did here. `row` makes the
    /// row for the audit of each.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn take_over(
        &self,
        former: Vec<ImportedLink>,
        row: impl Fn(&ImportedLink) -> String + Send + 'static,
    ) -> Result<TakenOver, StoreError> {
        let now = self.now();
        self.store
            .write(move |conn| outbox::take_over(conn, former, row, now))
            .await
    }
}
