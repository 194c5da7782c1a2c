//! Takes a person's data out of the audit, and leaves the chain whole.
//!
//! The ID stays: it is a pseudonym, and without it nobody could answer who had access. What goes, and why the rest stays, is
//! decision 23.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use super::{
    access, audit, chain,
    chain::{ALL_COLUMNS, Hash, Stored},
    changeover, emptied,
    emptied::Digest,
    entry::{AuditEntry, Stamped},
    revocations,
    sealer::Sealer,
};

/// An order to forget somebody that is not carried out everywhere yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgetting {
    /// Who ordered it, and whom it is about: as its audit row has it.
    pub order: AuditEntry,
    /// When.
    pub at: Timestamp,
}

/// Takes a person's data out of the audit and out of what is derived from it, in the writer's transaction, and adds the rows that
/// say so. `names` are what the person may be called as an actor. Answers how many rows were emptied; without any, and unless it
/// is `always` to be said, nothing is added.
pub(super) fn forget(
    conn: &Connection,
    sealer: &Sealer,
    order: &AuditEntry,
    names: &[String],
    always: bool,
) -> rusqlite::Result<u64> {
    let key = order.corporate_id.as_deref().unwrap_or_default().to_ascii_lowercase();
    // A key that begins comes first, so that what is emptied lies before everything that is added.
    drop(changeover::begin(conn, sealer)?);
    let rows = empty(conn, &key, names)?;
    let emptied = rows.len() as u64;
    spans(conn, &key, names)?;
    let now = sealer.now();
    let mut lists: Vec<&[(i64, Digest)]> = rows.chunks(emptied::LISTED).collect();
    if lists.is_empty() && always {
        lists.push(&[]);
    }
    for list in lists {
        let entry = AuditEntry {
            action: emptied::ACTION.to_owned(),
            after: Some(emptied::said(list)),
            ..order.clone()
        };
        audit::append(conn, sealer, [&Stamped { at: now, entry }])?;
    }
    let order = serde_json::to_string(order).unwrap_or_default();
    conn.prepare_cached("INSERT OR IGNORE INTO forgetting (corporate_key, at, entry) VALUES (?1, ?2, ?3)")?
        .execute(params![key, now.as_microsecond(), order])?;
    Ok(emptied)
}

/// Empties the rows about a person; answers their numbers and the digests of what stays, in order.
fn empty(conn: &Connection, key: &str, names: &[String]) -> rusqlite::Result<Vec<(i64, Digest)>> {
    let first: i64 = chain::checkpoint(conn)?.head.seq + 1;
    let seqs: Vec<i64> = conn
        .prepare_cached("SELECT seq FROM audit WHERE corporate_key = ?1 AND action <> 'audit.forgotten' ORDER BY seq")?
        .query_map([key], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut done = BTreeMap::new();
    let mut room = Vec::new();
    for seq in seqs {
        if !empty_one(conn, seq, names)? {
            continue;
        }
        let before: Hash = if seq == first {
            chain::checkpoint(conn)?.head.hash
        } else {
            conn.prepare_cached("SELECT hash FROM audit WHERE seq = ?1")?
                .query_row([seq - 1], |row| row.get(0))?
        };
        let digest = conn
            .prepare_cached(&format!("SELECT {ALL_COLUMNS} FROM audit WHERE seq = ?1"))?
            .query_row([seq], |row| {
                Ok(emptied::digest(&Stored::read(row)?, &before, &mut room))
            })?;
        done.insert(seq, digest);
    }
    Ok(done.into_iter().collect())
}

/// Empties one row; answers whether there was anything in it.
fn empty_one(conn: &Connection, seq: i64, names: &[String]) -> rusqlite::Result<bool> {
    let (action, actor, texts): (String, String, [bool; 5]) = conn
        .prepare_cached(
            "SELECT action, actor, state_before IS NOT NULL, state_after IS NOT NULL, reason IS NOT NULL, \
             request_id IS NOT NULL, address IS NOT NULL FROM audit WHERE seq = ?1",
        )?
        .query_row([seq], |row| {
            let mut texts = [false; 5];
            for (text, at) in texts.iter_mut().zip(2..) {
                *text = row.get(at)?;
            }
            Ok((row.get(0)?, row.get(1)?, texts))
        })?;
    let [before, after, reason, request, address] = texts;
    let states = has_plain_states(&action);
    let own = names.iter().any(|name| is_named(&actor, name));
    if !(reason || request || address || own || (!states && (before || after))) {
        return Ok(false);
    }
    conn.prepare_cached(
        "UPDATE audit SET actor = iif(?2, '', actor), state_before = iif(?3, state_before, NULL), \
         state_after = iif(?3, state_after, NULL), reason = NULL, request_id = NULL, address = NULL, salt = NULL \
         WHERE seq = ?1",
    )?
    .execute(params![seq, own, states])?;
    Ok(true)
}

/// Whether an actor is somebody of this name: the name alone, or with what is added to it, such as the address in brackets.
fn is_named(actor: &str, name: &str) -> bool {
    let Some((begin, rest)) = actor.split_at_checked(name.len()) else {
        return false;
    };
    !name.is_empty() && begin.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with([' ', ',']))
}

/// Whether the states of such a row are words of the operator alone: how access stood, and the times of a revocation.
fn has_plain_states(action: &str) -> bool {
    matches!(action, access::GRANTED | access::DENIED | revocations::ACTION)
}

/// What was derived from those rows.
fn spans(conn: &Connection, key: &str, names: &[String]) -> rusqlite::Result<()> {
    let person: Option<i64> = conn
        .prepare_cached("SELECT id FROM people WHERE corporate_key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    let Some(person) = person else { return Ok(()) };
    conn.prepare_cached("UPDATE access_spans SET why = NULL WHERE person = ?1")?
        .execute([person])?;
    for (table, column) in [("access_spans", "person"), ("people", "id")] {
        for name in names.iter().filter(|name| !name.is_empty()) {
            let values: [&dyn ToSql; 2] = [&person, name];
            // As `is_named` says.
            conn.prepare_cached(&format!(
                "UPDATE {table} SET order_actor = '' WHERE {column} = ?1 \
                 AND lower(replace(substr(order_actor || ' ', 1, length(?2) + 1), ',', ' ')) = lower(?2 || ' ')"
            ))?
            .execute(values)?;
        }
    }
    Ok(())
}

/// Orders that are not carried out everywhere yet.
pub(super) fn open(conn: &Connection) -> rusqlite::Result<Vec<Forgetting>> {
    let mut statement = conn.prepare_cached("SELECT at, entry FROM forgetting ORDER BY at, corporate_key")?;
    let mut rows = statement.query([])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let entry: String = row.get(1)?;
        if let Ok(order) = serde_json::from_str(&entry) {
            let at = super::time::column(row, 0)?;
            open.push(Forgetting { order, at });
        }
    }
    Ok(open)
}

/// An order is carried out everywhere.
pub(super) fn close(conn: &Connection, corporate_id: &str) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM forgetting WHERE corporate_key = ?1")?
        .execute([corporate_id.to_ascii_lowercase()])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::is_named;

    #[test]
    fn a_person_is_known_by_their_name_whatever_stands_behind_it() {
        for actor in ["AB123456", "ab123456 (192.0.2.1)", "AB123456 by portal (192.0.2.1)"] {
            assert!(is_named(actor, "AB123456"), "{actor}");
        }
        assert!(is_named("telegram:42 (Anna) by telegram (127.0.0.1)", "telegram:42"));
        assert!(is_named("telegram:42, by telegram (127.0.0.1)", "telegram:42"));
        for (actor, name) in [
            ("AB1234567", "AB123456"),
            ("telegram:421 (Boris)", "telegram:42"),
            ("Anna (AB123456)", "AB123456"),
            ("", ""),
            (" anybody", ""),
        ] {
            assert!(!is_named(actor, name), "{actor} {name}");
        }
    }
}
