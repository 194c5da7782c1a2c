//! The admission policy leaves HR's holds to the operator, and everything else to whoever has the role for it.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicySpec;
use kube_cel::{AdmissionRequest, VapEvaluator, VapExpression};
use serde_json::{Value, json};

use super::chart::file;

pub const OPERATOR: &str = "system:serviceaccount:vpn:vpn-operator-controller";
const NAMESPACES: &str = "system:serviceaccount:kube-system:namespace-controller";
const GARBAGE: &str = "system:serviceaccount:kube-system:generic-garbage-collector";
/// Everybody else, the operator's own auth replicas and namesakes in other namespaces among them.
const OTHERS: [&str; 5] = [
    "anna",
    "kubernetes-admin",
    "system:serviceaccount:vpn:vpn-operator-auth",
    "system:serviceaccount:other:vpn-operator-controller",
    "system:serviceaccount:kube-system:replicaset-controller",
];

fn policy() -> ValidatingAdmissionPolicySpec {
    serde_yaml::from_str(&file("files/hr-holds.yaml").replace("OPERATOR", OPERATOR)).unwrap()
}

fn hold(name: &str, source: &str) -> Value {
    json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnHold",
        "metadata": { "name": name, "namespace": "vpn", "finalizers": ["vpn-operator.io/access"] },
        "spec": { "corporateId": "AB123456", "source": source },
    })
}

/// What an API server does with the policy: every match condition and then every validation.
pub fn allowed(operation: &str, by: &str, object: Option<&Value>, old: Option<&Value>) -> bool {
    let policy = policy();
    let mut builder = VapEvaluator::builder().request(AdmissionRequest {
        operation: operation.to_owned(),
        username: by.to_owned(),
        namespace: "vpn".to_owned(),
        ..AdmissionRequest::default()
    });
    if let Some(object) = object {
        builder = builder.object(object.clone());
    }
    if let Some(old) = old {
        builder = builder.old_object(old.clone());
    }
    let evaluator = builder.build();
    let holds = |expression: &str| {
        let result = &evaluator.evaluate(&[VapExpression {
            expression: expression.to_owned(),
            message: Some("false".to_owned()),
            message_expression: None,
        }])[0];
        // An expression that cannot be evaluated has another message, and would refuse everybody.
        assert!(
            result.passed || result.message.as_deref() == Some("false"),
            "{result:?}"
        );
        result.passed
    };
    if !policy
        .match_conditions
        .iter()
        .flatten()
        .all(|condition| holds(&condition.expression))
    {
        return true;
    }
    policy
        .validations
        .iter()
        .flatten()
        .all(|validation| holds(&validation.expression))
}

/// The three things that can be done to a hold.
fn requests<'a>(before: &'a Value, after: &'a Value) -> [(&'static str, Option<&'a Value>, Option<&'a Value>); 3] {
    [
        ("CREATE", Some(after), None),
        ("UPDATE", Some(after), Some(before)),
        ("DELETE", None, Some(before)),
    ]
}

#[test]
fn nobody_but_the_operator_touches_a_hold_of_hr() {
    let before = hold("hr-deactivated-ab123456", "hr");
    let mut after = before.clone();
    after["metadata"]["finalizers"] = json!([]);
    for (operation, object, old) in requests(&before, &after) {
        assert!(allowed(operation, OPERATOR, object, old), "{operation}");
        for other in OTHERS {
            assert!(!allowed(operation, other, object, old), "{operation} by {other}");
        }
    }
}

#[test]
fn controllers_of_the_cluster_may_only_delete_holds_of_hr() {
    let before = hold("hr-deactivated-ab123456", "hr");
    for controller in [NAMESPACES, GARBAGE] {
        for (operation, object, old) in requests(&before, &before) {
            assert_eq!(
                allowed(operation, controller, object, old),
                operation == "DELETE",
                "{operation}"
            );
        }
    }
}

#[test]
fn a_hold_of_another_source_is_left_to_whoever_has_the_role() {
    let other = hold("helpdesk-lost-ab123456", "helpdesk");
    for (operation, object, old) in requests(&other, &other) {
        for user in OTHERS {
            assert!(allowed(operation, user, object, old), "{operation} by {user}");
        }
    }
}

#[test]
fn no_hold_becomes_one_of_hr_or_stops_being_one() {
    let (theirs, hr) = (
        hold("helpdesk-lost-ab123456", "helpdesk"),
        hold("helpdesk-lost-ab123456", "hr"),
    );
    assert!(!allowed("UPDATE", "anna", Some(&hr), Some(&theirs)));
    assert!(!allowed("UPDATE", "anna", Some(&theirs), Some(&hr)));
    // Whoever had the name of a hold that HR is about to set would keep it from being set.
    let squatter = hold("hr-deactivated-ab123456", "helpdesk");
    assert!(!allowed("CREATE", "anna", Some(&squatter), None));
}

#[test]
fn the_policy_looks_at_holds_alone_and_refuses_when_in_doubt() {
    let policy = policy();
    let rules = policy.match_constraints.unwrap().resource_rules.unwrap();
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].resources.as_deref(), Some(["vpnholds".to_owned()].as_slice()));
    assert_eq!(
        rules[0].api_groups.as_deref(),
        Some(["vpn-operator.io".to_owned()].as_slice())
    );
    let operations = ["CREATE", "UPDATE", "DELETE"].map(str::to_owned);
    assert_eq!(rules[0].operations.as_deref(), Some(operations.as_slice()));
    assert_eq!(policy.failure_policy.as_deref(), Some("Fail"));
}
