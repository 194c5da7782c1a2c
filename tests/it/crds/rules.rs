//! The definitions and the Rust rules give the same verdict, rule by rule.

use kube::ResourceExt;
use kube_cel::{Validator, compile_schema};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use vpn_operator::model::{
    Kind,
    gateway::VpnGateway,
    hold::VpnHold,
    syntax,
    user::VpnUser,
    validate::{FieldError, validate_gateway, validate_hold, validate_user},
};

use super::{definition, root_schema, schema};

/// An API server that holds one kind.
pub struct ApiServer {
    schema: Value,
    compiled: kube_cel::CompiledSchema,
}

impl ApiServer {
    pub fn of(kind: Kind) -> Self {
        let schema = root_schema(&definition(kind)).clone();
        Self {
            compiled: compile_schema(&schema),
            schema,
        }
    }

    /// Why an object is refused; empty when it is accepted.
    pub fn refuses(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let mut found = schema::check(&self.schema, object);
        if !object["metadata"]["name"]
            .as_str()
            .is_some_and(|name| syntax::OBJECT_NAME.accepts(name))
        {
            found.push("metadata.name".to_owned());
        }
        if let Err(errors) = Validator::new().validate_compiled(&self.compiled, object, old) {
            found.extend(
                errors
                    .iter()
                    .map(|error| format!("{}: {}", error.field_path, error.message)),
            );
        }
        found
    }
}

/// A kind with its Rust rules.
pub trait Checked: DeserializeOwned + Serialize + ResourceExt + Clone + std::fmt::Debug {
    const KIND: Kind;
    fn validate(&self, old: Option<&Self>) -> Vec<FieldError>;
}
impl Checked for VpnUser {
    const KIND: Kind = Kind::VpnUser;
    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        validate_user(self, old)
    }
}
impl Checked for VpnHold {
    const KIND: Kind = Kind::VpnHold;
    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        validate_hold(self, old)
    }
}
impl Checked for VpnGateway {
    const KIND: Kind = Kind::VpnGateway;
    fn validate(&self, old: Option<&Self>) -> Vec<FieldError> {
        validate_gateway(self, old)
    }
}

pub fn object(kind: Kind, name: &str, spec: impl Into<Value>) -> Value {
    let spec: Value = spec.into();
    json!({ "apiVersion": "vpn-operator.io/v1alpha1", "kind": kind.as_str(), "metadata": { "name": name }, "spec": spec })
}

fn user() -> Value {
    let spec = json!({
        "corporateId": "A-b_1.c", "owner": "Anna", "email": "anna@example.com", "role": "engineer",
        "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z",
        "traffic": { "limit": "100Gi", "period": "Month" }, "maxDevices": 3, "gateways": ["default", "spare"],
        "username": "corp_anna", "credentialsFrom": { "env": "ANNA" },
        "credentialGeneration": 2, "subscriptionGeneration": 2,
    });
    object(Kind::VpnUser, "a--b-u1-dc", spec)
}

fn hold() -> Value {
    let spec = json!({
        "corporateId": "AB123456", "source": "hr", "reason": "dismissed",
        "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z",
    });
    object(Kind::VpnHold, "hr-deactivated-ab123456", spec)
}

pub fn gateway() -> Value {
    let spec = json!({ "hysteria": { "nodes": [
        {
            "name": "fra1", "address": "fra1.example.com", "ports": "443,20000-50000", "sni": "www.example.com",
            "pinSha256": "ab".repeat(32), "certificate": PEM, "obfs": { "password": { "file": "/run/secrets/obfs" } },
            "statsUrl": "http://10.0.0.5:9999", "statsSecret": { "secretKeyRef": { "name": "stats", "key": "s" } },
        },
        { "name": "ams1", "address": "2001:db8::1" },
    ] } });
    object(Kind::VpnGateway, "default", spec)
}

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";

pub fn panel() -> Value {
    let spec = json!({ "blitz": { "url": "https://panel/x/", "token": { "env": "TOKEN" }, "caBundle": PEM } });
    object(Kind::VpnGateway, "panel", spec)
}

/// The object with one field set, or taken away with `Null`.
fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(field).unwrap()),
        (Value::Object(fields), value) => drop(fields.insert(field.to_owned(), value)),
        (parent, value) => parent[field.parse::<usize>().unwrap()] = value,
    }
    object
}

/// Both sides accept `object`.
#[track_caller]
pub fn accepted<K: Checked>(object: &Value, old: Option<&Value>) {
    let read = |value: &Value| serde_json::from_value::<K>(value.clone()).unwrap();
    assert_eq!(read(object).validate(old.map(read).as_ref()), []);
    assert_eq!(ApiServer::of(K::KIND).refuses(object, old), [""; 0]);
}

/// Both sides refuse `object`: the Rust rules at `path`, the API server at the same place.
#[track_caller]
fn refused<K: Checked>(object: &Value, old: Option<&Value>, path: &str) {
    let read = |value: &Value| serde_json::from_value::<K>(value.clone()).unwrap();
    let errors = read(object).validate(old.map(read).as_ref());
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, [path]);
    assert!(errors[0].message.len() > 5);
    let found = ApiServer::of(K::KIND).refuses(object, old);
    assert!(!found.is_empty(), "an API server would accept a wrong {path}");
    let place = path
        .trim_start_matches("spec")
        .trim_start_matches('.')
        .split(['.', '['])
        .next()
        .unwrap();
    assert!(
        found.iter().any(|reason| reason.contains(place)),
        "{path} is refused because of {found:?}"
    );
}

#[test]
fn complete_and_minimal_objects_are_accepted() {
    accepted::<VpnUser>(&user(), None);
    accepted::<VpnUser>(&user(), Some(&user()));
    accepted::<VpnUser>(&object(Kind::VpnUser, "x", json!({ "corporateId": "x" })), None);
    accepted::<VpnHold>(&hold(), Some(&hold()));
    accepted::<VpnHold>(
        &object(
            Kind::VpnHold,
            "any-name",
            json!({ "corporateId": "x", "source": "api" }),
        ),
        None,
    );
    accepted::<VpnGateway>(&gateway(), Some(&panel()));
    accepted::<VpnGateway>(&panel(), None);
}

#[test]
fn every_rule_for_users_refuses_on_both_sides() {
    for (pointer, value, path) in [
        ("/metadata/name", json!("a-b-u1-dc"), "metadata.name"),
        ("/spec/owner", json!("o".repeat(257)), "spec.owner"),
        ("/spec/email", json!("anna"), "spec.email"),
        ("/spec/role", json!("r".repeat(129)), "spec.role"),
        ("/spec/validUntil", json!("2026-01-01T00:00:00Z"), "spec.validUntil"),
        (
            "/spec/validUntil",
            json!("2026-01-01T02:00:00+03:00"),
            "spec.validUntil",
        ),
        ("/spec/traffic/limit", json!("0.0Gi"), "spec.traffic.limit"),
        ("/spec/traffic/limit", json!(0), "spec.traffic.limit"),
        ("/spec/maxDevices", json!(0), "spec.maxDevices"),
        ("/spec/maxDevices", json!(1001), "spec.maxDevices"),
        ("/spec/gateways", json!([]), "spec.gateways"),
        ("/spec/gateways/1", json!("default"), "spec.gateways[1]"),
        ("/spec/gateways/1", json!("Default"), "spec.gateways[1]"),
        ("/spec/username", json!("corp-anna"), "spec.username"),
        ("/spec/credentialsFrom", json!({}), "spec.credentialsFrom"),
        (
            "/spec/credentialsFrom",
            json!({ "env": "A", "file": "b" }),
            "spec.credentialsFrom",
        ),
        ("/spec/credentialsFrom/env", json!("1A"), "spec.credentialsFrom.env"),
        (
            "/spec/credentialsFrom",
            json!({ "file": "" }),
            "spec.credentialsFrom.file",
        ),
        ("/spec/credentialGeneration", json!(0), "spec.credentialGeneration"),
        ("/spec/subscriptionGeneration", json!(-1), "spec.subscriptionGeneration"),
    ] {
        refused::<VpnUser>(&with(user(), pointer, value), None, path);
    }
    let many: Vec<String> = (0..17).map(|n| format!("g{n}")).collect();
    refused::<VpnUser>(&with(user(), "/spec/gateways", json!(many)), None, "spec.gateways");
}

#[test]
fn what_is_immutable_cannot_be_changed_added_or_removed() {
    let without = with(user(), "/spec/username", Value::Null);
    for (new, old, path) in [
        (
            with(user(), "/spec/corporateId", json!("a-b_1.c")),
            user(),
            "spec.corporateId",
        ),
        (
            with(user(), "/spec/username", json!("corp_other")),
            user(),
            "spec.username",
        ),
        (without.clone(), user(), "spec.username"),
        (user(), without, "spec.username"),
        (
            with(user(), "/spec/credentialGeneration", json!(1)),
            user(),
            "spec.credentialGeneration",
        ),
        (
            with(user(), "/spec/subscriptionGeneration", json!(1)),
            user(),
            "spec.subscriptionGeneration",
        ),
    ] {
        refused::<VpnUser>(&new, Some(&old), path);
    }
    for (pointer, value) in [
        ("/spec/corporateId", json!("ab123456")),
        ("/spec/source", json!("api")),
        ("/spec/reason", Value::Null),
        ("/spec/from", json!("2025-01-01T00:00:00Z")),
        ("/spec/until", Value::Null),
    ] {
        refused::<VpnHold>(&with(hold(), pointer, value.clone()), Some(&hold()), "spec");
        if value.is_null() {
            refused::<VpnHold>(&hold(), Some(&with(hold(), pointer, value)), "spec");
        }
    }
    accepted::<VpnUser>(&with(user(), "/spec/credentialGeneration", json!(3)), Some(&user()));
    accepted::<VpnHold>(
        &with(hold(), "/spec/from", json!("2026-01-01T03:00:00+03:00")),
        Some(&hold()),
    );
}

#[test]
fn every_rule_for_holds_refuses_on_both_sides() {
    for (pointer, value, path) in [
        ("/metadata/name", json!("HR"), "metadata.name"),
        ("/spec/source", json!("help-desk"), "spec.source"),
        ("/spec/reason", json!("r".repeat(1025)), "spec.reason"),
        ("/spec/until", json!("2025-12-31T23:59:59Z"), "spec.until"),
    ] {
        refused::<VpnHold>(&with(hold(), pointer, value), None, path);
    }
}

#[test]
fn every_rule_for_gateways_refuses_on_both_sides() {
    let node = |field: &str| format!("/spec/hysteria/nodes/0/{field}");
    for (pointer, value, path) in [
        ("/metadata/name".to_owned(), json!("a.b"), "metadata.name"),
        ("/metadata/name".to_owned(), json!("a".repeat(64)), "metadata.name"),
        ("/spec/hysteria".to_owned(), Value::Null, "spec"),
        ("/spec/blitz".to_owned(), panel()["spec"]["blitz"].clone(), "spec"),
        ("/spec/hysteria/nodes".to_owned(), json!([]), "spec.hysteria.nodes"),
        (node("name"), json!("ams1"), "spec.hysteria.nodes[1]"),
        (node("name"), json!("Fra_1"), "spec.hysteria.nodes[0].name"),
        (
            node("address"),
            json!("fra1.example.com:443"),
            "spec.hysteria.nodes[0].address",
        ),
        (node("ports"), json!("70000"), "spec.hysteria.nodes[0].ports"),
        (node("ports"), json!("443,50000-20000"), "spec.hysteria.nodes[0].ports"),
        (node("ports"), json!("443-443"), "spec.hysteria.nodes[0].ports"),
        (node("sni"), json!("::1"), "spec.hysteria.nodes[0].sni"),
        (node("pinSha256"), json!("abcd"), "spec.hysteria.nodes[0].pinSha256"),
        (node("certificate"), json!("MII"), "spec.hysteria.nodes[0].certificate"),
        (
            node("statsUrl"),
            json!("http://u:p@h"),
            "spec.hysteria.nodes[0].statsUrl",
        ),
        (node("obfs/password"), json!({}), "spec.hysteria.nodes[0].obfs.password"),
        (
            node("statsSecret/secretKeyRef/name"),
            json!("S"),
            "spec.hysteria.nodes[0].statsSecret.secretKeyRef.name",
        ),
        (
            node("statsSecret/secretKeyRef/key"),
            json!(""),
            "spec.hysteria.nodes[0].statsSecret.secretKeyRef.key",
        ),
        (node("authToken"), json!({}), "spec.hysteria.nodes[0].authToken"),
    ] {
        refused::<VpnGateway>(&with(gateway(), &pointer, value), None, path);
    }
    for (pointer, value, path) in [
        ("/spec/blitz/url", json!("panel"), "spec.blitz.url"),
        ("/spec/blitz/token", json!({}), "spec.blitz.token"),
        ("/spec/blitz/caBundle", json!("MII"), "spec.blitz.caBundle"),
        ("/spec/blitz/statsUrl", json!("ftp://x"), "spec.blitz.statsUrl"),
        ("/spec/blitz/statsSecret", json!({}), "spec.blitz.statsSecret"),
        (
            "/spec/blitz/authGuard",
            json!({ "token": {} }),
            "spec.blitz.authGuard.token",
        ),
        (
            "/spec/blitz/authGuard",
            json!({ "token": { "env": "T" }, "upstream": "http://u:p@h/auth" }),
            "spec.blitz.authGuard.upstream",
        ),
    ] {
        refused::<VpnGateway>(&with(panel(), pointer, value), None, path);
    }
    let many: Vec<Value> = (0..65)
        .map(|n| json!({ "name": format!("n{n}"), "address": "a" }))
        .collect();
    refused::<VpnGateway>(
        &with(gateway(), "/spec/hysteria/nodes", json!(many)),
        None,
        "spec.hysteria.nodes",
    );
}

#[test]
fn a_pin_in_another_form_is_told_the_hex_to_write() {
    let hex = "ab".repeat(32);
    let base64 = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=";
    for pin in [
        base64.to_owned(),
        format!("sha256/{base64}"),
        format!("sha256:{hex}"),
        base64.replace('=', ""),
    ] {
        let wrong = with(gateway(), "/spec/hysteria/nodes/0/pinSha256", json!(pin));
        let errors = serde_json::from_value::<VpnGateway>(wrong).unwrap().validate(None);
        assert!(errors[0].message.contains(&format!("write {hex}")), "{errors:?}");
    }
}

/// What an API server says is what a person needs to know, not a pattern or a slip of the rule itself.
#[test]
fn an_api_server_names_the_wanted_name_and_speaks_of_ports() {
    let found = ApiServer::of(Kind::VpnUser).refuses(&with(user(), "/metadata/name", json!("anna")), None);
    assert!(
        found.iter().any(|reason| reason.contains("must be a--b-u1-dc,")),
        "{found:?}"
    );
    for ports in ["443-", "443-x", "x", "-", "70000", "1-2-3"] {
        let wrong = with(gateway(), "/spec/hysteria/nodes/0/ports", json!(ports));
        let found = ApiServer::of(Kind::VpnGateway).refuses(&wrong, None);
        assert_eq!(found.len(), 1, "{ports}: {found:?}");
        assert!(found[0].contains("ports must be a port (443), a range"), "{found:?}");
    }
}

#[test]
fn an_api_server_says_what_amount_is_meant_and_each_mistake_once() {
    for (limit, said) in [
        (json!("10GB"), "limit must be an amount of bytes: "),
        (json!(""), "limit must be an amount of bytes: "),
        (json!("-1Gi"), "limit must be an amount of bytes: "),
        (json!(-1), "limit must be an amount of bytes: "),
        (json!("1000P"), "limit is too large: use a larger unit"),
        (
            json!(1_000_000_000_000_000_000_u64),
            "limit is too large: use a larger unit",
        ),
        (json!("0.0Gi"), "limit must be more than nothing"),
        (json!(0), "limit must be more than nothing"),
    ] {
        let wrong = with(user(), "/spec/traffic/limit", limit.clone());
        let found = ApiServer::of(Kind::VpnUser).refuses(&wrong, None);
        assert_eq!(found.len(), 1, "{limit}: {found:?}");
        assert!(found[0].contains(said), "{limit}: {found:?}");
    }
    for (pointer, value, said) in [
        ("/spec/corporateId", "a b", "must be a corporate ID like AB123456"),
        ("/spec/email", "anna", "must be a mail address like anna@example.com"),
        (
            "/spec/gateways/1",
            "Spare",
            "must be a list of which each is at most 63 of the characters",
        ),
    ] {
        let found = ApiServer::of(Kind::VpnUser).refuses(&with(user(), pointer, json!(value)), None);
        assert!(found.iter().any(|reason| reason.contains(said)), "{found:?}");
    }
}

#[test]
fn unknown_fields_and_wrong_shapes_are_errors_without_an_api_server_too() {
    for (pointer, value) in [
        ("/spec/validUntill", json!("2026-01-01T00:00:00Z")),
        ("/spec/traffic/limits", json!("1Gi")),
        ("/spec/deletionPolicy", json!("delete")),
        ("/spec/adopt", json!("Always")),
        ("/spec/active", json!("yes")),
        ("/spec/maxDevices", json!(-1)),
        ("/spec/validFrom", json!("tomorrow")),
        ("/spec/corporateId", json!("a b")),
        ("/spec/traffic/limit", json!("-1Gi")),
    ] {
        let wrong = with(user(), pointer, value);
        assert!(serde_json::from_value::<VpnUser>(wrong.clone()).is_err(), "{pointer}");
        assert!(
            !ApiServer::of(Kind::VpnUser).refuses(&wrong, None).is_empty(),
            "{pointer}"
        );
    }
}
