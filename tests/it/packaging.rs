//! What surrounds the binary fits it: the compose file, the image, the chart, the settings that they name.

mod alerts;
mod annotations;
mod chart;
mod compose;
mod examples;
mod handbook;
pub mod hr_holds;
mod service;
mod values;

use std::{collections::BTreeSet, fs, path::Path};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Compares a generated file with what it should be, or writes it when that is asked for.
fn generated(name: &str, wanted: &str, tests: &str) {
    // Other tests read it meanwhile: nothing is written that is there.
    if std::env::var_os("UPDATE_GENERATED").is_some() && read(name) != wanted {
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

/// What `.env.example` explains for Compose alone.
fn compose_settings() -> BTreeSet<String> {
    let example = read(".env.example");
    let (_, alone) = example.split_once("# ── docker-compose.yml alone").unwrap();
    let names = alone.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    names.map(|(name, _)| name.to_owned()).collect()
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

#[test]
fn the_image_is_built_from_the_lock_file_and_says_what_it_is_and_how_it_is() {
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("cargo build --release --locked"));
    let version = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert!(dockerfile.contains(&version), "the version of the image is another");
    for label in ["version=\"$VERSION\"", "revision=\"$REVISION\""] {
        assert!(
            dockerfile.contains(&format!("org.opencontainers.image.{label}")),
            "{label}"
        );
    }
    assert!(dockerfile.contains("ca-certificates"));
    assert!(dockerfile.contains("CMD [\"vpn-operator\", \"health\"]"));
    let ignored = read(".dockerignore");
    for secret in [".env", "data", "tls", "vpn"] {
        assert!(
            ignored.lines().any(|line| line == secret),
            "{secret} could end in the image"
        );
    }
}
