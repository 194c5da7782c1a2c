//! The definitions and the Rust rules give the same verdict: on one object a rule, and on generated ones.

use jiff::Timestamp;
use kube::ResourceExt;
use kube_cel::{Validator, compile_schema};
use proptest::{prelude::*, sample::select, string::string_regex, test_runner::TestRunner};
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

use super::{definition, root_schema, schema::Schemas};

/// An API server that holds one kind.
struct ApiServer {
    schema: Value,
    compiled: kube_cel::CompiledSchema,
    schemas: Schemas,
}

impl ApiServer {
    fn of(kind: Kind) -> Self {
        let schema = root_schema(&definition(kind)).clone();
        Self {
            compiled: compile_schema(&schema),
            schema,
            schemas: Schemas::default(),
        }
    }

    /// Why an object is refused; empty when it is accepted.
    fn refuses(&mut self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let mut found = self.schemas.check(&self.schema, object);
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

fn object(kind: Kind, name: &str, spec: impl Into<Value>) -> Value {
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

fn gateway() -> Value {
    let spec = json!({ "hysteria": { "nodes": [
        {
            "name": "fra1", "address": "fra1.example.com", "ports": "443,20000-50000", "sni": "www.example.com",
            "pinSha256": "ab".repeat(32), "obfs": { "password": { "file": "/run/secrets/obfs" } },
            "statsUrl": "http://10.0.0.5:9999", "statsSecret": { "secretKeyRef": { "name": "stats", "key": "s" } },
        },
        { "name": "ams1", "address": "2001:db8::1" },
    ] } });
    object(Kind::VpnGateway, "default", spec)
}

fn panel() -> Value {
    let pem = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
    let spec = json!({ "blitz": { "url": "https://panel/x/", "token": { "env": "TOKEN" }, "caBundle": pem } });
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

/// Texts around a field's syntax: mostly good ones, and what a person may get wrong.
fn text(syntax: syntax::Syntax) -> BoxedStrategy<Value> {
    let good = string_regex(syntax.pattern.trim_start_matches('^').trim_end_matches('$')).unwrap();
    let long = "x".repeat(syntax.max_len + 1);
    prop_oneof![24 => good.prop_map(|t| json!(t)), 1 => "[ -~\n\u{e9}]{0,5}".prop_map(|t| json!(t)), 1 => Just(json!(long))]
        .boxed()
}

fn moment() -> impl Strategy<Value = Value> {
    (0..4i64).prop_map(|n| json!(Timestamp::from_second(1_767_225_600 + n).unwrap()))
}

fn source() -> impl Strategy<Value = Value> {
    let key = (text(syntax::OBJECT_NAME), text(syntax::SECRET_KEY))
        .prop_map(|(name, key)| json!({ "secretKeyRef": { "name": name, "key": key } }));
    prop_oneof![
        8 => text(syntax::ENV_NAME).prop_map(|env| json!({ "env": env })),
        8 => "/?[a-z]{0,3}".prop_map(|file| json!({ "file": file })),
        8 => key,
        1 => Just(json!({})),
        1 => Just(json!({ "env": "A", "file": "b" })),
    ]
}

/// One field of a spec with its values.
type Field = (&'static str, BoxedStrategy<Value>);

/// Specs that have all of the required fields, and any of the optional ones.
fn spec(required: Vec<Field>, optional: Vec<Field>) -> BoxedStrategy<Value> {
    let required: Vec<BoxedStrategy<Option<(&str, Value)>>> = required
        .into_iter()
        .map(|(name, values)| values.prop_map(move |value| Some((name, value))).boxed())
        .collect();
    let optional: Vec<BoxedStrategy<Option<(&str, Value)>>> = optional
        .into_iter()
        .map(|(name, values)| prop::option::of(values.prop_map(move |value| (name, value))).boxed())
        .collect();
    [required, optional]
        .concat()
        .prop_map(|fields| {
            fields
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        })
        .prop_map(Value::Object)
        .boxed()
}

fn users() -> BoxedStrategy<Value> {
    let ids = || {
        select(vec!["AB123456", "ab123456", "a-b", "a_b", "A.b"])
            .prop_map(|id| json!(id))
            .boxed()
    };
    let generation = || prop_oneof![8 => 1..4i64, 1 => -1..1i64].prop_map(|n| json!(n)).boxed();
    let limit = select(vec![
        json!("100Gi"),
        json!(5),
        json!("0.5"),
        json!("0"),
        json!(0),
        json!("0.00k"),
    ]);
    let traffic = (limit, select(vec!["Lifetime", "Month"]))
        .prop_map(|(limit, period)| json!({ "limit": limit, "period": period }));
    let gateway = || prop_oneof![Just(json!("default")), text(syntax::LABEL)];
    let optional = vec![
        ("owner", (0..260usize).prop_map(|n| json!("\u{e9}".repeat(n))).boxed()),
        ("email", text(syntax::EMAIL)),
        ("active", any::<bool>().prop_map(|active| json!(active)).boxed()),
        ("validFrom", moment().boxed()),
        ("validUntil", moment().boxed()),
        ("traffic", traffic.boxed()),
        (
            "maxDevices",
            prop_oneof![8 => 1..9u32, 1 => select(vec![0, 1000, 1001, u32::MAX])]
                .prop_map(|n| json!(n))
                .boxed(),
        ),
        (
            "gateways",
            prop::collection::vec(gateway(), 0..3)
                .prop_map(|list| json!(list))
                .boxed(),
        ),
        ("username", text(syntax::USERNAME)),
        ("credentialsFrom", source().boxed()),
        ("credentialGeneration", generation()),
        ("subscriptionGeneration", generation()),
    ];
    let right_name = |spec: &Value| {
        let id: vpn_operator::model::corporate_id::CorporateId = spec["corporateId"].as_str().unwrap().parse().unwrap();
        id.object_name()
    };
    (spec(vec![("corporateId", ids())], optional), prop::bool::weighted(0.95))
        .prop_map(move |(spec, right)| {
            let name = if right { right_name(&spec) } else { "a--b".to_owned() };
            object(Kind::VpnUser, &name, spec)
        })
        .boxed()
}

fn holds() -> BoxedStrategy<Value> {
    let ids = select(vec!["AB123456", "ab123456"]).prop_map(|id| json!(id)).boxed();
    let optional = vec![
        (
            "reason",
            prop_oneof![
                Just(json!("left")),
                (1020..1030usize).prop_map(|n| json!("r".repeat(n)))
            ]
            .boxed(),
        ),
        ("from", moment().boxed()),
        ("until", moment().boxed()),
    ];
    let required = vec![
        ("corporateId", ids),
        (
            "source",
            prop_oneof![3 => Just(json!("hr")), 1 => text(syntax::SOURCE)].boxed(),
        ),
    ];
    (
        spec(required, optional),
        prop_oneof![9 => "[a-z]{1,4}(-[a-z]{1,3})?", 1 => "[a-z.-]{0,4}"],
    )
        .prop_map(|(spec, name)| object(Kind::VpnHold, &name, spec))
        .boxed()
}

fn gateways() -> BoxedStrategy<Value> {
    let obfs = (source(), select(vec!["salamander", "gecko"])).prop_map(|(p, t)| json!({ "type": t, "password": p }));
    let ports = prop_oneof![
        text(syntax::PORTS),
        "[1-3]{1,2}-[1-3]{1,2}(,[1-9])?".prop_map(|text| json!(text))
    ];
    let node = spec(
        vec![("name", text(syntax::LABEL)), ("address", text(syntax::HOST))],
        vec![
            ("ports", ports.boxed()),
            ("sni", text(syntax::SERVER_NAME)),
            ("pinSha256", text(syntax::PIN_SHA256)),
            ("insecure", any::<bool>().prop_map(|insecure| json!(insecure)).boxed()),
            ("obfs", obfs.boxed()),
            ("statsUrl", text(syntax::BASE_URL)),
            ("statsSecret", source().boxed()),
            ("authToken", source().boxed()),
        ],
    );
    let twice = (prop::collection::vec(node, 0..3), prop::bool::weighted(0.1)).prop_map(|(mut nodes, twice)| {
        if let (true, Some(node)) = (twice, nodes.first().cloned()) {
            nodes.push(node);
        }
        json!({ "nodes": nodes })
    });
    let blitz = spec(
        vec![("url", text(syntax::BASE_URL)), ("token", source().boxed())],
        vec![
            ("statsUrl", text(syntax::BASE_URL)),
            (
                "caBundle",
                "(-----BEGIN CERTIFICATE-----)?".prop_map(|t| json!(t)).boxed(),
            ),
        ],
    );
    let kind = prop_oneof![
        9 => twice.prop_map(|hysteria| json!({ "hysteria": hysteria })),
        9 => blitz.prop_map(|blitz| json!({ "blitz": blitz })),
        1 => Just(panel()["spec"].clone()).prop_map(|mut spec| {
            spec["hysteria"] = gateway()["spec"]["hysteria"].clone();
            spec
        }),
        1 => Just(json!({})),
    ];
    (kind, prop_oneof![9 => "[a-z]{1,5}", 1 => "[a-z.-]{0,4}"])
        .prop_map(|(spec, name)| object(Kind::VpnGateway, &name, spec))
        .boxed()
}

/// An object and perhaps what it was before: mostly the same with some fields taken from another object.
fn changes(objects: &BoxedStrategy<Value>) -> impl Strategy<Value = (Value, Option<Value>)> + use<> {
    let mix = prop::collection::vec(prop::bool::weighted(0.2), 26);
    (objects.clone(), objects.clone(), mix, any::<bool>()).prop_map(|(new, other, mix, created)| {
        let mut old = new.clone();
        let names_in = |object: &Value| object["spec"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let names = [names_in(&new), names_in(&other)].concat();
        let spec = old["spec"].as_object_mut().unwrap();
        for (name, take) in names.into_iter().zip(mix) {
            if take {
                match other["spec"].get(&name) {
                    Some(value) => drop(spec.insert(name, value.clone())),
                    None => drop(spec.remove(&name)),
                }
            }
        }
        (new, (!created).then_some(old))
    })
}

/// Generated objects get the same verdict from both, and neither verdict is rare.
fn agree<K: Checked>(objects: &BoxedStrategy<Value>) {
    let server = std::cell::RefCell::new(ApiServer::of(K::KIND));
    let counts = std::cell::Cell::new((0u32, 0u32));
    let config = ProptestConfig {
        cases: 1500,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(&changes(objects), |(new, old)| {
            // What a source without an API server makes of an object that an API server could not even read.
            let (Ok(read), Ok(old)) = (
                serde_json::from_value::<K>(new.clone()),
                old.map(serde_json::from_value::<K>).transpose(),
            ) else {
                prop_assert!(!server.borrow_mut().refuses(&new, None).is_empty());
                return Ok(());
            };
            let errors = read.validate(old.as_ref());
            let stored = serde_json::to_value(&read).unwrap();
            let old = old.map(|old| serde_json::to_value(&old).unwrap());
            let found = server.borrow_mut().refuses(&stored, old.as_ref());
            prop_assert_eq!(
                errors.is_empty(),
                found.is_empty(),
                "rust: {:?}, API server: {:?}",
                errors,
                found
            );
            let (accepted, refused) = counts.get();
            counts.set((
                accepted + u32::from(errors.is_empty()),
                refused + u32::from(!errors.is_empty()),
            ));
            Ok(())
        })
        .unwrap();
    let (accepted, refused) = counts.get();
    assert!(
        accepted > 100 && refused > 100,
        "{accepted} accepted, {refused} refused: the generator is one-sided"
    );
}

#[test]
fn generated_users_get_one_verdict() {
    agree::<VpnUser>(&users());
}

#[test]
fn generated_holds_get_one_verdict() {
    agree::<VpnHold>(&holds());
}

#[test]
fn generated_gateways_get_one_verdict() {
    agree::<VpnGateway>(&gateways());
}
