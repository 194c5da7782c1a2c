//! The handbook for Kubernetes names everything that a person meets.

use std::collections::BTreeSet;

use regex::Regex;
use vpn_operator::{
    model::{FINALIZER, access::Reason, condition::texts},
    reconcile::plan::{LET_GO, PAUSE, RECONCILE_NOW},
};

use super::read;

/// Constants of reasons in the sources that give conditions, wherever they are made.
fn reasons() -> BTreeSet<String> {
    let mut found: BTreeSet<String> = Reason::ALL.map(|reason| reason.as_str().to_owned()).into();
    found.insert(texts::RECONCILED.to_owned());
    let constants = read("src/reconcile/plan/reasons.rs");
    let running = read("src/gateway/running.rs");
    let report = read("src/reconcile/gateway_report.rs");
    let report = report
        .split("mod reasons {")
        .nth(1)
        .unwrap()
        .split("\n}")
        .next()
        .unwrap();
    let constant = Regex::new(r#""([A-Z][a-z]+(?:[A-Z][a-z]+)*)""#).unwrap();
    for text in [&constants, &running, report] {
        let before = found.len();
        found.extend(constant.captures_iter(text).map(|constant| constant[1].to_owned()));
        assert!(found.len() > before, "no reason was found in a source");
    }
    found
}

#[test]
fn every_reason_of_a_condition_has_a_row_that_says_what_to_do() {
    let handbook = read("docs/kubernetes.md");
    let rows: Vec<&str> = handbook.lines().filter(|line| line.starts_with("| `")).collect();
    for reason in reasons() {
        let quoted = format!("`{reason}`");
        let explained = rows
            .iter()
            .any(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&quoted)));
        assert!(explained, "docs/kubernetes.md has no row for {quoted}");
    }
}

#[test]
fn annotations_and_the_finalizer_are_spelt_as_the_program_spells_them() {
    let handbook = read("docs/kubernetes.md");
    for name in [LET_GO, PAUSE, RECONCILE_NOW, FINALIZER] {
        assert!(handbook.contains(name), "{name}");
    }
}
