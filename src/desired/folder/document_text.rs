//! Documents that the operator writes. Pure.

use serde::Serialize;
use serde_yaml::{Mapping, Value};

use super::{
    document::{Reading, read},
    object::{Notes, Spec},
    problem::Fault,
};
use crate::{
    desired::{DesiredError, Result},
    model::{API_VERSION, user::VpnUserSpec},
};

/// A small document for people to read, checked by the rules that hold for theirs, under a line that says where it comes from.
///
/// # Errors
/// What breaks a rule.
pub(super) fn document_text(headline: &str, name: &str, spec: &Spec, notes: &Notes) -> Result<String> {
    let mut text = format!("# {headline}\n");
    let kind = spec.kind();
    let invalid = |error: serde_yaml::Error| DesiredError::Invalid(error.to_string());
    let spec = match spec {
        Spec::User(spec) => {
            let plain = format!("{{corporateId: {}}}", quoted(spec.corporate_id.as_str()));
            let plain: VpnUserSpec = serde_yaml::from_str(&plain).map_err(invalid)?;
            without_defaults(&**spec, &plain)
        }
        Spec::Hold(spec) => serde_yaml::to_value(spec),
        Spec::Gateway(spec) => serde_yaml::to_value(spec),
    }
    .map_err(invalid)?;
    let mut document = Mapping::new();
    document.insert("apiVersion".into(), API_VERSION.into());
    document.insert("kind".into(), kind.as_str().into());
    document.insert(
        "metadata".into(),
        Mapping::from_iter([("name".into(), name.into())]).into(),
    );
    text.push_str(&serde_yaml::to_string(&document).map_err(invalid)?);
    if !notes.annotations.is_empty() {
        text.push_str("  annotations:\n");
    }
    for (key, value) in &notes.annotations {
        // In quotes whatever it is: without them some texts are flags or numbers to one reader and not to another.
        let value = serde_json::Value::from(value.as_str()).to_string();
        text.extend(["    ", key, ": ", &value, "\n"]);
    }
    // Plain where it can be, and in quotes where a text would be read as a flag or a number: `reason: no`.
    let quoted = serde_json::to_string(&spec).map_err(|error| DesiredError::Invalid(error.to_string()))?;
    let plain = serde_yaml::to_string(&Mapping::from_iter([("spec".into(), spec)])).map_err(invalid)?;
    let plain = checked(format!("{text}{plain}"));
    plain.or_else(|error| checked(format!("{text}spec: {quoted}\n")).map_err(|_| error))
}

/// The text of a document that the operator is about to write, if the rules for everybody's documents accept it.
fn checked(text: String) -> Result<String> {
    match read(&text) {
        Reading::Object(_) => Ok(text),
        Reading::Bad(bad) => {
            let reason = |fault: Fault| match fault.field {
                Some(field) => format!("{field}: {}", fault.message),
                None => fault.message,
            };
            let reasons: Vec<String> = bad.faults.into_iter().map(reason).collect();
            Err(DesiredError::Invalid(reasons.join("; ")))
        }
        Reading::Ignored | Reading::Items(_) => Err(DesiredError::Invalid("nothing to create".to_owned())),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The fields in which a spec differs from one that declares nothing but its ID.
fn without_defaults<S: Serialize>(spec: &S, plain: &S) -> Result<Value, serde_yaml::Error> {
    let (spec, plain) = (serde_yaml::to_value(spec)?, serde_yaml::to_value(plain)?);
    let Value::Mapping(spec) = spec else { return Ok(spec) };
    let differs = |key: &Value, value: &Value| key.as_str() == Some("corporateId") || plain.get(key) != Some(value);
    Ok(spec
        .into_iter()
        .filter(|(key, value)| differs(key, value))
        .collect::<Mapping>()
        .into())
}
