//! What a file of IDs would change, and changing it: all of it or nothing.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    entry::{By, Entry, whole},
    rows::{self, Done},
    status::Status,
    table::{BadLine, Row, Table},
};
use crate::model::corporate_id::CorporateId;

/// What a file changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// IDs that are new, with their status.
    pub added: Vec<(CorporateId, Status)>,
    /// IDs of which the personal data changes, with the names of what does.
    pub updated: Vec<(CorporateId, Vec<&'static str>)>,
    /// How many IDs are as the file has them.
    pub unchanged: u64,
}

impl Plan {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.updated.is_empty()
    }
}

/// What one line comes to.
enum Act {
    Add(Entry),
    Update(Entry, Vec<&'static str>),
    Nothing,
}

/// What a file would change now, or every line that cannot be taken.
pub(super) fn plan(conn: &Connection, table: &Table, now: Timestamp) -> rusqlite::Result<Result<Plan, Vec<BadLine>>> {
    Ok(acts(conn, table, now)?.map(|acts| summary(&acts)))
}

/// Changes it, or nothing.
pub(super) fn apply(
    conn: &Connection,
    table: &Table,
    by: &By,
    now: Timestamp,
) -> rusqlite::Result<Result<Plan, Vec<BadLine>>> {
    let acts = match acts(conn, table, now)? {
        Ok(acts) => acts,
        Err(bad) => return Ok(Err(bad)),
    };
    for act in &acts {
        let (entry, before, action, fields) = match act {
            Act::Add(entry) => {
                rows::insert(conn, entry, None)?;
                (entry, None, "import", Vec::new())
            }
            Act::Update(entry, fields) => {
                rows::update(conn, entry)?;
                (entry, Some(entry.status), "update", fields.clone())
            }
            Act::Nothing => continue,
        };
        let changed = (!fields.is_empty()).then(|| format!("changed: {}", fields.join(", ")));
        let by = By {
            reason: by.reason.clone().or(changed),
            ..by.clone()
        };
        rows::note(
            conn,
            &Done {
                id: &entry.id,
                at: now,
                action,
                by: &by,
                before,
                after: Some(entry.status),
                former: false,
            },
        )?;
    }
    Ok(Ok(summary(&acts)))
}

fn acts(conn: &Connection, table: &Table, now: Timestamp) -> rusqlite::Result<Result<Vec<Act>, Vec<BadLine>>> {
    let (mut acts, mut bad) = (Vec::with_capacity(table.rows.len()), Vec::new());
    for row in &table.rows {
        match act(rows::get(conn, &row.id)?, row, table, now) {
            Ok(act) => acts.push(act),
            Err(message) => bad.push(BadLine {
                line: row.line,
                message,
            }),
        }
    }
    Ok(if bad.is_empty() { Ok(acts) } else { Err(bad) })
}

fn act(known: Option<Entry>, row: &Row, table: &Table, now: Timestamp) -> Result<Act, String> {
    let Some(known) = known else {
        return Ok(Act::Add(Entry {
            id: row.id.clone(),
            status: row.status.unwrap_or(Status::Issued),
            owner: row.owner.clone(),
            issued_at: Some(whole(row.issued_at.unwrap_or(now))),
            updated_at: whole(row.updated_at.unwrap_or(now)),
        }));
    };
    if let Some(status) = row.status.filter(|status| *status != known.status) {
        let (id, is) = (&known.id, known.status);
        return Err(format!(
            "{id} is {is} here and {status} in the file: a file changes no status, so use the commands for it, or leave the value empty"
        ));
    }
    let owner = table.columns.applied(&known.owner, &row.owner);
    let fields = owner.differing(&known.owner);
    if fields.is_empty() {
        return Ok(Act::Nothing);
    }
    let changed = Entry {
        owner,
        updated_at: now,
        ..known
    };
    Ok(Act::Update(changed, fields))
}

fn summary(acts: &[Act]) -> Plan {
    let mut plan = Plan::default();
    for act in acts {
        match act {
            Act::Add(entry) => plan.added.push((entry.id.clone(), entry.status)),
            Act::Update(entry, fields) => plan.updated.push((entry.id.clone(), fields.clone())),
            Act::Nothing => plan.unchanged += 1,
        }
    }
    plan
}
