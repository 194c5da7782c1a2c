//! Subscription links: `<public URL>/sub/<id>.<token>`.
//!
//! The ID in front makes the lookup one step without a table of tokens; the token behind it is what counts.

use super::{AccessError, Configuration, Denial, Dependencies, Result, UseCases};
use crate::{
    history::Totals,
    model::{
        access::{Period, Reason},
        user::VpnUser,
    },
};

/// What stands behind a subscription link.
#[derive(Debug, Clone)]
pub enum Subscription {
    /// The person has access.
    Granted {
        /// Links and totals.
        configuration: Configuration,
        /// Bytes from the user and to the user that count against the limit.
        used: (u64, u64),
        /// Bytes allowed in the period.
        limit: Option<u64>,
        /// When access ends.
        expires: Option<jiff::Timestamp>,
    },
    /// The person is denied.
    Denied(Denial),
}

impl UseCases {
    /// What stands behind a token; `None` for one that is unknown or was rotated away.
    ///
    /// # Errors
    /// The person has access but there is nothing to connect to.
    pub async fn subscription(&self, token: &str) -> Result<Option<Subscription>> {
        let dependencies = &self.dependencies;
        let Some(owner) = dependencies.owner(token) else {
            return Ok(None);
        };
        match dependencies.permitted(&owner) {
            Err(AccessError::Denied(denial)) => return Ok(Some(Subscription::Denied(denial))),
            other => other?,
        }
        let address = dependencies.issuer.subscription_url_with(&owner, token);
        let configuration = dependencies.configuration_at(&owner, address).await?;
        let used = dependencies.used(&owner, configuration.traffic.unwrap_or_default());
        Ok(Some(Subscription::Granted {
            configuration,
            used,
            limit: owner.spec.traffic.as_ref().map(|traffic| traffic.limit.get()),
            expires: owner.spec.valid_until,
        }))
    }
}

impl Dependencies {
    /// Upload and download that count against the limit. A monthly limit counts only the sum, which is shown as download.
    fn used(&self, user: &VpnUser, totals: Totals) -> (u64, u64) {
        match &user.spec.traffic {
            Some(traffic) if traffic.period == Period::Month => {
                (0, totals.usage.in_period(Period::Month, self.clock.now()))
            }
            _ => (totals.upload, totals.download),
        }
    }
}

impl Subscription {
    /// Plain words for a person who is denied.
    #[must_use]
    pub const fn plain_words(reason: Reason) -> &'static str {
        match reason {
            Reason::Active | Reason::GuardHeldBack => "Your access is active.",
            Reason::NotYetValid => "Your access has not begun yet.",
            Reason::Expired => "Your access has expired.",
            Reason::OverQuota => "You have used up your traffic.",
            Reason::Deleted | Reason::Conflict | Reason::Held | Reason::Inactive => "Your access is switched off.",
        }
    }
}
