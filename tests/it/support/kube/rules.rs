//! Rules that are not in a schema: metadata, and what built-in resources demand.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use vpn_operator::model::syntax;

use super::{refusal::Cause, resource::Resource};

/// Fields of an Event that never change.
const EVENT_IDENTITY: [&str; 9] = [
    "action",
    "note",
    "reason",
    "regarding",
    "related",
    "reportingController",
    "reportingInstance",
    "eventTime",
    "type",
];

/// Rewrites what a client may write in another form than it is kept in.
pub fn normalise(resource: &Resource, object: &mut Value) {
    if resource.plural != "secrets" {
        return;
    }
    let Some(Value::Object(texts)) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
        return;
    };
    for (key, text) in texts {
        object["data"][key] = json!(BASE64_STANDARD.encode(text.as_str().unwrap_or_default()));
    }
}

pub fn check(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = metadata(new, old);
    match resource.plural.as_str() {
        "secrets" => secret(new, old, &mut causes),
        "events" => event(new, old, &mut causes),
        _ => {}
    }
    causes
}

fn metadata(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    if !syntax::OBJECT_NAME.accepts(name) {
        let why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    let finalizers = |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    for finalizer in finalizers(new) {
        let named = finalizer.as_str().is_some_and(|name| name.contains('/'));
        if !named && finalizer != "orphan" && finalizer != "foregroundDeletion" {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid("metadata.finalizers", &finalizer, why));
        }
    }
    if let Some(old) = old.filter(|old| !old["metadata"]["deletionTimestamp"].is_null()) {
        let known = finalizers(old);
        let added: Vec<Value> = finalizers(new).into_iter().filter(|f| !known.contains(f)).collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    causes
}

fn secret(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    for (key, value) in new["data"].as_object().into_iter().flatten() {
        if value.as_str().is_none_or(|text| BASE64_STANDARD.decode(text).is_err()) {
            causes.push(Cause::invalid(
                &format!("data[{key}]"),
                &json!("..."),
                "illegal base64 data",
            ));
        }
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            causes.push(Cause::invalid(
                &format!("data[{key}]"),
                &json!(key),
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            ));
        }
    }
    let Some(old) = old else { return };
    if old["type"] != new["type"] {
        causes.push(Cause::invalid("type", &new["type"], "field is immutable"));
    }
    if old["immutable"] == true && (old["data"] != new["data"] || new["immutable"] != true) {
        causes.push(Cause::forbidden("data", "field is immutable when `immutable` is set"));
    }
}

fn event(new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let Some(old) = old else {
        for required in [
            "reportingController",
            "reportingInstance",
            "action",
            "reason",
            "type",
            "eventTime",
        ] {
            if new[required].is_null() || new[required] == "" {
                causes.push(Cause::required(required));
            }
        }
        for (field, most) in [
            ("note", 1024),
            ("reason", 128),
            ("action", 128),
            ("reportingInstance", 128),
        ] {
            if new[field].as_str().is_some_and(|text| text.len() > most) {
                let why = format!("can have at most {most} bytes");
                causes.push(Cause::invalid(field, &json!(""), &why));
            }
        }
        return;
    };
    for field in EVENT_IDENTITY {
        if old[field] != new[field] {
            causes.push(Cause::invalid(field, &new[field], "field is immutable"));
        }
    }
}
