//! People.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{audit::AuditBody, guard::DecideBody, holds::HoldBody, proof::ProofBody};

/// A page of people.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsersBody {
    /// The people, in the order of their names.
    pub users: Vec<UserBody>,
    /// `after` of the next page; null at the end.
    pub next: Option<String>,
}

/// A person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserBody {
    /// ID as declared.
    pub corporate_id: String,
    /// Name of the object.
    pub name: String,
    /// Whether there is an object; false if only holds exist.
    pub declared: bool,
    /// Text that is shown to admins. Of somebody who is not declared, in the words of the registry of corporate IDs.
    pub owner: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Free text.
    pub role: Option<String>,
    /// Account on the gateways.
    pub username: String,
    /// `spec.active`.
    pub active: bool,
    /// What auth does now: `Granted` or `Denied`.
    pub access: String,
    /// Why. `GuardHeldBack` while access is granted only because the guard holds a denial back.
    pub reason: String,
    /// Names of the holds that are live.
    pub live_holds: Vec<String>,
    /// Since when the person has access only because the guard holds a denial back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub held_back_since: Option<Timestamp>,
    /// While the guard holds a denial back: the commands that decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decide: Option<DecideBody>,
    /// Sessions online at the last poll; null while none is known of and a node has not said anything since the operator started.
    pub sessions: Option<u32>,
}

/// Everything that is known of a person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserDetailBody {
    /// The person, as in a list.
    #[serde(flatten)]
    pub user: UserBody,
    /// First moment of access.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<Timestamp>,
    /// First moment after access.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
    /// When access changes by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_change: Option<Timestamp>,
    /// How many devices may be connected at a time.
    pub max_devices: Option<u32>,
    /// Traffic; null while history cannot be read.
    pub usage: Option<UsageBody>,
    /// State on each gateway.
    pub gateways: Vec<GatewayBody>,
    /// Conditions of the object.
    pub conditions: Vec<ConditionBody>,
    /// Every hold, live or not.
    pub holds: Vec<HoldBody>,
    /// When the object was deleted; null unless only holds are left.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deleted_at: Option<Timestamp>,
    /// The revocation under way, or the last one of the present denial.
    pub revocation: Option<ProofBody>,
    /// Latest revocations; null while history cannot be read.
    pub revocations: Option<Vec<RevocationBody>>,
    /// Latest audit rows; null while history cannot be read.
    pub history: Option<Vec<AuditBody>>,
    /// Traffic of the last days; null while history cannot be read.
    pub traffic_by_day: Option<Vec<DayBody>>,
}

/// Traffic of a person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageBody {
    /// Bytes from the person so far.
    pub upload: u64,
    /// Bytes to the person so far.
    pub download: u64,
    /// Bytes that count against the limit.
    pub used: u64,
    /// Bytes allowed; null without a limit.
    pub limit: Option<u64>,
    /// `Lifetime` or `Month`.
    pub period: Option<String>,
}

/// State on a gateway.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GatewayBody {
    /// Name of the gateway.
    pub name: String,
    /// `Present`, `Absent` or `Unknown`.
    pub account: String,
}

/// A condition of the object.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConditionBody {
    /// `Ready`, `Reconciling`, `Stalled`, `Granted`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A constant.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When it last flipped.
    #[schema(value_type = String, format = DateTime)]
    pub last_transition_time: Timestamp,
}

/// A revocation as it was recorded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevocationBody {
    /// Why.
    pub reason: String,
    /// Auth refused from then on.
    #[schema(value_type = String, format = DateTime)]
    pub denied_at: Timestamp,
    /// From then on no session could pass another byte.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub contained_at: Option<Timestamp>,
    /// From then on no session was left.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes that were taken out of their gateway before their word was there; nothing is claimed for them.
    pub left_out: Vec<String>,
    /// When `contained_at` was last taken back because it was not true.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub withdrawn_at: Option<Timestamp>,
}

/// Traffic of a day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DayBody {
    /// Start of the day, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// Bytes from the person.
    pub upload: u64,
    /// Bytes to the person.
    pub download: u64,
}
