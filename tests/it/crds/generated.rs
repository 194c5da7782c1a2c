//! The definitions and the Rust rules give the same verdict on generated objects.

use jiff::Timestamp;
use proptest::{prelude::*, sample::select, string::string_regex, test_runner::TestRunner};
use serde_json::{Value, json};
use vpn_operator::model::{Kind, corporate_id::CorporateId, gateway::VpnGateway, hold::VpnHold, syntax, user::VpnUser};

use super::rules::{ApiServer, Checked, gateway, object, panel};

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
        let id: CorporateId = spec["corporateId"].as_str().unwrap().parse().unwrap();
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
    let guard = spec(
        vec![("token", source().boxed())],
        vec![("upstream", text(syntax::BASE_URL))],
    );
    let blitz = spec(
        vec![("url", text(syntax::BASE_URL)), ("token", source().boxed())],
        vec![
            ("statsUrl", text(syntax::BASE_URL)),
            ("statsSecret", source().boxed()),
            ("authGuard", guard),
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
    let server = ApiServer::of(K::KIND);
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
                prop_assert!(!server.refuses(&new, None).is_empty());
                return Ok(());
            };
            let errors = read.validate(old.as_ref());
            let stored = serde_json::to_value(&read).unwrap();
            let old = old.map(|old| serde_json::to_value(&old).unwrap());
            let found = server.refuses(&stored, old.as_ref());
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
