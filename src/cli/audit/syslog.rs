//! A row of the audit as a message of syslog (RFC 5424). Pure.

use std::fmt::Write as _;

use crate::history::AuditRow;

/// Facility "log audit".
const FACILITY: u8 = 13;
const CRITICAL: u8 = 2;
const NOTICE: u8 = 5;
/// Longest name of a host that the format takes.
const MAX_HOST: usize = 255;
/// Longest MSGID.
const MAX_ID: usize = 32;
/// Of the structured data. The number is the one that RFC 5612 has for whoever has none of their own.
const DATA_ID: &str = "audit@32473";

/// The message, without framing. `host` is the name of this machine.
pub(super) fn message(row: &AuditRow, host: &str) -> String {
    let entry = &row.entry;
    let severity = if entry.action == "audit.broken" {
        CRITICAL
    } else {
        NOTICE
    };
    let seq = row.seq.to_string();
    let fields = [
        ("seq", Some(seq.as_str())),
        ("actor", Some(&entry.actor)),
        ("source", Some(&entry.source)),
        ("action", Some(&entry.action)),
        ("corporateId", entry.corporate_id.as_deref()),
        ("before", entry.before.as_deref()),
        ("after", entry.after.as_deref()),
        ("reason", entry.reason.as_deref()),
        ("requestId", entry.request_id.as_deref()),
        ("address", entry.address.as_deref()),
        ("event", entry.event.as_deref()),
    ];
    let mut data = String::new();
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        // Writing to a String cannot fail.
        let _ = write!(data, " {name}=\"{}\"", escaped(value));
    }
    let whom = entry.corporate_id.as_deref().unwrap_or("-");
    let why = entry
        .reason
        .as_deref()
        .map_or_else(String::new, |why| format!(": {}", one_line(why)));
    format!(
        "<{}>1 {} {} vpn-operator - {} [{DATA_ID}{data}] \u{feff}{} {} by {}{why}",
        FACILITY * 8 + severity,
        row.at,
        word(host, MAX_HOST),
        word(&entry.action, MAX_ID),
        one_line(whom),
        one_line(&entry.action),
        one_line(&entry.actor),
    )
}

/// Octet counting (RFC 6587, RFC 5425): the length, a space, the message.
pub(super) fn framed(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// What of a text may stand in a header field; `-` if nothing is left.
fn word(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in one_line(value).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Receivers split at line ends and hide control characters: they become spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::AuditEntry;

    #[test]
    fn a_row_is_one_message_with_its_fields_as_structured_data() {
        let row = AuditRow {
            seq: 7,
            at: "2026-03-15T12:00:00.000001Z".parse().unwrap(),
            entry: AuditEntry {
                actor: "Ann \"A\" [x]\\".into(),
                source: "api".into(),
                action: "deactivate".into(),
                corporate_id: Some("AB123456".into()),
                reason: Some("left\n<13>1 forged".into()),
                address: Some("192.0.2.1".into()),
                ..AuditEntry::default()
            },
        };
        let text = message(&row, "höst one");
        assert_eq!(
            text,
            "<109>1 2026-03-15T12:00:00.000001Z hstone vpn-operator - deactivate [audit@32473 seq=\"7\" \
             actor=\"Ann \\\"A\\\" [x\\]\\\\\" source=\"api\" action=\"deactivate\" corporateId=\"AB123456\" \
             reason=\"left <13>1 forged\" address=\"192.0.2.1\"] \u{feff}AB123456 deactivate by Ann \"A\" [x]\\: left <13>1 forged"
        );
        assert!(framed(&text).starts_with(&format!("{} <109>1 ", text.len())));
    }

    #[test]
    fn no_text_leaves_its_field() {
        for text in ["\"] x", "\\\"]", "\u{0}\r\n]", ""] {
            let shown = escaped(text);
            let mut chars = shown.chars();
            while let Some(c) = chars.next() {
                if c == '\\' {
                    assert!(matches!(chars.next(), Some('"' | '\\' | ']')), "{shown}");
                } else {
                    assert!(!matches!(c, '"' | ']') && !c.is_control(), "{shown}");
                }
            }
        }
    }
}
