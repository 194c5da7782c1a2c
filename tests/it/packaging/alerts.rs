//! Every series that an alert asks for is one that the program has.

use std::time::Duration;

use regex::Regex;
use serde_yaml::Value;
use vpn_operator::{
    metrics::{Metrics, ReconcileOutcome, RevocationStage},
    model::{
        access::Reason,
        guard::{Budget, BudgetReport},
    },
};

use super::{chart::file, read};

fn rules() -> Vec<Value> {
    serde_yaml::from_str(&file("files/alerts.yaml").replace("SELECTOR", r#"job="vpn""#)).unwrap()
}

/// What `/metrics` answers once everything that alerts speak of was counted.
fn answered() -> String {
    let metrics = Metrics::new();
    metrics.node_up("default/fra1", false);
    metrics.auth_guards([("panel", false)].into_iter());
    metrics.guard(&[BudgetReport {
        budget: Budget::Declared,
        limit: Some(10),
        used: 10,
        waiting: 1,
    }]);
    metrics.guard_store_failing(true);
    metrics.orders_recent(11);
    metrics.hr_waiting(&[("failed", 1)], Duration::from_secs(61));
    metrics.hr_refused("wrong");
    metrics.users(&[(Reason::Active, 200)]);
    metrics.source(1, 1, None);
    metrics.history_failing(true);
    metrics.backups(None, 1, true);
    metrics.audit(false, 7);
    metrics.unobserved(1);
    metrics.reconciled(ReconcileOutcome::Terminal, Duration::ZERO);
    metrics.revocation(RevocationStage::Contained, Duration::from_secs(61));
    metrics.encode()
}

#[test]
fn every_series_with_its_labels_is_one_that_the_program_has() {
    let answered = answered();
    let series = Regex::new(r"(vpn_operator_[a-z_]+)\{([^}]*)\}").unwrap();
    let mut count = 0;
    for rule in rules() {
        let expression = rule["expr"].as_str().unwrap();
        for found in series.captures_iter(expression) {
            let labels: Vec<&str> = found[2].split(',').filter(|label| !label.starts_with("job=")).collect();
            let there = answered
                .lines()
                .filter(|line| line.split(['{', ' ']).next() == Some(&found[1]))
                .any(|line| labels.iter().all(|label| line.contains(label)));
            assert!(there, "{} is not in\n{answered}", &found[0]);
            count += 1;
        }
    }
    assert!(count >= 7, "only {count} series were found");
}

#[test]
fn every_alert_says_what_is_so_and_is_in_the_handbook() {
    let handbook = read("docs/kubernetes.md");
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        assert!(handbook.contains(&format!("`{name}`")), "{name}");
        assert!(
            ["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()),
            "{name}"
        );
        for text in ["summary", "description"] {
            assert!(
                rule["annotations"][text].as_str().is_some_and(|text| text.len() > 10),
                "{name}"
            );
        }
    }
}
