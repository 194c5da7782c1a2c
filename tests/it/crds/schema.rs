//! The part of an API server that checks an object against a structural schema: exactly the keywords that the generated
//! definitions use, so that a test can compare it with the Rust rules.

use std::{collections::HashSet, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

/// Every keyword that a definition may use. CEL rules are evaluated elsewhere.
pub const KEYWORDS: [&str; 19] = [
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];

/// Whether an API server takes this for a `date-time`, as its `strfmt` does: seconds and a zone are needed. It is lenient about
/// capitals, about the character before a fraction, about the number of a zone, and about what follows a second `t`.
pub fn is_date_time(text: &str) -> bool {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        let time = "(([01][0-9])|(2[0-3])):[0-5][0-9]:[0-5][0-9]([^t\\n][0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})";
        Regex::new(&format!("^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})t{time}(t|$)")).unwrap()
    });
    let text = text.to_lowercase();
    FORM.captures(&text)
        .is_some_and(|found| found[1].parse::<jiff::civil::Date>().is_ok())
}

/// What is wrong with `value` by `schema`, as `path: keyword`.
pub fn check(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    visit(schema, value, "", &mut found);
    found
}

fn visit(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let mut fails = |keyword: &str, good: bool| {
        if !good {
            found.push(format!("{path}: {keyword}"));
        }
    };
    let bound = |keyword: &str| schema[keyword].as_u64().and_then(|bound| usize::try_from(bound).ok());
    let mixed = schema["x-kubernetes-int-or-string"] == true;
    let of_type = match schema["type"].as_str() {
        None => mixed && (value.is_string() || value.is_i64() || value.is_u64()),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some(other) => panic!("a type that no definition should have: {other}"),
    };
    fails("type", of_type);
    if let Some(values) = schema["enum"].as_array() {
        fails("enum", values.contains(value));
    }
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            fails("minLength", bound("minLength").is_none_or(|least| length >= least));
            fails("maxLength", bound("maxLength").is_none_or(|most| length <= most));
            fails("format", schema["format"] != "date-time" || is_date_time(text));
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            let below = |most: f64| number <= most;
            fails(
                "minimum",
                schema["minimum"].as_f64().is_none_or(|least| number >= least),
            );
            fails("maximum", schema["maximum"].as_f64().is_none_or(below));
        }
        Value::Array(items) => {
            fails("minItems", bound("minItems").is_none_or(|least| items.len() >= least));
            fails("maxItems", bound("maxItems").is_none_or(|most| items.len() <= most));
            let identity = |item: &Value| match schema["x-kubernetes-list-map-keys"].as_array() {
                Some(keys) => keys
                    .iter()
                    .map(|key| item[key.as_str().unwrap()].to_string())
                    .collect::<String>(),
                None => item.to_string(),
            };
            let unique = items.iter().map(identity).collect::<HashSet<_>>().len() == items.len();
            fails(
                "x-kubernetes-list-type",
                schema["x-kubernetes-list-type"] == "atomic" || unique,
            );
            for (at, item) in items.iter().enumerate() {
                visit(&schema["items"], item, &format!("{path}[{at}]"), found);
            }
        }
        Value::Object(fields) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                fails("required", fields.contains_key(required.as_str().unwrap()));
            }
            for (name, field) in fields {
                let property = &schema["properties"][name];
                if property.is_object() {
                    visit(property, field, &format!("{path}.{name}"), found);
                } else if !path.is_empty() {
                    found.push(format!("{path}.{name}: unknown"));
                }
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}
