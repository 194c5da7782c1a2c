//! The secrets of those who send events, each for one scheme. They are never shown.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice, SecretString, zeroize::Zeroizing};

/// What begins a secret of the scheme `standard`.
const STANDARD_PREFIX: &str = "whsec_";
/// Fewest bytes of a secret of the scheme `standard`.
const MIN_KEY: usize = 16;

/// How an event is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `X-Hub-Signature-256`.
    Hub,
    /// Standard Webhooks.
    Standard,
    /// Not at all.
    Unsigned,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Self; 3] = [Self::Hub, Self::Standard, Self::Unsigned];

    /// The constant that stands in settings, rows and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Standard => "standard",
            Self::Unsigned => "unsigned",
        }
    }

    /// The scheme of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }
}

/// Why a secret in the settings cannot be used. Never holds any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No scheme before it.
    #[error("secret {0} has no scheme: write hub:SECRET or standard:whsec_BASE64, separated by commas")]
    NoScheme(usize),
    /// Nothing behind the scheme.
    #[error("secret {0} is empty")]
    Empty(usize),
    /// A secret of Standard Webhooks that is no base64, or is too short.
    #[error("secret {0} is no secret of Standard Webhooks: it is whsec_ and then at least 16 bytes in base64")]
    NotStandard(usize),
}

/// The secrets of the senders.
#[derive(Clone, Default)]
pub struct Keys {
    hub: Vec<SecretSlice<u8>>,
    standard: Vec<SecretSlice<u8>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} hub, {} standard)", self.hub.len(), self.standard.len())
    }
}

impl Keys {
    /// Reads the settings: `list` has `scheme:secret`, separated by commas; `single` is one secret alone, of Standard Webhooks if it
    /// begins with `whsec_`, else of `X-Hub-Signature-256`.
    ///
    /// # Errors
    /// Says which secret cannot be used, and what one looks like.
    pub fn read(list: Option<&SecretString>, single: Option<&SecretString>) -> Result<Self, SecretError> {
        let mut keys = Self::default();
        let parts = list.iter().flat_map(|list| list.expose_secret().split(','));
        let parts = parts.map(str::trim).filter(|part| !part.is_empty());
        for (at, part) in parts.enumerate() {
            let number = at + 1;
            let (scheme, secret) = part.split_once(':').ok_or(SecretError::NoScheme(number))?;
            match Scheme::parse(scheme) {
                Some(Scheme::Hub) => keys.add_hub(secret, number)?,
                Some(Scheme::Standard) => keys.add_standard(secret, number)?,
                Some(Scheme::Unsigned) | None => return Err(SecretError::NoScheme(number)),
            }
        }
        if let Some(single) = single.map(ExposeSecret::expose_secret) {
            if single.starts_with(STANDARD_PREFIX) {
                keys.add_standard(single, 1)?;
            } else {
                keys.add_hub(single, 1)?;
            }
        }
        Ok(keys)
    }

    fn add_hub(&mut self, secret: &str, number: usize) -> Result<(), SecretError> {
        if secret.is_empty() {
            return Err(SecretError::Empty(number));
        }
        self.hub.push(secret.as_bytes().to_vec().into());
        Ok(())
    }

    fn add_standard(&mut self, secret: &str, number: usize) -> Result<(), SecretError> {
        let encoded = secret.strip_prefix(STANDARD_PREFIX).unwrap_or(secret);
        let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SecretError::NotStandard(number))?);
        if key.len() < MIN_KEY {
            return Err(SecretError::NotStandard(number));
        }
        self.standard.push(key.to_vec().into());
        Ok(())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hub.is_empty() && self.standard.is_empty()
    }

    /// The schemes for which there is a secret.
    #[must_use]
    pub fn schemes(&self) -> Vec<Scheme> {
        let has = [
            (Scheme::Hub, !self.hub.is_empty()),
            (Scheme::Standard, !self.standard.is_empty()),
        ];
        has.into_iter()
            .filter_map(|(scheme, has)| has.then_some(scheme))
            .collect()
    }

    pub(super) fn of(&self, scheme: Scheme) -> &[SecretSlice<u8>] {
        match scheme {
            Scheme::Hub => &self.hub,
            Scheme::Standard => &self.standard,
            Scheme::Unsigned => &[],
        }
    }
}
