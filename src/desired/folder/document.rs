//! One document: text in, object or faults out. Pure.
//!
//! A document goes the way that it would go to an API server: YAML to JSON as `kubectl` does it, the shape by the schema of
//! the generated definitions, then the rules. Every mistake is found, and has its place.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    access_edit::SeenAccess,
    object::{Digest, Kind, Notes, Spec},
    odd_characters::{control_character, odd_spaces},
    problem::Fault,
    rules::rules,
    spanned_document::SpannedDocument,
    split::{is_blank, without_mark},
    yaml_value::meaning,
};
use crate::model::{
    API_VERSION, GROUP,
    advice::{annotation_advice, gateway_advice},
    corporate_id::CorporateId,
    shape::{shape_errors, take_out_nulls},
    validate::FieldError,
};

/// Largest document in bytes.
pub(super) const MAX_DOCUMENT: usize = 1 << 20;
/// Largest list in bytes.
const MAX_LIST: usize = 16 << 20;

/// Namespace of a document that names none.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// What a document is.
#[derive(Debug)]
pub(super) enum Reading {
    /// Empty, or of a foreign API group.
    Ignored,
    /// A good object.
    Object(Box<Declared>),
    /// A document with faults.
    Bad(Bad),
    /// The items of a list, each as if it were a document.
    Items(Vec<Item>),
}

/// One item of a list.
#[derive(Debug)]
pub(super) struct Item {
    /// Line of the document on which it begins, from 1.
    pub line: u32,
    /// Digest of what it says.
    pub digest: Digest,
    /// Never a list again.
    pub reading: Reading,
}

/// A good document.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub kind: Kind,
    pub name: String,
    pub namespace: String,
    pub spec: Spec,
    pub notes: Notes,
    /// Which item of a list it is.
    pub item: Option<usize>,
}

/// A document with faults.
#[derive(Debug)]
pub(super) struct Bad {
    /// Kind, as far as it can be read.
    pub kind: Option<Kind>,
    /// Kind and name, as far as they can be read.
    pub identity: Option<(Kind, String)>,
    /// The identity is beyond doubt: this document cannot be another recorded one with a slip in its name.
    pub certain: bool,
    /// It says that it is of our group. What does not is a problem only in a file that holds something of ours.
    pub ours: bool,
    /// What it says about access.
    pub access: Option<SeenAccess>,
    pub faults: Vec<Fault>,
}

impl Bad {
    /// A text that is no document.
    pub fn unreadable(fault: Fault, ours: bool) -> Self {
        Self {
            kind: None,
            identity: None,
            certain: false,
            ours,
            access: None,
            faults: vec![fault],
        }
    }
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
    if text.lines().all(is_blank) {
        return Reading::Ignored;
    }
    if let Some(fault) = too_large(text) {
        return Reading::Bad(Bad::unreadable(fault, names_us(text)));
    }
    let spanned = SpannedDocument::read(text);
    let (value, mut faults) = spanned.root.as_ref().map(meaning).unwrap_or_default();
    let (api, kind) = (value["apiVersion"].as_str(), value["kind"].as_str());
    if let (Some(api), Some(kind)) = (api, kind)
        && is_foreign(api, kind, &value)
    {
        return Reading::Ignored;
    }
    let stop = control_character(text).or_else(|| syntax_fault(text, &spanned));
    if stop.is_none() && kind.is_some_and(is_list) && value["items"].is_array() {
        return items(value, &spanned, faults);
    }
    let ours = names_us(text) || kind.and_then(Kind::parse).is_some() || has_our_form(&value);
    let broken = stop.is_some();
    faults.extend(stop);
    match object(value, &spanned, faults, None, broken.then_some(text)) {
        Reading::Bad(mut bad) => {
            bad.ours = ours;
            let places: Vec<u32> = bad.faults.iter().map(|fault| fault.line).collect();
            let odd = odd_spaces(text);
            // Where nothing is wrong on a line, its spaces are not what is wrong either, unless nothing else can be named.
            let near = |fault: &Fault| broken || places.iter().any(|line| line.abs_diff(fault.line) <= 1 || *line == 1);
            bad.faults.splice(0..0, odd.into_iter().filter(near));
            Reading::Bad(bad)
        }
        other => other,
    }
}

/// Faults of a good document against the version in force, and what of them concerns access.
pub(super) fn faults_against(declared: &Declared, old: Option<&Spec>, text: &str) -> (Vec<Fault>, Vec<Fault>) {
    let broken = rules(&declared.name, &declared.spec, old);
    if broken.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let spanned = SpannedDocument::read(without_mark(text));
    let prefix = prefix(declared.item);
    let faults = place_all(broken, &spanned, &prefix);
    let spec = declared.spec.to_value().unwrap_or_default();
    let access = SeenAccess::new(&spec, &spanned, &prefix, None);
    (faults, access.refused(declared.kind, &declared.name, old))
}

/// What a good document most likely does not mean.
pub(super) fn advice(declared: &Declared, text: &str) -> Vec<Fault> {
    let mut found = annotation_advice(&declared.notes.annotations);
    if let Spec::Gateway(spec) = &declared.spec {
        found.extend(gateway_advice(spec));
    }
    if found.is_empty() {
        return Vec::new();
    }
    place_all(
        found,
        &SpannedDocument::read(without_mark(text)),
        &prefix(declared.item),
    )
}

fn prefix(item: Option<usize>) -> String {
    item.map_or_else(String::new, |at| format!("items[{at}]."))
}

fn place_all(errors: Vec<FieldError>, spanned: &SpannedDocument, prefix: &str) -> Vec<Fault> {
    let placed = |error: FieldError| {
        let path = format!("{prefix}{}", error.path);
        fault(spanned.place(&path).unwrap_or((1, 1)), &path, error.message)
    };
    errors.into_iter().map(placed).collect()
}

fn fault((line, column): (u32, u32), field: &str, message: impl Into<String>) -> Fault {
    Fault {
        line,
        column,
        field: (!field.is_empty()).then(|| field.to_owned()),
        message: message.into(),
    }
}

fn too_large(text: &str) -> Option<Fault> {
    let list = || {
        let is_kind = |row: &str| matches!(row.trim().trim_end_matches(','), "kind: List" | "\"kind\": \"List\"");
        text.lines().any(is_kind)
    };
    let most = match text.len() {
        0..=MAX_DOCUMENT => return None,
        _ if list() => MAX_LIST,
        _ => MAX_DOCUMENT,
    };
    let message = format!(
        "the document has {} bytes: at most {most} are read. Write --- between objects",
        text.len()
    );
    (text.len() > most).then(|| fault((1, 1), "", message))
}

/// Whether a text says that it is of our group.
fn names_us(text: &str) -> bool {
    text.contains(GROUP)
        && text
            .lines()
            .any(|row| row.contains("apiVersion") && row.contains(GROUP))
}

/// Whether a value without a kind looks like an object of a cluster all the same.
fn has_our_form(value: &Value) -> bool {
    value["apiVersion"].is_null()
        && value["kind"].is_null()
        && value["metadata"].is_object()
        && value["spec"].is_object()
}

fn is_list(kind: &str) -> bool {
    kind.strip_suffix("List")
        .is_some_and(|kind| kind.is_empty() || Kind::parse(kind).is_some())
}

fn is_foreign(api: &str, kind: &str, value: &Value) -> bool {
    let ours = |api: &str| api.starts_with(GROUP) && api[GROUP.len()..].starts_with('/');
    let list = || {
        let items = value["items"].as_array().into_iter().flatten();
        is_list(kind)
            && items
                .into_iter()
                .any(|item| item["apiVersion"].as_str().is_some_and(ours))
    };
    !ours(api) && Kind::parse(kind).is_none() && !list()
}

/// Why the text cannot be read to its end.
fn syntax_fault(text: &str, spanned: &SpannedDocument) -> Option<Fault> {
    if let Some(broken) = &spanned.broken {
        return Some(fault(
            (broken.line, broken.column),
            "",
            format!("cannot be read from here on: {}", broken.message),
        ));
    }
    // A second opinion, from a reader of the same descent as that of `kubectl`: what one of them does not take is not taken.
    let error = serde_yaml::from_str::<IgnoredAny>(text).err()?;
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let place = error
        .location()
        .map_or((1, 1), |place| (narrow(place.line()), narrow(place.column())));
    let mut message = error.to_string();
    if message.contains("more than one document") {
        "another document begins inside this one: write --- on a line of its own, with line ends LF or CRLF, and no byte \
         order mark but at the beginning of the file"
            .clone_into(&mut message);
    } else {
        // Its places count from the document.
        message.truncate(message.find(" at line ").unwrap_or(message.len()));
    }
    Some(fault(place, "", message))
}

/// The items of a list, as `kubectl get -o yaml` prints them.
fn items(mut value: Value, spanned: &SpannedDocument, faults: Vec<Fault>) -> Reading {
    let Value::Array(values) = value["items"].take() else {
        return Reading::Ignored;
    };
    let mut items = Vec::with_capacity(values.len());
    let mut mine: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
    for fault in faults {
        let path = fault.field.as_deref().unwrap_or_default();
        let at = path
            .strip_prefix("items[")
            .and_then(|rest| rest.split(']').next()?.parse().ok());
        mine.entry(at.unwrap_or(0)).or_default().push(fault);
    }
    for (at, value) in values.into_iter().enumerate() {
        let digest = digest(&format!("item {value}"));
        let line = spanned.place(&format!("items[{at}]")).map_or(1, |(line, _)| line);
        let (api, kind) = (value["apiVersion"].as_str(), value["kind"].as_str());
        let foreign = api.zip(kind).is_some_and(|(api, kind)| is_foreign(api, kind, &value));
        let reading = if foreign {
            Reading::Ignored
        } else {
            object(value, spanned, mine.remove(&at).unwrap_or_default(), Some(at), None)
        };
        items.push(Item { line, digest, reading });
    }
    Reading::Items(items)
}

/// The object that a value is. `broken` is the text of a document that could not be read to its end.
fn object(
    value: Value,
    spanned: &SpannedDocument,
    mut faults: Vec<Fault>,
    item: Option<usize>,
    broken: Option<&str>,
) -> Reading {
    let prefix = prefix(item);
    let mut value = value;
    take_out_nulls(&mut value);
    let kind = value["kind"].as_str().and_then(Kind::parse);
    let mut declared = None;
    if broken.is_none() {
        faults.extend(place_all(type_errors(&value), spanned, &prefix));
        if let Some(kind) = kind {
            let shape = shape_errors(kind.model(), &value);
            let wrong: Vec<String> = shape.iter().map(|error| error.path.clone()).collect();
            faults.extend(place_all(shape, spanned, &prefix));
            declared = typed(kind, without(&value, &wrong), item);
            if let Some(declared) = &declared {
                let told = |error: &FieldError| !wrong.iter().any(|path| overlap(path, &error.path));
                let errors = rules(&declared.name, &declared.spec, None)
                    .into_iter()
                    .filter(told)
                    .collect();
                faults.extend(place_all(errors, spanned, &prefix));
            } else if faults.is_empty() {
                faults.push(fault(
                    spanned.place(&prefix).unwrap_or((1, 1)),
                    "spec",
                    "cannot be understood",
                ));
            }
        }
    }
    match declared {
        Some(declared) if faults.is_empty() => Reading::Object(Box::new(declared)),
        _ => {
            let identity = identity(&value);
            let misnamed = faults
                .iter()
                .any(|fault| fault.field.as_deref() == Some(&format!("{prefix}metadata.name")));
            Reading::Bad(Bad {
                kind,
                certain: identity.is_some() && is_certain(&value) && !misnamed,
                identity,
                ours: true,
                access: Some(SeenAccess::new(&value["spec"], spanned, &prefix, broken)),
                faults,
            })
        }
    }
}

/// What is wrong with `apiVersion` and `kind`.
fn type_errors(value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut add = |path: &str, message: String| {
        errors.push(FieldError {
            path: path.to_owned(),
            message,
        });
    };
    let missing = || format!("is missing: every document needs apiVersion and kind, like {API_VERSION} and VpnUser");
    match &value["apiVersion"] {
        Value::String(api) if api == API_VERSION => {}
        Value::String(api) => add("apiVersion", format!("is '{}', expected {API_VERSION}", shorten(api))),
        _ => add("apiVersion", missing()),
    }
    match &value["kind"] {
        Value::String(kind) if Kind::parse(kind).is_some() => {}
        Value::String(kind) if is_list(kind) => add("kind", "a list needs items, each an object".to_owned()),
        Value::String(kind) => {
            add(
                "kind",
                format!("is '{}', expected VpnUser, VpnHold or VpnGateway", shorten(kind)),
            );
        }
        _ => add("kind", missing()),
    }
    errors
}

/// A value without the fields at these paths, so that what else is wrong can be found.
fn without(value: &Value, paths: &[String]) -> Value {
    fn cut(value: &mut Value, path: &str, wrong: &[String]) {
        let is_wrong = |path: &str| wrong.iter().any(|wrong| wrong == path);
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !is_wrong(&format!("{path}.{name}")));
                for (name, value) in fields {
                    cut(value, &format!("{path}.{name}"), wrong);
                }
            }
            Value::Array(items) => {
                let mut at = 0;
                items.retain(|_| {
                    at += 1;
                    !is_wrong(&format!("{path}[{}]", at - 1))
                });
            }
            _ => {}
        }
    }
    let mut value = value.clone();
    if !paths.is_empty() {
        if paths.iter().any(|path| path == "metadata.name") {
            value["metadata"]["name"] = Value::String(String::new());
        }
        for part in ["metadata", "spec"] {
            cut(&mut value[part], part, paths);
        }
    }
    value
}

/// Whether one of two paths is the other, or holds it.
fn overlap(one: &str, other: &str) -> bool {
    let holds = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // The name follows from the ID.
    holds(one, other) || holds(other, one) || (one == "spec.corporateId" && other == "metadata.name")
}

fn typed(kind: Kind, mut value: Value, item: Option<usize>) -> Option<Declared> {
    let spec = value["spec"].take();
    let texts = |value: &mut Value| match value.take() {
        Value::Object(texts) => texts
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
            .collect(),
        _ => BTreeMap::new(),
    };
    let metadata = &mut value["metadata"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Declared {
        kind,
        name: text(&metadata["name"]).unwrap_or_default(),
        namespace: text(&metadata["namespace"]).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        notes: Notes {
            labels: texts(&mut metadata["labels"]),
            annotations: texts(&mut metadata["annotations"]),
        },
        spec: match kind {
            Kind::User => Spec::User(parsed(spec)?),
            Kind::Hold => Spec::Hold(parsed(spec)?),
            Kind::Gateway => Spec::Gateway(parsed(spec)?),
        },
        item,
    })
}

fn parsed<S: DeserializeOwned>(spec: Value) -> Option<Box<S>> {
    serde_json::from_value(spec).ok().map(Box::new)
}

fn identity(value: &Value) -> Option<(Kind, String)> {
    let kind = Kind::parse(value["kind"].as_str()?)?;
    let name = value["metadata"]["name"].as_str()?;
    (!name.is_empty()).then(|| (kind, name.to_owned()))
}

/// A user's name and ID agree: a slip in one of them would show.
fn is_certain(value: &Value) -> bool {
    let Some((kind, name)) = identity(value) else {
        return false;
    };
    let id = || CorporateId::parse(value["spec"]["corporateId"].as_str()?).ok();
    kind != Kind::User || id().is_some_and(|id| id.object_name() == name)
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
#[path = "meaning_tests.rs"]
mod meaning_tests;
#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
