//! Who manages which fields.

use serde_json::{Value, json};

use super::{
    fields::FieldSet,
    merge::{applied, compare, merge, prune},
    refusal::Refusal,
    resource::Resource,
};

/// Metadata that nobody manages.
const UNMANAGED: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Who writes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    pub manager: String,
    pub applies: bool,
    /// `status`, or nothing.
    pub subresource: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    writer: Writer,
    time: String,
    fields: FieldSet,
}

/// `metadata.managedFields` of one object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Managers {
    entries: Vec<Entry>,
}

impl Managers {
    pub fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let entries = object["metadata"]["managedFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| Entry {
                writer: Writer {
                    manager: text(&entry["manager"]),
                    applies: entry["operation"] == "Apply",
                    subresource: text(&entry["subresource"]),
                },
                time: text(&entry["time"]),
                fields: FieldSet::from_value(&entry["fieldsV1"]),
            })
            .filter(|entry| !entry.fields.is_empty())
            .collect();
        Self { entries }
    }

    /// Writes the entries into an object: appliers first, then by time and name.
    pub fn put_into(&self, resource: &Resource, object: &mut Value) {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| (!entry.writer.applies, &entry.time, &entry.writer.manager));
        let entries: Vec<Value> = entries
            .into_iter()
            .map(|entry| {
                let mut written = json!({
                    "manager": entry.writer.manager, "operation": operation(&entry.writer),
                    "apiVersion": resource.api_version(), "time": entry.time,
                    "fieldsType": "FieldsV1", "fieldsV1": entry.fields.to_value(),
                });
                if !entry.writer.subresource.is_empty() {
                    written["subresource"] = json!(entry.writer.subresource);
                }
                written
            })
            .collect();
        if entries.is_empty() {
            object["metadata"].as_object_mut().unwrap().remove("managedFields");
        } else {
            object["metadata"]["managedFields"] = json!(entries);
        }
    }

    /// Takes note of a write that was no apply.
    pub fn note(&mut self, resource: &Resource, old: &Value, new: &Value, writer: &Writer, now: &str) {
        let (changed, removed) = differences(resource, old, new);
        let mut own = FieldSet::default();
        self.entries.retain_mut(|entry| {
            entry.fields = entry.fields.difference(&changed).difference(&removed);
            if entry.writer == *writer && !changed.is_empty() {
                own = entry.fields.clone();
                return false;
            }
            !entry.fields.is_empty()
        });
        if !changed.is_empty() {
            self.entries.push(Entry {
                writer: writer.clone(),
                time: now.to_owned(),
                fields: own.union(&changed),
            });
        }
    }

    /// Applies a configuration. Gives the object, without defaults.
    pub fn apply(
        &mut self,
        resource: &Resource,
        live: &Value,
        config: &Value,
        writer: &Writer,
        force: bool,
        now: &str,
    ) -> Result<Value, Refusal> {
        let set = applied(&resource.schema, config);
        let before = self.entries.iter().position(|entry| entry.writer == *writer);
        let before = before.map(|at| self.entries.remove(at));
        let mut object = merge(&resource.schema, live, config);
        if let Some(before) = &before {
            let owned = self
                .entries
                .iter()
                .fold(set.clone(), |all, entry| all.union(&entry.fields));
            prune(&resource.schema, &mut object, &before.fields, &owned);
        }
        let (changed, removed) = differences(resource, live, &object);
        self.conflicts(resource, &changed, force)?;
        for entry in &mut self.entries {
            entry.fields = entry.fields.difference(&changed).difference(&removed);
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
        let fields = managed(set);
        let same = before.as_ref().is_some_and(|before| before.fields == fields);
        let quiet = same && changed.is_empty() && removed.is_empty();
        let time = before
            .filter(|_| quiet)
            .map_or_else(|| now.to_owned(), |before| before.time);
        if !fields.is_empty() {
            self.entries.push(Entry {
                writer: writer.clone(),
                time,
                fields,
            });
        }
        Ok(object)
    }

    fn conflicts(&self, resource: &Resource, changed: &FieldSet, force: bool) -> Result<(), Refusal> {
        let mut found: Vec<(String, Vec<String>)> = self
            .entries
            .iter()
            .map(|entry| (described(resource, entry), entry.fields.intersection(changed).paths()))
            .filter(|(_, paths)| !paths.is_empty())
            .collect();
        if force || found.is_empty() {
            return Ok(());
        }
        found.sort();
        let count: usize = found.iter().map(|(_, paths)| paths.len()).sum();
        let message = match found.as_slice() {
            [(manager, paths)] if paths.len() == 1 => {
                format!("Apply failed with 1 conflict: conflict with {manager}: {}", paths[0])
            }
            many => {
                let list = |(manager, paths): &(String, Vec<String>)| {
                    format!("conflicts with {manager}:\n- {}", paths.join("\n- "))
                };
                let lists: Vec<String> = many.iter().map(list).collect();
                format!("Apply failed with {count} conflicts: {}", lists.join("\n"))
            }
        };
        let causes: Vec<Value> = found
            .iter()
            .flat_map(|(manager, paths)| paths.iter().map(move |path| (manager, path)))
            .map(|(manager, path)| {
                json!({ "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path })
            })
            .collect();
        let mut refusal = Refusal::new(409, "Conflict", message);
        refusal.details = json!({ "causes": causes });
        Err(refusal)
    }
}

fn operation(writer: &Writer) -> &'static str {
    if writer.applies { "Apply" } else { "Update" }
}

fn described(resource: &Resource, entry: &Entry) -> String {
    let mut text = format!("{:?}", entry.writer.manager);
    if !entry.writer.subresource.is_empty() {
        text = format!("{text} with subresource {:?}", entry.writer.subresource);
    }
    if !entry.writer.applies {
        text = format!("{text} using {}", resource.api_version());
    }
    text
}

fn differences(resource: &Resource, old: &Value, new: &Value) -> (FieldSet, FieldSet) {
    let (changed, removed) = compare(&resource.schema, old, new);
    (managed(changed), managed(removed))
}

/// Without what nobody manages.
fn managed(mut set: FieldSet) -> FieldSet {
    set.member = false;
    set.below.remove("f:apiVersion");
    set.below.remove("f:kind");
    if let Some(metadata) = set.below.get_mut("f:metadata") {
        metadata.member = false;
        metadata
            .below
            .retain(|step, _| !UNMANAGED.iter().any(|name| step == &format!("f:{name}")));
        if metadata.is_empty() {
            set.below.remove("f:metadata");
        }
    }
    set
}
