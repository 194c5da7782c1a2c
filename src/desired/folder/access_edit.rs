//! Edits of who may have access that are refused together with their document. The last good version stays in force then,
//! so that somebody who left may stay in: apart from every other mistake. Pure.

use serde_json::Value;

use super::{
    object::{Kind, Spec},
    problem::Fault,
    spanned_document::SpannedDocument,
    yaml_value::resolve,
};
use crate::model::corporate_id::CorporateId;

/// What a faulty document says about access, as far as it can be read.
#[derive(Debug)]
pub(super) struct SeenAccess {
    /// Name that an object about its corporate ID has.
    pub about: Option<String>,
    /// Its spec without what is null; `Null` when there is none.
    spec: Value,
    active: Place,
    until: Place,
    whole: Place,
}

type Place = (u32, u32);

/// The fields of a user that let in or put out.
const FIELDS: [&str; 2] = ["active", "validUntil"];

impl SeenAccess {
    /// Of a document whose fields begin with `prefix`. `text` is searched for what stands behind a place that cannot be
    /// read.
    pub fn new(spec: &Value, spanned: &SpannedDocument, prefix: &str, text: Option<&str>) -> Self {
        let mut spec = spec.clone();
        let mut places = FIELDS.map(|field| spanned.place(&format!("{prefix}spec.{field}")).unwrap_or((1, 1)));
        for (field, place) in FIELDS.iter().zip(&mut places) {
            if spec.get(field).is_some() {
                continue;
            }
            let Some((value, found)) = text.and_then(|text| in_lines(text, field)) else {
                continue;
            };
            if !spec.is_object() {
                spec = Value::Object(serde_json::Map::new());
            }
            if let Some(fields) = spec.as_object_mut() {
                fields.insert((*field).to_owned(), value);
            }
            *place = found;
        }
        let id = spec.get("corporateId").and_then(Value::as_str);
        let [active, until] = places;
        Self {
            about: id.and_then(|id| CorporateId::parse(id).ok()).map(|id| id.object_name()),
            spec,
            active,
            until,
            whole: spanned.place(&format!("{prefix}spec")).unwrap_or((1, 1)),
        }
    }

    /// The edits that are refused with this document; `old` is the version that stays in force.
    pub fn refused(&self, kind: Kind, name: &str, old: Option<&Spec>) -> Vec<Fault> {
        match (kind, old) {
            (Kind::Hold, None) => {
                let message = format!(
                    "VpnHold {name} is not in force, because its document is refused: whom it is to keep out is not \
                     kept out by it. Mend the document"
                );
                vec![fault(self.whole, "spec", message)]
            }
            (Kind::Hold, Some(Spec::Hold(hold))) => {
                let same = serde_json::to_value(hold).is_ok_and(|old| old == self.spec);
                let message = format!(
                    "the edit of VpnHold {name} is refused with its document, and its last good version stays in force: \
                     mend the document"
                );
                if same {
                    Vec::new()
                } else {
                    vec![fault(self.whole, "spec", message)]
                }
            }
            (Kind::User, Some(Spec::User(user))) => {
                let mut faults = Vec::new();
                let active = self.spec.get("active");
                if active.map_or(Some(true), Value::as_bool) != Some(user.active) {
                    faults.push(user_fault(
                        name,
                        self.active,
                        "active",
                        &format!("active: {}", user.active),
                    ));
                }
                let until = self
                    .spec
                    .get("validUntil")
                    .map(|until| until.as_str().and_then(|text| text.parse().ok()));
                if until != user.valid_until.map(Some) {
                    let kept = user
                        .valid_until
                        .map_or_else(|| "no validUntil".to_owned(), |until| format!("validUntil: {until}"));
                    faults.push(user_fault(name, self.until, "validUntil", &kept));
                }
                faults
            }
            _ => Vec::new(),
        }
    }
}

fn user_fault(name: &str, place: Place, field: &str, kept: &str) -> Fault {
    let message = format!(
        "the edit of VpnUser {name} is refused with its document, and the last good version stays in force with {kept}: \
         mend the document"
    );
    fault(place, &format!("spec.{field}"), message)
}

fn fault((line, column): Place, field: &str, message: String) -> Fault {
    Fault {
        line,
        column,
        field: Some(field.to_owned()),
        message,
    }
}

/// A field by its line alone, for documents that cannot be parsed.
fn in_lines(text: &str, field: &str) -> Option<(Value, Place)> {
    text.lines().enumerate().find_map(|(row, line)| {
        let trimmed = line.trim_start_matches([' ', '\t', '\u{a0}', '{', ',', '"', '\'']);
        let rest = trimmed
            .strip_prefix(field)?
            .trim_start_matches(['"', '\''])
            .strip_prefix(':')?;
        let value = rest.split(" #").next().unwrap_or_default();
        let value = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}'));
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let column = line.chars().count() - trimmed.chars().count() + 1;
        Some((resolve(value)?, (narrow(row + 1), narrow(column))))
    })
}
