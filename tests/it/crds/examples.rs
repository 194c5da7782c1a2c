//! What we show people to write is right.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};
use vpn_operator::model::{API_VERSION, Kind, gateway::VpnGateway, hold::VpnHold, user::VpnUser};

use super::rules::accepted;

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { yaml_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect()
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

#[test]
fn every_example_is_valid() {
    let mut kinds = Vec::new();
    for path in yaml_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")) {
        for document in documents(&path) {
            if document["apiVersion"] != API_VERSION {
                continue;
            }
            let fields: Vec<&String> = document.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["apiVersion", "kind", "metadata", "spec"], "{}", path.display());
            match document["kind"].as_str() {
                Some("VpnUser") => accepted::<VpnUser>(&document, None),
                Some("VpnHold") => accepted::<VpnHold>(&document, None),
                Some("VpnGateway") => accepted::<VpnGateway>(&document, None),
                other => panic!("{} has the kind {other:?}", path.display()),
            }
            kinds.push(document["kind"].clone());
        }
    }
    for kind in Kind::ALL {
        assert!(kinds.contains(&json!(kind.as_str())), "no example of a {kind}");
    }
}

/// The quickstart runs on what the environment defines, with the people its texts speak of.
#[test]
fn the_quickstart_has_two_people_and_a_hold_and_no_gateway() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart");
    let mut found: Vec<String> = yaml_files(&folder)
        .iter()
        .flat_map(|path| documents(path))
        .map(|document| {
            format!(
                "{} {}",
                document["kind"].as_str().unwrap(),
                document["spec"]["corporateId"].as_str().unwrap()
            )
        })
        .collect();
    found.sort();
    assert_eq!(found, ["VpnHold EF345678", "VpnUser AB123456", "VpnUser CD234567"]);
}
