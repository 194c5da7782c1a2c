//! One document: text in, object or faults out. Pure.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de, de::DeserializeOwned, de::IgnoredAny};
use sha2::{Digest as _, Sha256};

use super::{
    object::{Digest, Kind, Notes, Spec},
    problem::Fault,
    rules::rules,
    spanned_document::{MAX_DEPTH, Node, SpannedDocument},
    split::{is_blank, without_mark},
};
use crate::model::{API_VERSION, GROUP, corporate_id::CorporateId};

/// Largest document in bytes.
pub(super) const MAX_DOCUMENT: usize = 1 << 20;

/// Opening brackets above which a document is looked at before it is parsed: the parser's time grows with the square of
/// how many are open, and a text that keeps it busy for minutes would keep every other file waiting.
const MANY_BRACKETS: usize = 500;

/// Namespace of a document that names none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// What a document is.
#[derive(Debug)]
pub(super) enum Reading {
    /// Empty, or of a foreign API group.
    Ignored,
    /// A good object.
    Object(Box<Declared>),
    /// A document of ours with faults.
    Bad(Bad),
}

/// A good document.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub kind: Kind,
    pub name: String,
    pub namespace: String,
    pub spec: Spec,
    pub notes: Notes,
}

/// A document with faults.
#[derive(Debug)]
pub(super) struct Bad {
    /// Kind and name, as far as they can be read.
    pub identity: Option<(Kind, String)>,
    /// The identity is beyond doubt: this document cannot be another recorded one with a slip in its name.
    pub certain: bool,
    pub faults: Vec<Fault>,
}

/// Digest of a document's text.
pub(super) fn digest(text: &str) -> Digest {
    let full = Sha256::digest(text.as_bytes());
    let mut short = Digest::default();
    for (to, from) in short.iter_mut().zip(full.iter()) {
        *to = *from;
    }
    short
}

/// Reads one document.
pub(super) fn read(text: &str) -> Reading {
    let text = without_mark(text);
    if text.len() > MAX_DOCUMENT {
        let message = format!("the document has {} bytes: at most {MAX_DOCUMENT} are read", text.len());
        return bad(None, false, vec![fault((1, 1), None, message)]);
    }
    if text.lines().all(is_blank) {
        return Reading::Ignored;
    }
    if let Some(knot) = knot(text) {
        return knot;
    }
    match kind_hint(text).map(|kind| typed(kind, text)) {
        Some(Ok(declared)) if !text.contains("<<") => checked(declared, text),
        Some(Ok(declared)) => merge_faults(text).unwrap_or_else(|| checked(declared, text)),
        _ => read_slowly(text),
    }
}

/// Faults of a good document against the version in force.
pub(super) fn faults_against(declared: &Declared, old: Option<&Spec>, text: &str) -> Vec<Fault> {
    let broken = rules(&declared.name, &declared.spec, old);
    if broken.is_empty() {
        return Vec::new();
    }
    let spanned = SpannedDocument::read(text);
    broken
        .into_iter()
        .map(|error| {
            fault(
                spanned.place(&error.path).unwrap_or((1, 1)),
                Some(error.path),
                error.message,
            )
        })
        .collect()
}

fn checked(declared: Declared, text: &str) -> Reading {
    let faults = faults_against(&declared, None, text);
    if faults.is_empty() {
        return Reading::Object(Box::new(declared));
    }
    let certain = !faults
        .iter()
        .any(|fault| fault.field.as_deref() == Some("metadata.name"));
    bad(Some((declared.kind, declared.name)), certain, faults)
}

fn bad(identity: Option<(Kind, String)>, certain: bool, faults: Vec<Fault>) -> Reading {
    Reading::Bad(Bad {
        identity,
        certain,
        faults,
    })
}

fn fault((line, column): (u32, u32), field: Option<String>, message: String) -> Fault {
    Fault {
        line,
        column,
        field,
        message,
    }
}

/// The faults of a document that is nested too deeply to be parsed in reasonable time.
fn knot(text: &str) -> Option<Reading> {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if brackets <= MANY_BRACKETS {
        return None;
    }
    let spanned = SpannedDocument::read(text);
    if spanned.complete {
        return None;
    }
    let message = format!(
        "the document is not read: its {brackets} opening brackets are nested more than {MAX_DEPTH} levels deep, or one is \
         left open"
    );
    let certain = identity(&spanned).is_some() && is_certain(&spanned);
    Some(bad(identity(&spanned), certain, vec![fault((1, 1), None, message)]))
}

/// The kind, when it stands at the first column as it nearly always does.
fn kind_hint(text: &str) -> Option<Kind> {
    let value = text.lines().find_map(|row| row.strip_prefix("kind:"))?;
    Kind::parse(value.split(" #").next()?.trim().trim_matches(['"', '\'']))
}

/// A document that did not parse at once: JSON and flow style, foreign groups, faults.
fn read_slowly(text: &str) -> Reading {
    let spanned = SpannedDocument::read(text);
    let root = spanned.root.as_ref();
    let text_of = |key: &str| root.and_then(|root| root.get(key)).and_then(Node::as_str);
    let (group, kind) = (text_of("apiVersion"), text_of("kind"));
    if let (Some(group), Some(kind)) = (group, kind)
        && !group.starts_with(&format!("{GROUP}/"))
        && Kind::parse(kind).is_none()
        && !(kind.ends_with("List") && text.contains(GROUP))
    {
        return Reading::Ignored;
    }
    let identity = identity(&spanned);
    let certain = identity.is_some() && is_certain(&spanned);
    let identity = || identity.clone();
    let at = |field: &str| spanned.place(field).unwrap_or((1, 1));
    let merged = root.map(Node::merge_keys).unwrap_or_default();
    if !merged.is_empty() {
        let faults = merged.into_iter().map(merge_fault).collect();
        return bad(identity(), certain, faults);
    }
    if spanned.complete {
        let missing = |field: &str| {
            let message =
                format!("is missing: every document needs apiVersion and kind, like {API_VERSION} and VpnUser");
            bad(
                identity(),
                certain,
                vec![fault((1, 1), Some(field.to_owned()), message)],
            )
        };
        let Some(group) = group else {
            return missing("apiVersion");
        };
        let Some(kind) = kind else { return missing("kind") };
        if kind.ends_with("List") {
            let message = "lists are not supported: write each object as a document of its own, separated by ---";
            return bad(
                None,
                false,
                vec![fault(at("kind"), Some("kind".into()), message.into())],
            );
        }
        if group != API_VERSION {
            let message = format!("is '{}', expected {API_VERSION}", shorten(group));
            return bad(
                identity(),
                certain,
                vec![fault(at("apiVersion"), Some("apiVersion".into()), message)],
            );
        }
        if Kind::parse(kind).is_none() {
            let message = format!("is '{}', expected VpnUser, VpnHold or VpnGateway", shorten(kind));
            return bad(None, false, vec![fault(at("kind"), Some("kind".into()), message)]);
        }
    }
    // The fault, or (in JSON and flow style) the object, comes from the typed reading.
    match typed(kind.and_then(Kind::parse).unwrap_or(Kind::User), text) {
        Ok(declared) => checked(declared, text),
        Err(error) => {
            // What makes the whole text unreadable is to be named before what is only wrong in the part that was read.
            let syntax = || serde_yaml::from_str::<IgnoredAny>(text).err();
            let error = if spanned.complete {
                error
            } else {
                syntax().unwrap_or(error)
            };
            bad(identity(), certain, vec![explain(&error, &spanned)])
        }
    }
}

fn merge_faults(text: &str) -> Option<Reading> {
    let spanned = SpannedDocument::read(text);
    let merged = spanned.root.as_ref().map(Node::merge_keys).unwrap_or_default();
    (!merged.is_empty()).then(|| {
        let faults = merged.into_iter().map(merge_fault).collect();
        bad(identity(&spanned), is_certain(&spanned), faults)
    })
}

fn merge_fault(place: (u32, u32)) -> Fault {
    let message = "merge keys are not supported: write the fields out".to_owned();
    fault(place, Some("<<".to_owned()), message)
}

fn identity(spanned: &SpannedDocument) -> Option<(Kind, String)> {
    let root = spanned.root.as_ref()?;
    let kind = Kind::parse(root.get("kind")?.as_str()?)?;
    let name = root.get("metadata")?.get("name")?.as_str()?;
    (!name.is_empty()).then(|| (kind, name.to_owned()))
}

/// A user's name and ID agree: a slip in one of them would show.
fn is_certain(spanned: &SpannedDocument) -> bool {
    let Some((kind, name)) = identity(spanned) else {
        return false;
    };
    let id = || {
        let id = spanned.root.as_ref()?.get("spec")?.get("corporateId")?.as_str()?;
        CorporateId::parse(id).ok()
    };
    kind != Kind::User || id().is_some_and(|id| id.object_name() == name)
}

/// Names of fields whose values are or hold secrets: no message repeats them.
const SECRET_FIELDS: [&str; 6] = [
    "credentialsFrom",
    "password",
    "token",
    "statsSecret",
    "authToken",
    "obfs",
];

/// Names of fields that hold a time.
const TIME_FIELDS: [&str; 4] = ["validFrom", "validUntil", "from", "until"];

/// The parser's message without its places (they count from the document), with the field split off.
fn explain(error: &serde_yaml::Error, spanned: &SpannedDocument) -> Fault {
    let mut message = error.to_string();
    while let Some(at) = message.find(" at line ") {
        let tail = message.get(at + 9..).unwrap_or_default();
        let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = rest.strip_prefix(" column ").unwrap_or(rest);
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        message.truncate(at);
        message.push_str(&rest);
    }
    let mut field = None;
    if let Some((path, rest)) = message.split_once(": ")
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "._-[]?".contains(c))
        && path != "invalid"
    {
        field = Some(path.to_owned());
        message = rest.to_string();
    }
    for lead in ["unknown field `", "missing field `", "duplicate field `"] {
        if let Some(name) = message.strip_prefix(lead).and_then(|rest| rest.split('`').next()) {
            field = Some(field.map_or_else(|| name.to_owned(), |path| format!("{path}.{name}")));
        }
    }
    if message.contains("more than one document") {
        "another document begins inside this one: write --- on a line of its own, with line ends LF or CRLF, and no byte \
         order mark but at the beginning of the file"
            .clone_into(&mut message);
    }
    let last = field.as_deref().and_then(|field| field.rsplit('.').next());
    if last.is_some_and(|name| TIME_FIELDS.contains(&name)) && !message.starts_with("duplicate") {
        "is not a time: write date, time and zone, like 2027-01-01T00:00:00Z or 2027-01-01T02:00:00+02:00, of a year \
         up to 9998; leave the field out where nothing begins or ends"
            .clone_into(&mut message);
    }
    let secret = field
        .as_deref()
        .is_some_and(|field| field.split(['.', '[']).any(|part| SECRET_FIELDS.contains(&part)));
    if secret && message.starts_with("invalid") {
        "is malformed (its value is not shown)".clone_into(&mut message);
    }
    let location = error.location().map(|place| {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (narrow(place.line()), narrow(place.column()))
    });
    let repeated = message.starts_with("duplicate");
    let place = match field
        .as_deref()
        .filter(|_| !repeated)
        .and_then(|field| spanned.place(field))
    {
        Some(place) if spanned.complete => place,
        _ => location.unwrap_or((1, 1)),
    };
    fault(place, field, message)
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

fn typed(kind: Kind, text: &str) -> Result<Declared, serde_yaml::Error> {
    match kind {
        Kind::User => envelope(kind, text, Spec::User),
        Kind::Hold => envelope(kind, text, Spec::Hold),
        Kind::Gateway => envelope(kind, text, Spec::Gateway),
    }
}

fn envelope<S: DeserializeOwned>(
    kind: Kind,
    text: &str,
    wrap: fn(Box<S>) -> Spec,
) -> Result<Declared, serde_yaml::Error> {
    let read: Envelope<S> = serde_yaml::from_str(text)?;
    if read.api_version != API_VERSION || read.kind != kind.as_str() {
        return Err(de::Error::custom(format!(
            "expected apiVersion {API_VERSION} and kind {kind}"
        )));
    }
    Ok(Declared {
        kind,
        name: read.metadata.name,
        namespace: read.metadata.namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        spec: wrap(read.spec),
        notes: Notes {
            labels: read.metadata.labels.unwrap_or_default().0,
            annotations: read.metadata.annotations.unwrap_or_default().0,
        },
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Box<S>,
    /// Written by whoever saved the output of `kubectl get`; an API server ignores it too.
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    labels: Option<Texts>,
    #[serde(default)]
    annotations: Option<Texts>,
    // What an API server sets itself, and ignores when a person writes it.
    #[serde(default, rename = "creationTimestamp")]
    _creation_timestamp: IgnoredAny,
    #[serde(default, rename = "finalizers")]
    _finalizers: IgnoredAny,
    #[serde(default, rename = "generation")]
    _generation: IgnoredAny,
    #[serde(default, rename = "managedFields")]
    _managed_fields: IgnoredAny,
    #[serde(default, rename = "resourceVersion")]
    _resource_version: IgnoredAny,
    #[serde(default, rename = "selfLink")]
    _self_link: IgnoredAny,
    #[serde(default, rename = "uid")]
    _uid: IgnoredAny,
}

/// Labels or annotations. A repeated key is an error.
#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Texts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if texts.contains_key(&key) {
                        return Err(de::Error::custom(format!("duplicate entry with key \"{key}\"")));
                    }
                    texts.insert(key, value);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
