//! Granting access, what a person connects with, deactivating and activating.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    moment::optional_moment,
    proof::ProofBody,
    schemas::{CorporateIdText, EmailText, OwnerText, ReasonText, RoleText},
};

/// Whom to grant access, and what to declare of the person if nobody did yet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantBody {
    /// Corporate ID; case does not matter.
    #[schema(value_type = CorporateIdText)]
    pub corporate_id: String,
    /// Text that is shown to admins, usually the person's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OwnerText>)]
    pub owner: Option<String>,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EmailText>)]
    pub email: Option<String>,
    /// Free text, for example a job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RoleText>)]
    pub role: Option<String>,
    /// First moment after access, RFC 3339; never when absent.
    #[serde(
        default,
        deserialize_with = "optional_moment",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
}

impl GrantBody {
    /// Access for the person with this corporate ID, of whom nothing else is said.
    #[must_use]
    pub fn about(corporate_id: &str) -> Self {
        Self {
            corporate_id: corporate_id.to_owned(),
            owner: None,
            email: None,
            role: None,
            valid_until: None,
        }
    }
}

/// What a person needs to connect.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ConfigBody {
    /// ID as declared.
    pub corporate_id: String,
    /// Account on the gateways.
    #[schema(example = "corp_ab123456")]
    pub username: String,
    /// Where clients fetch the links, and browsers a page.
    pub subscription_url: String,
    /// Link of the first node.
    pub hy2_url: String,
    /// The link of the first node as a QR code: a PNG in base64.
    pub qr_code: String,
}

impl std::fmt::Debug for ConfigBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigBody")
            .field("corporate_id", &self.corporate_id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What a person needs to connect, and what was transferred.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FullConfigBody {
    /// What the person connects with.
    #[serde(flatten)]
    pub config: ConfigBody,
    /// Every link, one a node.
    pub links: Vec<LinkBody>,
    /// Bytes so far; null while history cannot be read.
    pub traffic_stats: Option<TrafficStats>,
}

/// A client link.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkBody {
    /// Name that clients show.
    pub name: String,
    /// `hysteria2://…`
    pub url: String,
}

impl std::fmt::Debug for LinkBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkBody")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Bytes so far.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TrafficStats {
    /// From the person.
    pub upload: u64,
    /// To the person.
    pub download: u64,
}

/// The person is declared, and cannot connect yet.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AcceptedBody {
    /// `accepted`
    pub status: String,
    /// ID as declared.
    pub corporate_id: String,
    /// Account on the gateways.
    pub username: String,
    /// What is missing.
    pub detail: String,
    /// Where to look: a path on the host that was asked, with the path of `PUBLIC_URL` in front.
    pub see: String,
}

/// What to rotate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// What becomes new.
    pub what: RotateWhat,
}

/// What to rotate.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RotateWhat {
    /// The password; sessions that used the old one are cut.
    Password,
    /// The subscription link; sessions stay.
    Subscription,
    /// Both.
    Both,
}

/// What became of a rotation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RotatedBody {
    /// `rotated`, or `accepted` while auth has not taken it in yet.
    pub status: String,
    /// ID as declared.
    pub corporate_id: String,
    /// Present generation of the password.
    pub credential_generation: i64,
    /// Present generation of the subscription link.
    pub subscription_generation: i64,
    /// The new configuration; null for a person who is denied, or while it is not in force.
    pub config: Option<FullConfigBody>,
}

/// Why.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// For people; stands in the audit. One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
}

/// What became of a deactivation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeactivatedBody {
    /// `deactivated`; `held_back` while the guard waits for a person; `accepted` while auth has not taken it in yet.
    pub status: String,
    /// ID as declared.
    pub corporate_id: String,
    /// The hold that keeps the person out.
    pub hold: String,
    /// How far it is proved.
    #[serde(flatten)]
    pub proof: ProofBody,
    /// What could not be done, what is waited for, and what of the order could not be taken as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of an activation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ActivatedBody {
    /// `activated`: nothing stands against access. `denied`: something else does. `accepted`: not taken in yet.
    pub status: String,
    /// ID as declared.
    pub corporate_id: String,
    /// `Granted` or `Denied`.
    pub access: String,
    /// Why.
    pub reason: String,
    /// Holds that were lifted.
    pub released: Vec<String>,
    /// Holds that still deny: their own sources have to lift them.
    pub remaining: Vec<String>,
    /// What overtook the activation, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
