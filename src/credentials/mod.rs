//! The master key, what is derived from it, the sealing of what cannot be derived, and where given secrets are read from.
//!
//! May touch the data folder, the environment and the files that resources name. Never logs, and never puts a secret
//! into an error: callers name files and variables, not values.

mod audit_keys;
mod codes;
mod generated;
mod loading;
mod private_file;
mod sealing;
mod sources;

use std::{fmt, path::PathBuf, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{
    ExposeSecret, SecretBox, SecretString,
    zeroize::{Zeroize, Zeroizing},
};
use sha2::Sha256;

pub use audit_keys::{AuditKey, AuditKeys};
pub use codes::{CodeKey, is_long_code, long_code};
pub use generated::load_or_create_secret;
pub use loading::{KEY_FILE, KEY_ID_FILE, KeyError, PREVIOUS_KEY_FILE};
pub use private_file::FileError;
pub use sealing::SealError;
pub use sources::{SecretLookup, SourceError, Sources};

use crate::model::corporate_id::CorporateId;

/// The secret in a text that was read from a file, a variable or a Secret: the line ends behind it (LF, CRLF, or several) and
/// the byte order mark before it are what an editor left, and no part of it. The same wherever a secret is read.
#[must_use]
pub fn secret_in(text: &str) -> &str {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .trim_end_matches(['\n', '\r'])
}

/// Where a secret came from. Paths are for the log; the secret never is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was given explicitly.
    Given,
    /// It was read from a file in the data folder.
    File(PathBuf),
    /// It was made just now, and stored in a file in the data folder.
    Created(PathBuf),
}

/// The one key from which passwords and subscription tokens are derived.
///
/// Every replica with the same key derives the same; another key changes every generated password and link. Cloning is
/// cheap.
#[derive(Clone)]
pub struct MasterKey {
    current: Arc<Key>,
    /// Only for opening what was sealed before a rotation.
    previous: Arc<[Key]>,
}

struct Key {
    id: String,
    bytes: SecretBox<[u8; 32]>,
}

impl MasterKey {
    /// A key of these bytes, without previous ones.
    #[must_use]
    pub fn from_bytes(bytes: SecretBox<[u8; 32]>) -> Self {
        Self {
            current: Arc::new(Key::new(bytes)),
            previous: Arc::new([]),
        }
    }

    /// Which key this is: a short public fingerprint, kept beside data so that a wrong key is noticed.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.current.id
    }

    /// The generated VPN password of a person: 40 characters of `a-z2-7` with 200 bits of entropy, the same on every
    /// replica and for every spelling of the ID.
    #[must_use]
    pub fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        self.current.token("password", id, generation)
    }

    /// The token in the person's subscription link: as [`Self::password`], and unrelated to it.
    #[must_use]
    pub fn subscription_token(&self, id: &CorporateId, generation: i64) -> SecretString {
        self.current.token("subscription", id, generation)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new(bytes: SecretBox<[u8; 32]>) -> Self {
        let mut key = Self {
            id: String::new(),
            bytes,
        };
        let [first, second, third, fourth, ..] = *key.derive("key-id", &[]);
        key.id = format!("{:08x}", u32::from_be_bytes([first, second, third, fourth]));
        key
    }

    fn token(&self, purpose: &str, id: &CorporateId, generation: i64) -> SecretString {
        let derived = self.derive(purpose, &[id.key().as_bytes(), &generation.to_be_bytes()]);
        token(&derived)
    }

    /// HMAC-SHA-256 over the purpose and the parts, each behind its length, so that no two inputs meet.
    fn derive(&self, purpose: &str, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        // HMAC fills a short key up with zeros to the block size; doing it here leaves nothing that could fail.
        let mut block = Zeroizing::new([0u8; 64]);
        block
            .iter_mut()
            .zip(self.bytes.expose_secret())
            .for_each(|(to, from)| *to = *from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
        for part in [b"vpn-operator/v1".as_slice(), purpose.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// Characters of a token.
const TOKEN_ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// How many of them.
const TOKEN_LENGTH: usize = 40;

/// 200 of the bits as 40 characters of base 32 in lower case: safe in URLs, YAML, shells and user info of links.
fn token(bytes: &[u8; 32]) -> SecretString {
    let mut text = String::with_capacity(TOKEN_LENGTH);
    let (groups, _) = bytes.as_chunks::<5>();
    for group in groups.iter().take(5) {
        let mut bits = group.iter().fold(0, |bits: u64, byte| (bits << 8) | u64::from(*byte));
        for shift in (0..8).rev().map(|position| position * 5) {
            text.push(char::from(TOKEN_ALPHABET[((bits >> shift) & 31) as usize]));
        }
        bits.zeroize();
    }
    SecretString::from(text)
}

#[cfg(test)]
mod tests;
