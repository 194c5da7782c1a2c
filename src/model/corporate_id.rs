//! Corporate IDs: how they are spelled, compared, and turned into object and account names.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de};

use super::syntax;

/// Longest accepted ID in characters, which are bytes. Its object name is at most twice as long plus a source prefix, well below 253.
pub const MAX_LEN: usize = 40;

/// What [`CorporateId::parse`] accepts, apart from the length, as schemas say it.
pub const PATTERN: &str = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9._])?$";

/// What an ID is, after "must be".
const WANTED: &str = "a corporate ID like AB123456: letters, digits, '.', '_' and '-', beginning with a letter or digit and not ending \
                      with '-'";

/// Longest account name in bytes.
pub const MAX_ACCOUNT_LEN: usize = 96;

/// Why a text is not a corporate ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorporateIdError {
    /// Nothing was given.
    #[error("the corporate ID is empty: give two letters and six digits, like AB123456")]
    Empty,
    /// More than [`MAX_LEN`] characters.
    #[error("the corporate ID has {0} characters: at most {MAX_LEN} are accepted")]
    TooLong(usize),
    /// A character outside `A-Z a-z 0-9 . _ -`, or one of `. _ -` in first or `-` in last place.
    #[error(
        "the corporate ID has a character that is not accepted at position {0}: letters, digits, '.', '_' and '-' are, \
         beginning with a letter or digit and not ending with '-'"
    )]
    BadCharacter(usize),
}

/// A person's corporate ID, as declared.
///
/// IDs are compared without regard to case everywhere ([`Eq`], [`Ord`] and [`std::hash::Hash`] see [`Self::key`]); the
/// declared spelling is kept for people. New IDs are `AA######` ([`Self::is_standard`]); older short tokens are accepted
/// too: `^[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9._])?$`.
#[derive(Clone, Serialize)]
#[serde(into = "String")]
pub struct CorporateId {
    // Shared: an ID is kept in several tables.
    declared: Arc<str>,
    key: Arc<str>,
}

impl CorporateId {
    /// Reads an ID.
    ///
    /// # Errors
    /// Says what is wrong with the spelling.
    pub fn parse(text: &str) -> Result<Self, CorporateIdError> {
        if text.is_empty() {
            return Err(CorporateIdError::Empty);
        }
        let characters = text.chars().count();
        if characters > MAX_LEN {
            return Err(CorporateIdError::TooLong(characters));
        }
        let last = text.len() - 1;
        for (at, byte) in text.bytes().enumerate() {
            let good = match byte {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => true,
                b'.' | b'_' => at > 0,
                b'-' => at > 0 && at < last,
                _ => false,
            };
            if !good {
                return Err(CorporateIdError::BadCharacter(at + 1));
            }
        }
        Ok(Self {
            declared: text.into(),
            key: text.to_ascii_lowercase().into(),
        })
    }

    /// The CEL rules by which an API server accepts the same texts.
    #[must_use]
    pub fn cel() -> serde_json::Value {
        syntax::cel(&format!("self.matches({})", syntax::quoted(PATTERN)), WANTED)
    }

    /// The spelling that was declared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.declared
    }

    /// The lower-cased spelling by which IDs are compared.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether this is an ID of the present style: two capital letters without I and O, then six digits.
    #[must_use]
    pub fn is_standard(&self) -> bool {
        let bytes = self.declared.as_bytes();
        bytes.len() == 8
            && bytes[..2]
                .iter()
                .all(|b| b.is_ascii_uppercase() && *b != b'I' && *b != b'O')
            && bytes[2..].iter().all(u8::is_ascii_digit)
    }

    /// The one name that an object about this ID may have.
    ///
    /// Injective over IDs that differ in more than case, and always a valid Kubernetes object name: letters and digits
    /// stay, `-` becomes `--`, `_` becomes `-u`, `.` becomes `-d` (a prefix-free code, so it can be read back).
    #[must_use]
    pub fn object_name(&self) -> String {
        escape(&self.key, "-", |byte| match byte {
            b'-' => Some('-'),
            b'_' => Some('u'),
            b'.' => Some('d'),
            _ => None,
        })
    }

    /// The ID whose [`Self::object_name`] this is, in lower case.
    #[must_use]
    pub fn of_object_name(name: &str) -> Option<Self> {
        let key = unescape(name, '-', |code| match code {
            '-' => Some('-'),
            'u' => Some('_'),
            'd' => Some('.'),
            _ => None,
        })?;
        Self::parse(&key).ok().filter(|id| id.object_name() == name)
    }

    /// The account on a gateway when `spec.username` names none.
    ///
    /// `corp_` and the lower-cased ID, as existing installations have it. A panel accepts only `[a-z0-9_]`, so an ID with
    /// `-` or `.` (which no existing installation could have created) is escaped under the prefix `corpx_` instead; that
    /// keeps the mapping injective.
    #[must_use]
    pub fn account(&self) -> String {
        if !self.key.contains(['-', '.']) {
            return format!("corp_{}", self.key);
        }
        let escaped = escape(&self.key, "_", |byte| match byte {
            b'_' => Some('_'),
            b'-' => Some('h'),
            b'.' => Some('d'),
            _ => None,
        });
        format!("corpx_{escaped}")
    }

    /// The ID whose [`Self::account`] this is, in capitals where that makes it one of the present style.
    #[must_use]
    pub fn of_account(account: &str) -> Option<Self> {
        let key = match (account.strip_prefix("corp_"), account.strip_prefix("corpx_")) {
            (Some(key), _) => key.to_owned(),
            (None, Some(escaped)) => unescape(escaped, '_', |code| match code {
                '_' => Some('_'),
                'h' => Some('-'),
                'd' => Some('.'),
                _ => None,
            })?,
            (None, None) => return None,
        };
        Self::capital(&key).filter(|id| id.account() == account)
    }

    /// The ID that a text is, in capitals where that makes it one of the present style.
    #[must_use]
    pub fn capital(text: &str) -> Option<Self> {
        let standard = Self::parse(&text.to_ascii_uppercase()).ok().filter(Self::is_standard);
        standard.or_else(|| Self::parse(text).ok())
    }
}

fn escape(text: &str, mark: &str, code: impl Fn(u8) -> Option<char>) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if let Some(letter) = code(byte) {
            out.push_str(mark);
            out.push(letter);
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

/// What [`escape`] was given. `None` when a mark has no code of its own behind it.
fn unescape(text: &str, mark: char, code: impl Fn(char) -> Option<char>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(if letter == mark { code(letters.next()?)? } else { letter });
    }
    Some(out)
}

impl PartialEq for CorporateId {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for CorporateId {}
impl PartialOrd for CorporateId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for CorporateId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}
impl std::hash::Hash for CorporateId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}
impl fmt::Display for CorporateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.declared)
    }
}
impl fmt::Debug for CorporateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CorporateId({})", self.declared)
    }
}
impl FromStr for CorporateId {
    type Err = CorporateIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
/// Parsed within the visitor, so that a fault is reported under the ID's own field.
impl<'de> Deserialize<'de> for CorporateId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = CorporateId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a corporate ID like AB123456")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CorporateId, E> {
                CorporateId::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}
impl From<CorporateId> for String {
    fn from(id: CorporateId) -> Self {
        id.declared.to_string()
    }
}
impl schemars::JsonSchema for CorporateId {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CorporateId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_LEN,
            "x-kubernetes-validations": Self::cel()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{prelude::*, string::string_regex};
    use regex::Regex;

    use super::*;
    use crate::model::syntax;

    fn id(text: &str) -> CorporateId {
        CorporateId::parse(text).unwrap()
    }

    /// Few letters, so that different IDs come close to each other.
    fn close_ids() -> impl Strategy<Value = CorporateId> {
        "[aAuUdDhxX][aAuUdDhxX._-]{0,6}[auUdDhx._]".prop_map(|text| id(&text))
    }
    fn ids() -> impl Strategy<Value = CorporateId> {
        string_regex("[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9._])?")
            .unwrap()
            .prop_map(|text| id(&text))
    }

    proptest! {
        #[test]
        fn names_are_valid_and_read_back(id in ids()) {
            let name = id.object_name();
            prop_assert!(syntax::OBJECT_NAME.accepts(&name), "{name}");
            prop_assert!(syntax::LABEL.accepts(&name) || name.len() > 63, "{name}");
            let read = CorporateId::of_object_name(&name);
            prop_assert_eq!(read.as_ref().map(CorporateId::as_str), Some(id.key()));

            let account = id.account();
            prop_assert!(account.bytes().all(syntax::is_account_byte), "{account}");
            prop_assert!(account.len() <= MAX_ACCOUNT_LEN);
            let read = CorporateId::of_account(&account);
            prop_assert_eq!(read.as_ref(), Some(&id));
        }

        #[test]
        fn only_names_of_ids_are_read_back(text in prop_oneof!["[a-zA-Z0-9ud._-]{0,8}", any::<String>()]) {
            if let Some(id) = CorporateId::of_object_name(&text) {
                prop_assert_eq!(id.object_name(), text);
            }
        }

        #[test]
        fn only_accounts_of_ids_are_read_back(text in prop_oneof!["corpx?_[a-zA-Z0-9hd._-]{0,8}", any::<String>()]) {
            if let Some(id) = CorporateId::of_account(&text) {
                prop_assert_eq!(id.account(), text);
            }
        }

        #[test]
        fn different_people_have_different_names_and_case_makes_no_difference(
            ids in prop::collection::vec(close_ids(), 2..40),
        ) {
            let (mut names, mut accounts) = (HashMap::new(), HashMap::new());
            for id in &ids {
                prop_assert_eq!(names.entry(id.object_name()).or_insert(id.key()), &id.key());
                prop_assert_eq!(accounts.entry(id.account()).or_insert(id.key()), &id.key());
            }
            let people: std::collections::HashSet<&CorporateId> = ids.iter().collect();
            prop_assert_eq!(names.len(), people.len());
            prop_assert_eq!(accounts.len(), people.len());
        }

        #[test]
        fn the_spelling_is_kept_and_case_is_not_compared(id in ids()) {
            let upper: CorporateId = id.as_str().to_ascii_uppercase().parse().unwrap();
            prop_assert_eq!(&upper, &id);
            prop_assert_eq!(upper.object_name(), id.object_name());
            let written = serde_json::to_string(&id).unwrap();
            let read: CorporateId = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(read.as_str(), id.as_str());
        }

        #[test]
        fn the_schema_and_the_reader_agree(text in prop_oneof![
            "[A-Za-z0-9._-]{0,4}", "[A-Za-z0-9._-]{38,42}", "[ -~\u{e9}\n]{0,5}", any::<String>(),
        ]) {
            let by_schema = Regex::new(PATTERN).unwrap().is_match(&text) && text.chars().count() <= MAX_LEN;
            prop_assert_eq!(CorporateId::parse(&text).is_ok(), by_schema);
        }
    }

    #[test]
    fn names_are_those_of_existing_installations() {
        assert_eq!(id("AB123456").object_name(), "ab123456");
        assert_eq!(id("AB123456").account(), "corp_ab123456");
        assert_eq!(id("old_token").account(), "corp_old_token");
        assert_eq!(id("a-b").object_name(), "a--b");
        assert_eq!(id("a_b.c").object_name(), "a-ub-dc");
        assert_ne!(id("a-b").account(), id("a_b").account());
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        assert_eq!(CorporateId::parse(""), Err(CorporateIdError::Empty));
        assert_eq!(CorporateId::parse(&"a".repeat(41)), Err(CorporateIdError::TooLong(41)));
        assert_eq!(CorporateId::parse("ab cd"), Err(CorporateIdError::BadCharacter(3)));
        assert_eq!(CorporateId::parse("-ab"), Err(CorporateIdError::BadCharacter(1)));
        assert_eq!(CorporateId::parse("ab-"), Err(CorporateIdError::BadCharacter(3)));
        assert_eq!(
            CorporateId::parse(&"\u{e9}".repeat(30)),
            Err(CorporateIdError::BadCharacter(1))
        );
    }

    #[test]
    fn the_present_style_is_recognised() {
        assert!(id("AB123456").is_standard() && id("ZZ000000").is_standard());
        for other in [
            "ab123456",
            "AI123456",
            "OB123456",
            "A1123456",
            "AB12345",
            "AB1234567",
            "AB12345x",
        ] {
            assert!(!id(other).is_standard(), "{other}");
        }
    }
}
