//! What surrounds the binary fits it: the compose file, the image, the chart, the settings that they name.

mod alerts;
mod annotations;
mod chart;
mod examples;
mod handbook;
mod hr_holds;
mod service;
mod values;

use std::{collections::BTreeSet, fs, path::Path};

use serde_yaml::Value;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Compares a generated file with what it should be, or writes it when that is asked for.
fn generated(name: &str, wanted: &str, tests: &str) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(name), wanted).unwrap();
    }
    assert!(
        read(name) == wanted,
        "{name} is out of date: run UPDATE_GENERATED=1 cargo test --test it {tests}"
    );
}

/// Variables that `.env.example` explains.
fn settings() -> BTreeSet<String> {
    let example = read(".env.example");
    let names = example
        .lines()
        .filter_map(|line| line.strip_prefix('#').unwrap_or(line).split_once('='));
    names.map(|(name, _)| name.to_owned()).collect()
}

fn compose() -> Value {
    serde_yaml::from_str(&read("docker-compose.yml")).unwrap()
}

#[test]
fn the_compose_file_sets_only_what_the_operator_reads() {
    let compose = compose();
    let environment = compose["services"]["operator"]["environment"].as_mapping().unwrap();
    let known = settings();
    for name in environment.keys().map(|name| name.as_str().unwrap()) {
        assert!(known.contains(name), "{name} is not in .env.example");
    }
}

#[test]
fn the_compose_file_publishes_the_auth_listener_nowhere() {
    let operator = &compose()["services"]["operator"];
    let auth = operator["environment"]["HYSTERIA_AUTH_LISTEN"].as_str().unwrap();
    let port = auth.rsplit(':').next().unwrap();
    for published in operator["ports"].as_sequence().unwrap() {
        let published = published.as_str().unwrap();
        assert!(!published.ends_with(&format!(":{port}")), "{published}");
        assert!(published.starts_with("127.0.0.1:"), "{published}");
    }
}

#[test]
fn everything_that_the_compose_file_mounts_and_joins_is_declared() {
    let compose = compose();
    let services = compose["services"].as_mapping().unwrap();
    for (name, service) in services {
        for network in service["networks"].as_sequence().unwrap() {
            assert!(compose["networks"].get(network).is_some(), "{name:?}: {network:?}");
        }
        for volume in service["volumes"].as_sequence().unwrap() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(
                source.starts_with("./") || compose["volumes"].get(source).is_some(),
                "{name:?}: {source}"
            );
        }
    }
}

#[test]
fn the_image_sets_only_what_the_operator_reads_and_does_not_run_as_root() {
    let dockerfile = read("Dockerfile");
    let last = dockerfile.rsplit("FROM ").next().unwrap();
    let variables = last.lines().find_map(|line| line.strip_prefix("ENV ")).unwrap();
    for pair in variables.split_whitespace() {
        let name = pair.split('=').next().unwrap();
        assert!(settings().contains(name), "{name} is not in .env.example");
    }
    let user = last.lines().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert!(!user.starts_with("root") && !user.starts_with('0'), "{user}");
    assert!(
        !last.starts_with("scratch"),
        "TLS clients need a bundle of certificate authorities"
    );
}
