//! What a source can do besides keeping desired state: keep what people need to connect.

use async_trait::async_trait;
use secrecy::SecretString;

use super::Result;
use crate::model::user::VpnUser;

/// What one person needs to connect.
#[derive(Debug, Clone)]
pub struct ConnectionSecret {
    /// Client link of the first node.
    pub hy2_url: SecretString,
    /// Where clients fetch all links.
    pub subscription_url: SecretString,
    /// Account on the gateways.
    pub username: String,
    /// Password of the account.
    pub password: SecretString,
    /// Whole profiles for clients, where they are wanted, each kind once.
    pub profiles: Vec<(Profile, SecretString)>,
}

/// A whole profile that is kept for each person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For sing-box.
    SingBox,
    /// For mihomo.
    Mihomo,
}

impl Profile {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::SingBox, Self::Mihomo];

    /// Under which name it is kept.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::SingBox => "sing-box.json",
            Self::Mihomo => "mihomo.yaml",
        }
    }
}

/// How what is kept for a person compares with what should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// It is the same.
    Same,
    /// There is nothing yet.
    Missing,
    /// It is as it should have been before: the content is due to change.
    Outdated,
    /// It was as it should be, and somebody edited or deleted it.
    Drifted,
    /// Nobody knows yet.
    Unknown,
}

/// Keeps a secret for each person, where others can read it. In Kubernetes a Secret.
#[async_trait]
pub trait ConnectionSecrets: Send + Sync + 'static {
    /// Name of what is kept for a user.
    fn name(&self, user: &VpnUser) -> String;

    /// Compares, from memory.
    fn compare(&self, user: &VpnUser, secret: &ConnectionSecret) -> SecretState;

    /// Keeps a secret. What has the name and was not made for this user is left as it is.
    ///
    /// # Errors
    /// [`super::DesiredError::NotEditable`] if something that belongs to somebody else has the name.
    async fn put(&self, user: &VpnUser, secret: &ConnectionSecret) -> Result<()>;

    /// Sees to it that what is kept goes when the user does, whatever somebody did to it. `account` is the user's.
    ///
    /// # Errors
    /// It could not be looked at or written.
    async fn settle(&self, user: &VpnUser, account: &str) -> Result<()>;

    /// The user is gone, and what was kept goes with it.
    fn forget(&self, user: &VpnUser);

    /// Waits until [`Self::compare`] knows, for a bounded time.
    async fn wait_synced(&self);
}
