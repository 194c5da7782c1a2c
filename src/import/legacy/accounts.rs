//! People: from a row of `users` to what is declared of them.

use std::collections::HashMap;

use secrecy::SecretString;

use super::{
    read::Tables,
    row::{Remark, Row},
    table::Table,
    times::Times,
};
use crate::{
    import::person::{Person, PlannedHold, Terms, kept_password},
    model::{corporate_id::CorporateId, syntax, user::MAX_OWNER_LEN},
};

/// Somebody of the former service.
#[derive(Debug, Clone)]
pub struct FormerUser {
    /// `rowid` in `users`.
    pub row: i64,
    /// As they are to be declared.
    pub person: Person,
    /// They had a subscription link, which stops working.
    pub has_old_link: bool,
    /// Bytes from and to them, as the former service has them.
    pub(super) total: (u64, u64),
}

/// Why nothing is made of a row.
type Refused = String;

/// Everybody who can be declared, in the order of rows, and what there is to say.
pub(super) fn people(tables: &Tables, times: &Times, remarks: &mut Vec<Remark>) -> Vec<FormerUser> {
    let rows = tables.rows(Table::Users);
    let ids = claims(rows, |row| id_of(row).ok().map(|id| id.key().to_owned()));
    let usernames = claims(rows, |row| username_of(row, &id_of(row).ok()?).ok());
    let owners = owners(tables);
    let mut people = Vec::new();
    for row in rows {
        match person(row, &ids, &usernames, times, remarks) {
            Ok(mut user) => {
                user.person.owner = owners.get(user.person.id.key()).cloned();
                people.push(user);
            }
            Err(refused) => {
                let out = if denied(row, times) {
                    "; they were inactive or locked: think of it before they are let in another way"
                } else {
                    ""
                };
                remarks.push(Remark::skipped(Table::Users, row, format!("{refused}{out}")));
            }
        }
    }
    people
}

/// Rows by what they claim.
type Claims = HashMap<String, Vec<i64>>;

fn claims(rows: &[Row], what: impl Fn(&Row) -> Option<String>) -> Claims {
    let mut claims = Claims::new();
    for row in rows {
        if let Some(what) = what(row) {
            claims.entry(what).or_default().push(row.number);
        }
    }
    claims
}

/// The other rows that claim the same.
fn others(claims: &Claims, what: &str, row: &Row) -> Option<String> {
    let rows = claims.get(what)?;
    let others = rows.iter().filter(|number| **number != row.number);
    let others: Vec<String> = others.map(ToString::to_string).collect();
    (!others.is_empty()).then(|| others.join(", "))
}

fn person(
    row: &Row,
    ids: &Claims,
    usernames: &Claims,
    times: &Times,
    remarks: &mut Vec<Remark>,
) -> Result<FormerUser, Refused> {
    let id = id_of(row)?;
    if let Some(others) = others(ids, id.key(), row) {
        return Err(format!(
            "{id} is also the corporate ID of row {others}: case does not matter, so declare the right one by hand"
        ));
    }
    let username = username_of(row, &id)?;
    if let Some(others) = others(usernames, &username, row) {
        return Err(format!(
            "{id}: its account {username} is also that of row {others}: declare by hand whose it is"
        ));
    }
    let password = password_of(row).map_err(|wrong| format!("{id}: {wrong}"))?;
    let mut total = |column| {
        row.bytes(column).unwrap_or_else(|wrong| {
            remarks.push(Remark::note(
                Table::Users,
                row,
                format!("{id}: {wrong}: it counts as 0"),
            ));
            None
        })
    };
    let total = (total("total_upload").unwrap_or(0), total("total_download").unwrap_or(0));
    Ok(FormerUser {
        row: row.number,
        has_old_link: row.told("subscription_url").is_some(),
        total,
        person: Person {
            holds: holds(row, &id, times, remarks),
            username,
            password,
            owner: None,
            terms: Terms::default(),
            id,
        },
    })
}

fn id_of(row: &Row) -> Result<CorporateId, Refused> {
    let text = row.text("corporate_id")?.ok_or("corporate_id is empty")?;
    CorporateId::parse(&text).map_err(|error| format!("corporate_id: {error}"))
}

/// The account, in lower case, which is how logins are compared; that of the ID when none is given.
fn username_of(row: &Row, id: &CorporateId) -> Result<String, Refused> {
    let given = row.text("blitz_username").map_err(|wrong| format!("{id}: {wrong}"))?;
    let username = given.map_or_else(|| id.account(), |name| name.to_ascii_lowercase());
    if syntax::USERNAME.accepts(&username) {
        Ok(username)
    } else {
        Err(format!(
            "{id}: blitz_username must be {}: no gateway has such an account",
            syntax::USERNAME.rule
        ))
    }
}

fn password_of(row: &Row) -> Result<SecretString, Refused> {
    let text = row.text("hy2_auth_key")?;
    let text = text.ok_or("hy2_auth_key is empty, so there is no password to keep: let them in with `user grant`")?;
    kept_password(&text)
        .map_err(|wrong| format!("hy2_auth_key {wrong}: let them in with `user grant`, under a new password"))
}

/// What keeps this person out. What cannot be understood keeps them out as well, and is said.
fn holds(row: &Row, id: &CorporateId, times: &Times, remarks: &mut Vec<Remark>) -> Vec<PlannedHold> {
    let mut holds = Vec::new();
    let mut hold = |cause, reason: &str, until| {
        let reason = format!("imported from the former service: {reason}");
        holds.push(PlannedHold::new(cause, id, reason, until));
    };
    let mut note = |message: &str| remarks.push(Remark::note(Table::Users, row, format!("{id}: {message}")));
    match row.integer("is_active") {
        Ok(Some(0)) => hold("inactive", "is_active was 0", None),
        Ok(Some(_)) => {}
        // A column of a later version: before it nobody could be inactive.
        Ok(None) if !row.has("is_active") => {}
        Ok(None) => {
            hold("inactive", "is_active was empty", None);
            note("is_active is empty: held");
        }
        Err(wrong) => {
            hold("inactive", "is_active could not be read", None);
            note(&format!("{wrong}: held"));
        }
    }
    match row.text("locked_until").map(|text| text.map(|text| times.parse(&text))) {
        Ok(None) => {}
        Ok(Some(Some(until))) if until <= times.now => {}
        Ok(Some(Some(until))) => hold("locked", "locked_until was still to come", Some(until)),
        Ok(Some(None)) | Err(_) => {
            hold("locked", "locked_until could not be read", None);
            note("locked_until is no time: held without an end");
        }
    }
    holds
}

/// Whether something of the row kept the person out.
fn denied(row: &Row, times: &Times) -> bool {
    let inactive = row.has("is_active") && !matches!(row.integer("is_active"), Ok(Some(active)) if active != 0);
    let still = |text: String| times.parse(&text).is_none_or(|until| until > times.now);
    inactive || row.told("locked_until").is_some_and(still)
}

/// Whose ID it is, by key, as far as the registry says it in a text that may be shown.
fn owners(tables: &Tables) -> HashMap<String, String> {
    let owner = |row: &Row| {
        let id = CorporateId::parse(&row.told("id")?).ok()?;
        let owner = row.told("owner")?;
        let shows = syntax::fits(&owner, MAX_OWNER_LEN) && !owner.chars().any(char::is_control);
        shows.then(|| (id.key().to_owned(), owner))
    };
    tables.rows(Table::IdRegistry).iter().filter_map(owner).collect()
}

/// The password of every row that has one, with the ID of the row: what must not stand in a text.
pub(super) fn passwords(tables: &Tables) -> Vec<(String, SecretString)> {
    let password = |row: &Row| {
        let password = SecretString::from(row.told("hy2_auth_key")?);
        Some((row.told("corporate_id").unwrap_or_default(), password))
    };
    tables.rows(Table::Users).iter().filter_map(password).collect()
}
