//! The admission policy warns of annotations that do nothing, as `check` does: both know the same names and values.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicySpec;
use kube_cel::{AdmissionRequest, VapEvaluator, VapExpression};
use serde_json::{Value, json};
use vpn_operator::model::{
    GROUP, Kind,
    advice::{ANNOTATIONS, FLAG_ADVICE, FLAG_VALUES, FLAGS, SET_BY_PEOPLE, annotation_advice},
};

use super::{chart::file, generated};

const FILE: &str = "charts/vpn-operator/files/annotations.yaml";

/// A list of texts as CEL writes it.
fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// The policy, made from what `check` knows.
fn made() -> String {
    let ours = format!("key.startsWith('{GROUP}/')");
    let unknown = format!("{ours} && !(key in {})", list(&ANNOTATIONS));
    let mut validations = vec![json!({
        "expression": format!("!object.metadata.annotations.exists(key, {unknown})"),
        "messageExpression": format!(
            "'the operator knows no annotation ' + object.metadata.annotations.filter(key, {unknown}).join(', ') + ': there are {}'",
            ANNOTATIONS[..SET_BY_PEOPLE].join(", ")
        ),
    })];
    validations.extend(FLAGS.iter().map(|flag| {
        let values = list(&FLAG_VALUES);
        json!({
            "expression": format!(
                "!('{flag}' in object.metadata.annotations) || object.metadata.annotations['{flag}'] in {values}"
            ),
            "message": format!("the annotation {flag} {FLAG_ADVICE}"),
        })
    }));
    let policy = json!({
        // A warning is all that comes of it: nothing is kept waiting or refused because of it.
        "failurePolicy": "Ignore",
        "matchConstraints": { "resourceRules": [{
            "apiGroups": [GROUP],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": Kind::ALL.map(Kind::plural),
            "scope": "Namespaced",
        }] },
        "matchConditions": [{
            "name": "has-an-annotation-of-the-operator",
            "expression": format!(
                "has(object.metadata.annotations) && object.metadata.annotations.exists(key, {ours})"
            ),
        }],
        "validations": validations,
    });
    format!(
        "# Spec of the admission policy that warns of annotations which do nothing. Generated: edit src/model/advice.rs instead.\n{}",
        serde_yaml::to_string(&policy).unwrap()
    )
}

#[test]
fn the_policy_is_made_from_what_check_knows() {
    generated(FILE, &made(), "packaging::annotations");
}

/// This evaluator writes the keys of a map as an API server writes the names of fields, where it leaves those of a map alone.
const ESCAPES: [(&str, &str); 3] = [("-", "__dash__"), (".", "__dot__"), ("/", "__slash__")];

fn as_evaluated(expression: &str) -> String {
    let escaped = |text: &str| {
        ESCAPES
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let names = ANNOTATIONS
        .iter()
        .fold(expression.to_owned(), |text, name| text.replace(name, &escaped(name)));
    let prefix = format!("{GROUP}/");
    names.replace(&prefix, &escaped(&prefix))
}

fn as_written(said: &str) -> String {
    ESCAPES
        .iter()
        .fold(said.to_owned(), |text, (to, from)| text.replace(from, to))
}

/// The warnings that an API server gives, as its evaluator has them.
fn warnings(annotations: &BTreeMap<String, String>) -> Vec<String> {
    let policy: ValidatingAdmissionPolicySpec = serde_yaml::from_str(&file("files/annotations.yaml")).unwrap();
    let mut metadata = json!({ "name": "ab123456", "namespace": "vpn" });
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    let object: Value = json!({
        "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": metadata,
        "spec": { "corporateId": "AB123456" },
    });
    let request = AdmissionRequest {
        operation: "CREATE".to_owned(),
        namespace: "vpn".to_owned(),
        ..AdmissionRequest::default()
    };
    let evaluator = VapEvaluator::builder().request(request).object(object).build();
    let ask = |expression: &str, message: Option<String>, message_expression: Option<String>| {
        let result = evaluator
            .evaluate(&[VapExpression {
                expression: as_evaluated(expression),
                message: message.or_else(|| Some("false".to_owned())),
                message_expression: message_expression.as_deref().map(as_evaluated),
            }])
            .remove(0);
        let said = result.message.unwrap_or_default();
        assert!(!said.contains("error"), "{expression}: {said}");
        (result.passed, as_written(&said))
    };
    let matches = policy
        .match_conditions
        .iter()
        .flatten()
        .all(|condition| ask(&condition.expression, None, None).0);
    if !matches {
        return Vec::new();
    }
    let validations = policy.validations.into_iter().flatten();
    let asked = validations.map(|one| ask(&one.expression, one.message, one.message_expression));
    asked.filter(|(passed, _)| !passed).map(|(_, said)| said).collect()
}

#[test]
fn the_policy_and_check_warn_of_the_same() {
    let pause = |value: &str| (ANNOTATIONS[0], value.to_owned());
    for (given, wanted) in [
        (vec![], None),
        (vec![pause("true")], None),
        (vec![pause("false"), ("team", "x".to_owned())], None),
        (vec![("other.example.com/pause", "yes".to_owned())], None),
        (vec![("vpn-operator.io/reconcile-now", "7".to_owned())], None),
        (vec![("vpn-operator.io/source-file", "x".to_owned())], None),
        (
            vec![pause("yes")],
            Some("the annotation vpn-operator.io/pause does nothing with this value: write \"true\""),
        ),
        (
            vec![("vpn-operator.io/let-go", "True".to_owned())],
            Some("the annotation vpn-operator.io/let-go does nothing with this value: write \"true\""),
        ),
        (
            vec![("vpn-operator.io/pauze", "true".to_owned()), ("team", "x".to_owned())],
            Some(
                "the operator knows no annotation vpn-operator.io/pauze: there are vpn-operator.io/pause, \
                  vpn-operator.io/reconcile-now, vpn-operator.io/let-go",
            ),
        ),
    ] {
        let annotations: BTreeMap<String, String> =
            given.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(
            annotation_advice(&annotations).len(),
            usize::from(wanted.is_some()),
            "{annotations:?}"
        );
        assert_eq!(
            warnings(&annotations),
            wanted.into_iter().collect::<Vec<_>>(),
            "{annotations:?}"
        );
    }
}

#[test]
fn the_policy_only_warns_and_is_bound_to_the_namespace_alone() {
    let template = file("templates/annotations.yaml");
    assert!(template.contains("validationActions: [Warn]"), "{template}");
    assert!(
        template.contains("kubernetes.io/metadata.name: {{ .Release.Namespace }}"),
        "{template}"
    );
    assert!(
        template.starts_with("{{- if .Values.annotationPolicy.enabled }}"),
        "{template}"
    );
    assert!(made().contains("failurePolicy: Ignore"));
}
