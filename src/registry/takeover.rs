//! Taking over what the former service knew of IDs. A line counts once, and takes back nothing that people did here.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    entry::{By, Entry, whole},
    former::{FormerLine, Says},
    rows::{self, Done},
    status::Status,
    table::BadLine,
};
use crate::model::corporate_id::CorporateId;

/// What was taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Takeover {
    /// IDs that are new.
    pub added: u64,
    /// IDs that the former service revoked or archived since they were taken over.
    pub denied_since: Vec<CorporateId>,
    /// Changes that the former service recorded.
    pub changes: u64,
    /// Telegram accounts.
    pub links: u64,
    /// Lines that were taken over before.
    pub known: u64,
    /// Lines of which nothing, or less than they say, was made.
    pub remarks: Vec<BadLine>,
}

pub(super) fn run(conn: &Connection, lines: &[FormerLine], now: Timestamp) -> rusqlite::Result<Takeover> {
    let mut done = Takeover::default();
    for line in lines {
        if !rows::take_over(conn, &line.digest)? {
            done.known += 1;
            continue;
        }
        match &line.says {
            Says::Id {
                id,
                owner,
                status,
                issued_at,
                updated_at,
            } => {
                let entry = Entry {
                    id: id.clone(),
                    status: *status,
                    owner: owner.clone(),
                    issued_at: issued_at.map(whole),
                    updated_at: whole(updated_at.or(*issued_at).unwrap_or(now)),
                };
                if let Some(remark) = take_id(conn, &entry, now, &mut done)? {
                    done.remarks.push(BadLine {
                        line: line.number,
                        message: remark,
                    });
                }
            }
            Says::Change { id, action, by, at } => {
                note(conn, id, whole(at.unwrap_or(now)), action, by, None)?;
                done.changes += 1;
            }
            Says::Link(link) if rows::link(conn, link)? => done.links += 1,
            Says::Link(link) => done.remarks.push(BadLine {
                line: line.number,
                message: format!(
                    "the Telegram account of {} is left out: it, or the ID, has another link already",
                    link.id
                ),
            }),
            Says::Nothing => {}
        }
    }
    Ok(done)
}

/// Takes an ID over. Answers what is to be said about it.
fn take_id(conn: &Connection, entry: &Entry, now: Timestamp, done: &mut Takeover) -> rusqlite::Result<Option<String>> {
    let by = By {
        actor: "vpn-operator".to_owned(),
        source: "import".to_owned(),
        ..By::default()
    };
    if rows::insert(conn, entry, None)? {
        note(conn, &entry.id, now, "import", &by, Some((None, entry.status)))?;
        done.added += 1;
        return Ok(None);
    }
    let Some(known) = rows::get(conn, &entry.id)? else {
        return Ok(None);
    };
    let (id, was, says) = (known.id.clone(), known.status, entry.status);
    if was == says {
        return Ok(None);
    }
    // The former service went on for a while, and took this ID away. What people did here counts more.
    if !says.is_valid() && was.is_valid() && rows::is_untouched(conn, &id)? {
        let changed = Entry {
            status: says,
            updated_at: now,
            ..known
        };
        rows::update(conn, &changed)?;
        note(conn, &id, now, "import", &by, Some((Some(was), says)))?;
        done.denied_since.push(id);
        return Ok(None);
    }
    Ok(Some(format!("{id} stays {was}, and was {says} in the former service")))
}

fn note(
    conn: &Connection,
    id: &CorporateId,
    at: Timestamp,
    action: &str,
    by: &By,
    status: Option<(Option<Status>, Status)>,
) -> rusqlite::Result<()> {
    rows::note(
        conn,
        &Done {
            id,
            at,
            action,
            by,
            before: status.and_then(|(before, _)| before),
            after: status.map(|(_, after)| after),
            former: true,
        },
    )
}
