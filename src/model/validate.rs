//! The rules of the resources as plain functions, for sources that have no API server in front of them.
//!
//! What an object of the right shape may say is written down twice: in the generated definitions (bounds, patterns and
//! CEL rules) and here. A property test holds the two together. Values never appear in a message, because somebody may
//! have written a secret where its source belongs.

use std::{collections::HashSet, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};
use jiff::Timestamp;

use super::{
    gateway::{BlitzGateway, HysteriaGateway, HysteriaNode, MAX_NODES, VpnGateway, VpnGatewaySpec},
    hold::{MAX_REASON_LEN, VpnHold, VpnHoldSpec},
    secret_source::{MAX_PATH_LEN, SecretSource},
    syntax::{self, Syntax},
    user::{MAX_DEVICES, MAX_GATEWAYS, MAX_OWNER_LEN, MAX_ROLE_LEN, VpnUser, VpnUserSpec},
};

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field in the document, like `spec.validUntil`.
    pub path: String,
    /// What is wrong and what to write instead. Without the value.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Checks a user, and with `old` also the change from it. Empty means valid.
#[must_use]
pub fn validate_user(user: &VpnUser, old: Option<&VpnUser>) -> Vec<FieldError> {
    user_errors(user.metadata.name.as_deref(), &user.spec, old.map(|old| &old.spec))
}

/// As [`validate_user`], of an object's parts.
#[must_use]
pub fn user_errors(name: Option<&str>, spec: &VpnUserSpec, old: Option<&VpnUserSpec>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    let expected = spec.corporate_id.object_name();
    if name != Some(expected.as_str()) {
        errors.add(
            "metadata.name",
            format!(
                "must be '{expected}', the encoding of spec.corporateId (lower case, '-' as '--', '_' as '-u', '.' as '-d')"
            ),
        );
    }
    user_fields(&mut errors, spec);
    if let Some(old) = old {
        user_change(&mut errors, spec, old);
    }
    errors.0
}

fn user_fields(errors: &mut Errors, spec: &VpnUserSpec) {
    errors.length("spec.owner", spec.owner.as_deref(), MAX_OWNER_LEN);
    errors.syntax("spec.email", spec.email.as_deref(), &syntax::EMAIL);
    errors.length("spec.role", spec.role.as_deref(), MAX_ROLE_LEN);
    errors.order(
        ("spec.validFrom", spec.valid_from),
        ("spec.validUntil", spec.valid_until),
    );
    if spec.traffic.as_ref().is_some_and(|traffic| traffic.limit.get() == 0) {
        errors.add(
            "spec.traffic.limit",
            "must be more than nothing: leave traffic out for no limit, set active to false for no access",
        );
    }
    if spec
        .max_devices
        .is_some_and(|devices| !(1..=MAX_DEVICES).contains(&devices))
    {
        errors.add(
            "spec.maxDevices",
            format!("must be from 1 to {MAX_DEVICES}; leave it out for any number"),
        );
    }
    if let Some(gateways) = &spec.gateways {
        if gateways.is_empty() || gateways.len() > MAX_GATEWAYS {
            errors.add(
                "spec.gateways",
                format!("must name 1 to {MAX_GATEWAYS} gateways; leave it out for 'default'"),
            );
        }
        for (at, gateway) in gateways.iter().enumerate() {
            errors.syntax(&format!("spec.gateways[{at}]"), Some(gateway), &syntax::LABEL);
        }
        errors.unique("spec.gateways", gateways.iter().map(String::as_str));
    }
    errors.syntax("spec.username", spec.username.as_deref(), &syntax::USERNAME);
    errors.source("spec.credentialsFrom", spec.credentials_from.as_ref());
    for (path, generation) in generations(spec) {
        if generation < 1 {
            errors.add(path, "must be at least 1");
        }
    }
}

fn user_change(errors: &mut Errors, spec: &VpnUserSpec, old: &VpnUserSpec) {
    if spec.corporate_id.as_str() != old.corporate_id.as_str() {
        errors.add(
            "spec.corporateId",
            "is immutable: delete the object and create another one",
        );
    }
    if spec.username != old.username {
        errors.add(
            "spec.username",
            "is immutable, and can neither be added nor removed later",
        );
    }
    for ((path, generation), (_, before)) in generations(spec).into_iter().zip(generations(old)) {
        if generation < before {
            errors.add(path, format!("can only rise, and is {before} already"));
        }
    }
}

fn generations(spec: &VpnUserSpec) -> [(&'static str, i64); 2] {
    [
        ("spec.credentialGeneration", spec.credential_generation),
        ("spec.subscriptionGeneration", spec.subscription_generation),
    ]
}

/// Checks a hold, and with `old` also the change from it. Empty means valid.
#[must_use]
pub fn validate_hold(hold: &VpnHold, old: Option<&VpnHold>) -> Vec<FieldError> {
    hold_errors(hold.metadata.name.as_deref(), &hold.spec, old.map(|old| &old.spec))
}

/// As [`validate_hold`], of an object's parts.
#[must_use]
pub fn hold_errors(name: Option<&str>, spec: &VpnHoldSpec, old: Option<&VpnHoldSpec>) -> Vec<FieldError> {
    let mut errors = Errors::default();
    errors.name(name, &syntax::OBJECT_NAME);
    errors.syntax("spec.source", Some(&spec.source), &syntax::SOURCE);
    errors.length("spec.reason", spec.reason.as_deref(), MAX_REASON_LEN);
    errors.order(("spec.from", spec.from), ("spec.until", spec.until));
    // IDs are compared without regard to case elsewhere; a change of spelling is a change all the same.
    let same = |old: &VpnHoldSpec| old == spec && old.corporate_id.as_str() == spec.corporate_id.as_str();
    if old.is_some_and(|old| !same(old)) {
        errors.add("spec", "is immutable: release the hold and create another one");
    }
    errors.0
}

/// Checks a gateway. `old` is taken for symmetry: nothing about a gateway is immutable. Empty means valid.
#[must_use]
pub fn validate_gateway(gateway: &VpnGateway, _old: Option<&VpnGateway>) -> Vec<FieldError> {
    gateway_errors(gateway.metadata.name.as_deref(), &gateway.spec)
}

/// As [`validate_gateway`], of an object's parts.
#[must_use]
pub fn gateway_errors(name: Option<&str>, spec: &VpnGatewaySpec) -> Vec<FieldError> {
    let mut errors = Errors::default();
    errors.name(name, &syntax::LABEL);
    if spec.hysteria.is_some() == spec.blitz.is_some() {
        errors.add("spec", "exactly one of hysteria and blitz must be given");
    }
    if let Some(hysteria) = &spec.hysteria {
        hysteria_fields(&mut errors, hysteria);
    }
    if let Some(blitz) = &spec.blitz {
        blitz_fields(&mut errors, blitz);
    }
    errors.0
}

fn hysteria_fields(errors: &mut Errors, hysteria: &HysteriaGateway) {
    let nodes = &hysteria.nodes;
    if nodes.is_empty() || nodes.len() > MAX_NODES {
        errors.add("spec.hysteria.nodes", format!("must have 1 to {MAX_NODES} nodes"));
    }
    for (at, node) in nodes.iter().enumerate() {
        node_fields(errors, &format!("spec.hysteria.nodes[{at}]"), node);
    }
    errors.unique("spec.hysteria.nodes", nodes.iter().map(|node| node.name.as_str()));
    let mut urls = HashSet::new();
    if !nodes
        .iter()
        .filter_map(|node| node.stats_url.as_deref())
        .all(|url| urls.insert(url))
    {
        errors.add(
            "spec.hysteria.nodes",
            "two nodes have the same statsUrl: each server has statistics of its own",
        );
    }
}

fn node_fields(errors: &mut Errors, path: &str, node: &HysteriaNode) {
    let at = |field: &str| format!("{path}.{field}");
    errors.syntax(&at("name"), Some(&node.name), &syntax::LABEL);
    errors.syntax(&at("address"), Some(&node.address), &syntax::HOST);
    errors.syntax(&at("ports"), Some(&node.ports), &syntax::PORTS);
    let rises = |entry: &str| match entry.split_once('-') {
        Some((low, high)) => syntax::port(low) < syntax::port(high),
        None => true,
    };
    if syntax::PORTS.accepts(&node.ports) && !node.ports.split(',').all(rises) {
        errors.add(at("ports"), "the first port of a range must be below its last");
    }
    errors.syntax(&at("sni"), node.sni.as_deref(), &syntax::SERVER_NAME);
    if let Some(pin) = node
        .pin_sha256
        .as_deref()
        .filter(|pin| !syntax::PIN_SHA256.accepts(pin))
    {
        let rule = syntax::PIN_SHA256.rule;
        let message = match hex_of_pin(pin) {
            Some(hex) => format!(
                "must be {rule}: write {hex}, if this is the hash of the certificate and not of its public key, as pins of \
                 browsers and curl are"
            ),
            None => format!("must be {rule}"),
        };
        errors.add(at("pinSha256"), message);
    }
    errors.syntax(&at("certificate"), node.certificate.as_deref(), &syntax::CERTIFICATE);
    errors.source(&at("obfs.password"), node.obfs.as_ref().map(|obfs| &obfs.password));
    errors.syntax(&at("statsUrl"), node.stats_url.as_deref(), &syntax::BASE_URL);
    errors.source(&at("statsSecret"), node.stats_secret.as_ref());
    errors.source(&at("authToken"), node.auth_token.as_ref());
}

/// What to write instead of a pin in base64, or of one with a prefix. A hash of a certificate is no secret.
fn hex_of_pin(pin: &str) -> Option<String> {
    let lower = pin.to_ascii_lowercase();
    let prefix = ["sha256//", "sha256/", "sha256:", "sha256-", "sha256="];
    let prefix = prefix
        .iter()
        .find(|prefix| lower.starts_with(**prefix))
        .map_or(0, |prefix| prefix.len());
    let hash = pin.get(prefix..)?;
    if syntax::PIN_SHA256.accepts(hash) {
        return Some(hash.to_ascii_lowercase());
    }
    let plain = hash.trim_end_matches('=').replace('-', "+").replace('_', "/");
    let bytes = STANDARD_NO_PAD.decode(plain).ok().filter(|bytes| bytes.len() == 32)?;
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn blitz_fields(errors: &mut Errors, blitz: &BlitzGateway) {
    errors.syntax("spec.blitz.url", Some(&blitz.url), &syntax::BASE_URL);
    errors.source("spec.blitz.token", Some(&blitz.token));
    errors.syntax("spec.blitz.caBundle", blitz.ca_bundle.as_deref(), &syntax::CA_BUNDLE);
    errors.syntax("spec.blitz.statsUrl", blitz.stats_url.as_deref(), &syntax::BASE_URL);
    errors.source("spec.blitz.statsSecret", blitz.stats_secret.as_ref());
    if let Some(guard) = &blitz.auth_guard {
        errors.source("spec.blitz.authGuard.token", Some(&guard.token));
        let upstream = Some(guard.upstream.as_str());
        errors.syntax("spec.blitz.authGuard.upstream", upstream, &syntax::BASE_URL);
    }
}

#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(FieldError {
            path: path.into(),
            message: message.into(),
        });
    }

    fn name(&mut self, name: Option<&str>, syntax: &Syntax) {
        match name {
            Some(name) => self.syntax("metadata.name", Some(name), syntax),
            None => self.add("metadata.name", "is missing"),
        }
    }

    fn syntax(&mut self, path: &str, value: Option<&str>, syntax: &Syntax) {
        if value.is_some_and(|value| !syntax.accepts(value)) {
            self.add(path, format!("must be {}", syntax.rule));
        }
    }

    fn length(&mut self, path: &str, value: Option<&str>, most: usize) {
        if value.is_some_and(|value| !syntax::fits(value, most)) {
            self.add(path, format!("must have at most {most} characters"));
        }
    }

    fn order(&mut self, begin: (&str, Option<Timestamp>), end: (&str, Option<Timestamp>)) {
        if let (Some(from), Some(until)) = (begin.1, end.1)
            && until <= from
        {
            let begin = begin.0.trim_start_matches("spec.");
            self.add(end.0, format!("must be after {begin}"));
        }
    }

    fn unique<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (at, name) in names.enumerate() {
            if !seen.insert(name) {
                self.add(format!("{path}[{at}]"), "is named twice in this list");
            }
        }
    }

    fn source(&mut self, path: &str, source: Option<&SecretSource>) {
        let Some(source) = source else { return };
        let given = [
            source.secret_key_ref.is_some(),
            source.env.is_some(),
            source.file.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            self.add(path, "exactly one of secretKeyRef, env and file must be given");
        }
        if let Some(key) = &source.secret_key_ref {
            self.syntax(
                &format!("{path}.secretKeyRef.name"),
                Some(&key.name),
                &syntax::OBJECT_NAME,
            );
            self.syntax(&format!("{path}.secretKeyRef.key"), Some(&key.key), &syntax::SECRET_KEY);
        }
        self.syntax(&format!("{path}.env"), source.env.as_deref(), &syntax::ENV_NAME);
        if source
            .file
            .as_deref()
            .is_some_and(|file| file.is_empty() || !syntax::fits(file, MAX_PATH_LEN))
        {
            self.add(
                format!("{path}.file"),
                format!("must be a path of 1 to {MAX_PATH_LEN} characters"),
            );
        }
    }
}
