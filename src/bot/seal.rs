//! What people write stands in the bot's file until it is answered, and may be a code. Backups take that file along: so it is sealed.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

use crate::credentials::{MasterKey, SealError};

/// Seals with a key made of the bot's token, the one secret that every bot has. With another token nothing of before can be read, and
/// nothing of it would be this bot's to answer.
#[derive(Clone)]
pub struct Seal(MasterKey);

impl Seal {
    /// With the key of this token.
    #[must_use]
    pub fn of_token(token: &SecretString) -> Self {
        let digest = Sha256::new()
            .chain_update(b"vpn-operator: the memory of the bot\0")
            .chain_update(token.expose_secret());
        Self(MasterKey::from_bytes(SecretBox::new(Box::new(
            digest.finalize().into(),
        ))))
    }

    /// Seals an update.
    pub(super) fn seal(&self, update: i64, body: String) -> Result<String, SealError> {
        self.0.seal(&purpose(update), &SecretString::from(body))
    }

    /// Opens what [`Self::seal`] gave for the same update.
    pub(super) fn open(&self, update: i64, sealed: &str) -> Result<SecretString, SealError> {
        self.0.open(&purpose(update), sealed)
    }
}

fn purpose(update: i64) -> String {
    format!("bot-update/{update}")
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}
