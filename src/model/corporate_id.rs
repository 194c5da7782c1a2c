//! Corporate IDs: how they are spelled, compared, and turned into object and account names.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest accepted ID in bytes. Its object name is at most twice as long plus a source prefix, well below 253.
pub const MAX_LEN: usize = 40;

/// Longest account name in bytes.
pub const MAX_ACCOUNT_LEN: usize = 96;

/// Why a text is not a corporate ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CorporateIdError {
    /// Nothing was given.
    #[error("the corporate ID is empty: give two letters and six digits, like AB123456")]
    Empty,
    /// More than [`MAX_LEN`] bytes.
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
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorporateId {
    declared: Box<str>,
    key: Box<str>,
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
        if text.len() > MAX_LEN {
            return Err(CorporateIdError::TooLong(text.chars().count()));
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
impl TryFrom<String> for CorporateId {
    type Error = CorporateIdError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}
impl From<CorporateId> for String {
    fn from(id: CorporateId) -> Self {
        id.declared.into()
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
            "pattern": "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9._])?$"
        })
    }
}
