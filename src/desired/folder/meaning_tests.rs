//! A document means the same in a folder and to an API server.

use std::collections::BTreeMap;

use kube_cel::{Validator, apply_defaults, compile_schema};
use proptest::{collection::btree_map, prelude::*, sample::select, test_runner::TestCaseError};
use serde_json::{Value, json};

use super::*;
use crate::model;

#[path = "../../../tests/it/crds/schema.rs"]
#[expect(dead_code, reason = "only its checks are needed here")]
mod schema;

/// Times that the format of an API server lets pass, and that nobody writes: small letters, another character before a fraction,
/// something behind a second `t`, a zone that is none, and a moment beyond those that can be counted. A folder refuses them.
const ODD_TIMES: [&str; 6] = [
    "2027-01-01t00:00:00z",
    "2027-01-01T00:00:00z",
    "2027-01-01T00:00:00,5Z",
    "2027-01-01T00:00:00Ztomorrow",
    "2027-01-01T00:00:00+99:00",
    "9999-12-31T23:59:59Z",
];

/// Fields that hold a time.
const TIMES: [&str; 4] = ["validFrom", "validUntil", "from", "until"];

/// Spellings of scalars with what `kubectl` makes of them; numbers beyond 63 bits left out.
fn spellings(more: &[&str]) -> Vec<(String, Value)> {
    let table: Vec<Vec<Value>> = serde_json::from_str(include_str!("testdata/kubectl_spellings.json")).unwrap();
    let small = |value: &Value| {
        value
            .as_f64()
            .is_none_or(|number| number.abs() < 9.0e18 && number.is_sign_positive())
    };
    let rows = table.iter().filter(|row| row.len() == 2 && small(&row[1]));
    let mut rows: Vec<(String, Value)> = rows
        .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].clone()))
        .filter(|(text, _)| text != "-" && !text.starts_with("!foo") && text != "<<")
        .collect();
    let texts = [
        "2027-01-01T00:00Z",
        "2027-01-01T00:00:00",
        "2027-01-01T00:00:00.5Z",
        "20270101T000000Z",
        "2027-01-01T02:00:00+02:00",
        "2027-01-01T02:00:00+02",
        "2027-01-01T00:00:60Z",
        "2027-01-01T24:00:00Z",
        "2027-02-30T00:00:00Z",
    ];
    for text in texts.iter().chain(&ODD_TIMES).chain(more) {
        rows.push(((*text).to_owned(), json!(text)));
    }
    rows
}

/// What is written for some of these fields.
fn fields(
    names: &[&'static str],
    more: &[&str],
) -> impl Strategy<Value = BTreeMap<&'static str, (String, Value)>> + use<> {
    btree_map(select(names.to_vec()), select(spellings(more)), 0..3)
}

/// An API server is asked as `kubectl` would ask it: nulls taken out, defaults filled in, schema, rules.
fn compare(kind: model::Kind, name: &str, text: &str, mut spec: Value) -> Result<(), TestCaseError> {
    let odd = spec.as_object().unwrap().iter().any(|(field, value)| {
        TIMES.contains(&field.as_str()) && value.as_str().is_some_and(|value| ODD_TIMES.contains(&value))
    });
    take_out_nulls(&mut spec);
    let definition = serde_json::to_value(kind.definition()).unwrap();
    let root = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let object = apply_defaults(
        root,
        &json!({ "apiVersion": API_VERSION, "kind": kind.as_str(), "spec": spec, "metadata": { "name": name } }),
    );
    let mut wrong = schema::check(root, &object);
    if wrong.is_empty()
        && let Err(errors) = Validator::new().validate_compiled(&compile_schema(root), &object, None)
    {
        wrong.extend(errors.iter().map(|error| error.message.clone()));
    }
    match read(text) {
        Reading::Object(declared) => {
            prop_assert!(wrong.is_empty(), "{}\nan API server says {:?}", text, wrong);
            let theirs = Spec::from_json(declared.kind, &object["spec"].to_string()).unwrap();
            prop_assert_eq!(declared.spec, theirs, "{}", text);
        }
        Reading::Bad(bad) => {
            prop_assert!(
                odd || !wrong.is_empty(),
                "{}\nonly the folder says {:?}",
                text,
                bad.faults
            );
        }
        other => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

fn head(kind: model::Kind, name: &str) -> String {
    format!("apiVersion: {API_VERSION}\nkind: {kind}\nmetadata:\n  name: '{name}'\nspec:\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_user_means_the_same_in_a_folder_and_to_an_api_server(
        fields in fields(
            &["owner", "active", "validFrom", "validUntil", "maxDevices", "role", "credentialGeneration", "limit"],
            &["1.5Gi", "500Ki", "Month", "default", "Anna Schmidt"],
        ),
        id in select(vec![("AB123456", true), ("123456", false), ("'123456'", true), ("007", false), ("yes", false)]),
    ) {
        let (id, text_id) = id;
        let name = id.trim_matches('\'').to_lowercase();
        let mut spec = json!({ "corporateId": if text_id { json!(id.trim_matches('\'')) } else { json!(7) } });
        let mut text = head(model::Kind::VpnUser, &name) + &format!("  corporateId: {id}\n");
        for (field, (spelling, value)) in &fields {
            if *field == "limit" {
                text += &["  traffic:\n    limit: ", spelling, "\n"].concat();
                spec["traffic"] = json!({ "limit": value });
            } else {
                text += &["  ", field, ": ", spelling, "\n"].concat();
                spec[*field] = value.clone();
            }
        }
        compare(model::Kind::VpnUser, &name, &text, spec)?;
    }

    #[test]
    fn a_hold_means_the_same_in_a_folder_and_to_an_api_server(
        fields in fields(
            &["corporateId", "source", "reason", "from", "until"],
            &["AB123456", "a-b", "hr", "helpdesk", "left the company"],
        ),
    ) {
        let mut fields = fields;
        for (field, value) in [("corporateId", "AB123456"), ("source", "hr")] {
            fields.entry(field).or_insert_with(|| (value.to_owned(), json!(value)));
        }
        let mut text = head(model::Kind::VpnHold, "hr-left-ab123456");
        let mut spec = json!({});
        for (field, (spelling, value)) in &fields {
            text += &["  ", field, ": ", spelling, "\n"].concat();
            spec[*field] = value.clone();
        }
        compare(model::Kind::VpnHold, "hr-left-ab123456", &text, spec)?;
    }

    #[test]
    fn a_gateway_means_the_same_in_a_folder_and_to_an_api_server(
        fields in fields(
            &["name", "address", "ports", "sni", "insecure", "pinSha256", "statsUrl", "authToken", "obfs"],
            &[
                "fra1", "fra1.example.com", "443,20000-50000", "20000-50000", "443-80", "443,65536", "2001:db8::1", "http://10.0.0.5:9999",
                "http://anna:secret@10.0.0.5", "salamander", "gecko",
                "abababababababababababababababababababababababababababababababab",
            ],
        ),
    ) {
        let mut fields = fields;
        for (field, value) in [("name", "fra1"), ("address", "fra1.example.com")] {
            fields.entry(field).or_insert_with(|| (value.to_owned(), json!(value)));
        }
        let mut text = head(model::Kind::VpnGateway, "default") + "  hysteria:\n    nodes:\n      -\n";
        let mut node = json!({});
        for (field, (spelling, value)) in &fields {
            match *field {
                "authToken" => {
                    text += &["        authToken:\n          env: ", spelling, "\n"].concat();
                    node["authToken"] = json!({ "env": value });
                }
                "obfs" => {
                    text += &["        obfs:\n          password: { env: OBFS }\n          type: ", spelling, "\n"].concat();
                    node["obfs"] = json!({ "password": { "env": "OBFS" }, "type": value });
                }
                field => {
                    text += &["        ", field, ": ", spelling, "\n"].concat();
                    node[field] = value.clone();
                }
            }
        }
        compare(model::Kind::VpnGateway, "default", &text, json!({ "hysteria": { "nodes": [node] } }))?;
    }
}

#[test]
fn an_odd_time_is_refused_with_the_form_to_write_although_an_api_server_lets_it_pass() {
    for time in ODD_TIMES {
        assert!(schema::is_date_time(time), "{time}");
        let text = head(model::Kind::VpnUser, "ab123456") + &format!("  corporateId: AB123456\n  validUntil: {time}\n");
        let Reading::Bad(bad) = read(&text) else {
            panic!("{time} is accepted")
        };
        assert!(
            bad.faults[0].message.contains("like 2027-01-01T00:00:00Z"),
            "{time}: {:?}",
            bad.faults
        );
    }
}
