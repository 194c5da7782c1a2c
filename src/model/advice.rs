//! What a document may say and most likely does not mean. Nothing of it keeps a document from being in force.

use std::collections::BTreeMap;

use super::{
    GROUP, LET_GO, ORDERED_BY, OWN, PAUSE, RECONCILE_NOW, RELEASED, gateway::VpnGatewaySpec, validate::FieldError,
};

/// Annotations that somebody sets, and those that the operator sets itself. The chart's admission policy warns of others.
pub const ANNOTATIONS: [&str; 7] = [
    PAUSE,
    RECONCILE_NOW,
    LET_GO,
    RELEASED,
    OWN,
    ORDERED_BY,
    "vpn-operator.io/source-file",
];
/// How many of them somebody sets; they come first.
pub const SET_BY_PEOPLE: usize = 3;
/// Those that do something only with the value `true`.
pub const FLAGS: [&str; 2] = [PAUSE, LET_GO];

/// Values of a flag that are no mistake.
pub const FLAG_VALUES: [&str; 2] = ["true", "false"];
/// What is said of a flag with another value.
pub const FLAG_ADVICE: &str = "does nothing with this value: write \"true\"";

/// Annotations of the operator that do nothing as they are written.
#[must_use]
pub fn annotation_advice(annotations: &BTreeMap<String, String>) -> Vec<FieldError> {
    let mut found = Vec::new();
    for (key, value) in annotations {
        let Some((prefix, _)) = key.split_once('/') else {
            continue;
        };
        let meant = prefix == GROUP || strsim::osa_distance(prefix, GROUP) <= 2;
        let message = if meant && !ANNOTATIONS.contains(&key.as_str()) {
            let nearest = ANNOTATIONS[..SET_BY_PEOPLE]
                .iter()
                .min_by_key(|known| strsim::osa_distance(known, key));
            format!(
                "the operator knows no such annotation; '{}' is one",
                nearest.unwrap_or(&PAUSE)
            )
        } else if FLAGS.contains(&key.as_str()) && !FLAG_VALUES.contains(&value.as_str()) {
            FLAG_ADVICE.to_owned()
        } else {
            continue;
        };
        found.push(FieldError {
            path: format!("metadata.annotations[{key}]"),
            message,
        });
    }
    found
}

/// Pins with which a client may find no way in.
#[must_use]
pub fn gateway_advice(spec: &VpnGatewaySpec) -> Vec<FieldError> {
    let nodes = spec
        .hysteria
        .iter()
        .flat_map(|hysteria| hysteria.nodes.iter().enumerate());
    let pinned = nodes.filter(|(_, node)| node.pin_sha256.is_some() && !node.insecure && node.certificate.is_none());
    pinned
        .map(|(at, _)| FieldError {
            path: format!("spec.hysteria.nodes[{at}].pinSha256"),
            message: "clients verify the certificate as well as the pin: when it is self-signed, write insecure: true \
                      beside it"
                .to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_that_do_nothing_are_named_and_others_are_left_alone() {
        let advice = |key: &str, value: &str| {
            let found = annotation_advice(&[(key.to_owned(), value.to_owned())].into());
            found.into_iter().map(|error| error.message).next()
        };
        assert!(advice(PAUSE, "yes").unwrap().contains("\"true\""));
        assert!(
            advice("vpn-operator.io/pauze", "true")
                .unwrap()
                .contains("'vpn-operator.io/pause'")
        );
        assert!(
            advice("vpn-operater.io/let-go", "true")
                .unwrap()
                .contains("'vpn-operator.io/let-go'")
        );
        for (key, value) in [
            (PAUSE, "true"),
            (PAUSE, "false"),
            (RECONCILE_NOW, "7"),
            (ORDERED_BY, "anna (192.0.2.7)"),
            ("team", "x"),
            ("a.b/pause", "yes"),
        ] {
            assert_eq!(advice(key, value), None, "{key}");
        }
    }
}
