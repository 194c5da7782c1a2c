//! The chart fits the program: versions, flags and variables, and what its roles grant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use k8s_openapi::api::rbac::v1::PolicyRule;
use regex::Regex;
use serde_yaml::Value;
use vpn_operator::{cluster::audit_head, config::secrets::SECRET_VARIABLES, model::Kind};

use super::read;

/// A file of the chart.
pub fn file(name: &str) -> String {
    read(&format!("charts/vpn-operator/{name}"))
}

/// Names and texts of everything in the folder of templates.
pub fn templates() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("charts/vpn-operator/templates");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// What `vpn-operator run --help` says.
fn help() -> String {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_vpn-operator"));
    command.env_clear().timeout(Duration::from_secs(60));
    let output = command.args(["run", "--help"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_chart_installs_this_version() {
    let chart: Value = serde_yaml::from_str(&file("Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_variable_that_a_template_sets_is_one_that_the_program_reads() {
    let help = help();
    let told = Regex::new(r"\[env: ([A-Z0-9_]+)=").unwrap();
    let mut known: BTreeSet<String> = told.captures_iter(&help).map(|found| found[1].to_owned()).collect();
    assert!(known.len() > 10, "{help}");
    known.extend(SECRET_VARIABLES.map(|name| format!("{name}_FILE")));
    let set = Regex::new(r"- name: ([A-Z][A-Z0-9_]+)\n").unwrap();
    let mut count = 0;
    for (template, text) in templates() {
        for found in set.captures_iter(&text) {
            assert!(known.contains(&found[1]), "{template} sets {}: {known:?}", &found[1]);
            count += 1;
        }
    }
    assert!(count > 10, "only {count} variables were found");
}

#[test]
fn every_flag_that_a_template_gives_is_one_that_the_program_takes() {
    let help = help();
    let arguments = Regex::new(r"args: \[run, (.*)\]").unwrap();
    let mut flags = BTreeSet::new();
    for (template, text) in templates() {
        for found in arguments.captures_iter(&text) {
            for argument in found[1].split(", ") {
                let (flag, value) = argument.split_once('=').unwrap();
                assert!(help.contains(&format!("{flag} <")), "{template} gives {argument}");
                flags.insert((flag.to_owned(), value.to_owned()));
            }
        }
    }
    let wanted = [
        "--components=all",
        "--components=auth",
        "--components=bot",
        "--desired=kubernetes",
    ];
    let wanted = wanted.map(|flag| flag.split_once('=').unwrap());
    assert_eq!(
        flags,
        wanted.map(|(flag, value)| (flag.to_owned(), value.to_owned())).into()
    );
}

#[test]
fn a_bot_of_its_own_gets_its_two_tokens_and_no_right_in_the_cluster() {
    let bot = file("templates/bot.yaml");
    assert!(bot.contains("automountServiceAccountToken: false") && !bot.contains("serviceAccountName"));
    let secrets: Vec<&str> = bot.split("- secret:\n").skip(1).collect();
    assert_eq!(secrets.len(), 2);
    assert!(secrets[0].contains("$values.existingSecret") && secrets[1].contains("$values.apiTokenSecret"));
    assert!(!bot.contains("vpn-operator.environment") && !bot.contains("vpn-operator.secretSources"));
}

/// The verbs for each resource that a role's file grants.
pub fn grants(role: &str) -> BTreeMap<String, BTreeSet<String>> {
    let rules: Vec<PolicyRule> = serde_yaml::from_str(&file(&format!("files/rules/{role}.yaml"))).unwrap();
    let mut grants: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for rule in rules {
        // What is not the operator's own kind and may be written is one object, where it has a name.
        let named = rule
            .resource_names
            .as_deref()
            .is_none_or(|names| names == [audit_head::NAME]);
        assert!(rule.non_resource_urls.is_none() && named, "{rule:?}");
        for group in rule.api_groups.unwrap() {
            for resource in rule.resources.iter().flatten() {
                let name = if group.is_empty() {
                    resource.clone()
                } else {
                    format!("{resource}.{group}")
                };
                grants.entry(name).or_default().extend(rule.verbs.clone());
            }
        }
    }
    for (resource, verbs) in &grants {
        assert!(!resource.contains('*') && !verbs.contains("*"), "{resource} {verbs:?}");
    }
    grants
}

#[test]
fn an_auth_replica_may_read_the_same_and_write_nothing() {
    let controller = grants("controller");
    let auth = grants("auth");
    for (resource, verbs) in &auth {
        assert_eq!(verbs, &["get", "list", "watch"].map(str::to_owned).into(), "{resource}");
        assert!(controller[resource].is_superset(verbs), "{resource}");
    }
    for kind in Kind::ALL {
        assert!(
            auth.contains_key(&format!("{}.vpn-operator.io", kind.plural())),
            "{kind}"
        );
    }
    assert_eq!(auth.len(), Kind::ALL.len() + 1, "the kinds and secrets: {auth:?}");
}

#[test]
fn the_help_desk_may_create_and_see_holds_and_nothing_else() {
    let verbs = ["create", "get", "list", "watch"].map(str::to_owned);
    let wanted = [("vpnholds.vpn-operator.io".to_owned(), verbs.into())];
    assert_eq!(grants("help-desk"), wanted.into());
}

/// Nobody writes another's Secret, or anything of a workload.
#[test]
fn the_controller_deletes_nothing_but_its_own_kinds() {
    for (resource, verbs) in grants("controller") {
        let own = Kind::ALL
            .iter()
            .any(|kind| resource == format!("{}.vpn-operator.io", kind.plural()));
        assert_eq!(verbs.contains("delete"), own, "{resource}");
        assert!(!verbs.contains("deletecollection"), "{resource}");
        assert_eq!(
            verbs.contains("update"),
            resource == "leases.coordination.k8s.io",
            "{resource}"
        );
    }
}

#[test]
fn every_rule_is_in_the_handbook() {
    let handbook = read("docs/kubernetes.md");
    let section = handbook
        .split("\n## ")
        .find(|part| part.starts_with("Permissions"))
        .unwrap();
    let mut rows = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        rows.insert(cells[1].trim_matches('`').to_owned(), [cells[2], cells[3]]);
    }
    for (column, role) in ["controller", "auth"].into_iter().enumerate() {
        let told: BTreeMap<String, BTreeSet<String>> = rows
            .iter()
            .map(|(resource, cells)| (resource.clone(), cells[column].split(' ').map(str::to_owned).collect()))
            .filter(|(_, verbs): &(String, BTreeSet<String>)| !verbs.contains("–"))
            .collect();
        assert_eq!(told, grants(role), "{role}");
    }
}

#[test]
fn the_pods_run_as_the_user_of_the_image_and_mount_what_the_image_names() {
    let values: Value = serde_yaml::from_str(&file("values.yaml")).unwrap();
    let context = &values["podSecurityContext"];
    let user = format!(
        "{}:{}",
        context["runAsUser"].as_u64().unwrap(),
        context["runAsGroup"].as_u64().unwrap()
    );
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains(&format!("\nUSER {user}\n")), "{user}");
    assert!(dockerfile.contains("ENTRYPOINT [\"vpn-operator\"]"));
    for port in ["8080", "8081"] {
        assert!(dockerfile.contains(&format!("0.0.0.0:{port}")), "{port}");
        for workload in ["controller", "auth"] {
            let text = file(&format!("templates/{workload}.yaml"));
            assert!(text.contains(&format!("containerPort: {port}")), "{workload} {port}");
        }
    }
    assert!(
        dockerfile.contains("VOLUME [\"/data\"]") && file("templates/controller.yaml").contains("mountPath: /data }")
    );
}
