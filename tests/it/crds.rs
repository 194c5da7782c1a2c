//! The generated definitions: up to date, valid for an API server, and saying the same as the Rust rules.

mod examples;
mod generated;
mod rules;
pub mod schema;

use std::{fs, path::PathBuf};

use serde_json::Value;
use vpn_operator::model::{Kind, crds, crds_yaml};

fn definition(kind: Kind) -> Value {
    serde_json::to_value(kind.definition()).unwrap()
}

fn root_schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// Every schema in a definition with its path, the root first.
fn schemas(definition: &Value) -> Vec<(String, &Value)> {
    let mut open = vec![(String::new(), root_schema(definition))];
    let mut all = Vec::new();
    while let Some((path, schema)) = open.pop() {
        all.push((path.clone(), schema));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            open.push((format!("{path}.{name}"), property));
        }
        if schema["items"].is_object() {
            open.push((format!("{path}[]"), &schema["items"]));
        }
    }
    all
}

/// The folder of the definitions, and the chart's copy: Helm packs nothing from outside of a chart.
#[test]
fn the_files_are_what_the_types_say() {
    for folder in ["crds", "charts/vpn-operator/files/crds"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
        for kind in Kind::ALL {
            let (path, wanted) = (folder.join(format!("{}.yaml", kind.plural())), crds_yaml(kind));
            if std::env::var_os("UPDATE_GENERATED").is_some() {
                fs::write(&path, &wanted).unwrap();
            }
            let found = fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == wanted,
                "{} is out of date: run UPDATE_GENERATED=1 cargo test --test it crds::",
                path.display()
            );
        }
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            Kind::ALL.len(),
            "a file without a kind in {}",
            folder.display()
        );
    }
}

#[test]
fn the_yaml_is_the_definition() {
    for (kind, definition) in Kind::ALL.into_iter().zip(crds()) {
        let read: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_yaml::from_str(&crds_yaml(kind)).unwrap();
        assert_eq!(read, definition);
        assert_eq!(definition.spec.names.kind, kind.as_str());
        assert_eq!(definition.spec.names.plural, kind.plural());
        assert_eq!(definition.spec.names.categories, Some(vec!["vpn".to_owned()]));
    }
}

#[test]
fn every_field_is_described() {
    for kind in Kind::ALL {
        for (path, schema) in schemas(&definition(kind)) {
            let by_itself = path.ends_with("[]") && schema["type"] != "object";
            let described = schema["description"].as_str().is_some_and(|text| text.len() > 3);
            assert!(described || by_itself, "{kind}{path} has no description");
        }
    }
}

/// A pattern would answer with itself: rules have messages.
#[test]
fn no_pattern_answers_a_person() {
    for kind in Kind::ALL {
        for (path, schema) in schemas(&definition(kind)) {
            assert!(
                schema["pattern"].is_null(),
                "{kind}{path} has a pattern without a message"
            );
        }
    }
}

/// Rules in the lists of a status would cost more than an API server accepts.
#[test]
fn rules_are_for_specs_alone() {
    for kind in Kind::ALL {
        let definition = definition(kind);
        let of_status = |path: &str| path.starts_with(".status");
        let with_rules = schemas(&definition)
            .into_iter()
            .filter(|(path, schema)| of_status(path) && !schema["x-kubernetes-validations"].is_null());
        assert_eq!(with_rules.map(|(path, _)| path).collect::<Vec<_>>(), [""; 0], "{kind}");
    }
}

/// What an API server refuses in a structural schema, or silently ignores.
#[test]
fn the_schemas_are_structural() {
    for kind in Kind::ALL {
        for (path, schema) in schemas(&definition(kind)) {
            let at = format!("{kind}{path}");
            for keyword in schema.as_object().unwrap().keys() {
                assert!(schema::KEYWORDS.contains(&keyword.as_str()), "{at} uses {keyword}");
            }
            let mixed = schema["x-kubernetes-int-or-string"] == true;
            assert!(
                mixed != schema["type"].is_string(),
                "{at} needs a type, or both an integer and a string"
            );
            let formats = ["int32", "int64", "date-time"];
            let format = schema["format"].as_str();
            assert!(
                format.is_none_or(|format| formats.contains(&format)),
                "{at} has format {format:?}"
            );
            if let Some(values) = schema["enum"].as_array() {
                assert!(values.iter().all(Value::is_string), "{at} has null among its values");
            }
            if schema["type"] == "array" {
                assert!(
                    schema["items"].is_object() && schema["x-kubernetes-list-type"].is_string(),
                    "{at}"
                );
                for key in schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten() {
                    assert!(
                        schema["items"]["required"].as_array().unwrap().contains(key),
                        "{at} {key}"
                    );
                }
            }
            if schema["type"] == "object" && !path.is_empty() && path != ".metadata" {
                assert!(schema["properties"].is_object(), "{at} takes anything");
            }
            for required in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    schema["properties"][required.as_str().unwrap()].is_object(),
                    "{at} {required}"
                );
            }
        }
    }
}

#[test]
fn selectable_fields_and_columns_exist() {
    for kind in Kind::ALL {
        let definition = definition(kind);
        let version = &definition["spec"]["versions"][0];
        let all = schemas(&definition);
        let find = |path: &str| all.iter().find(|(at, _)| at == path).map(|(_, schema)| *schema);
        for field in version["selectableFields"].as_array().into_iter().flatten() {
            let path = field["jsonPath"].as_str().unwrap();
            let schema = find(path).unwrap_or_else(|| panic!("{kind} has no {path}"));
            assert!(
                ["string", "boolean", "integer"].contains(&schema["type"].as_str().unwrap()),
                "{kind}{path}"
            );
        }
        for column in version["additionalPrinterColumns"].as_array().unwrap() {
            let path = column["jsonPath"]
                .as_str()
                .unwrap()
                .replace(r#"[?(@.type=="Ready")]"#, "[]");
            assert!(
                path.starts_with(".metadata.") || find(&path).is_some(),
                "{kind} has no {path}"
            );
        }
        assert_eq!(version["subresources"]["status"], serde_json::json!({}));
    }
}

#[test]
fn a_fresh_object_says_that_nobody_has_looked_at_it() {
    for kind in [Kind::VpnUser, Kind::VpnGateway] {
        let definition = definition(kind);
        let defaulted = kube_cel::apply_defaults(root_schema(&definition), &serde_json::json!({ "spec": {} }));
        assert_eq!(
            defaulted["status"],
            serde_json::json!({ "observedGeneration": -1 }),
            "{kind}"
        );
    }
}
