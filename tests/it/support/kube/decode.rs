//! From what a client sent to an object.

use serde_json::{Value, json};

use super::{refusal::Refusal, rules, schema, write::Write};

impl Write {
    /// Reads an object that a client sent.
    pub(super) fn decode(&self, mut body: Value) -> Result<Value, Refusal> {
        let resource = self.resource;
        self.check_identity(&body)?;
        rules::normalise(resource, &mut body);
        let unknown = schema::prune_unknown(&resource.schema, &mut body, "");
        if self.strict && !unknown.is_empty() {
            let list: Vec<String> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
            return Err(Refusal::bad_request(format!(
                "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
                resource.kind,
                resource.version,
                resource.kind,
                list.join(", ")
            )));
        }
        schema::complete(&resource.schema, &mut body);
        Ok(body)
    }

    pub(super) fn check_identity(&self, body: &Value) -> Result<(), Refusal> {
        if !body.is_object() || body["kind"].as_str().is_none_or(str::is_empty) {
            return Err(Refusal::bad_request("Object 'Kind' is missing"));
        }
        let expected = self.resource.api_version();
        if body["apiVersion"] != expected.as_str() || body["kind"] != self.resource.kind.as_str() {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({}, Kind={}) does not match the expected API version ({expected}, Kind={})",
                body["apiVersion"], body["kind"], self.resource.kind
            )));
        }
        let meta = &body["metadata"];
        let name = meta["name"].as_str().unwrap_or_default();
        if !self.name.is_empty() && name != self.name && !(name.is_empty() && self.status) {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.name
            )));
        }
        if meta["namespace"]
            .as_str()
            .is_some_and(|namespace| namespace != self.namespace)
        {
            return Err(Refusal::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    /// An applied configuration may only hold what the schema declares.
    pub(super) fn check_typed(&self, config: &Value) -> Result<(), Refusal> {
        let schema = &self.resource.schema;
        let unknown = schema::prune_unknown(schema, &mut config.clone(), "");
        let wrong = schema::type_errors(schema, config, "");
        let mut list: Vec<String> = unknown
            .iter()
            .map(|path| format!(".{path}: field not declared in schema"))
            .collect();
        list.extend(
            wrong
                .iter()
                .map(|(path, expected, found)| format!(".{path}: expected {expected}, got {found}")),
        );
        if list.is_empty() {
            return Ok(());
        }
        let message = format!(
            "failed to create typed patch object ({}/{}; {}, Kind={}): {}",
            self.namespace,
            self.name,
            self.resource.api_version(),
            self.resource.kind,
            if let [one] = list.as_slice() {
                one.clone()
            } else {
                format!("errors:\n  {}", list.join("\n  "))
            }
        );
        Err(Refusal::new(500, "InternalError", message))
    }

    /// What of an applied configuration this endpoint takes.
    pub(super) fn own_part(&self, mut config: Value) -> Value {
        let fields = config.as_object_mut().unwrap();
        if self.status {
            let versions = json!({
                "name": self.name,
                "resourceVersion": fields["metadata"]["resourceVersion"], "uid": fields["metadata"]["uid"],
            });
            fields.retain(|name, _| ["apiVersion", "kind", "status"].contains(&name.as_str()));
            fields.insert("metadata".to_owned(), versions);
        } else if self.resource.custom {
            fields.remove("status");
        }
        if let Some(meta) = config["metadata"].as_object_mut() {
            meta.retain(|name, value| !(value.is_null() || name == "managedFields"));
        }
        config
    }
}
