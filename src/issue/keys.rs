//! Passwords and subscription tokens.

use secrecy::SecretString;

use crate::{
    credentials::MasterKey,
    gateway::Credentials,
    model::{corporate_id::CorporateId, user::VpnUser},
    roster::Passwords,
};

/// Passwords and subscription tokens.
pub trait Keys: Send + Sync + 'static {
    /// Credentials of a user at the present generation; `None` if they are imported and cannot be read now.
    fn credentials(&self, user: &VpnUser) -> Option<Credentials>;
    /// The token in a subscription link.
    fn subscription_token(&self, id: &CorporateId, generation: i64) -> SecretString;
}

/// Keys that are derived from the master key, except imported passwords.
pub struct Derived {
    key: MasterKey,
    imported: Passwords,
}

impl Derived {
    /// `imported` answers the password of a user with `spec.credentialsFrom`.
    #[must_use]
    pub fn new(key: MasterKey, imported: Passwords) -> Self {
        Self { key, imported }
    }
}

impl Keys for Derived {
    fn credentials(&self, user: &VpnUser) -> Option<Credentials> {
        let spec = &user.spec;
        let password = if spec.credentials_from.is_some() {
            (self.imported)(user)?
        } else {
            self.key.password(&spec.corporate_id, spec.credential_generation)
        };
        Some(Credentials {
            username: spec.account(),
            password,
        })
    }
    fn subscription_token(&self, id: &CorporateId, generation: i64) -> SecretString {
        self.key.subscription_token(id, generation)
    }
}
