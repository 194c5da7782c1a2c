//! The shape of a document: which fields there are, and of which type. What an API server checks by the schema of the
//! generated definitions is checked here by the same schema, for sources that have no API server in front of them.
//!
//! Every mistake is found, not the first. Bounds and patterns are the business of [`super::validate`], except where a value
//! of another form could not be read at all. As there, no message repeats a value.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{Kind, corporate_id::CorporateId, quantity::Bytes, syntax, validate::FieldError};

/// Fields of `metadata` that an API server sets, or that mean nothing in a document: taken as they are.
const IGNORED_METADATA: [&str; 11] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Most bytes of all annotations of an object.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// How to write a time.
const TIME: &str = "is not a time: write date, time with seconds, and zone, like 2027-01-01T00:00:00Z or \
    2027-01-01T02:00:00+02:00, of a year up to 9998; leave the field out where nothing begins or ends";

static SPECS: LazyLock<[(Kind, Value); 3]> = LazyLock::new(|| {
    Kind::ALL.map(|kind| {
        let definition = serde_json::to_value(kind.definition()).unwrap_or_default();
        let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec");
        (kind, spec.cloned().unwrap_or_default())
    })
});

fn spec_schema(kind: Kind) -> &'static Value {
    SPECS
        .iter()
        .find(|(of, _)| *of == kind)
        .map_or(&Value::Null, |(_, schema)| schema)
}

/// Everything that is wrong with the shape of a document of this kind, `apiVersion` and `kind` aside.
#[must_use]
pub fn shape_errors(kind: Kind, document: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let Value::Object(fields) = document else {
        add(&mut errors, "", "is not a map of fields");
        return errors;
    };
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
        unknown(&mut errors, "", name, &known);
    }
    match fields.get("metadata").filter(|metadata| !metadata.is_null()) {
        None => add(&mut errors, "metadata", "is missing"),
        Some(Value::Object(fields)) => metadata(&mut errors, fields),
        Some(_) => add(&mut errors, "metadata", "must be a map of fields"),
    }
    match fields.get("spec").filter(|spec| !spec.is_null()) {
        None => add(&mut errors, "spec", "is missing"),
        Some(spec) => visit(&mut errors, spec_schema(kind), spec, "spec"),
    }
    errors
}

/// Takes out what is null, as an API server does before it fills in defaults. Items of lists stay.
pub fn take_out_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(take_out_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(take_out_nulls),
        _ => {}
    }
}

fn add(errors: &mut Vec<FieldError>, path: impl Into<String>, message: impl Into<String>) {
    errors.push(FieldError {
        path: path.into(),
        message: message.into(),
    });
}

fn unknown(errors: &mut Vec<FieldError>, path: &str, name: &str, known: &[&str]) {
    let distance = |field: &&&str| strsim::osa_distance(&name.to_lowercase(), &field.to_lowercase());
    let nearest = known
        .iter()
        .min_by_key(distance)
        .filter(|field| distance(field) <= 1 + name.len() / 4);
    let message = match nearest {
        Some(field) => format!("unknown field: '{field}' is one"),
        None => format!("unknown field: there are {}", known.join(", ")),
    };
    add(errors, below(path, name), message);
}

fn below(path: &str, name: &str) -> String {
    match (path.is_empty(), name.contains(['.', '[', ']'])) {
        (true, _) => name.to_owned(),
        (false, false) => format!("{path}.{name}"),
        (false, true) => format!("{path}[{name}]"),
    }
}

fn metadata(errors: &mut Vec<FieldError>, fields: &Map<String, Value>) {
    let known = ["name", "namespace", "labels", "annotations"];
    for name in fields.keys().map(String::as_str) {
        if !known.contains(&name) && !IGNORED_METADATA.contains(&name) {
            unknown(errors, "metadata", name, &known);
        }
    }
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    match given("name") {
        None => add(errors, "metadata.name", "is missing"),
        Some(name) => text(errors, name, "metadata.name"),
    }
    if let Some(namespace) = given("namespace") {
        text(errors, namespace, "metadata.namespace");
        if namespace.as_str().is_some_and(|name| !syntax::LABEL.accepts(name)) {
            add(errors, "metadata.namespace", format!("must be {}", syntax::LABEL.rule));
        }
    }
    for field in ["labels", "annotations"] {
        let path = format!("metadata.{field}");
        let Some(value) = given(field) else { continue };
        let Value::Object(texts) = value else {
            add(errors, path, "must be a map of texts");
            continue;
        };
        for (key, value) in texts {
            let at = below(&path, key);
            if !is_qualified_name(key) {
                add(
                    errors,
                    &at,
                    "is not a key: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or \
                     digit, and perhaps a DNS name and '/' before them",
                );
            }
            text(errors, value, &at);
            if field == "labels"
                && value
                    .as_str()
                    .is_some_and(|value| !value.is_empty() && !is_name_part(value))
            {
                add(
                    errors,
                    &at,
                    "must be at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit",
                );
            }
        }
        let size: usize = texts
            .iter()
            .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
            .sum();
        if field == "annotations" && size > MAX_ANNOTATIONS {
            add(
                errors,
                path,
                format!("have {size} bytes: at most {MAX_ANNOTATIONS} are kept"),
            );
        }
    }
}

fn text(errors: &mut Vec<FieldError>, value: &Value, path: &str) {
    if let Some(message) = wrong_type("string", value) {
        add(errors, path, message);
    }
}

/// A key of labels and annotations.
fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => syntax::OBJECT_NAME.accepts(&prefix.to_ascii_lowercase()) && is_name_part(name),
        None => is_name_part(key),
    }
}

fn is_name_part(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.len() <= 63 && edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(inner)
}

fn visit(errors: &mut Vec<FieldError>, schema: &Value, value: &Value, path: &str) {
    if schema["x-kubernetes-int-or-string"] == true {
        return amount(errors, value, path);
    }
    let expected = schema["type"].as_str().unwrap_or_default();
    if let Some(message) = wrong_type(expected, value) {
        let fields = names(schema);
        let message = if expected == "object" && !fields.is_empty() {
            format!("{message}: {}", fields.join(", "))
        } else {
            message
        };
        return add(errors, path, message);
    }
    match value {
        Value::String(text) => {
            let values = schema["enum"].as_array();
            if let Some(values) = values.filter(|values| !values.contains(value)) {
                let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
                add(errors, path, format!("must be one of {}", values.join(", ")));
            }
            if schema["format"] == "date-time" && !is_time(text) {
                add(errors, path, TIME);
            }
            if schema["x-kubernetes-validations"] == CorporateId::cel()
                && let Err(error) = CorporateId::parse(text)
            {
                add(errors, path, error.to_string());
            }
        }
        Value::Number(number) => bounds(errors, schema, number, path),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                visit(errors, &schema["items"], item, &format!("{path}[{at}]"));
            }
        }
        Value::Object(fields) => {
            let known = names(schema);
            let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
            for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
                unknown(errors, path, name, &known);
            }
            for required in schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
            {
                if given(required).is_none() {
                    add(errors, below(path, required), "is missing");
                }
            }
            for name in known {
                if let Some(value) = given(name) {
                    visit(errors, &schema["properties"][name], value, &below(path, name));
                }
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

fn names(schema: &Value) -> Vec<&str> {
    schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect()
}

fn wrong_type(expected: &str, value: &Value) -> Option<String> {
    let fits = match expected {
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if fits {
        return None;
    }
    let message = match (expected, value) {
        ("string", Value::Number(_)) => "must be text, and is read as a number: put it in quotes",
        ("string", Value::Bool(_)) => "must be text, and is read as true or false: put it in quotes",
        ("string", _) => "must be text",
        ("integer", Value::String(_)) => "must be a whole number, without quotes",
        ("integer", _) => "must be a whole number",
        ("boolean", Value::String(_)) => "must be true or false, without quotes",
        ("boolean", _) => "must be true or false",
        ("array", _) => "must be a list",
        _ => "must be a map of fields",
    };
    Some(message.to_owned())
}

fn amount(errors: &mut Vec<FieldError>, value: &Value, path: &str) {
    let parsed = match value {
        Value::String(text) => Bytes::parse(text),
        Value::Number(number) if number.is_i64() => Bytes::parse(&number.to_string()),
        _ => return add(errors, path, "must be an amount of bytes like 100Gi"),
    };
    if let Err(error) = parsed {
        add(errors, path, error.to_string());
    }
}

fn bounds(errors: &mut Vec<FieldError>, schema: &Value, number: &serde_json::Number, path: &str) {
    let Some(number) = number.as_i64() else { return };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounds in a definition are whole numbers"
    )]
    let bound = |keyword: &str| schema[keyword].as_f64().map(|bound| bound as i64);
    let (least, most) = (bound("minimum"), bound("maximum"));
    if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
        let message = match (least, most) {
            (Some(least), Some(most)) => format!("must be from {least} to {most}; leave it out for no limit"),
            (Some(least), None) => format!("must be at least {least}"),
            (_, most) => format!("must be at most {}", most.unwrap_or(i64::MAX)),
        };
        add(errors, path, message);
    }
}

/// Whether an API server takes this for a time, its rules as well as its schema, and it can be read: RFC 3339 with capital
/// letters, seconds below 60, and a zone.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let is = |at: usize, these: &[u8]| bytes.get(at).is_some_and(|byte| these.contains(byte));
    let separators = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    let head = digits(0, 4) && digits(5, 7) && digits(8, 10) && digits(11, 13) && digits(14, 16) && digits(17, 19);
    let rest = text.get(19..).unwrap_or_default();
    let fraction = rest
        .strip_prefix('.')
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let fraction_is_good = fraction.is_none_or(|zone| rest.len() - zone.len() > 1);
    let zone = fraction.unwrap_or(rest).as_bytes();
    let zone_is_good = match zone {
        [b'Z'] => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    head && separators.iter().all(|(at, these)| is(*at, these.as_bytes()))
        && bytes.get(17..19).is_some_and(|seconds| seconds < b"60".as_slice())
        && fraction_is_good
        && zone_is_good
        && text.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(spec: &Value) -> Value {
        json!({ "metadata": { "name": "ab123456" }, "spec": spec })
    }

    fn wrong(document: &Value) -> Vec<(String, String)> {
        let errors = shape_errors(Kind::VpnUser, document);
        errors.into_iter().map(|error| (error.path, error.message)).collect()
    }

    #[test]
    fn every_mistake_is_found_with_its_field_and_no_value_is_repeated() {
        let found = wrong(&json!({
            "metadata": { "name": 5, "namspace": "x", "labels": { "a": 1, "b c": "d", "e": "f g" }, "annotations": [] },
            "spec": {
                "corporateId": 123_456, "owner": true, "active": "hunter2", "maxDevices": "3", "validUntill": "x",
                "validUntil": "2027-01-01T00:00Z", "gateways": "default", "credentialsFrom": "hunter2",
                "traffic": { "period": "Weekly" }, "credentialGeneration": 0, "adopt": null, "subscriptionGeneration": 1.5,
            },
            "specs": 1,
        }));
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "specs",
                "metadata.namspace",
                "metadata.name",
                "metadata.labels.a",
                "metadata.labels.b c",
                "metadata.labels.e",
                "metadata.annotations",
                "spec.validUntill",
                "spec.active",
                "spec.corporateId",
                "spec.credentialGeneration",
                "spec.credentialsFrom",
                "spec.gateways",
                "spec.maxDevices",
                "spec.owner",
                "spec.subscriptionGeneration",
                "spec.traffic.limit",
                "spec.traffic.period",
                "spec.validUntil",
            ]
        );
        for (path, message) in &found {
            assert!(
                !message.contains("hunter2") && !message.contains("u32"),
                "{path}: {message}"
            );
        }
        let message = |path: &str| found.iter().find(|(at, _)| at == path).unwrap().1.clone();
        assert!(message("spec.corporateId").contains("put it in quotes"));
        assert!(message("spec.validUntill").contains("'validUntil'"));
        assert!(message("spec.credentialsFrom").contains("env, file, secretKeyRef"));
        assert_eq!(message("spec.traffic.period"), "must be one of Lifetime, Month");
    }

    #[test]
    fn a_time_has_seconds_and_a_zone() {
        for good in [
            "2027-01-01T00:00:00Z",
            "2027-01-01T00:00:00.25Z",
            "2027-01-01T02:00:00+02:00",
        ] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "2027-01-01",
            "2027-01-01T00:00Z",
            "2027-01-01T00:00:00",
            "20270101T000000Z",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:60Z",
            "2027-01-01T00:00:00.Z",
            "2027-02-30T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2027-01-01t00:00:00z",
            "2027-01-01T00:00:00Z[UTC]",
            "2027-01-01T24:00:00Z",
            "2027-01-01T00:00:00+02",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_null_is_not_there() {
        assert_eq!(
            wrong(&user(
                &json!({ "corporateId": "AB123456", "owner": null, "active": null })
            )),
            []
        );
        assert_eq!(wrong(&user(&json!({ "corporateId": null })))[0].0, "spec.corporateId");
        let mut spec = json!({ "a": null, "b": { "c": null, "d": [null] } });
        take_out_nulls(&mut spec);
        assert_eq!(spec, json!({ "b": { "d": [null] } }));
    }
}
