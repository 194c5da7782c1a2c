//! Answers of the API that are shown as they are: whatever fields there are.

use serde_json::Value;

use super::{exit::CommandError, output::Output, output::printable};

/// A field. Null counts as absent.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|found| !found.is_null())
}

/// A field as text for a table.
fn cell(value: &Value, name: &str) -> String {
    field(value, name).map_or_else(|| "-".to_owned(), text)
}

/// A value as text for people.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", text(value)))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// Fields that people look for first, in this order; the others follow in the order of their names.
const FIRST: [&str; 24] = [
    "status",
    "detail",
    "at",
    "start",
    "name",
    "corporate_id",
    "owner",
    "email",
    "role",
    "access",
    "reason",
    "username",
    "sessions",
    "subscription_url",
    "hy2_url",
    "active",
    "valid_from",
    "valid_until",
    "denied_at",
    "contained_at",
    "sessions_zero_at",
    "waiting_for",
    "left_out",
    "withdrawn_at",
];

fn rank(name: &str) -> usize {
    FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len())
}

/// Prints an object for people: one line a field, then a table for each list of objects.
pub(super) fn describe(value: &Value, hidden: &[&str], output: &mut Output) -> Result<(), CommandError> {
    let mut lines = Vec::new();
    let mut sections = Vec::new();
    flatten("", value, hidden, &mut lines, &mut sections);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in lines {
        output.line(&format!("{name:width$}  {}", printable(&value)))?;
    }
    for (name, items) in sections {
        output.line(&format!("\n{name}"))?;
        let fields = items.iter().filter_map(Value::as_object);
        // A column that nobody has a value for is left out.
        let mut columns: Vec<&str> = fields
            .flat_map(|fields| {
                fields
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, _)| name.as_str())
            })
            .collect();
        columns.sort_unstable_by_key(|name| (rank(name), *name));
        columns.dedup();
        let row = |item| columns.iter().map(|name| cell(item, name)).collect::<Vec<_>>();
        output.table(columns.iter().map(|name| words(name)), items.iter().map(row))?;
    }
    Ok(())
}

fn flatten<'a>(
    prefix: &str,
    value: &'a Value,
    hidden: &[&str],
    lines: &mut Vec<(String, String)>,
    sections: &mut Vec<(String, &'a [Value])>,
) {
    let Value::Object(fields) = value else { return };
    let mut fields: Vec<_> = fields
        .iter()
        .filter(|(key, _)| !hidden.contains(&key.as_str()))
        .collect();
    fields.sort_by_key(|(key, _)| rank(key));
    for (key, value) in fields {
        let name = if prefix.is_empty() {
            words(key)
        } else {
            format!("{prefix} {}", words(key))
        };
        match value {
            Value::Null => {}
            Value::Object(_) => flatten(&name, value, hidden, lines, sections),
            Value::Array(items) if items.iter().any(Value::is_object) => sections.push((name, items)),
            other => lines.push((name, text(other))),
        }
    }
}

fn words(key: &str) -> String {
    key.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_null_or_absent_is_not_shown() {
        let value = json!({ "denied_at": "a", "sessions_zero_at": null });
        assert_eq!(cell(&value, "denied_at"), "a");
        assert_eq!(cell(&value, "sessions_zero_at"), "-");
        assert_eq!(cell(&value, "nothing"), "-");
    }

    #[test]
    fn what_somebody_wrote_into_a_name_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }
}
