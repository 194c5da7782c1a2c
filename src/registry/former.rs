//! The lines that `import legacy` left of the former service's registry. Pure.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    entry::{By, Owner, TelegramLink},
    status::Status,
    table::BadLine,
};
use crate::model::corporate_id::CorporateId;

/// A line, and the digest by which it is known when it is read again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FormerLine {
    /// Which line of the file.
    pub number: u64,
    /// SHA-256 of its text.
    pub digest: [u8; 32],
    /// What it says.
    pub says: Says,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Says {
    /// An ID is in the registry.
    Id {
        id: CorporateId,
        owner: Owner,
        status: Status,
        issued_at: Option<Timestamp>,
        updated_at: Option<Timestamp>,
    },
    /// Something was done with an ID.
    Change {
        id: CorporateId,
        action: String,
        by: By,
        at: Option<Timestamp>,
    },
    /// A Telegram account belongs to an ID.
    Link(TelegramLink),
    /// Nothing that a registry keeps: a person without a Telegram account.
    Nothing,
}

/// Reads every line. Those of which nothing can be made are named, and stand in nobody's way.
pub(super) fn read(text: &str) -> (Vec<FormerLine>, Vec<BadLine>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match said(line) {
            Ok(says) => good.push(FormerLine {
                number,
                digest: Sha256::digest(line.as_bytes()).into(),
                says,
            }),
            Err(message) => bad.push(BadLine { line: number, message }),
        }
    }
    (good, bad)
}

/// Whether a line is about this ID.
pub(super) fn is_about(line: &str, id: &CorporateId) -> bool {
    let row: Value = serde_json::from_str(line).unwrap_or_default();
    let names = ["id", "corporate_id"].into_iter();
    names
        .filter_map(|name| row.get(name)?.as_str())
        .any(|told| CorporateId::parse(told.trim()).is_ok_and(|told| told == *id))
}

fn said(line: &str) -> Result<Says, String> {
    let row: Value = serde_json::from_str(line).map_err(|error| format!("is no JSON: {error}"))?;
    let text = |name: &str| {
        row.get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let moment = |name: &str| text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let id = |name: &str| {
        let told = text(name).ok_or_else(|| format!("{name} is empty"))?;
        CorporateId::parse(told)
            .map(|id| CorporateId::capital(told).unwrap_or(id))
            .map_err(|error| format!("{name}: {error}"))
    };
    match text("table").unwrap_or_default() {
        "id_registry" => {
            let word = text("status").unwrap_or_default();
            let owner = Owner {
                owner: text("owner").map(one_line),
                ..Owner::default()
            };
            Ok(Says::Id {
                id: id("id")?,
                owner,
                status: Status::parse(word).ok_or_else(|| format!("status: '{}' is none", one_line(word)))?,
                issued_at: moment("issued_at"),
                updated_at: moment("updated_at"),
            })
        }
        "id_audit" => Ok(Says::Change {
            id: id("id")?,
            action: one_line(text("action").unwrap_or("change")),
            by: By {
                actor: one_line(text("actor").unwrap_or("unknown")),
                source: "import".to_owned(),
                reason: text("details").map(one_line),
                request_id: None,
            },
            at: moment("created_at"),
        }),
        "users" => {
            let number = row.get("telegram_id").map(|number| match number {
                Value::String(text) => text.trim().to_owned(),
                Value::Null => String::new(),
                other => other.to_string(),
            });
            let Some(number) = number.filter(|number| !number.is_empty()) else {
                return Ok(Says::Nothing);
            };
            let telegram_id = number
                .parse()
                .map_err(|_| format!("telegram_id: '{}' is no number of an account", one_line(&number)))?;
            Ok(Says::Link(TelegramLink {
                id: id("corporate_id")?,
                telegram_id,
                linked_at: moment("created_at"),
            }))
        }
        other => Err(format!("table: '{}' is none that a registry knows", one_line(other))),
    }
}

/// A text as it is kept: control characters are spaces, and what is longer than an owner may be is cut.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain
        .take(crate::model::user::MAX_OWNER_LEN)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_table_are_read_and_what_cannot_be_read_is_named() {
        let text = r#"{"table":"id_registry","row":1,"id":"ab123456","owner":"Anna\nB","status":"REVOKED","issued_at":"2025-01-01T10:00:00Z","updated_at":"sometime"}

{"table":"id_audit","row":7,"audit_id":"7","id":"AB123456","action":"issued","actor":"root","details":null,"created_at":"2025-01-01T10:00:00Z"}
{"table":"users","row":1,"corporate_id":"old_one","telegram_id":"4711","created_at":null,"last_access":null}
{"table":"users","row":2,"corporate_id":"old_two","telegram_id":null,"created_at":null,"last_access":null}
{"table":"id_registry","row":2,"id":"A B","owner":null,"status":"issued"}
{"table":"id_registry","row":3,"id":"EF123456","owner":null,"status":"lost"}
{"table":"users","row":3,"corporate_id":"x1","telegram_id":"@anna"}
{"table":"monitor_events"}
{"table":
"#;
        let (good, bad) = read(text);
        let says: Vec<&Says> = good.iter().map(|line| &line.says).collect();
        let [
            Says::Id {
                id,
                owner,
                status,
                issued_at,
                updated_at,
            },
            Says::Change { action, by, at, .. },
            Says::Link(link),
            Says::Nothing,
        ] = says[..]
        else {
            panic!("{says:?}");
        };
        assert_eq!((id.as_str(), *status), ("AB123456", Status::Revoked));
        assert_eq!(owner.owner.as_deref(), Some("Anna B"));
        assert!(issued_at.is_some() && updated_at.is_none() && at.is_some());
        assert_eq!((action.as_str(), by.actor.as_str()), ("issued", "root"));
        assert_eq!((link.id.as_str(), link.telegram_id), ("old_one", 4711));
        let lines: Vec<u64> = bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [6, 7, 8, 9, 10], "{bad:?}");
    }
}
