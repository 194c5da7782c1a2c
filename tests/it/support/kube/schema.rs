//! What an API server does with an object and its schema: unknown fields, nulls, defaults, validation.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::crds::schema::is_date_time;

use super::{merge::field, refusal::Cause, resource::Resource};

/// Takes out what the schema does not know; gives the paths.
pub fn prune_unknown(schema: &Value, value: &mut Value, path: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return unknown;
    }
    match value {
        Value::Object(fields) if schema["properties"].is_object() || schema["additionalProperties"].is_object() => {
            fields.retain(|name, part| {
                let here = below(path, name);
                let declared = field(schema, name);
                if declared.is_null() {
                    unknown.push(here);
                    return false;
                }
                unknown.extend(prune_unknown(declared, part, &here));
                true
            });
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                unknown.extend(prune_unknown(&schema["items"], item, &format!("{path}[{at}]")));
            }
        }
        _ => {}
    }
    unknown
}

/// Takes out nulls, then fills in defaults.
pub fn complete(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, part| !part.is_null());
            for (name, declared) in schema["properties"].as_object().into_iter().flatten() {
                if !declared["default"].is_null() && !fields.contains_key(name) {
                    fields.insert(name.clone(), declared["default"].clone());
                }
            }
            for (name, part) in fields {
                complete(field(schema, name), part);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| complete(&schema["items"], item)),
        _ => {}
    }
}

/// What is wrong with an object by its schema and its rules.
pub fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    visit(&resource.schema, object, "", &mut causes);
    if let Some(rules) = resource.rules.as_ref().filter(|_| causes.is_empty())
        && let Err(errors) = kube_cel::Validator::new().validate_compiled(rules, object, old)
    {
        causes.extend(errors.iter().map(|error| {
            let at = error.field_path.trim_start_matches('.');
            let found = at.split('.').fold(object, |value, name| &value[name]);
            let found = if found.is_object() || found.is_null() {
                &json!("object")
            } else {
                found
            };
            Cause::invalid(if at.is_empty() { "<nil>" } else { at }, found, &error.message)
        }));
    }
    causes
}

/// What is of the wrong type.
pub fn type_errors(schema: &Value, value: &Value, path: &str) -> Vec<(String, &'static str, &'static str)> {
    let mut wrong = Vec::new();
    let expected = match schema["type"].as_str() {
        Some("string") => "string",
        Some("integer") => "numeric",
        Some("boolean") => "boolean",
        Some("array") => "list",
        Some("object") => "map",
        _ => "",
    };
    let found = match value {
        Value::Null => return wrong,
        Value::String(_) => "string",
        Value::Number(_) => "numeric",
        Value::Bool(_) => "boolean",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    };
    if !expected.is_empty() && expected != found {
        wrong.push((path.to_owned(), expected, found));
        return wrong;
    }
    match value {
        Value::Object(fields) => {
            for (name, part) in fields {
                wrong.extend(type_errors(field(schema, name), part, &below(path, name)));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                wrong.extend(type_errors(&schema["items"], item, &format!("{path}[{at}]")));
            }
        }
        _ => {}
    }
    wrong
}

pub fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn visit(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let mixed = schema["x-kubernetes-int-or-string"] == true;
    let expected = schema["type"].as_str().unwrap_or_default();
    let of_type = match expected {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => !mixed || value.is_string() || value.is_i64() || value.is_u64(),
    };
    if !of_type {
        let why = format!("{path} in body must be of type {expected}: {}", type_name(value));
        causes.push(Cause {
            reason: "FieldValueTypeInvalid",
            ..Cause::invalid(path, &json!(type_name(value)), &why)
        });
        return;
    }
    if let Some(values) = schema["enum"].as_array().filter(|values| !values.contains(value)) {
        causes.push(Cause::unsupported(path, value, values));
    }
    let bound = |keyword: &str| schema[keyword].as_f64();
    let mut invalid = |good: bool, why: &str| {
        if !good {
            causes.push(Cause::invalid(path, value, &format!("{path} in body {why}")));
        }
    };
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            #[expect(clippy::cast_precision_loss, reason = "a length in a test")]
            let length = length as f64;
            invalid(
                bound("minLength").is_none_or(|least| length >= least),
                &format!("should be at least {} chars long", schema["minLength"]),
            );
            if schema["format"] == "date-time" {
                invalid(is_date_time(text), &format!("must be of type date-time: {text:?}"));
            }
            if bound("maxLength").is_some_and(|most| length > most) {
                causes.push(Cause {
                    reason: "FieldValueTooLong",
                    field: path.to_owned(),
                    message: format!("Too long: may not be more than {} bytes", schema["maxLength"]),
                });
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            invalid(
                bound("minimum").is_none_or(|least| number >= least),
                &format!("should be greater than or equal to {}", schema["minimum"]),
            );
            invalid(
                bound("maximum").is_none_or(|most| number <= most),
                &format!("should be less than or equal to {}", schema["maximum"]),
            );
        }
        Value::Array(items) => visit_items(schema, items, path, causes),
        Value::Object(fields) => {
            for required in schema["required"].as_array().into_iter().flatten() {
                let required = required.as_str().unwrap();
                if !fields.contains_key(required) {
                    causes.push(Cause::required(&below(path, required)));
                }
            }
            for (name, part) in fields {
                visit(field(schema, name), part, &below(path, name), causes);
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

fn visit_items(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let count = |keyword: &str| schema[keyword].as_u64().and_then(|count| usize::try_from(count).ok());
    if count("minItems").is_some_and(|least| items.len() < least) {
        let why = format!("{path} in body should have at least {} items", schema["minItems"]);
        causes.push(Cause::invalid(path, &json!(items.len()), &why));
    }
    if count("maxItems").is_some_and(|most| items.len() > most) {
        causes.push(Cause {
            reason: "FieldValueTooMany",
            field: path.to_owned(),
            message: format!(
                "Too many: {}: must have at most {} items",
                items.len(),
                schema["maxItems"]
            ),
        });
    }
    if let Some("set" | "map") = schema["x-kubernetes-list-type"].as_str() {
        let mut known = HashSet::new();
        for (at, item) in items.iter().enumerate() {
            let identity = match schema["x-kubernetes-list-map-keys"].as_array() {
                Some(keys) => json!(keys.iter().map(|key| &item[key.as_str().unwrap()]).collect::<Vec<_>>()),
                None => item.clone(),
            };
            if !known.insert(identity.to_string()) {
                causes.push(Cause {
                    reason: "FieldValueDuplicate",
                    field: format!("{path}[{at}]"),
                    message: format!("Duplicate value: {identity}"),
                });
            }
        }
    }
    for (at, item) in items.iter().enumerate() {
        visit(&schema["items"], item, &format!("{path}[{at}]"), causes);
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
