//! What a registry of corporate IDs takes over later: one line of JSON a row.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    accounts::FormerUser,
    events::Scrub,
    read::Tables,
    row::{Remark, Row},
    table::Table,
    times::Times,
};
use crate::model::corporate_id::CorporateId;

/// Most characters of one text.
const MAX_TEXT: usize = 2000;

/// The lines, in the order of tables and rows. Without secrets.
pub(super) fn lines(
    tables: &Tables,
    people: &[FormerUser],
    times: &Times,
    scrub: &Scrub,
    remarks: &mut Vec<Remark>,
) -> Vec<String> {
    let in_force: HashSet<&str> = people
        .iter()
        .filter(|user| user.person.holds.is_empty())
        .map(|user| user.person.id.key())
        .collect();
    let mut lines = Vec::new();
    let line = |table: Table, row: &Row, texts: &[&str], moments: &[&str]| {
        let id = row.told("corporate_id").or_else(|| row.told("id"));
        let text = |column: &&str| row.told(column).map(|text| scrub.text(&text, id.as_deref(), MAX_TEXT));
        // One that cannot be read stays as it is written.
        let moment = |column: &&str| match row.told(column).map(|text| (times.parse(&text), text)) {
            Some((Some(at), _)) => json!(at),
            Some((None, text)) => json!(scrub.text(&text, id.as_deref(), MAX_TEXT)),
            None => Value::Null,
        };
        let texts = texts.iter().map(|column| ((*column).to_owned(), json!(text(column))));
        let moments = moments.iter().map(|column| ((*column).to_owned(), moment(column)));
        let named = [
            ("table".to_owned(), json!(table.name())),
            ("row".to_owned(), json!(row.number)),
        ];
        Value::Object(named.into_iter().chain(texts).chain(moments).collect()).to_string()
    };
    for row in tables.rows(Table::IdRegistry) {
        match row.told("id").map(|id| CorporateId::parse(&id)) {
            Some(Ok(id)) => {
                let status = row.told("status").unwrap_or_default().to_ascii_lowercase();
                if matches!(status.as_str(), "revoked" | "archived") && in_force.contains(id.key()) {
                    let message = format!(
                        "{id} is {status} here and active in users: they keep access, so place a hold if they should not"
                    );
                    remarks.push(Remark::note(Table::IdRegistry, row, message));
                }
            }
            Some(Err(error)) => remarks.push(Remark::note(
                Table::IdRegistry,
                row,
                format!("id: {error}: kept as it is"),
            )),
            None => remarks.push(Remark::note(Table::IdRegistry, row, "id is empty: kept as it is")),
        }
        lines.push(line(
            Table::IdRegistry,
            row,
            &["id", "owner", "status"],
            &["issued_at", "updated_at"],
        ));
    }
    for row in tables.rows(Table::IdAudit) {
        let texts = ["audit_id", "id", "action", "actor", "details"];
        lines.push(line(Table::IdAudit, row, &texts, &["created_at"]));
    }
    // Who has which Telegram account is a matter of the registry, too.
    for row in tables.rows(Table::Users) {
        if row.told("telegram_id").is_some() {
            let texts = ["corporate_id", "telegram_id"];
            lines.push(line(Table::Users, row, &texts, &["created_at", "last_access"]));
        }
    }
    lines
}
