//! Comparing, merging and pruning by the topology of a schema: what server-side apply is made of.

use serde_json::{Map, Value};

use super::fields::FieldSet;

/// The schema of a field.
pub fn field<'a>(schema: &'a Value, name: &str) -> &'a Value {
    let declared = &schema["properties"][name];
    if declared.is_null() {
        &schema["additionalProperties"]
    } else {
        declared
    }
}

/// How the steps into a value are named.
enum Shape {
    Leaf,
    Fields,
    Items,
}

fn shape(schema: &Value, value: &Value) -> Shape {
    match value {
        Value::Object(fields) if !fields.is_empty() && schema["x-kubernetes-map-type"] != "atomic" => Shape::Fields,
        Value::Array(_) if matches!(schema["x-kubernetes-list-type"].as_str(), Some("set" | "map")) => Shape::Items,
        _ => Shape::Leaf,
    }
}

/// The step to an item of a list that is a set or a map.
fn item_step(schema: &Value, item: &Value) -> String {
    let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() else {
        return format!("v:{item}");
    };
    let mut identity = Map::new();
    for key in keys {
        let key = key.as_str().unwrap();
        identity.insert(key.to_owned(), item[key].clone());
    }
    format!("k:{}", Value::Object(identity))
}

/// The parts of a value with their steps and schemas.
fn parts<'a>(schema: &'a Value, value: &'a Value) -> Vec<(String, &'a Value, &'a Value)> {
    match (shape(schema, value), value) {
        (Shape::Fields, Value::Object(fields)) => fields
            .iter()
            .map(|(name, part)| (format!("f:{name}"), field(schema, name), part))
            .collect(),
        (Shape::Items, Value::Array(items)) => items
            .iter()
            .map(|item| (item_step(schema, item), &schema["items"], item))
            .collect(),
        _ => Vec::new(),
    }
}

/// The fields that an applied configuration names.
pub fn applied(schema: &Value, value: &Value) -> FieldSet {
    let mut set = FieldSet {
        member: matches!(shape(schema, value), Shape::Leaf),
        ..FieldSet::default()
    };
    for (step, below, part) in parts(schema, value) {
        let mut child = applied(below, part);
        child.member |= !step.starts_with("f:") || schema["additionalProperties"].is_object();
        set.put(step, child);
    }
    set
}

/// Every path in a value, containers included.
fn every(schema: &Value, value: &Value) -> FieldSet {
    let mut set = FieldSet::leaf();
    for (step, below, part) in parts(schema, value) {
        set.put(step, every(below, part));
    }
    set
}

/// What differs between two values: what is new or changed, and what is gone.
pub fn compare(schema: &Value, old: &Value, new: &Value) -> (FieldSet, FieldSet) {
    let (mut changed, mut removed) = (FieldSet::default(), FieldSet::default());
    let leaf = matches!(shape(schema, old), Shape::Leaf) && matches!(shape(schema, new), Shape::Leaf);
    if leaf || old.is_array() != new.is_array() {
        changed.member = old != new;
        return (changed, removed);
    }
    changed.member = matches!(shape(schema, new), Shape::Leaf) && !new.is_object();
    let (before, after) = (parts(schema, old), parts(schema, new));
    for (step, below, part) in &after {
        match before.iter().find(|(known, ..)| known == step) {
            None => changed.put(step.clone(), every(below, part)),
            Some((_, _, was)) => {
                let (inner_changed, inner_removed) = compare(below, was, part);
                changed.put(step.clone(), inner_changed);
                removed.put(step.clone(), inner_removed);
            }
        }
    }
    for (step, below, part) in &before {
        if !after.iter().any(|(known, ..)| known == step) {
            removed.put(step.clone(), every(below, part));
        }
    }
    (changed, removed)
}

/// `live` with what `config` says.
pub fn merge(schema: &Value, live: &Value, config: &Value) -> Value {
    match (live, config) {
        (Value::Object(mine), Value::Object(theirs)) if schema["x-kubernetes-map-type"] != "atomic" => {
            let mut merged = mine.clone();
            for (name, value) in theirs {
                let was = mine.get(name).unwrap_or(&Value::Null);
                merged.insert(name.clone(), merge(field(schema, name), was, value));
            }
            Value::Object(merged)
        }
        (Value::Array(mine), Value::Array(theirs)) if matches!(shape(schema, config), Shape::Items) => {
            merge_items(schema, mine, theirs)
        }
        _ => config.clone(),
    }
}

/// Items that only `mine` has stay where they are; those that both have take the order of `theirs`.
fn merge_items(schema: &Value, mine: &[Value], theirs: &[Value]) -> Value {
    let step = |item: &Value| item_step(schema, item);
    let their_steps: Vec<String> = theirs.iter().map(step).collect();
    let mut merged = Vec::new();
    let mut next = 0;
    let mut take = |merged: &mut Vec<Value>, until: Option<&str>| {
        while let Some(item) = theirs.get(next) {
            let here = &their_steps[next];
            let live = mine.iter().find(|live| step(live) == *here);
            merged.push(live.map_or_else(|| item.clone(), |live| merge(&schema["items"], live, item)));
            next += 1;
            if until == Some(here) {
                break;
            }
        }
    };
    for item in mine {
        let here = step(item);
        if !their_steps.contains(&here) {
            merged.push(item.clone());
        } else if !merged.iter().any(|done| step(done) == here) {
            take(&mut merged, Some(&here));
        }
    }
    take(&mut merged, None);
    Value::Array(merged)
}

/// Takes out what the manager applied `before` and nobody owns any more.
pub fn prune(schema: &Value, value: &mut Value, before: &FieldSet, owned: &FieldSet) {
    let nothing = FieldSet::default();
    let goes = |step: &str| before.names(step) && !owned.names(step);
    match value {
        Value::Object(fields) if schema["x-kubernetes-map-type"] != "atomic" => {
            fields.retain(|name, _| !goes(&format!("f:{name}")));
            for (name, part) in fields {
                let step = format!("f:{name}");
                if let Some(inner) = before.at(&step) {
                    prune(field(schema, name), part, inner, owned.at(&step).unwrap_or(&nothing));
                }
            }
        }
        Value::Array(items) if matches!(schema["x-kubernetes-list-type"].as_str(), Some("set" | "map")) => {
            items.retain(|item| !goes(&item_step(schema, item)));
            for item in items {
                let step = item_step(schema, item);
                if let Some(inner) = before.at(&step) {
                    prune(&schema["items"], item, inner, owned.at(&step).unwrap_or(&nothing));
                }
            }
        }
        _ => {}
    }
}
