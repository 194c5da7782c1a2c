//! Sealing of secrets that cannot be derived, so that they can be kept in a database.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{
    ExposeSecret, SecretString,
    zeroize::{Zeroize, Zeroizing},
};

use super::{Key, MasterKey};

const VERSION: &str = "v1";
const NONCE_LEN: usize = 24;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not a text that sealing gave.
    #[error("this is not a sealed secret: import it again")]
    Malformed,
    /// Sealed with a key that is not there.
    #[error(
        "sealed with master key {0}, which is neither the present nor a previous one: give it in MASTER_KEY_PREVIOUS"
    )]
    UnknownKey(String),
    /// The text was changed, or sealed for something else.
    #[error("the sealed secret is damaged, or was sealed for something else: import it again")]
    Damaged,
    /// It is too long, or there are no random bytes.
    #[error("the secret cannot be sealed: {0}")]
    Failed(&'static str),
}

impl MasterKey {
    /// Seals a secret (XChaCha20-Poly1305 under a key derived for the purpose) as text that carries the key's id.
    ///
    /// The purpose says what it is and whose, like `password/ab123456`: what was sealed for one cannot be opened for
    /// another. Sealing the same twice gives different texts.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn seal(&self, purpose: &str, plaintext: &SecretString) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Failed("no random bytes from the operating system"))?;
        let payload = Payload {
            msg: plaintext.expose_secret().as_bytes(),
            aad: VERSION.as_bytes(),
        };
        let sealed = cipher(&self.current, purpose).encrypt(&XNonce::from(nonce), payload);
        let mut whole = nonce.to_vec();
        whole.extend(sealed.map_err(|_| SealError::Failed("it is too long"))?);
        Ok(format!("{VERSION}.{}.{}", self.id(), URL_SAFE_NO_PAD.encode(whole)))
    }

    /// Opens what [`Self::seal`] gave for the same purpose, under this key or a previous one.
    ///
    /// # Errors
    /// Says whether the key is missing or the text is damaged.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<SecretString, SealError> {
        let mut parts = sealed.splitn(3, '.');
        let (Some(VERSION), Some(id), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SealError::Malformed);
        };
        let key = [&*self.current]
            .into_iter()
            .chain(&*self.previous)
            .find(|key| key.id == id);
        let key = key.ok_or_else(|| SealError::UnknownKey(id.chars().take(16).collect()))?;
        let whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealError::Malformed)?;
        let (nonce, sealed) = whole.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Malformed)?;
        let payload = Payload {
            msg: sealed,
            aad: VERSION.as_bytes(),
        };
        let opened = cipher(key, purpose).decrypt(&XNonce::from(*nonce), payload);
        match String::from_utf8(opened.map_err(|_| SealError::Damaged)?) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(SealError::Damaged)
            }
        }
    }
}

fn cipher(key: &Key, purpose: &str) -> XChaCha20Poly1305 {
    let derived: Zeroizing<[u8; 32]> = key.derive("seal", &[purpose.as_bytes()]);
    XChaCha20Poly1305::new((&*derived).into())
}
