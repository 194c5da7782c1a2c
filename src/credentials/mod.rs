//! The master key, what is derived from it, and the sealing of what cannot be derived.

use secrecy::SecretString;

use crate::model::corporate_id::CorporateId;

/// The one key from which passwords and subscription tokens are derived.
#[derive(Clone)]
pub struct MasterKey {}

impl MasterKey {
    /// Which key this is: a short public fingerprint, kept beside data so that a wrong key is noticed.
    #[must_use]
    pub fn id(&self) -> &str {
        todo!()
    }

    /// The generated VPN password of a person: URL-safe, never beginning with `-`, the same on every replica.
    #[must_use]
    pub fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        let _ = (id, generation);
        todo!()
    }

    /// The token in the person's subscription link: URL-safe, unrelated to the password.
    #[must_use]
    pub fn subscription_token(&self, id: &CorporateId, generation: i64) -> SecretString {
        let _ = (id, generation);
        todo!()
    }
}
