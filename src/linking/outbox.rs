//! What is to be told, what is to stand in the audit, and what is taken over: the parts of [`Linking`] beside linking itself.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch as channel;

use super::{
    ImportedLink, Linking, StoreError, TakenOver,
    link::{self, Link},
    notices::{self, New, Notice, Outcome, What},
    watch::{Facts, Told, step},
};
use crate::{model::corporate_id::CorporateId, store::Outbox};

/// What came of looking at linked people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// When to look again although nothing changes, by the key of the ID; those who are not linked are not in it.
    pub next: HashMap<String, Option<Timestamp>>,
    /// How many notices are new.
    pub new: usize,
}

impl Linking {
    /// Looks at how things stand with people, by the keys of their IDs, and keeps what linked ones are to be told. `quiet`: nobody
    /// looked for so long that what changed meanwhile is taken as told.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn observe(&self, facts: Vec<(CorporateId, Facts)>, quiet: bool) -> Result<Observed, StoreError> {
        let now = self.now();
        let facts = std::sync::Arc::new(facts);
        let look = std::sync::Arc::clone(&facts);
        let (changes, seen) = self
            .store
            .read(move |conn| observe(conn, &look, now, quiet, false))
            .await?;
        if changes == 0 {
            return Ok(seen);
        }
        let (_, seen) = self
            .store
            .write(move |conn| observe(conn, &facts, now, quiet, true))
            .await?;
        self.is_news();
        Ok(seen)
    }

    /// Keeps that the guard holds people back; `name` tells this batch from others.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn held_back(
        &self,
        name: &str,
        people: usize,
        some: Vec<String>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let new = New {
            name: format!("held_back:{name}"),
            account: None,
            chat: None,
            language: None,
            what: What::HeldBack { people, some },
            at: now,
            due_at: now,
            until,
        };
        if self.store.write(move |conn| notices::put(conn, &new)).await? {
            self.is_news();
        }
        Ok(())
    }

    /// The guard holds nobody back any more: what the admins were not told yet is not told.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn nothing_held_back(&self) -> Result<(), StoreError> {
        self.store.write(notices::drop_held_back).await.map(drop)
    }

    /// What is to be told now, oldest first. From then on none of it is taken back.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub async fn hand_out(&self, limit: u32) -> Result<Vec<Notice>, StoreError> {
        let now = self.now();
        let due = self.next_due().await?;
        if due.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        self.store.write(move |conn| notices::hand_out(conn, now, limit)).await
    }

    /// When the next notice is to be told, as far as there is one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        self.store.read(move |conn| notices::next_due(conn, now)).await
    }

    /// Keeps what became of a notice. Answers whether that is new.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn done(&self, notice: i64, outcome: Outcome) -> Result<bool, StoreError> {
        self.store.write(move |conn| notices::done(conn, notice, outcome)).await
    }

    /// Changes whenever there may be something new to tell.
    #[must_use]
    pub fn news(&self) -> channel::Receiver<u64> {
        self.news.subscribe()
    }

    /// How many notices wait, by kind, and how many links there are.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn counts(&self) -> Result<(BTreeMap<String, i64>, i64), StoreError> {
        let now = self.now();
        self.store
            .read(move |conn| {
                let links: i64 = conn.query_row("SELECT count(*) FROM links", [], |row| row.get(0))?;
                Ok((notices::waiting(conn, now)?, links))
            })
            .await
    }

    /// Rows for the audit that are not known to stand there.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::of(&self.store)
    }

    /// When this file was looked after last; `None` for a new one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn looked_after(&self) -> Result<Option<Timestamp>, StoreError> {
        let at = |conn: &Connection| {
            conn.prepare_cached("SELECT at FROM alive")?
                .query_row([], |row| row.get::<_, i64>(0))
                .optional()
        };
        let micros = self.store.read(at).await?;
        Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
    }

    /// Notes that this file is looked after now.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn look_after(&self) -> Result<(), StoreError> {
        let now = self.now().as_microsecond();
        self.store
            .write(move |conn| {
                conn.prepare_cached(
                    "INSERT INTO alive (one, at) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
                )?
                .execute([now])
                .map(drop)
            })
            .await
    }
}

fn told(conn: &Connection, id: &CorporateId) -> rusqlite::Result<Option<(Link, Told)>> {
    let Some(link) = link::of_person(conn, id)? else {
        return Ok(None);
    };
    let told = conn
        .prepare_cached("SELECT granted, was_granted, quota, expiring FROM links WHERE account = ?1")?
        .query_row([link.account], |row| {
            Ok(Told {
                granted: row.get(0)?,
                was_granted: row.get(1)?,
                quota: row.get(2)?,
                expiring: row.get(3)?,
            })
        })?;
    Ok(Some((link, told)))
}

/// Goes through people; writes only if told to. Answers for how many something changes.
fn observe(
    conn: &Connection,
    facts: &[(CorporateId, Facts)],
    now: Timestamp,
    quiet: bool,
    writes: bool,
) -> rusqlite::Result<(usize, Observed)> {
    let (mut changes, mut seen) = (0, Observed::default());
    for (id, facts) in facts {
        let Some((link, before)) = told(conn, id)? else {
            continue;
        };
        let step = step(&before, facts, now, quiet);
        seen.next.insert(id.key().to_owned(), step.next);
        if step.told == before && step.tells.is_empty() {
            continue;
        }
        changes += 1;
        if !writes {
            continue;
        }
        let mut after = step.told;
        for tell in step.tells {
            // What came undone before anybody heard of it is not told, and neither is that it came undone.
            let undone = match tell.what {
                What::Suspended { .. } if notices::take_back(conn, link.account, "restored")? => true,
                What::Suspended { .. } if notices::take_back(conn, link.account, "granted")? => {
                    after.was_granted = false;
                    true
                }
                What::Restored => notices::take_back(conn, link.account, "suspended")?,
                _ => false,
            };
            if undone {
                continue;
            }
            let new = New {
                name: format!("{}:{}:{}:{}", tell.what.word(), link.account, id.key(), tell.name),
                account: Some(link.account),
                chat: Some(link.chat),
                language: link.language.clone(),
                what: tell.what,
                at: now,
                due_at: tell.due_at,
                until: tell.until,
            };
            seen.new += usize::from(notices::put(conn, &new)?);
        }
        conn.prepare_cached(
            "UPDATE links SET granted = ?2, was_granted = ?3, quota = ?4, expiring = ?5 WHERE account = ?1",
        )?
        .execute(params![
            link.account,
            after.granted,
            after.was_granted,
            after.quota,
            after.expiring
        ])?;
    }
    Ok((changes, seen))
}

/// Takes links over that the former service had.
pub(super) fn take_over(
    conn: &Connection,
    former: Vec<ImportedLink>,
    row: impl Fn(&ImportedLink) -> String,
    now: Timestamp,
) -> rusqlite::Result<TakenOver> {
    let mut done = TakenOver::default();
    for one in former {
        let digest: [u8; 32] = Sha256::digest(format!("{}:{}", one.account, one.id.key()).as_bytes()).into();
        let new = conn
            .prepare_cached("INSERT INTO taken_over (digest) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([digest])?;
        if new == 0 {
            continue;
        }
        if link::of_account(conn, one.account)?.is_some() || link::of_person(conn, &one.id)?.is_some() {
            done.left_out.push(one.id);
            continue;
        }
        let link = Link {
            account: one.account,
            id: one.id.clone(),
            // A private chat has the number of its account.
            chat: one.account,
            language: None,
            linked_at: one.linked_at.unwrap_or(now),
        };
        link::put(conn, &link)?;
        done.unaudited.push(Outbox::put(conn, &row(&one))?);
        done.links.push(one);
    }
    Ok(done)
}
