//! Deleting, or marking as deleted what finalizers keep.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    refusal::Refusal,
    store::Store,
    write::{Done, Write, done, now},
};

impl Write {
    pub fn delete(&self, store: &mut Store, options: &Value) -> Result<Done, Refusal> {
        let live = self.live(store)?;
        let wanted = &options["preconditions"];
        let meta = &live["metadata"];
        for (field, what) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let (given, has) = (wanted[field].as_str(), meta[field].as_str().unwrap_or_default());
            if let Some(given) = given.filter(|given| *given != has) {
                return Err(Refusal::delete_precondition(
                    self.resource,
                    &self.name,
                    what,
                    given,
                    has,
                ));
            }
        }
        let mut finalizers = meta["finalizers"].as_array().cloned().unwrap_or_default();
        let policy = match options["propagationPolicy"].as_str() {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            _ => None,
        };
        if let Some(policy) = policy.filter(|policy| !finalizers.contains(&json!(policy))) {
            finalizers.push(json!(policy));
        }
        if finalizers.is_empty() {
            if !self.dry_run {
                store.write(self.key(), None);
            }
            let details = json!({
                "name": self.name, "group": self.resource.group, "kind": self.resource.plural, "uid": meta["uid"],
            });
            let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details });
            return Ok(done(200, Arc::new(status), false, !self.dry_run));
        }
        let mut object = (*live).clone();
        object["metadata"]["finalizers"] = json!(finalizers);
        if meta["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(now());
            object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            if let Some(generation) = meta["generation"].as_i64() {
                object["metadata"]["generation"] = json!(generation + 1);
            }
        }
        if object == *live || self.dry_run {
            return Ok(done(200, Arc::new(object), false, false));
        }
        let stored = store.write(self.key(), Some(object));
        Ok(done(200, stored, false, true))
    }
}
