//! What could not be read of the record, and what must not be lost of an object all the same. Pure.

use serde_json::{Value, json};

use super::{
    document::{DEFAULT_NAMESPACE, Declared},
    object::{Digest, Kind, Notes, Spec},
};
use crate::model::{
    corporate_id::CorporateId,
    hold::{VpnHoldSpec, id_in_name},
    syntax,
};

/// Digest of an object whose document could not be read: every document of it is news.
pub(super) const UNREAD: Digest = [0; 16];
/// Source of a hold of which nothing says who holds: nobody's feed.
const UNKNOWN_SOURCE: &str = "unreadable";
/// Names that are told.
const TOLD: usize = 5;

/// What of the record could not be read so far.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Rows that say not even whose they are.
    rows: usize,
    pub mended: Names,
    /// Of which nothing else says what they are.
    pub lost: Names,
}

#[derive(Debug, Default)]
pub(super) struct Names {
    count: usize,
    first: Vec<String>,
}

impl Names {
    pub fn add(&mut self, kind: Kind, name: &str) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(format!("{kind} {name}"));
        }
    }

    fn told(&self) -> String {
        let more = self.count - self.first.len();
        let first = self.first.join(", ");
        if more > 0 {
            format!("{first} and {more} more")
        } else {
            first
        }
    }
}

impl Damage {
    /// A row was left out.
    pub fn row(&mut self) {
        self.rows += 1;
    }

    /// What is said about it, if anything.
    pub fn line(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.rows > 0 {
            parts.push(format!("{} rows cannot be told and are left out", self.rows));
        }
        if self.mended.count > 0 {
            parts.push(format!("of {} a part was left out", self.mended.told()));
        }
        let mut line = (!parts.is_empty()).then(|| {
            format!(
                "desired.db: not all of it can be read: {}; documents were read again from their files, statuses are \
                 reported anew",
                parts.join(", ")
            )
        });
        if self.lost.count > 0 {
            let lost = format!(
                "desired.db: what was in force of {} cannot be read, and no good document says it: it is not in force until \
                 its document can be read",
                self.lost.told()
            );
            line = Some(line.map_or_else(|| lost.clone(), |line| format!("{line}; {lost}")));
        }
        line
    }
}

/// Whom the name of one of the operator's own files keeps out: a hold that somebody ordered does not end by a damaged file.
pub(super) fn hold_of_own_file(path: &str) -> Option<Declared> {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    // The operator takes the next free name when one is taken.
    let numbered = stem
        .rsplit_once('-')
        .filter(|(_, number)| number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit()));
    let name = numbered
        .map(|(name, _)| name)
        .filter(|name| id_in_name(name).is_some())
        .unwrap_or(stem);
    let spec = hold_spec(name, &Value::Null, true)?;
    Some(Declared {
        kind: Kind::Hold,
        name: name.to_owned(),
        namespace: DEFAULT_NAMESPACE.to_owned(),
        spec: Spec::Hold(Box::new(spec)),
        notes: Notes::default(),
        item: None,
    })
}

/// What must not be lost of an object whose spec cannot be read, as JSON.
pub(super) fn salvage(kind: Kind, name: &str, spec: &str, deleted: bool, own: bool) -> Option<String> {
    let raw: Value = serde_json::from_str(spec).unwrap_or_default();
    let spec = match kind {
        Kind::Hold => Some(Spec::Hold(Box::new(hold_spec(name, &raw, own)?))),
        Kind::User if deleted => {
            let id = id(&raw).or_else(|| CorporateId::of_object_name(name))?;
            let mut bare = json!({ "corporateId": id, "active": false });
            // Both are needed to prove that access ended.
            for field in ["username", "gateways"] {
                if let Some(value) = raw.get(field) {
                    bare[field] = value.clone();
                }
            }
            let bare = bare.to_string();
            Spec::from_json(kind, &bare)
                .or_else(|_| Spec::from_json(kind, &json!({ "corporateId": id, "active": false }).to_string()))
                .ok()
        }
        Kind::Gateway if deleted => Spec::from_json(kind, "{}").ok(),
        Kind::User | Kind::Gateway => None,
    };
    spec?.to_json().ok()
}

/// A hold that denies without an end: whoever wrote it meant to keep somebody out. Whoever may lift it is told by the names
/// of the operator's own holds, which begin with their source.
fn hold_spec(name: &str, raw: &Value, own: bool) -> Option<VpnHoldSpec> {
    let named = name.split_once('-').map(|(source, _)| source).filter(|_| own);
    let source = raw["source"].as_str().or(named);
    Some(VpnHoldSpec {
        corporate_id: id(raw).or_else(|| id_in_name(name))?,
        source: source
            .filter(|it| syntax::SOURCE.accepts(it))
            .unwrap_or(UNKNOWN_SOURCE)
            .to_owned(),
        reason: None,
        from: None,
        until: None,
    })
}

fn id(raw: &Value) -> Option<CorporateId> {
    serde_json::from_value(raw["corporateId"].clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_and_id(declared: &Declared) -> (&str, &str) {
        let Spec::Hold(hold) = &declared.spec else { panic!() };
        (hold.source.as_str(), hold.corporate_id.key())
    }

    #[test]
    fn the_name_of_an_own_file_tells_whom_its_hold_keeps_out() {
        let hold = hold_of_own_file;
        let plain = hold("hr-deactivated-ab000001.yaml").unwrap();
        assert_eq!(plain.name, "hr-deactivated-ab000001");
        assert_eq!(source_and_id(&plain), ("hr", "ab000001"));
        let second = hold("api-deactivated-ab000001-2.yaml").unwrap();
        assert_eq!(second.name, "api-deactivated-ab000001");
        assert_eq!(source_and_id(&second), ("api", "ab000001"));
        assert_eq!(source_and_id(&hold("api-lost-12.yaml").unwrap()), ("api", "12"));
        assert!(hold("notes.yaml").is_none());
    }

    #[test]
    fn of_a_spec_that_cannot_be_read_a_hold_and_an_end_are_understood() {
        let read = |kind, name, spec, deleted| salvage(kind, name, spec, deleted, false);
        let hold = read(Kind::Hold, "hr-x-ab000001", "{broken", false).unwrap();
        assert!(hold.contains("AB000001") || hold.contains("ab000001"), "{hold}");
        assert!(hold.contains(UNKNOWN_SOURCE), "{hold}");
        let hold = read(
            Kind::Hold,
            "x",
            r#"{"corporateId":"CD1","source":"hr","until":7}"#,
            false,
        )
        .unwrap();
        assert!(
            hold.contains("CD1") && hold.contains("\"hr\"") && !hold.contains('7'),
            "{hold}"
        );
        assert!(read(Kind::Hold, "laptop", "", false).is_none());
        assert!(read(Kind::User, "ab000001", "", false).is_none());
        let user = read(Kind::User, "ab000001", r#"{"gateways":["ams"],"role":7}"#, true).unwrap();
        assert!(user.contains("ams") && user.contains("false"), "{user}");
        let user = read(Kind::User, "ab000001", r#"{"gateways":7}"#, true).unwrap();
        assert!(!user.contains("gateways"), "{user}");
        assert!(read(Kind::Gateway, "ams", "", true).is_some() && read(Kind::Gateway, "ams", "", false).is_none());
    }
}
