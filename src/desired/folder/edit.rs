//! Gentle edits of one document's text: change one scalar, keep every other byte. Pure.

use std::fmt::Write as _;

use serde_yaml::Value;

use super::{
    spanned_document::{Content, Node, SpannedDocument},
    split::without_mark,
};

/// Sets scalars under `spec` of a document, or of an item of the list that it is. Every byte that does not belong to them stays.
///
/// # Errors
/// Says why the text cannot be edited safely; nothing was changed then.
pub(super) fn set_spec_scalars(text: &str, item: Option<usize>, changes: &[(&str, Value)]) -> Result<String, String> {
    let body = without_mark(text);
    let mut edited = body.to_owned();
    for (field, value) in changes {
        edited = set_one(&edited, item, field, &scalar(value)?)?;
    }
    verify(body, &edited, item, changes)?;
    let mark = text.strip_suffix(body).unwrap_or_default();
    Ok([mark, &edited].concat())
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) => Ok(quoted(text)),
        _ => Err("only flags, numbers and texts of one line are edited in place".to_owned()),
    }
}

/// A text in double quotes, as YAML and JSON both read it. What is no letter and no printable ASCII is written as an escape.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() => quoted.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // A text takes everything that is written to it.
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

fn set_one(text: &str, item: Option<usize>, field: &str, value: &str) -> Result<String, String> {
    let spanned = SpannedDocument::read(text);
    let root = spanned
        .root
        .filter(|_| spanned.broken.is_none())
        .ok_or("the document cannot be parsed")?;
    let root = match item {
        None => &root,
        Some(at) => match root.get("items").map(|items| &items.content) {
            Some(Content::List(items)) => items.get(at).ok_or("the list has become shorter")?,
            _ => return Err("its list uses an alias: change the file by hand".to_owned()),
        },
    };
    let spec = root.get("spec").ok_or("it has no spec")?;
    if root.is_decorated() || spec.is_decorated() {
        return Err("its spec uses anchors, aliases or tags: change the file by hand".to_owned());
    }
    match spec.get(field) {
        Some(node) => replace(text, field, node, value),
        None => insert(text, field, spec, value),
    }
}

fn replace(text: &str, field: &str, node: &Node, value: &str) -> Result<String, String> {
    let by_hand = |what: &str| format!("spec.{field} {what}: change the file by hand");
    if node.is_decorated() {
        return Err(by_hand("uses an anchor, an alias or a tag"));
    }
    let plain = matches!(&node.content, Content::Scalar { block: false, .. });
    let old = text.get(node.span.clone()).unwrap_or_default();
    if !plain || old.trim().is_empty() || old.contains('\n') {
        return Err(by_hand("is not a value on one line"));
    }
    splice(text, node.span.start, node.span.start + old.trim_end().len(), value)
}

fn insert(text: &str, field: &str, spec: &Node, value: &str) -> Result<String, String> {
    let Content::Map(entries) = &spec.content else {
        return Err("its spec is not a map".to_owned());
    };
    let first = entries.first().ok_or("its spec is empty")?;
    if text.get(spec.span.start..).is_some_and(|rest| rest.starts_with('{')) {
        let quote = if text.get(first.0.span.start..).is_some_and(|rest| rest.starts_with('"')) {
            "\""
        } else {
            ""
        };
        return splice(
            text,
            first.0.span.start,
            first.0.span.start,
            &format!("{quote}{field}{quote}: {value}, "),
        );
    }
    let line_start = |at: usize| {
        text.get(..at)
            .and_then(|head| head.rfind('\n'))
            .map_or(0, |end| end + 1)
    };
    let indent = |key: &Node| text.get(line_start(key.span.start)..key.span.start).unwrap_or("?");
    let margin = indent(&first.0);
    if !margin.chars().all(|c| c == ' ') {
        return Err("its spec does not begin on a line of its own: change the file by hand".to_owned());
    }
    let ending = if text.contains("\r\n") { "\r\n" } else { "\n" };
    // After an entry that is one line keeps the comments above the first one where they are.
    let one_line = entries.iter().find(|(key, value)| {
        let plain = matches!(&value.content, Content::Scalar { block: false, .. });
        let whole = text.get(key.span.start..value.span.end).unwrap_or("\n").trim_end();
        plain && !value.span.is_empty() && !whole.contains('\n')
    });
    let line = format!("{margin}{field}: {value}");
    let Some((_, after)) = one_line else {
        let at = line_start(first.0.span.start);
        return splice(text, at, at, &format!("{line}{ending}"));
    };
    match text.get(after.span.start..).and_then(|rest| rest.find('\n')) {
        Some(end) => {
            let at = after.span.start + end + 1;
            splice(text, at, at, &format!("{line}{ending}"))
        }
        None => splice(text, text.len(), text.len(), &format!("{ending}{line}")),
    }
}

fn splice(text: &str, from: usize, to: usize, new: &str) -> Result<String, String> {
    match (text.get(..from), text.get(to..)) {
        (Some(head), Some(tail)) => Ok([head, new, tail].concat()),
        _ => Err("the place of the field is not clear".to_owned()),
    }
}

/// The edited text must mean what the old one meant, with exactly these fields set.
fn verify(old: &str, new: &str, item: Option<usize>, changes: &[(&str, Value)]) -> Result<(), String> {
    let read = |text: &str| serde_yaml::from_str::<Value>(text).map_err(|_| "it cannot be parsed".to_owned());
    let mut wanted = read(old)?;
    let root = match item {
        None => Some(&mut wanted),
        Some(at) => wanted.get_mut("items").and_then(|items| items.get_mut(at)),
    };
    let spec = root
        .and_then(|root| root.get_mut("spec"))
        .and_then(Value::as_mapping_mut)
        .ok_or("its spec is not a map")?;
    for (field, value) in changes {
        spec.insert(Value::from(*field), value.clone());
    }
    if read(new)? == wanted {
        Ok(())
    } else {
        Err("the edit would change more than the field: change the file by hand".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata: {name: ab123456}\n";

    fn off(text: &str) -> Result<String, String> {
        set_spec_scalars(text, None, &[("active", Value::Bool(false))])
    }

    #[test]
    fn a_value_is_replaced_and_its_comment_stays() {
        let text = format!("{HEAD}spec:\n  corporateId: AB123456\n  active:   true   # until June\n  owner: Zoë\n");
        assert_eq!(off(&text).unwrap(), text.replace("  true   #", "  false   #"));
        let quoted = format!("{HEAD}spec:\n    owner: Zoë\n    active: 'true'\n");
        assert_eq!(off(&quoted).unwrap(), quoted.replace("'true'", "false"));
    }

    #[test]
    fn an_absent_field_is_inserted_with_the_indentation_of_its_neighbours() {
        let text = format!("{HEAD}spec:\n    # who\n    corporateId: AB123456 # id\n    owner: x\n");
        let expected = text.replace("# id\n", "# id\n    active: false\n");
        assert_eq!(off(&text).unwrap(), expected);
    }

    #[test]
    fn windows_line_ends_and_a_missing_last_one_are_kept() {
        let text = format!("{HEAD}spec:\n  corporateId: AB123456\n").replace('\n', "\r\n");
        assert_eq!(off(&text).unwrap(), format!("{text}  active: false\r\n"));
        let text = format!("{HEAD}spec:\n  corporateId: AB123456");
        assert_eq!(off(&text).unwrap(), format!("{text}\n  active: false"));
    }

    #[test]
    fn a_byte_order_mark_stays_where_it_is() {
        let text = format!("\u{feff}{HEAD}spec:\n  corporateId: AB123456\n  active: true\n");
        assert_eq!(off(&text).unwrap(), text.replace("true", "false"));
    }

    #[test]
    fn json_and_flow_style_are_edited_in_place() {
        let json = "{\n  \"kind\": \"VpnUser\",\n  \"spec\": {\n    \"corporateId\": \"AB123456\"\n  }\n}\n";
        let edited = off(json).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&edited).is_ok(), "{edited}");
        let flow = format!("{HEAD}spec: {{corporateId: AB123456, active: true}} # note\n");
        assert_eq!(off(&flow).unwrap(), flow.replace("active: true", "active: false"));
    }

    #[test]
    fn several_fields_in_one_go() {
        let text = format!("{HEAD}spec:\n  corporateId: AB123456\n  credentialGeneration: 1\n");
        let edited = set_spec_scalars(
            &text,
            None,
            &[("credentialGeneration", 2.into()), ("subscriptionGeneration", 7.into())],
        );
        assert_eq!(
            edited.unwrap(),
            format!("{HEAD}spec:\n  corporateId: AB123456\n  subscriptionGeneration: 7\n  credentialGeneration: 2\n")
        );
    }

    #[test]
    fn a_text_is_quoted_so_that_yaml_and_json_read_the_same() {
        let role = |text: &str, role: &str| set_spec_scalars(text, None, &[("role", Value::from(role))]);
        let text = format!("{HEAD}spec:\n  corporateId: AB123456\n  role: Dev # since May\n");
        assert_eq!(
            role(&text, "Team lead").unwrap(),
            text.replace("Dev #", "\"Team lead\" #")
        );
        let json = "{\"spec\": {\"role\": \"Dev\", \"active\": true}}";
        for odd in [
            "yes",
            "a: b # c",
            "\"x\" \\ y",
            "Zoë",
            "a\u{a0}b",
            "\u{2028}",
            "- x",
            "{x",
            "007",
        ] {
            let edited = role(&text, odd).unwrap();
            let read: Value = serde_yaml::from_str(&edited).unwrap();
            assert_eq!(
                read.get("spec").and_then(|spec| spec.get("role")),
                Some(&Value::from(odd)),
                "{edited}"
            );
            let edited = role(json, odd).unwrap();
            let read: serde_json::Value = serde_json::from_str(&edited).unwrap();
            assert_eq!(read["spec"]["role"], odd, "{edited}");
        }
        let block = format!("{HEAD}spec:\n  role: |\n    Dev\n");
        assert!(role(&block, "Lead").is_err());
    }

    #[test]
    fn anchors_aliases_and_tags_are_left_to_people() {
        for spec in [
            "spec:\n  corporateId: AB123456\n  active: &yes true\n",
            "x: &yes true\nspec:\n  corporateId: AB123456\n  active: *yes\n",
            "spec: &s\n  corporateId: AB123456\n  active: true\n",
            "x: &s {corporateId: AB123456}\nspec: *s\n",
            "spec:\n  active: !!bool true\n",
            "spec:\n  active:\n  corporateId: AB123456\n",
            "spec:\n  active: >-\n    true\n",
        ] {
            let text = format!("{HEAD}{spec}");
            assert!(off(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn text_that_only_looks_like_the_field_is_not_touched() {
        let text = format!(
            "{HEAD}spec:\n  corporateId: AB123456\n  owner: |\n    active: true\n  role: \"x\n    active: true\"\n"
        );
        assert_eq!(
            off(&text).unwrap(),
            text.replace("AB123456\n", "AB123456\n  active: false\n")
        );
    }

    proptest! {
        #[test]
        fn every_other_byte_stays(
            indent in 1usize..6,
            lines in prop::collection::vec(prop_oneof![
                Just("owner: Zoë # é".to_owned()), Just("# comment: active: true".to_owned()), Just(String::new()),
                Just("role: |\n{i}  active: true\n{i}  ---".to_owned()), Just("email: 'it''s'".to_owned()),
                Just("gateways: [a, b]".to_owned()), Just("gateways:\n{i}- a\n{i}- b".to_owned()),
            ], 0..5).prop_map(|mut lines| {
                // Keys must not repeat.
                let mut seen = std::collections::HashSet::new();
                lines.retain(|line| {
                    let key = line.split(':').next().unwrap_or_default().to_owned();
                    line.starts_with('#') || line.is_empty() || seen.insert(key)
                });
                lines
            }),
            at in 0usize..6,
            present: bool,
            crlf: bool,
        ) {
            let pad = " ".repeat(indent);
            let mut rows: Vec<String> = lines.iter().map(|line| format!("{pad}{}", line.replace("{i}", &pad))).collect();
            rows.insert(0, format!("{pad}corporateId: AB123456"));
            if present {
                rows.insert(at.min(rows.len()), format!("{pad}active: true"));
            }
            let mut text = format!("{HEAD}spec:\n{}\nstatus: {{}}\n", rows.join("\n"));
            if crlf {
                text = text.replace('\n', "\r\n");
            }
            let edited = off(&text).unwrap();
            let ending = if crlf { "\r\n" } else { "\n" };
            let restored = if present {
                edited.replacen(&format!("{pad}active: false{ending}"), &format!("{pad}active: true{ending}"), 1)
            } else {
                edited.replacen(&format!("{pad}active: false{ending}"), "", 1)
            };
            prop_assert_eq!(restored, text);
        }
    }
}
