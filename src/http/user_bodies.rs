//! People, as they are answered.

use crate::{
    access::{UserSummary, UserView},
    api::{
        guard::DecideBody,
        users::{ConditionBody, DayBody, GatewayBody, RevocationBody, UsageBody, UserBody, UserDetailBody},
    },
    history::{RevocationRow, TrafficRow},
    model::user::{AccountPresence, VpnUser},
};

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
            access: summary.access.as_str().to_owned(),
            reason: summary.reason.as_str().to_owned(),
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
            Lifetime => "Lifetime".to_owned(),
            Month => "Month".to_owned(),
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
            }
            .to_owned(),
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
