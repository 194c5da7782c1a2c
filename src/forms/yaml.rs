//! Writes YAML of which every reader makes the same.
//!
//! Every text is in double quotes: readers of YAML 1.1, as most clients have, take `1e3`, `on` and `0o7` for something else than
//! a text when they stand there as they are, and what a name is has to be the same wherever it stands.

use serde_yaml::Value;

use super::quoted::quoted;

/// A document.
pub(super) fn document(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// A value below its key or dash, each line with its indent.
fn block(value: &Value, indent: usize, out: &mut String) {
    let pad = |out: &mut String| out.extend(std::iter::repeat_n(' ', indent));
    match value {
        Value::Mapping(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                pad(out);
                out.push_str(&key_of(key));
                out.push(':');
                inline_or_below(value, indent + 2, out);
            }
        }
        Value::Sequence(items) if !items.is_empty() => {
            for item in items {
                pad(out);
                out.push('-');
                match item {
                    // The first line of a mapping stands beside the dash.
                    Value::Mapping(entries) if !entries.is_empty() => {
                        let mut nested = String::new();
                        block(item, indent + 2, &mut nested);
                        out.push(' ');
                        out.push_str(nested.trim_start());
                    }
                    _ => inline_or_below(item, indent + 2, out),
                }
            }
        }
        other => {
            pad(out);
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
}

fn inline_or_below(value: &Value, indent: usize, out: &mut String) {
    let nested = match value {
        Value::Mapping(entries) => !entries.is_empty(),
        Value::Sequence(items) => !items.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        block(value, indent, out);
    } else {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    }
}

/// Anything without anything in it.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Sequence(_) => "[]".to_owned(),
        Value::Mapping(_) => "{}".to_owned(),
        Value::Tagged(tagged) => scalar(&tagged.value),
    }
}

/// Keys as people write them, where nobody takes them for anything else.
fn key_of(key: &Value) -> String {
    const OTHER: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    match key {
        Value::String(text) => {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(word)
                && !OTHER.contains(&text.to_ascii_lowercase().as_str());
            if plain { text.clone() } else { quoted(text) }
        }
        other => scalar(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_yaml::Mapping;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            prop::sample::select(vec!["on", "1e3", "0o7", "- a", "a: b", "~", ""]).prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            let key = prop_oneof!["[a-z-]{1,8}", "\\PC{1,8}", Just("no".to_owned())];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Sequence),
                prop::collection::vec((key, inner), 0..5).prop_map(|entries| {
                    let entries = entries.into_iter().map(|(key, value)| (Value::from(key), value));
                    Value::Mapping(entries.collect::<Mapping>())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in value()) {
            let text = document(&value);
            prop_assert_eq!(&serde_yaml::from_str::<Value>(&text).unwrap(), &value, "{}", text);
        }
    }
}
