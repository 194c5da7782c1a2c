//! What happened: audit rows.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    read::Tables,
    row::{Remark, Row},
    table::{Table, Tally},
    times::Times,
};
use crate::{
    history::{AUDIT_RETENTION_DAYS, AuditEntry, ImportedEvent, Past, redact},
    import::person::SOURCE,
};

/// Most characters of one text.
const MAX_TEXT: usize = 2000;
/// Most characters of a name.
const MAX_NAME: usize = 100;
/// A shorter password may be a word of any text, and is only looked for in the rows of its person.
const MIN_KNOWN: usize = 6;

/// Takes out what must not stand anywhere.
pub(super) struct Scrub {
    /// By the ID in lower case: of two spellings of one ID both count.
    passwords: HashMap<String, Vec<SecretString>>,
    known: HashSet<String>,
}

impl Scrub {
    pub(super) fn new(all: Vec<(String, SecretString)>) -> Self {
        let texts = all.iter().map(|(_, password)| password.expose_secret());
        let known = texts
            .filter(|text| text.len() >= MIN_KNOWN)
            .map(str::to_owned)
            .collect();
        let mut passwords: HashMap<String, Vec<SecretString>> = HashMap::new();
        for (id, password) in all {
            passwords.entry(id.to_ascii_lowercase()).or_default().push(password);
        }
        Self { passwords, known }
    }

    /// A text without links that carry credentials, without the password of its person, and without any other password
    /// that stands in it as a word; at most so many characters.
    pub(super) fn text(&self, text: &str, id: Option<&str>, most: usize) -> String {
        let mut text = redact(text).into_owned();
        let own = id.and_then(|id| self.passwords.get(&id.to_ascii_lowercase()));
        for own in own.into_iter().flatten() {
            text = text.replace(own.expose_secret(), "[redacted]");
        }
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if text.split(|c| !is_word(c)).any(|word| self.known.contains(word)) {
            let mut kept = String::with_capacity(text.len());
            for part in text.split_inclusive(|c| !is_word(c)) {
                let word = part.trim_end_matches(|c| !is_word(c));
                let end = part.get(word.len()..).unwrap_or_default();
                kept.push_str(if self.known.contains(word) { "[redacted]" } else { word });
                kept.push_str(end);
            }
            text = kept;
        }
        if text.chars().count() > most {
            text = text.chars().take(most).chain(['…']).collect();
        }
        text
    }
}

/// Everything that somebody did, in the order of times.
pub(super) fn events(
    tables: &Tables,
    times: &Times,
    scrub: &Scrub,
    tallies: &mut HashMap<Table, Tally>,
    remarks: &mut Vec<Remark>,
) -> Vec<Past> {
    let days = SignedDuration::from_hours(24 * AUDIT_RETENTION_DAYS);
    let oldest = times.now.checked_sub(days).unwrap_or(Timestamp::MIN);
    let mut events = Vec::new();
    for table in [Table::AuthLogs, Table::WebhookEvents, Table::IdAudit] {
        let tally = tallies.entry(table).or_default();
        for row in tables.rows(table) {
            let at = row.told("created_at").and_then(|text| times.parse(&text));
            match at {
                None => remarks.push(Remark::skipped(
                    table,
                    row,
                    "created_at is empty or no time: an audit row needs one",
                )),
                Some(at) if at < oldest => tally.too_old += 1,
                Some(at) => events.push(ImportedEvent {
                    digest: digest(table, row),
                    at,
                    entry: entry(table, row, scrub),
                }),
            }
        }
    }
    events.sort_by_key(|event| event.at);
    events.into_iter().map(Past::Event).collect()
}

fn entry(table: Table, row: &Row, scrub: &Scrub) -> AuditEntry {
    let id_column = if table == Table::IdAudit { "id" } else { "corporate_id" };
    let id = row.told(id_column);
    let text = |column: &str, most| row.told(column).map(|text| scrub.text(&text, id.as_deref(), most));
    let name = |column: &str| text(column, MAX_NAME);
    let mut address = None;
    let (actor, action, after, reason) = match table {
        Table::WebhookEvents => (
            Some("hr events".to_owned()),
            name("event_type"),
            text("event_data", MAX_TEXT),
            None,
        ),
        Table::IdAudit => (name("actor"), name("action"), None, text("details", MAX_TEXT)),
        _ => {
            let after = json!({
                "success": row.integer("success").ok().flatten().map(|success| success != 0),
                "ip": name("ip_address"),
                "userAgent": name("user_agent"),
            });
            address = name("ip_address");
            let actor = name("telegram_id").map(|id| format!("telegram {id}"));
            (
                actor.or_else(|| name("ip_address")),
                name("action"),
                Some(after.to_string()),
                text("error_message", MAX_TEXT),
            )
        }
    };
    AuditEntry {
        actor: actor.unwrap_or_else(|| "unknown".to_owned()),
        source: SOURCE.to_owned(),
        action: format!("{SOURCE}.{}", action.unwrap_or_else(|| "unknown".to_owned())),
        corporate_id: name(id_column),
        before: None,
        after,
        reason,
        request_id: Some(format!("{}:{}", table.name(), row.number)),
        address,
        event: None,
    }
}

/// What a row is, whatever else is written into it later.
fn digest(table: Table, row: &Row) -> [u8; 32] {
    let columns = ["id", "audit_id", "corporate_id", "action", "event_type", "created_at"];
    let cells = columns.map(|column| row.told(column).unwrap_or_default());
    digest_of([table.name().to_owned(), row.number.to_string()].iter().chain(&cells))
}

/// SHA-256 over texts, each behind its length, so that no two lists meet.
pub(super) fn digest_of<'a>(parts: impl IntoIterator<Item = &'a String>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(b"former-service/v1");
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stands_in_no_text() {
        let passwords = [("ab123456", "s3cret-Of_anna"), ("cd234567", "p:w x")];
        let passwords = passwords.map(|(id, password)| (id.to_owned(), SecretString::from(password)));
        let scrub = Scrub::new(passwords.into());
        for (text, id, want) in [
            ("all is well", None, "all is well"),
            ("got s3cret-Of_anna!", None, "got [redacted]!"),
            ("{\"p\":\"p:w x\"}", Some("CD234567"), "{\"p\":\"[redacted]\"}"),
            ("https://h/sub/abc", None, "https://h/sub/[redacted]"),
        ] {
            assert_eq!(scrub.text(text, id, 100), want);
        }
        assert_eq!(scrub.text("äöü", None, 2), "äö…");
    }
}
