//! Profiles without servers, for clients that would otherwise keep the old ones for ever.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use serde_yaml::{Mapping, Value};

use super::{Form, quoted::quoted, yaml};

/// A profile in which there is nothing but the reason. What is sent through it goes nowhere.
#[must_use]
pub fn empty(form: Form, reason: &str) -> String {
    match form {
        Form::Uri => note(reason),
        Form::Base64 => STANDARD.encode(note(reason)),
        Form::Hysteria => format!("# {}\n", quoted(reason)),
        Form::SingBox => {
            let profile = json!({
                "log": { "level": "warn" },
                "outbounds": [{ "type": "direct", "tag": reason }],
                "route": { "rules": [{ "action": "reject" }], "final": reason },
            });
            format!("{profile:#}\n")
        }
        Form::Mihomo => {
            let text = |entries: &[(&str, Value)]| {
                let entries = entries.iter().map(|(key, value)| (Value::from(*key), value.clone()));
                Value::from(entries.collect::<Mapping>())
            };
            let list = |value: Value| Value::from(vec![value]);
            let group = text(&[
                ("name", reason.into()),
                ("type", "select".into()),
                ("proxies", list("REJECT".into())),
            ]);
            yaml::document(&text(&[
                ("mode", "rule".into()),
                ("proxies", Value::Sequence(Vec::new())),
                ("proxy-groups", list(group)),
                ("rules", list("MATCH,REJECT".into())),
            ]))
        }
    }
}

/// Lines that clients take for no link, and some read.
fn note(reason: &str) -> String {
    let reason = STANDARD.encode(reason);
    format!("#profile-title: base64:{reason}\n#announce: base64:{reason}\n")
}
