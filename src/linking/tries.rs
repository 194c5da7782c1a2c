//! Asking for a code, giving one out, and trying one: each is one transaction, and what it comes to is decided in it alone.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    counts::{self, Subject},
    limits::Limits,
    link::{self, Link, Request},
    notices::{self, New, What},
};
use crate::{credentials::CodeKey, model::corporate_id::CorporateId, store::Outbox};

/// How long a code is good that was sent, and one that was given out where nothing else is said.
pub const CODE_VALID: SignedDuration = SignedDuration::from_mins(10);

/// How long somebody who said which ID is theirs may take to prove it.
pub(super) const REQUEST_OPEN: SignedDuration = SignedDuration::from_mins(60);

/// How far ahead of the clock a code may have been made. One from further ahead was made before the clock was set back, and would be
/// good for longer than it was meant to be.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// How long a `replaced` or `unlinked` notice is worth telling.
const TOLD_WITHIN: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What became of a request for a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A code was made, whether or not anybody can receive it.
    Made,
    /// Too many wrong codes, or too many requests: not before this much time has passed.
    Locked(SignedDuration),
}

/// What a new link took the place of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Former {
    /// The account that was linked to the person.
    pub account: Option<i64>,
    /// The person that the account was linked to.
    pub id: Option<CorporateId>,
}

/// The rows for the audit of a new link.
pub type Rows = Arc<dyn Fn(&Former) -> Vec<String> + Send + Sync>;

/// A code that somebody tries.
#[derive(Clone)]
pub struct Try {
    /// Who.
    pub account: i64,
    /// In which chat.
    pub chat: i64,
    /// The code; `None` for a text that cannot be one.
    pub code: Option<SecretString>,
    /// The request that it was looked at with, by which `refused` was found out.
    pub request: Option<Request>,
    /// The person is not to be linked, whatever the code.
    pub refused: bool,
    /// The ID as it is declared.
    pub declared: Option<CorporateId>,
    /// Whether the person has access, which they see at once.
    pub granted: bool,
    /// The rows for the audit, should the account be linked.
    pub rows: Rows,
}

impl fmt::Debug for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Try")
            .field("account", &self.account)
            .field("chat", &self.chat)
            .finish_non_exhaustive()
    }
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The account is linked.
    Linked {
        /// The link.
        link: Link,
        /// What it took the place of.
        former: Former,
        /// Numbers of the rows for the audit.
        unaudited: Vec<i64>,
    },
    /// The code was right, and the person is not to be linked. It is used up.
    Refused,
    /// The code is wrong, too old, used up, or of another chat.
    Wrong,
    /// Too many wrong codes.
    Locked {
        /// How long still.
        left: SignedDuration,
        /// It is this try that locked.
        just_now: bool,
    },
    /// The request is another one by now: look again.
    Changed,
}

/// What the file is told with.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub limits: Limits,
    pub keys: CodeKey,
    pub now: Timestamp,
}

impl Rules {
    fn open_since(&self) -> Timestamp {
        self.now.checked_sub(REQUEST_OPEN).unwrap_or(Timestamp::MIN)
    }

    fn after(&self, span: SignedDuration) -> Timestamp {
        self.now.checked_add(span).unwrap_or(Timestamp::MAX)
    }
}

/// Makes a code for whoever asks, for every ID alike.
pub(super) fn ask(conn: &Connection, rules: &Rules, request: &Request, code: &SecretString) -> rusqlite::Result<Asked> {
    let Rules { limits, keys, now } = rules;
    let subjects = [Subject::person(&request.id), Subject::account(request.account)];
    let mut found = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        found.push(counts::get(conn, subject, *now, limits)?);
    }
    let waits = found
        .iter()
        .flat_map(|count| [count.locked(*now), count.exhausted(*now, limits)]);
    if let Some(wait) = waits.flatten().max() {
        return Ok(Asked::Locked(wait));
    }
    for (subject, count) in subjects.iter().zip(&found) {
        counts::put(conn, subject, &count.requested(*now), limits)?;
    }
    link::put_request(conn, request, rules.open_since())?;
    bind(conn, &request.id, request.chat)?;
    let made = Made {
        id: &request.id,
        account: Some(request.account),
        chat: Some(request.chat),
        hash: keys.hash(request.id.key(), code.expose_secret()),
        valid_until: rules.after(CODE_VALID),
    };
    made.put(conn, *now)?;
    Ok(Asked::Made)
}

/// When the code of a request is good no more; `None` for a request that was not made yet.
pub(super) fn given_out(conn: &Connection, request: &[u8; 32]) -> rusqlite::Result<Option<Timestamp>> {
    let found = conn
        .prepare_cached("SELECT valid_until FROM given_out WHERE request = ?1")?
        .query_row([request], |row| row.get::<_, i64>(0));
    let until = found.optional()?;
    Ok(until.map(|until| Timestamp::from_microsecond(until).unwrap_or(Timestamp::MIN)))
}

/// Keeps a code that a person gives out, in the place of the one before. Answers when it is good no more. The same request changes
/// nothing: a code that was used meanwhile stays used.
pub(super) fn give_out(
    conn: &Connection,
    rules: &Rules,
    id: &CorporateId,
    code: &SecretString,
    valid: SignedDuration,
    request: Option<&[u8; 32]>,
) -> rusqlite::Result<Timestamp> {
    let valid_until = rules.after(valid);
    if let Some(request) = request {
        if let Some(before) = given_out(conn, request)? {
            return Ok(before);
        }
        conn.prepare_cached("INSERT INTO given_out VALUES (?1, ?2, ?3)")?
            .execute(params![request, id.key(), valid_until.as_microsecond()])?;
    }
    conn.prepare_cached("DELETE FROM codes WHERE key = ?1 AND account IS NULL")?
        .execute([id.key()])?;
    let made = Made {
        id,
        account: None,
        chat: link::first_chat(conn, id, rules.open_since())?,
        hash: rules.keys.hash(id.key(), code.expose_secret()),
        valid_until,
    };
    made.put(conn, rules.now)?;
    Ok(valid_until)
}

/// A code that was given out is bound to the first chat that asks for the ID.
fn bind(conn: &Connection, id: &CorporateId, chat: i64) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE codes SET chat = ?2 WHERE key = ?1 AND account IS NULL AND chat IS NULL")?
        .execute(params![id.key(), chat])
        .map(drop)
}

struct Made<'a> {
    id: &'a CorporateId,
    account: Option<i64>,
    chat: Option<i64>,
    hash: [u8; 32],
    valid_until: Timestamp,
}

impl Made<'_> {
    fn put(&self, conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO codes (key, account, chat, hash, issued_at, valid_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            self.id.key(),
            self.account,
            self.chat,
            self.hash,
            now.as_microsecond(),
            self.valid_until.as_microsecond(),
        ])
        .map(drop)
    }
}

/// Looks at a code, and links if it is right.
pub(super) fn attempt(conn: &Connection, rules: &Rules, tried: &Try) -> rusqlite::Result<Tried> {
    let Rules { limits, now, .. } = rules;
    let request = link::request_of(conn, tried.account, rules.open_since())?;
    let same = |one: &Request, other: &Request| one.id == other.id && one.chat == other.chat;
    match (&request, &tried.request) {
        (None, None) => {}
        (Some(one), Some(other)) if same(one, other) => {}
        _ => return Ok(Tried::Changed),
    }
    let person = request.as_ref().map(|request| Subject::person(&request.id));
    let subjects: Vec<Subject> = person.into_iter().chain([Subject::account(tried.account)]).collect();
    let mut found = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        found.push(counts::get(conn, subject, *now, limits)?);
    }
    if let Some(left) = found.iter().filter_map(|count| count.locked(*now)).max() {
        return Ok(Tried::Locked { left, just_now: false });
    }
    conn.prepare_cached("DELETE FROM codes WHERE issued_at > ?1")?
        .execute([rules.after(CLOCK_TOLERANCE).as_microsecond()])?;
    let request = request.filter(|request| request.chat == tried.chat);
    let code = match (&request, &tried.code) {
        (Some(request), Some(code)) => right(conn, rules, request, code)?,
        (None, _) | (_, None) => None,
    };
    let (Some(number), Some(request)) = (code, request) else {
        let mut locked = None;
        for (subject, count) in subjects.iter().zip(&found) {
            let count = count.failed(*now, limits);
            locked = locked.max(count.locked(*now));
            counts::put(conn, subject, &count, limits)?;
        }
        return Ok(locked.map_or(Tried::Wrong, |left| Tried::Locked { left, just_now: true }));
    };
    conn.prepare_cached("DELETE FROM codes WHERE number = ?1 OR account = ?2")?
        .execute(params![number, tried.account])?;
    link::drop_request(conn, tried.account)?;
    if tried.refused {
        return Ok(Tried::Refused);
    }
    linked(conn, rules, request, tried)
}

/// The number of the code, if it is right: of this person, this account and this chat, and not over.
fn right(conn: &Connection, rules: &Rules, request: &Request, code: &SecretString) -> rusqlite::Result<Option<i64>> {
    let mut query = conn.prepare_cached(
        "SELECT number, hash FROM codes WHERE key = ?1 AND valid_until > ?2 \
         AND ((account = ?3 AND chat = ?4) OR (account IS NULL AND (chat IS NULL OR chat = ?4)))",
    )?;
    let values = params![
        request.id.key(),
        rules.now.as_microsecond(),
        request.account,
        request.chat
    ];
    let rows = query.query_map(values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))?;
    let (mut numbers, mut hashes) = (Vec::new(), Vec::new());
    for row in rows {
        let (number, hash) = row?;
        numbers.push(number);
        hashes.push(hash);
    }
    let found = rules.keys.find(request.id.key(), code.expose_secret(), &hashes);
    Ok(found.and_then(|at| numbers.get(at).copied()))
}

fn linked(conn: &Connection, rules: &Rules, request: Request, tried: &Try) -> rusqlite::Result<Tried> {
    let before = link::of_person(conn, &request.id)?.filter(|before| before.account != request.account);
    let moved_from = link::of_account(conn, request.account)?
        .map(|former| former.id)
        .filter(|id| *id != request.id);
    let language = link::of_account(conn, request.account)?.and_then(|former| former.language);
    let link = Link {
        account: request.account,
        id: tried
            .declared
            .clone()
            .filter(|id| *id == request.id)
            .unwrap_or(request.id),
        chat: request.chat,
        language: language.or(Some(request.language)),
        linked_at: rules.now,
    };
    if let Some(before) = &before {
        notices::drop_waiting(conn, before.account)?;
        tell_once(conn, rules, before, What::Replaced)?;
    }
    // What was to be told of the person before is not told to whoever is linked now.
    notices::drop_waiting(conn, link.account)?;
    link::put(conn, &link)?;
    link::saw(conn, link.account, tried.granted)?;
    let former = Former {
        account: before.map(|before| before.account),
        id: moved_from,
    };
    let mut unaudited = Vec::new();
    for row in (tried.rows)(&former) {
        unaudited.push(Outbox::put(conn, &row)?);
    }
    Ok(Tried::Linked {
        link,
        former,
        unaudited,
    })
}

/// Tells somebody that their link is gone.
pub(super) fn tell_once(conn: &Connection, rules: &Rules, link: &Link, what: What) -> rusqlite::Result<()> {
    let new = New {
        name: format!(
            "{}:{}:{}:{}",
            what.word(),
            link.account,
            link.id.key(),
            rules.now.as_microsecond()
        ),
        account: Some(link.account),
        chat: Some(link.chat),
        language: link.language.clone(),
        what,
        at: rules.now,
        due_at: rules.now,
        until: rules.after(TOLD_WITHIN),
    };
    notices::put(conn, &new).map(drop)
}
