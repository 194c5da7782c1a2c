//! What somebody sees on their own page, and renews there by the address of their subscription.
//!
//! Whoever has the address has everything that is behind it, so it may also end what leaked. Once it leaked it may be in two hands:
//! what is renewed is counted, so that nobody changes it in a loop, and is in the audit with the address that it came from.

use std::{net::IpAddr, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::{AccessError, Caller, Denial, Dependencies, Result, Rotate, UseCases, canonical, rotate::ROTATE};
use crate::{
    config::SelfService,
    desired::FieldManager,
    history::{OWN_SOURCE, TrafficRow},
    model::{
        corporate_id::CorporateId,
        user::{VpnUser, VpnUserSpec},
    },
};

/// Days of traffic that a page shows.
pub const TRAFFIC_DAYS: u32 = 30;
/// How often somebody may renew something within a day.
pub const RENEWALS_A_DAY: u32 = 5;

/// Within which time renewals are counted.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// How long a page waits for what it shows of the history.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);

/// What a page shows beside what clients are given.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Devices online at the last poll; `None` while none is known of and a node has not said anything yet.
    pub devices: Option<u32>,
    /// How many devices may be connected at a time.
    pub max_devices: Option<u32>,
    /// When the traffic is counted anew; `None` where it never is.
    pub resets_at: Option<Timestamp>,
    /// Traffic of the last [`TRAFFIC_DAYS`] days in UTC, without days on which nothing moved; `None` while history cannot be read.
    pub traffic_by_day: Option<Vec<TrafficRow>>,
    /// The password comes from here, and can be renewed here.
    pub own_password: bool,
}

/// Who opened a page.
#[derive(Debug, Clone)]
pub struct Visit {
    /// From where.
    pub address: IpAddr,
    /// Id of the request.
    pub request_id: Option<String>,
}

/// What became of the wish to renew something.
#[derive(Debug, Clone)]
pub enum Renewal {
    /// Nobody has this link.
    Unknown,
    /// The person is denied, and renews nothing.
    Denied(Denial),
    /// The password is declared elsewhere.
    DeclaredElsewhere,
    /// It can be renewed. Nothing was changed.
    Possible {
        /// The generation that a confirmation has to name.
        generation: i64,
    },
    /// It was renewed since the question was asked. Nothing was changed.
    Outdated,
    /// It was renewed too often. Nothing was changed.
    TooOften {
        /// Seconds until it can be renewed again.
        seconds: u64,
    },
    /// It is renewed.
    Done {
        /// The present address of the subscription.
        address: SecretString,
        /// Whether auth has taken the change in already.
        in_force: bool,
    },
}

const fn rotate(what: SelfService) -> Rotate {
    match what {
        SelfService::Link => Rotate::Subscription,
        SelfService::Password => Rotate::Password,
    }
}

const fn generation(what: SelfService, spec: &VpnUserSpec) -> i64 {
    match what {
        SelfService::Link => spec.subscription_generation,
        SelfService::Password => spec.credential_generation,
    }
}

impl UseCases {
    /// What a person's page shows beside what clients are given. Without traffic where history does not answer soon.
    pub async fn overview(&self, id: &CorporateId) -> Overview {
        let dependencies = &self.dependencies;
        let Some(user) = dependencies.known_user(id) else {
            return Overview::default();
        };
        let (spec, account) = (&user.spec, user.spec.account());
        let sessions = dependencies.links.sessions(&account);
        let heard = sessions > 0 || dependencies.every_node_was_heard();
        let rows = dependencies.journal.traffic_by_day(account, TRAFFIC_DAYS);
        let rows = tokio::time::timeout(PATIENCE, rows).await;
        Overview {
            devices: heard.then_some(sessions),
            max_devices: spec.max_devices,
            resets_at: spec
                .traffic
                .as_ref()
                .and_then(|traffic| traffic.period.end(dependencies.clock.now())),
            traffic_by_day: rows.ok().and_then(std::result::Result::ok),
            own_password: spec.credentials_from.is_none(),
        }
    }

    /// Renews something of the person to whom the last part of a subscription link belongs. Without `confirmed`, the generation for
    /// which the person confirmed it, only says whether that is possible.
    ///
    /// # Errors
    /// Desired state cannot be changed, or the history does not say how often something was renewed.
    pub async fn renew(&self, visit: Visit, token: &str, what: SelfService, confirmed: Option<i64>) -> Result<Renewal> {
        let dependencies = &self.dependencies;
        let Some(owner) = dependencies.owner(token) else {
            return Ok(Renewal::Unknown);
        };
        match dependencies.permitted(&owner) {
            Err(AccessError::Denied(denial)) => return Ok(Renewal::Denied(denial)),
            other => other?,
        }
        if what == SelfService::Password && owner.spec.credentials_from.is_some() {
            return Ok(Renewal::DeclaredElsewhere);
        }
        let generation = generation(what, &owner.spec);
        let Some(confirmed) = confirmed else {
            return Ok(Renewal::Possible { generation });
        };
        if generation != confirmed {
            return Ok(Renewal::Outdated);
        }
        let id = owner.spec.corporate_id.clone();
        let caller = Caller {
            actor: canonical(&id).into(),
            source: OWN_SOURCE.to_owned(),
            address: Some(visit.address.to_string()),
            request_id: visit.request_id,
            event: None,
            manager: FieldManager::Api,
        };
        let dependencies = dependencies.clone();
        let done = self.to_the_end(async move { dependencies.renew(&caller, &id, what, confirmed).await });
        match done.await {
            Err(AccessError::ImportedPassword(_)) => Ok(Renewal::DeclaredElsewhere),
            Err(AccessError::Conflict(denial)) => Ok(Renewal::Denied(denial)),
            other => other,
        }
    }
}

impl Dependencies {
    /// The person to whom the last part of a subscription link belongs.
    pub(super) fn owner(&self, token: &str) -> Option<Arc<VpnUser>> {
        self.issuer.owner_of_token(token, |id| self.known_user(id))
    }

    async fn renew(&self, caller: &Caller, id: &CorporateId, what: SelfService, confirmed: i64) -> Result<Renewal> {
        if let Some(seconds) = self.renewable_in(id).await? {
            return Ok(Renewal::TooOften { seconds });
        }
        // As the source has it: of two at once the second finds the generation of the first, or raises to the same one.
        let mut user = self.to_rotate(id, rotate(what)).await?;
        if generation(what, &user.spec) != confirmed {
            return Ok(Renewal::Outdated);
        }
        let rotation = self.rotated(caller, &user, rotate(what)).await?;
        user.spec.subscription_generation = rotation.subscription_generation;
        Ok(Renewal::Done {
            address: self.issuer.subscription_url(&user),
            in_force: rotation.in_force,
        })
    }

    /// Seconds until a person may renew something, by what the audit tells of the last day; `None` if that is now.
    async fn renewable_in(&self, id: &CorporateId) -> Result<Option<u64>> {
        let now = self.clock.now();
        let newest = self
            .journal
            .own_rows(canonical(id).into(), ROTATE, RENEWALS_A_DAY)
            .await?;
        let left = newest.iter().map(|row| WINDOW - now.duration_since(row.at));
        let left: Vec<_> = left.filter(SignedDuration::is_positive).collect();
        // Newest first: room is there again when the last of those that count is a day old.
        let nth = left.get(RENEWALS_A_DAY as usize - 1);
        Ok(nth.map(|left| u64::try_from(left.as_secs()).unwrap_or(0) + 1))
    }
}
