//! What is answered about people.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{audit::AuditBody, decide::DecideBody, hold_bodies::HoldBody, proof_body::ProofBody};
use crate::{
    access::{UserSummary, UserView},
    history::{RevocationRow, TrafficRow},
    model::{
        access::Access,
        user::{AccountPresence, VpnUser},
    },
};

/// A page of people.
#[derive(Serialize, ToSchema)]
pub(super) struct UsersBody {
    /// The people, in the order of their names.
    pub(super) users: Vec<UserBody>,
    /// `after` of the next page; null at the end.
    pub(super) next: Option<String>,
}

/// A person.
#[derive(Serialize, ToSchema)]
pub(super) struct UserBody {
    /// ID as declared.
    corporate_id: String,
    /// Name of the object.
    name: String,
    /// Whether there is an object; false if only holds exist.
    declared: bool,
    /// Text that is shown to admins. Of somebody who is not declared, in the words of the registry of corporate IDs.
    owner: Option<String>,
    /// Mail address.
    email: Option<String>,
    /// Free text.
    role: Option<String>,
    /// Account on the gateways.
    username: String,
    /// `spec.active`.
    active: bool,
    /// What auth does now: `Granted` or `Denied`.
    access: &'static str,
    /// Why. `GuardHeldBack` while access is granted only because the guard holds a denial back.
    reason: &'static str,
    /// Names of the holds that are live.
    live_holds: Vec<String>,
    /// Since when the person has access only because the guard holds a denial back.
    #[schema(value_type = Option<String>, format = DateTime)]
    held_back_since: Option<Timestamp>,
    /// While the guard holds a denial back: the commands that decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    decide: Option<DecideBody>,
    /// Sessions online at the last poll; null while none is known of and a node has not said anything since the operator started.
    sessions: Option<u32>,
}

/// Everything that is known of a person.
#[derive(Serialize, ToSchema)]
pub(super) struct UserDetailBody {
    #[serde(flatten)]
    user: UserBody,
    /// First moment of access.
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_from: Option<Timestamp>,
    /// First moment after access.
    #[schema(value_type = Option<String>, format = DateTime)]
    valid_until: Option<Timestamp>,
    /// When access changes by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_change: Option<Timestamp>,
    /// How many devices may be connected at a time.
    max_devices: Option<u32>,
    /// Traffic; null while history cannot be read.
    usage: Option<UsageBody>,
    /// State on each gateway.
    gateways: Vec<GatewayBody>,
    /// Conditions of the object.
    conditions: Vec<ConditionBody>,
    /// Every hold, live or not.
    holds: Vec<HoldBody>,
    /// When the object was deleted; null unless only holds are left.
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
    /// The revocation under way, or the last one of the present denial.
    revocation: Option<ProofBody>,
    /// Latest revocations; null while history cannot be read.
    revocations: Option<Vec<RevocationBody>>,
    /// Latest audit rows; null while history cannot be read.
    history: Option<Vec<AuditBody>>,
    /// Traffic of the last days; null while history cannot be read.
    traffic_by_day: Option<Vec<DayBody>>,
}

/// Traffic of a person.
#[derive(Serialize, ToSchema)]
pub(super) struct UsageBody {
    /// Bytes from the person so far.
    upload: u64,
    /// Bytes to the person so far.
    download: u64,
    /// Bytes that count against the limit.
    used: u64,
    /// Bytes allowed; null without a limit.
    limit: Option<u64>,
    /// `Lifetime` or `Month`.
    period: Option<&'static str>,
}

/// State on a gateway.
#[derive(Serialize, ToSchema)]
pub(super) struct GatewayBody {
    /// Name of the gateway.
    name: String,
    /// `Present`, `Absent` or `Unknown`.
    account: &'static str,
}

/// A condition of the object.
#[derive(Serialize, ToSchema)]
pub(super) struct ConditionBody {
    /// `Ready`, `Reconciling`, `Stalled`, `Granted`.
    #[serde(rename = "type")]
    type_: String,
    /// `True`, `False` or `Unknown`.
    status: String,
    /// A constant.
    reason: String,
    /// For people.
    message: String,
    /// When it last flipped.
    #[schema(value_type = String, format = DateTime)]
    last_transition_time: Timestamp,
}

/// A revocation as it was recorded.
#[derive(Serialize, ToSchema)]
pub(super) struct RevocationBody {
    /// Why.
    reason: String,
    /// Auth refused from then on.
    #[schema(value_type = String, format = DateTime)]
    denied_at: Timestamp,
    /// From then on no session could pass another byte.
    #[schema(value_type = Option<String>, format = DateTime)]
    contained_at: Option<Timestamp>,
    /// From then on no session was left.
    #[schema(value_type = Option<String>, format = DateTime)]
    sessions_zero_at: Option<Timestamp>,
    /// Nodes that were taken out of their gateway before their word was there; nothing is claimed for them.
    left_out: Vec<String>,
    /// When `contained_at` was last taken back because it was not true.
    #[schema(value_type = Option<String>, format = DateTime)]
    withdrawn_at: Option<Timestamp>,
}

/// Traffic of a day.
#[derive(Serialize, ToSchema)]
pub(super) struct DayBody {
    /// Start of the day, UTC.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// Bytes from the person.
    upload: u64,
    /// Bytes to the person.
    download: u64,
}

pub(super) const fn access_word(access: Access) -> &'static str {
    match access {
        Access::Granted => "Granted",
        Access::Denied => "Denied",
    }
}

impl From<UserSummary> for UserBody {
    fn from(summary: UserSummary) -> Self {
        let spec = summary.user.as_ref().map(|user| &user.spec);
        Self {
            decide: summary
                .held_back_since
                .map(|_| DecideBody::about(summary.corporate_id.as_str())),
            declared: spec.is_some(),
            owner: spec.and_then(|spec| spec.owner.clone()),
            email: spec.and_then(|spec| spec.email.clone()),
            role: spec.and_then(|spec| spec.role.clone()),
            active: spec.is_some_and(|spec| spec.active),
            corporate_id: summary.corporate_id.into(),
            name: summary.name,
            username: summary.username,
            access: access_word(summary.access),
            reason: summary.reason.as_str(),
            live_holds: summary.live_holds,
            held_back_since: summary.held_back_since,
            sessions: summary.sessions,
        }
    }
}

impl From<UserView> for UserDetailBody {
    fn from(view: UserView) -> Self {
        let user = view.summary.user.clone();
        let user = user.as_deref();
        let spec = user.map(|user| &user.spec);
        Self {
            valid_from: spec.and_then(|spec| spec.valid_from),
            valid_until: spec.and_then(|spec| spec.valid_until),
            next_change: view.next_change,
            max_devices: spec.and_then(|spec| spec.max_devices),
            usage: usage(&view, user),
            gateways: user.map(gateways).unwrap_or_default(),
            conditions: user.map(conditions).unwrap_or_default(),
            user: {
                let registered = view.registered.unwrap_or_default();
                let user = UserBody::from(view.summary);
                UserBody {
                    owner: user.owner.or(registered.owner),
                    email: user.email.or(registered.email),
                    ..user
                }
            },
            holds: view.holds.into_iter().map(Into::into).collect(),
            deleted_at: view.deleted_at,
            revocation: view.revocation.map(Into::into),
            revocations: view.revocations.map(into),
            history: view.audit.map(into),
            traffic_by_day: view.traffic_by_day.map(into),
        }
    }
}

fn into<A: Into<B>, B>(rows: Vec<A>) -> Vec<B> {
    rows.into_iter().map(Into::into).collect()
}

fn usage(view: &UserView, user: Option<&VpnUser>) -> Option<UsageBody> {
    use crate::model::access::Period::{Lifetime, Month};
    let limit = user.and_then(|user| user.spec.traffic.as_ref());
    view.traffic.map(|totals| UsageBody {
        upload: totals.upload,
        download: totals.download,
        used: view.used.unwrap_or_default(),
        limit: limit.map(|traffic| traffic.limit.get()),
        period: limit.map(|traffic| match traffic.period {
            Lifetime => "Lifetime",
            Month => "Month",
        }),
    })
}

fn gateways(user: &VpnUser) -> Vec<GatewayBody> {
    let states = user.status.iter().flat_map(|status| &status.gateways);
    states
        .map(|gateway| GatewayBody {
            name: gateway.name.clone(),
            account: match gateway.account {
                AccountPresence::Present => "Present",
                AccountPresence::Absent => "Absent",
                AccountPresence::Foreign => "Foreign",
                AccountPresence::Unknown => "Unknown",
            },
        })
        .collect()
}

fn conditions(user: &VpnUser) -> Vec<ConditionBody> {
    let conditions = user.status.iter().flat_map(|status| &status.conditions);
    conditions
        .map(|condition| ConditionBody {
            type_: condition.type_.to_string(),
            status: condition.status.to_string(),
            reason: condition.reason.to_string(),
            message: condition.message.to_string(),
            last_transition_time: condition.last_transition_time,
        })
        .collect()
}

impl From<RevocationRow> for RevocationBody {
    fn from(row: RevocationRow) -> Self {
        Self {
            reason: row.reason,
            denied_at: row.denied_at,
            contained_at: row.contained_at,
            sessions_zero_at: row.sessions_zero_at,
            left_out: row.left_out,
            withdrawn_at: row.withdrawn_at,
        }
    }
}

impl From<TrafficRow> for DayBody {
    fn from(row: TrafficRow) -> Self {
        Self {
            start: row.start,
            upload: row.upload,
            download: row.download,
        }
    }
}
