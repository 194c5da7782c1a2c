//! Sets of fields, as `managedFields` writes them (`FieldsV1`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A set of paths in an object. A step is written as `FieldsV1` writes it: `f:<field>`, `k:<keys of a list item>`, `v:<value>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldSet {
    /// Whether the path up to here is in the set.
    pub member: bool,
    pub below: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    pub fn leaf() -> Self {
        Self {
            member: true,
            below: BTreeMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        !self.member && self.below.values().all(Self::is_empty)
    }

    /// What is below a step.
    pub fn at(&self, step: &str) -> Option<&Self> {
        self.below.get(step)
    }

    /// Puts a set below a step, unless it is empty.
    pub fn put(&mut self, step: String, set: Self) {
        if !set.is_empty() {
            self.below.insert(step, set);
        }
    }

    /// Whether a step is in the set, where a field counts as soon as anything below it is.
    pub fn names(&self, step: &str) -> bool {
        self.at(step)
            .is_some_and(|set| set.member || (step.starts_with("f:") && !set.is_empty()))
    }

    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.member |= other.member;
        for (step, set) in &other.below {
            let merged = all.below.get(step).map_or_else(|| set.clone(), |mine| mine.union(set));
            all.below.insert(step.clone(), merged);
        }
        all
    }

    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self {
            member: self.member && other.member,
            below: BTreeMap::new(),
        };
        for (step, set) in &self.below {
            if let Some(theirs) = other.below.get(step) {
                both.put(step.clone(), set.intersection(theirs));
            }
        }
        both
    }

    pub fn difference(&self, other: &Self) -> Self {
        let mut rest = Self {
            member: self.member && !other.member,
            below: BTreeMap::new(),
        };
        for (step, set) in &self.below {
            let left = other
                .below
                .get(step)
                .map_or_else(|| set.clone(), |theirs| set.difference(theirs));
            rest.put(step.clone(), left);
        }
        rest
    }

    /// Every path, as messages write it: `.spec.active`, `.status.conditions[type="Ready"].reason`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, path: &str, paths: &mut Vec<String>) {
        if self.member {
            paths.push(path.to_owned());
        }
        for (step, set) in &self.below {
            set.collect(&format!("{path}{}", written(step)), paths);
        }
    }

    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        if self.member && !self.below.is_empty() {
            fields.insert(".".to_owned(), json!({}));
        }
        for (step, set) in &self.below {
            fields.insert(step.clone(), set.to_value());
        }
        Value::Object(fields)
    }

    pub fn from_value(value: &Value) -> Self {
        let mut set = Self::default();
        for (step, below) in value.as_object().into_iter().flatten() {
            if step == "." {
                set.member = true;
            } else {
                let mut child = Self::from_value(below);
                child.member |= child.below.is_empty();
                set.below.insert(step.clone(), child);
            }
        }
        set
    }
}

fn written(step: &str) -> String {
    match step.split_once(':') {
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap();
            let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        Some((_, field)) => format!(".{field}"),
        None => step.to_owned(),
    }
}
