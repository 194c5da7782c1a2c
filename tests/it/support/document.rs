//! Answers as the OpenAPI document describes them: what doubles of the operator answer, and what clients have to read.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value, json};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(vpn_operator::http::openapi()).unwrap());

/// A moment, where one is required and nothing depends on which.
const MOMENT: &str = "2026-01-01T12:00:00Z";

/// What lists hold of which a test says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    Nothing,
    OneItem,
}

/// The body of an answer, with everything that the operator always says and the test does not.
pub fn whole(method: &str, path: &str, status: u16, body: Value) -> Value {
    match schema_of(method, path, status) {
        Some(schema) if body.is_object() => filled(schema, body, Lists::Nothing),
        _ => body,
    }
}

/// The least that an answer of this schema says, with one item in every list.
pub fn least(name: &str) -> Value {
    least_of(&DOCUMENT["components"]["schemas"][name], Lists::OneItem)
}

/// The names of the schemas of everything that is answered in JSON.
pub fn answered() -> BTreeSet<String> {
    let operations = DOCUMENT["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|path| path.as_object().unwrap().values());
    let responses = operations.filter_map(|operation| operation["responses"].as_object());
    let contents = responses.flat_map(|responses| responses.values().filter_map(|it| it["content"].as_object()));
    contents
        .flat_map(|content| content.values())
        .filter_map(|media| media["schema"]["$ref"].as_str()?.rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

fn schema_of(method: &str, path: &str, status: u16) -> Option<&'static Value> {
    let fits = |template: &str| {
        let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        let (template, path) = (parts(template), parts(path));
        let same = |(one, other): (&String, &String)| one.starts_with('{') || one == other;
        template.len() == path.len() && template.iter().zip(&path).all(same)
    };
    let paths = DOCUMENT["paths"].as_object()?.iter();
    let mut operations = paths
        .filter(|(template, _)| fits(template))
        .filter_map(|(_, item)| item.get(method.to_ascii_lowercase()));
    let response = operations.find_map(|operation| operation["responses"].get(status.to_string()))?;
    response["content"].as_object()?.values().next()?.get("schema")
}

fn resolved(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(pointer) => resolved(DOCUMENT.pointer(pointer).unwrap()),
        None => schema,
    }
}

/// The properties of an object, those of its parts included, and whether each is required.
fn properties(schema: &'static Value) -> Vec<(&'static str, &'static Value, bool)> {
    let schema = resolved(schema);
    let required = |name: &str| {
        let required = schema["required"].as_array();
        required.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut all: Vec<_> = own.map(|(name, of)| (name.as_str(), of, required(name))).collect();
    // Of alternatives the first is as good as any.
    let alternative = schema["oneOf"]
        .as_array()
        .and_then(|of| of.iter().find(|it| it["type"] != "null"));
    let parts = schema["allOf"].as_array().into_iter().flatten();
    all.extend(parts.chain(alternative).flat_map(properties));
    all
}

fn filled(schema: &'static Value, said: Value, lists: Lists) -> Value {
    match said {
        Value::Object(mut fields) => {
            for (name, of, required) in properties(schema) {
                match fields.remove(name) {
                    Some(said) => drop(fields.insert(name.to_owned(), filled(of, said, lists))),
                    None if required => drop(fields.insert(name.to_owned(), least_of(of, lists))),
                    None => {}
                }
            }
            Value::Object(fields)
        }
        Value::Array(items) => {
            let of = &resolved(schema)["items"];
            items.into_iter().map(|item| filled(of, item, lists)).collect()
        }
        said => said,
    }
}

fn least_of(schema: &'static Value, lists: Lists) -> Value {
    let schema = resolved(schema);
    if let Some(words) = schema["enum"].as_array() {
        return words[0].clone();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let nullable = |of: &Value| {
        of["oneOf"]
            .as_array()
            .is_some_and(|of| of.iter().any(|it| it["type"] == "null"))
    };
    if types.contains(&"null") || nullable(schema) {
        return Value::Null;
    }
    match types.first() {
        Some(&"string") if schema["format"] == "date-time" => json!(MOMENT),
        Some(&"string") => json!(""),
        Some(&"boolean") => json!(false),
        Some(&("integer" | "number")) => json!(0),
        Some(&"array") if lists == Lists::OneItem => json!([least_of(&schema["items"], lists)]),
        Some(&"array") => json!([]),
        _ => filled(schema, Value::Object(Map::new()), lists),
    }
}
