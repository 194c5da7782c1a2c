//! The values of the chart: each is explained, known to the schema, and used.

use std::{collections::BTreeSet, fs, path::PathBuf};

use regex::Regex;
use serde_json::Value;
use vpn_operator::access::OPEN_PATH;

use super::chart::{file, templates};

fn schema() -> Value {
    serde_json::from_str(&file("values.schema.json")).unwrap()
}

fn values(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The schema that a reference leads to.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// What is wrong with a value, as far as the keywords go that the schema uses on the way to it.
fn problems(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let schema = resolved(root, schema);
    let mut check = |keyword: &str, good: bool| {
        if !good {
            found.push(format!("{path}: {keyword}"));
        }
    };
    let number = |keyword: &str| schema[keyword].as_f64();
    if let Some(kind) = schema["type"].as_str() {
        let fits = match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            other => panic!("{other}"),
        };
        check("type", fits);
    }
    check(
        "enum",
        schema["enum"].as_array().is_none_or(|known| known.contains(value)),
    );
    match value {
        Value::String(text) => {
            let pattern = schema["pattern"].as_str();
            check(
                "pattern",
                pattern.is_none_or(|pattern| Regex::new(pattern).unwrap().is_match(text)),
            );
        }
        Value::Number(_) => {
            let value = value.as_f64().unwrap();
            check("minimum", number("minimum").is_none_or(|least| value >= least));
            check("maximum", number("maximum").is_none_or(|most| value <= most));
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                problems(root, &schema["items"], item, &format!("{path}[{at}]"), found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match (&schema["properties"][name], &schema["additionalProperties"]) {
                    (Value::Null, Value::Bool(false)) => found.push(format!("{path}: unknown")),
                    (Value::Null, Value::Null | Value::Bool(true)) => {}
                    (Value::Null, schema) | (schema, _) => problems(root, schema, value, &path, found),
                }
            }
        }
        Value::Bool(_) | Value::Null => {}
    }
}

fn refused(text: &str) -> Vec<String> {
    let (schema, mut found) = (schema(), Vec::new());
    problems(&schema, &schema, &values(text), "", &mut found);
    found
}

#[test]
fn the_schema_accepts_the_values_and_the_combinations_that_are_tried() {
    assert_eq!(refused(&file("values.yaml")), [""; 0]);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("charts/vpn-operator/ci");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // A null takes a default away; Helm does that before it looks at the schema.
        let text = fs::read_to_string(&path).unwrap().replace(": null", ": 1");
        assert_eq!(refused(&text), [""; 0], "{}", path.display());
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn the_schema_refuses_what_is_misspelt_or_of_another_kind() {
    for (text, wanted) in [
        ("auth: { replica: 2 }", ".auth.replica: unknown"),
        ("auth: { replicas: '2' }", ".auth.replicas: type"),
        ("auth: { replicas: -1 }", ".auth.replicas: minimum"),
        ("image: { pullPolicy: Sometimes }", ".image.pullPolicy: enum"),
        ("image: { digest: sha256:12 }", ".image.digest: pattern"),
        (
            "gateway: { nodes: [{ name: fra1, adress: a }] }",
            ".gateway.nodes[0].adress: unknown",
        ),
        ("masterKey: { value: secret }", ".masterKey.value: unknown"),
        ("settings: { guard: { limit: none } }", ".settings.guard.limit: pattern"),
        ("settings: { guard: { limit: -1 } }", ".settings.guard.limit: minimum"),
        (
            "settings: { guard: { share: 'off' } }",
            ".settings.guard.share: pattern",
        ),
        (
            "settings: { guard: { window: ten } }",
            ".settings.guard.window: pattern",
        ),
    ] {
        assert_eq!(refused(text), [wanted]);
    }
}

/// Every object of the schema with its path, the free-form ones of Kubernetes apart.
fn closed(root: &Value, schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let Some(properties) = resolved(root, schema)["properties"].as_object() else {
        return;
    };
    for (name, schema) in properties {
        let path = format!("{path}.{name}");
        match &value[name] {
            Value::Null => wrong.push(format!("{path} has no default in values.yaml")),
            value => closed(root, schema, value, &path, wrong),
        }
    }
}

#[test]
fn every_value_of_the_schema_has_a_default() {
    let (schema, values) = (schema(), values(&file("values.yaml")));
    let mut wrong = Vec::new();
    closed(&schema, &schema, &values, "", &mut wrong);
    // What Helm hands to every chart, and what Kubernetes itself gives defaults to.
    let open = [".global", ".affinity.", ".resources.claims"];
    wrong.retain(|line| !open.iter().any(|open| line.contains(open)));
    assert_eq!(wrong, [""; 0]);
}

/// Every line of values.yaml that sets a value stands behind a comment that begins with `# --`; one that only opens a
/// group of them need not.
#[test]
fn every_value_is_explained() {
    let text = file("values.yaml");
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let key = Regex::new(r"^ *([a-zA-Z]+):").unwrap();
    let mut inside_of_explained: Option<usize> = None;
    let mut count = 0;
    for (at, line) in lines.iter().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if inside_of_explained.is_some_and(|outer| indent(line) > outer) {
            continue;
        }
        inside_of_explained = None;
        assert!(key.is_match(line), "{line}");
        let above = lines[..at].iter().rev().map(|line| line.trim());
        let explained = above
            .take_while(|line| line.starts_with('#'))
            .any(|line| line.starts_with("# -- "));
        let group = lines.get(at + 1..).unwrap().iter().find(|line| !line.trim().is_empty());
        let group = group.is_some_and(|next| indent(next) > indent(line)) && line.ends_with(':');
        if explained {
            inside_of_explained = Some(indent(line));
            count += 1;
        } else {
            assert!(group, "line {}: {line}", at + 1);
        }
    }
    assert!(count > 60, "only {count} values were found");
}

#[test]
fn templates_use_values_that_exist_and_every_value_is_used() {
    let defaults = values(&file("values.yaml"));
    let text: String = templates().into_iter().map(|(_, text)| text).collect();
    let path = Regex::new(r"\.Values((?:\.[a-zA-Z]+)+)").unwrap();
    for found in path.captures_iter(&text) {
        let pointer = found[1].replace('.', "/");
        assert!(defaults.pointer(&pointer).is_some(), "{}", &found[0]);
    }
    let used: BTreeSet<&str> = Regex::new(r"\.([a-zA-Z]+)")
        .unwrap()
        .find_iter(&text)
        .map(|found| &found.as_str()[1..])
        .collect();
    let mut open = vec![(String::new(), &defaults)];
    while let Some((path, value)) = open.pop() {
        let name = path.rsplit('.').next().unwrap();
        assert!(path.is_empty() || used.contains(name), "no template uses {path}");
        let whole = ["podSecurityContext", "resources"].contains(&name);
        for (name, value) in value.as_object().into_iter().flatten().filter(|_| !whole) {
            open.push((format!("{path}.{name}"), value));
        }
    }
}

#[test]
fn what_lets_subscriptions_through_lets_handed_over_links_through() {
    let values = values(&file("values.yaml"));
    let paths = values["api"]["ingress"]["paths"].as_array().unwrap();
    let passes = |path: &Value| OPEN_PATH.starts_with(&format!("{}/", path.as_str().unwrap()));
    assert!(paths.iter().any(passes), "{paths:?}");
}
