//! Label and field selectors.

use serde_json::Value;

use super::{refusal::Refusal, resource::Resource};

/// One requirement.
enum Term {
    Equals(String, String),
    Differs(String, String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Which objects a list or a watch is about.
#[derive(Default)]
pub struct Selector {
    labels: Vec<Term>,
    fields: Vec<Term>,
}

impl Selector {
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let fields = terms(fields)?;
        for term in &fields {
            let (Term::Equals(name, _) | Term::Differs(name, _)) = term else {
                return Err(Refusal::bad_request(
                    "unable to parse requirement of the field selector",
                ));
            };
            let known = ["metadata.name", "metadata.namespace"].contains(&name.as_str());
            if !known && !resource.selectable.contains(name) {
                return Err(Refusal::bad_request(format!("field label not supported: {name}")));
            }
        }
        Ok(Self {
            labels: terms(labels)?,
            fields,
        })
    }

    pub fn accepts(&self, object: &Value) -> bool {
        let label = |name: &str| object["metadata"]["labels"][name].as_str().map(str::to_owned);
        let field = |path: &str| {
            let found = path.split('.').fold(object, |value, name| &value[name]);
            Some(match found {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        self.labels.iter().all(|term| holds(term, label)) && self.fields.iter().all(|term| holds(term, field))
    }
}

fn holds(term: &Term, value: impl Fn(&str) -> Option<String>) -> bool {
    match term {
        Term::Equals(name, wanted) => value(name).as_ref() == Some(wanted),
        Term::Differs(name, unwanted) => value(name).as_ref() != Some(unwanted),
        Term::In(name, wanted) => value(name).is_some_and(|found| wanted.contains(&found)),
        Term::NotIn(name, unwanted) => value(name).is_none_or(|found| !unwanted.contains(&found)),
        Term::Exists(name) => value(name).is_some(),
        Term::Absent(name) => value(name).is_none(),
    }
}

fn terms(text: &str) -> Result<Vec<Term>, Refusal> {
    let mut depth = 0;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .map(term)
    .collect()
}

fn term(text: &str) -> Result<Term, Refusal> {
    let own = |text: &str| text.trim().to_owned();
    if let Some((head, list)) = text.split_once('(') {
        let values = list.trim_end_matches(')').split(',').map(own).collect();
        return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, "in"] => Ok(Term::In(own(name), values)),
            [name, "notin"] => Ok(Term::NotIn(own(name), values)),
            _ => Err(Refusal::bad_request(format!("unable to parse requirement: {text}"))),
        };
    }
    Ok(if let Some((name, value)) = text.split_once("!=") {
        Term::Differs(own(name), own(value))
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Term::Equals(own(name), own(value))
    } else if let Some(name) = text.strip_prefix('!') {
        Term::Absent(own(name))
    } else {
        Term::Exists(own(text))
    })
}
