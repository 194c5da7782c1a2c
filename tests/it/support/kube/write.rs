//! Performing a write: from what a client sent to what is stored.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    jsonpatch::{Failed, json_patch, merge_patch},
    managed::{Managers, Writer},
    refusal::{Cause, Refusal},
    resource::Resource,
    rules, schema,
    store::{Key, Store},
};

/// Metadata that only the server writes.
const OWNED: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
];

/// A write, apart from its body.
#[expect(clippy::struct_excessive_bools, reason = "independent parameters of a request")]
pub struct Write {
    pub resource: &'static Resource,
    pub namespace: String,
    pub name: String,
    pub status: bool,
    pub manager: String,
    pub force: bool,
    pub strict: bool,
    pub dry_run: bool,
    /// The user may create objects of this resource, which an apply of what is not there needs.
    pub may_create: Result<(), Refusal>,
}

/// What a write did.
pub struct Done {
    pub code: u16,
    pub body: Arc<Value>,
    pub created: bool,
    pub changed: bool,
}

pub fn now() -> String {
    let seconds = Timestamp::now().as_second();
    Timestamp::from_second(seconds).unwrap().to_string()
}

impl Write {
    pub(super) fn key(&self) -> Key {
        (self.resource.plural.as_str(), self.namespace.clone(), self.name.clone())
    }

    fn writer(&self, applies: bool) -> Writer {
        Writer {
            manager: self.manager.clone(),
            applies,
            subresource: if self.status {
                "status".to_owned()
            } else {
                String::new()
            },
        }
    }

    pub(super) fn live(&self, store: &Store) -> Result<Arc<Value>, Refusal> {
        let live = store.get(&self.key()).cloned();
        live.ok_or_else(|| Refusal::not_found(self.resource, &self.name))
    }

    fn validate(&self, new: &Value, old: Option<&Value>) -> Result<(), Refusal> {
        let mut causes = rules::check(self.resource, new, old);
        causes.extend(schema::validate(self.resource, new, old));
        if causes.is_empty() {
            Ok(())
        } else {
            let name = new["metadata"]["name"].as_str().unwrap_or_default();
            Err(Refusal::invalid(self.resource, name, &causes))
        }
    }

    pub fn create(mut self, store: &mut Store, body: Value) -> Result<Done, Refusal> {
        let mut object = self.decode(body)?;
        let meta = &mut object["metadata"];
        if let (true, Some(prefix)) = (meta["name"].is_null(), meta["generateName"].as_str()) {
            let uid = store.uid();
            meta["name"] = json!(format!("{prefix}{}", &uid[3..8]));
        }
        meta["name"].as_str().unwrap_or_default().clone_into(&mut self.name);
        if meta["resourceVersion"]
            .as_str()
            .is_some_and(|version| !version.is_empty())
        {
            let why = "resourceVersion should not be set on objects to be created";
            return Err(Refusal::new(500, "InternalError", why));
        }
        if self.resource.custom {
            object.as_object_mut().unwrap().remove("status");
        }
        let mut managers = Managers::default();
        let empty = json!({ "metadata": {} });
        managers.note(self.resource, &empty, &object, &self.writer(false), &now());
        self.insert(store, object, &managers)
    }

    /// Stores a new object.
    fn insert(&self, store: &mut Store, mut object: Value, managers: &Managers) -> Result<Done, Refusal> {
        let namespace = &self.namespace;
        if store.is_gone(namespace) {
            return Err(Refusal::not_found(super::resource::named("namespaces"), namespace));
        }
        if store.get(&self.key()).is_some() {
            return Err(Refusal::already_exists(self.resource, &self.name));
        }
        if store.is_terminating(namespace) {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let mut refusal = Refusal::forbidden(self.resource, &self.name, &why);
            refusal.details["causes"] = json!([{
                "reason": "NamespaceTerminating", "message": format!("namespace {namespace} is being terminated"),
                "field": "metadata.namespace",
            }]);
            return Err(refusal);
        }
        let meta = object["metadata"].as_object_mut().unwrap();
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "managedFields",
        ] {
            meta.remove(field);
        }
        meta.insert("namespace".to_owned(), json!(namespace));
        meta.insert("uid".to_owned(), json!(store.uid()));
        meta.insert("creationTimestamp".to_owned(), json!(now()));
        if self.resource.custom {
            meta.insert("generation".to_owned(), json!(1));
        }
        managers.put_into(self.resource, &mut object);
        schema::complete(&self.resource.schema, &mut object);
        self.validate(&object, None)?;
        if self.dry_run {
            return Ok(done(201, Arc::new(object), true, false));
        }
        let stored = store.write(self.key(), Some(object));
        Ok(done(201, stored, true, true))
    }

    pub fn replace(self, store: &mut Store, body: Value) -> Result<Done, Refusal> {
        let object = self.decode(body)?;
        let Some(live) = store.get(&self.key()).cloned() else {
            if self.resource.creates_on_update && !self.status {
                self.may_create.clone()?;
                return self.create(store, object);
            }
            return Err(Refusal::not_found(self.resource, &self.name));
        };
        let unversioned = object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty);
        if unversioned && !self.resource.unconditional_update {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(Refusal::invalid(self.resource, &self.name, &[cause]));
        }
        self.update(store, &live, &object, true)
    }

    pub fn merge_patch(&self, store: &mut Store, patch: &Value) -> Result<Done, Refusal> {
        let live = self.live(store)?;
        let mut object = (*live).clone();
        merge_patch(&mut object, patch);
        let object = self.decode(object)?;
        self.update(store, &live, &object, false)
    }

    pub fn json_patch(&self, store: &mut Store, operations: &Value) -> Result<Done, Refusal> {
        let live = self.live(store)?;
        let mut object = (*live).clone();
        json_patch(&mut object, operations).map_err(|failed| match failed {
            Failed::Malformed(why) => Refusal::bad_request(why),
            Failed::NotApplicable(why) => {
                let message = "the server rejected our request due to an error in our request";
                let mut refusal = Refusal::new(422, "Invalid", message);
                refusal.details = json!({ "causes": [{ "reason": "UnexpectedServerResponse", "message": why }] });
                refusal
            }
        })?;
        let object = self.decode(object)?;
        self.update(store, &live, &object, false)
    }

    fn update(&self, store: &mut Store, live: &Arc<Value>, object: &Value, replaces: bool) -> Result<Done, Refusal> {
        self.check_preconditions(live, &object["metadata"], replaces)?;
        let object = self.keep_the_rest(live, object);
        let mut managers = Managers::of(live);
        managers.note(self.resource, live, &object, &self.writer(false), &now());
        self.store(store, live, object, &managers)
    }

    pub fn apply(&self, store: &mut Store, config: Value) -> Result<Done, Refusal> {
        self.check_identity(&config)?;
        let meta = &config["metadata"];
        if meta["managedFields"]
            .as_array()
            .is_some_and(|entries| !entries.is_empty())
        {
            return Err(Refusal::bad_request("metadata.managedFields must be nil"));
        }
        let live = store.get(&self.key()).cloned();
        if live.is_none() {
            if self.status {
                return Err(Refusal::not_found(self.resource, &self.name));
            }
            self.may_create.clone()?;
            if let Some(uid) = meta["uid"].as_str().filter(|uid| !uid.is_empty()) {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Refusal::conflict(self.resource, &self.name, &why));
            }
        }
        self.check_typed(&config)?;
        let config = self.own_part(config);
        let mut managers = live.as_deref().map(Managers::of).unwrap_or_default();
        let empty = Arc::new(json!({ "metadata": {} }));
        let base = live.as_ref().unwrap_or(&empty);
        let mut object = managers.apply(self.resource, base, &config, &self.writer(true), self.force, &now())?;
        rules::normalise(self.resource, &mut object);
        schema::complete(&self.resource.schema, &mut object);
        match live {
            None => {
                if self.resource.custom {
                    object.as_object_mut().unwrap().remove("status");
                }
                self.insert(store, object, &managers)
            }
            Some(live) => {
                self.check_preconditions(&live, &object["metadata"], false)?;
                let object = self.keep_the_rest(&live, &object);
                self.store(store, &live, object, &managers)
            }
        }
    }

    fn check_preconditions(&self, live: &Value, meta: &Value, replaces: bool) -> Result<(), Refusal> {
        let (live, text) = (&live["metadata"], |value: &Value| {
            value.as_str().unwrap_or_default().to_owned()
        });
        let (uid, version) = (text(&meta["uid"]), text(&meta["resourceVersion"]));
        if !uid.is_empty() && live["uid"] != uid {
            if !replaces {
                let cause = Cause::invalid("metadata.uid", &json!(uid), "field is immutable");
                return Err(Refusal::invalid(self.resource, &self.name, &[cause]));
            }
            return Err(Refusal::precondition(
                self.resource,
                &self.name,
                "UID",
                &uid,
                &text(&live["uid"]),
            ));
        }
        if !version.is_empty() && live["resourceVersion"] != version {
            return Err(Refusal::stale(self.resource, &self.name));
        }
        Ok(())
    }

    /// The other part of the object, and the server's metadata, stay as they are.
    fn keep_the_rest(&self, live: &Value, object: &Value) -> Value {
        let mut kept = if self.status { live.clone() } else { object.clone() };
        let take = |kept: &mut Value, from: &Value, field: &str| {
            let fields = kept.as_object_mut().unwrap();
            match from.get(field) {
                Some(value) => fields.insert(field.to_owned(), value.clone()),
                None => fields.remove(field),
            };
        };
        if self.status {
            take(&mut kept, object, "status");
        } else if self.resource.custom {
            take(&mut kept, live, "status");
        }
        for field in OWNED {
            take(&mut kept["metadata"], &live["metadata"], field);
        }
        kept
    }

    /// Stores a changed object.
    fn store(
        &self,
        store: &mut Store,
        live: &Arc<Value>,
        mut object: Value,
        managers: &Managers,
    ) -> Result<Done, Refusal> {
        let resource = self.resource;
        managers.put_into(resource, &mut object);
        schema::complete(&resource.schema, &mut object);
        object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        if resource.custom && body_of(&object) != body_of(live) {
            let generation = live["metadata"]["generation"].as_i64().unwrap_or_default();
            object["metadata"]["generation"] = json!(generation + 1);
        }
        self.validate(&object, Some(live))?;
        if (object == **live && !store.is_incomplete(&self.key())) || self.dry_run {
            return Ok(done(200, Arc::new(object), false, false));
        }
        let finalizers = object["metadata"]["finalizers"].as_array().map_or(0, Vec::len);
        if !object["metadata"]["deletionTimestamp"].is_null() && finalizers == 0 {
            store.write(self.key(), None);
            return Ok(done(200, Arc::new(object), false, true));
        }
        let stored = store.write(self.key(), Some(object));
        Ok(done(200, stored, false, true))
    }
}

pub(super) fn done(code: u16, body: Arc<Value>, created: bool, changed: bool) -> Done {
    Done {
        code,
        body,
        created,
        changed,
    }
}

/// Everything of which a generation speaks.
fn body_of(object: &Value) -> Value {
    let mut body = object.clone();
    let fields = body.as_object_mut().unwrap();
    fields.remove("metadata");
    fields.remove("status");
    body
}
