//! The resources that are served, and their schemas.

use std::sync::OnceLock;

use serde_json::{Value, json};
use vpn_operator::model::crds;

/// One resource of one version.
#[expect(clippy::struct_excessive_bools, reason = "independent traits of a resource")]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub kind: String,
    pub namespaced: bool,
    /// Whether it comes from a definition: it has a generation, a status subresource and rules.
    pub custom: bool,
    /// Whether PUT creates what is not there.
    pub creates_on_update: bool,
    /// Whether PUT without a version overwrites whatever is there.
    pub unconditional_update: bool,
    /// Structural schema of the whole object.
    pub schema: Value,
    /// The rules of the schema.
    pub rules: Option<kube_cel::CompiledSchema>,
    /// Paths that a field selector may name, besides name and namespace.
    pub selectable: Vec<String>,
}

impl Resource {
    /// `vpnusers.vpn-operator.io`, `secrets`.
    pub fn qualified(&self) -> String {
        join(&self.plural, &self.group)
    }

    /// `VpnUser.vpn-operator.io`, `Secret`.
    pub fn qualified_kind(&self) -> String {
        join(&self.kind, &self.group)
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

fn join(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

/// Every resource.
pub fn all() -> &'static [Resource] {
    static ALL: OnceLock<Vec<Resource>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all = vec![namespaces(), secrets(), config_maps(), leases(), events()];
        all.extend(
            crds()
                .iter()
                .map(|definition| custom(&serde_json::to_value(definition).unwrap())),
        );
        all
    })
}

/// The resource with this plural name.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    all()
        .iter()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The resource with this plural name, whatever its group.
pub fn named(plural: &str) -> &'static Resource {
    all().iter().find(|r| r.plural == plural).unwrap()
}

fn custom(definition: &Value) -> Resource {
    let spec = &definition["spec"];
    let version = &spec["versions"][0];
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    let rules = kube_cel::compile_schema(&schema);
    schema["properties"]["metadata"] = metadata();
    schema["properties"]["apiVersion"] = json!({ "type": "string" });
    schema["properties"]["kind"] = json!({ "type": "string" });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Resource {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&spec["names"]["plural"]),
        kind: text(&spec["names"]["kind"]),
        namespaced: true,
        custom: true,
        creates_on_update: false,
        unconditional_update: false,
        rules: Some(rules),
        selectable: version["selectableFields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|field| text(&field["jsonPath"]).trim_start_matches('.').to_owned())
            .collect(),
        schema,
    }
}

fn builtin(group: &str, plural: &str, kind: &str, fields: &Value) -> Resource {
    let mut properties = fields.clone();
    properties["metadata"] = metadata();
    for text in ["apiVersion", "kind"] {
        properties[text] = json!({ "type": "string" });
    }
    Resource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
        kind: kind.to_owned(),
        namespaced: true,
        custom: false,
        creates_on_update: false,
        unconditional_update: true,
        schema: json!({ "type": "object", "properties": properties }),
        rules: None,
        selectable: Vec::new(),
    }
}

fn namespaces() -> Resource {
    let fields = json!({ "spec": free(), "status": free() });
    Resource {
        namespaced: false,
        ..builtin("", "namespaces", "Namespace", &fields)
    }
}

fn secrets() -> Resource {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let fields = json!({
        "type": { "type": "string", "default": "Opaque" }, "immutable": { "type": "boolean" },
        "data": texts, "stringData": texts,
    });
    Resource {
        selectable: vec!["type".to_owned()],
        ..builtin("", "secrets", "Secret", &fields)
    }
}

fn config_maps() -> Resource {
    builtin(
        "",
        "configmaps",
        "ConfigMap",
        &json!({ "data": free(), "binaryData": free(), "immutable": { "type": "boolean" } }),
    )
}

fn leases() -> Resource {
    let fields = json!({ "spec": { "type": "object", "properties": {
        "holderIdentity": { "type": "string" },
        "leaseDurationSeconds": { "type": "integer", "minimum": 1 },
        "acquireTime": { "type": "string", "format": "date-time" },
        "renewTime": { "type": "string", "format": "date-time" },
        "leaseTransitions": { "type": "integer", "minimum": 0 },
        "strategy": { "type": "string" }, "preferredHolder": { "type": "string" },
    } } });
    Resource {
        creates_on_update: true,
        unconditional_update: false,
        ..builtin("coordination.k8s.io", "leases", "Lease", &fields)
    }
}

fn events() -> Resource {
    let mut fields = json!({
        "regarding": free(), "related": free(), "deprecatedSource": free(),
        "series": { "type": "object", "required": ["count", "lastObservedTime"], "properties": {
            "count": { "type": "integer" }, "lastObservedTime": { "type": "string", "format": "date-time" },
        } },
        "eventTime": { "type": "string", "format": "date-time" },
        "type": { "type": "string", "enum": ["Normal", "Warning"] },
        "deprecatedCount": { "type": "integer" },
    });
    for text in [
        "action",
        "note",
        "reason",
        "reportingController",
        "reportingInstance",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
    ] {
        fields[text] = json!({ "type": "string" });
    }
    Resource {
        creates_on_update: true,
        ..builtin("events.k8s.io", "events", "Event", &fields)
    }
}

/// An object that is one value for field management, with whatever fields.
fn free() -> Value {
    json!({ "type": "object", "x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": true })
}

fn metadata() -> Value {
    let text = || json!({ "type": "string" });
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    json!({ "type": "object", "properties": {
        "name": text(), "generateName": text(), "namespace": text(), "uid": text(), "resourceVersion": text(),
        "selfLink": text(), "creationTimestamp": text(), "deletionTimestamp": text(),
        "deletionGracePeriodSeconds": { "type": "integer" }, "generation": { "type": "integer" },
        "labels": texts, "annotations": texts,
        "finalizers": { "type": "array", "items": text(), "x-kubernetes-list-type": "set" },
        "ownerReferences": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "items": free(),
        },
        "managedFields": { "type": "array", "x-kubernetes-list-type": "atomic", "items": free() },
    } })
}
