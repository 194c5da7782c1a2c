//! The part of an API server that checks an object against a structural schema: exactly the keywords that the generated
//! definitions use, so that a test can compare it with the Rust rules.

use std::collections::{HashMap, HashSet};

use regex::Regex;
use serde_json::Value;

/// Every keyword that a definition may use. CEL rules are evaluated elsewhere.
pub const KEYWORDS: [&str; 21] = [
    "default",
    "description",
    "enum",
    "exclusiveMaximum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-validations",
];

/// What an API server takes for a `date-time`.
const TIME: &str = r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$";

/// Checks values against schemas; keeps the compiled patterns.
#[derive(Default)]
pub struct Schemas {
    patterns: HashMap<String, Regex>,
}

impl Schemas {
    /// What is wrong with `value`, as `path: keyword`.
    pub fn check(&mut self, schema: &Value, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.visit(schema, value, "", &mut found);
        found
    }

    fn visit(&mut self, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
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
                if let Some(pattern) = schema["pattern"].as_str() {
                    let compile = || Regex::new(pattern).unwrap();
                    let regex = self.patterns.entry(pattern.to_owned()).or_insert_with(compile);
                    fails("pattern", regex.is_match(text));
                }
                if schema["format"] == "date-time" {
                    let compile = || Regex::new(TIME).unwrap();
                    let regex = self.patterns.entry(TIME.to_owned()).or_insert_with(compile);
                    fails(
                        "format",
                        regex.is_match(text) && text.parse::<jiff::Timestamp>().is_ok(),
                    );
                }
            }
            Value::Number(number) => {
                let number = number.as_f64().unwrap();
                let open = schema["exclusiveMaximum"] == true;
                let below = |most: f64| number < most || (number <= most && !open);
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
                    self.visit(&schema["items"], item, &format!("{path}[{at}]"), found);
                }
            }
            Value::Object(fields) => {
                for required in schema["required"].as_array().into_iter().flatten() {
                    fails("required", fields.contains_key(required.as_str().unwrap()));
                }
                for (name, field) in fields {
                    let property = &schema["properties"][name];
                    if property.is_object() {
                        self.visit(property, field, &format!("{path}.{name}"), found);
                    } else if !path.is_empty() {
                        found.push(format!("{path}.{name}: unknown"));
                    }
                }
            }
            Value::Bool(_) | Value::Null => {}
        }
    }
}
