//! What is to be made of every account. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use secrecy::ExposeSecret;

use super::matches::{Matches, Whose};
use crate::{
    gateway::blitz::client::Entry,
    import::person::{Person, PlannedHold, Terms, kept_password},
    model::{corporate_id::CorporateId, syntax},
};

/// What does not stand in the list.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Now.
    pub now: Timestamp,
    /// Name of the gateway that the panel is, when it is not `default`.
    pub gateway: Option<String>,
}

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Every account of the panel, in the order of names. No two of the people have the same ID.
    pub accounts: Vec<Account>,
    /// What else there is to know. Without secrets.
    pub notes: Vec<String>,
}

/// An account of the panel.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name, as the panel has it.
    pub name: String,
    /// Bytes that it has moved so far.
    pub used: u64,
    /// What is to be made of it.
    pub fate: Fate,
}

/// What is to be made of an account.
#[derive(Debug, Clone)]
pub enum Fate {
    /// A person.
    Person(Box<Person>),
    /// Nothing, as was said: it stays at the panel as it is.
    Left,
    /// Nothing, and why not.
    Skipped(String),
}

impl Plan {
    /// Everybody who is to be declared.
    pub fn people(&self) -> impl Iterator<Item = &Person> {
        self.accounts.iter().filter_map(|account| match &account.fate {
            Fate::Person(person) => Some(&**person),
            Fate::Left | Fate::Skipped(_) => None,
        })
    }
}

/// Says what is to be made of everything that the panel lists.
#[must_use]
pub fn map(listed: &BTreeMap<String, Entry>, matches: &Matches, circumstances: &Circumstances) -> Plan {
    let owners = listed.keys().map(|name| (name.as_str(), owner(name, matches)));
    let owners: BTreeMap<&str, Owner> = owners.collect();
    let mut claims = Claims::new();
    for (name, owner) in &owners {
        if let Owner::Person(id) = owner {
            claims.entry(id).or_default().push(name);
        }
    }
    let mut plan = Plan::default();
    for ((name, entry), owner) in listed.iter().zip(owners.values()) {
        let fate = fate(name, entry, owner, &claims, circumstances).unwrap_or_else(Fate::Skipped);
        if let Fate::Person(person) = &fate {
            plan.notes.extend(notes(name, entry, &person.id));
        }
        plan.accounts.push(Account {
            name: name.clone(),
            used: used(entry),
            fate,
        });
    }
    plan
}

/// Which accounts claim an ID.
type Claims<'a> = HashMap<&'a CorporateId, Vec<&'a str>>;

/// What is to be made of an account, or why nothing is.
fn fate(
    name: &str,
    entry: &Entry,
    owner: &Owner,
    claims: &Claims<'_>,
    circumstances: &Circumstances,
) -> Result<Fate, String> {
    match owner {
        Owner::Nobody => Ok(Fate::Left),
        Owner::Unknown => Err(
            "its name tells no corporate ID: give it a line `account,corporate ID` in the file of --match".to_owned(),
        ),
        Owner::Foreign => Err(format!(
            "an account of the operator is {}: give its person another one at the panel",
            syntax::USERNAME.rule
        )),
        Owner::Person(id) => match others(claims, id, name) {
            Some(others) => Err(format!(
                "{id} is also the corporate ID of {others}: a person has one account, so leave the others at the panel with a \
                 line `account,` without ID in the file of --match"
            )),
            None => person(name, entry, id, circumstances).map(|person| Fate::Person(Box::new(person))),
        },
    }
}

/// Whose an account is.
enum Owner {
    Person(CorporateId),
    Nobody,
    Unknown,
    /// The operator has no such account, whoever it is.
    Foreign,
}

/// What people say counts before what the name tells.
fn owner(name: &str, matches: &Matches) -> Owner {
    match matches.said(name) {
        Some(Whose::Nobodys) => Owner::Nobody,
        _ if !syntax::USERNAME.accepts(name) => Owner::Foreign,
        Some(Whose::Persons(id)) => Owner::Person(id.clone()),
        None => told(name).map_or(Owner::Unknown, Owner::Person),
    }
}

/// The ID that a name tells: the operator's own account of it, or the ID itself, if it is one of the present style. Older IDs are
/// words like any other.
fn told(name: &str) -> Option<CorporateId> {
    let itself = || CorporateId::capital(name).filter(CorporateId::is_standard);
    CorporateId::of_account(name).or_else(itself)
}

/// The other accounts that claim the same ID.
fn others(claims: &Claims<'_>, id: &CorporateId, name: &str) -> Option<String> {
    let others: Vec<&str> = claims.get(id)?.iter().copied().filter(|other| *other != name).collect();
    (!others.is_empty()).then(|| others.join(", "))
}

fn person(name: &str, entry: &Entry, id: &CorporateId, circumstances: &Circumstances) -> Result<Person, String> {
    let password = match entry.password.expose_secret() {
        "" => Err("is empty"),
        text => kept_password(text),
    };
    let password =
        password.map_err(|wrong| format!("{id}: the password {wrong}: give them another one at the panel"))?;
    let (valid_until, limit) = if entry.unlimited {
        (None, None)
    } else {
        (end(entry, circumstances.now), entry.limit)
    };
    let hold = || PlannedHold::new("blocked", id, reason(entry, circumstances.now), None);
    Ok(Person {
        username: name.to_owned(),
        password,
        owner: None,
        terms: Terms {
            valid_until,
            limit,
            gateways: circumstances.gateway.clone().map(|gateway| vec![gateway]),
        },
        holds: entry.blocked.then(hold).into_iter().collect(),
        id: id.clone(),
    })
}

/// The end of the day on which the days of an account are over, in UTC. The panel counts them in its own time zone, and from the first
/// byte on: those of an account that never moved one count from today on.
fn end(entry: &Entry, now: Timestamp) -> Option<Timestamp> {
    let begin = entry.created.unwrap_or_else(|| day(now));
    let days = Span::new().try_days(i64::from(entry.days?) + 1).ok()?;
    // What is over after the last day that can be named is never over.
    let after = begin.checked_add(days).ok()?;
    Some(after.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn used(entry: &Entry) -> u64 {
    entry.moved.0.saturating_add(entry.moved.1)
}

/// Why somebody is held who is blocked at the panel. It blocks by itself who is over days or traffic, so who did it is not known.
fn reason(entry: &Entry, now: Timestamp) -> String {
    let over_days = entry.created.is_some() && end(entry, now).is_some_and(|end| end <= now);
    let over_limit = entry.limit.is_some_and(|limit| used(entry) >= limit);
    let why = match (over_days, over_limit) {
        (false, false) => "",
        (true, false) => ", with its days over",
        (false, true) => ", with its traffic used up",
        (true, true) => ", with its days over and its traffic used up",
    };
    format!("imported from the panel: the account was blocked there{why}")
}

fn notes(name: &str, entry: &Entry, id: &CorporateId) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(told) = told(name).filter(|told| told != id) {
        notes.push(format!(
            "{name}: {id} as the file of --match says, although its name tells {told}"
        ));
    }
    if let Some(days) = entry.days.filter(|_| entry.created.is_none() && !entry.unlimited) {
        notes.push(format!(
            "{name}: its {days} days were to count from the first byte on, and it has moved none: they count from today on"
        ));
    }
    notes
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
