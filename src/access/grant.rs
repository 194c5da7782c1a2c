//! Granting: declare a person who is not declared yet, and answer when the access is really usable.

use serde_json::json;

use super::{AccessError, Caller, Configuration, Denial, Dependencies, Result, UseCases, account, canonical, tell};
use crate::{
    desired::DesiredError,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        user::{Adopt, DeletionPolicy, VpnUser, VpnUserSpec},
    },
};

/// What became of a grant.
#[derive(Debug, Clone)]
pub enum Grant {
    /// A client can connect now.
    Usable(Configuration),
    /// The person is declared, but a client cannot connect yet.
    Accepted {
        /// ID as declared.
        corporate_id: CorporateId,
        /// Account on the gateways.
        username: String,
        /// What is missing.
        detail: String,
    },
}

impl UseCases {
    /// Gives a person access. Asking again, or twice at once, gives the same answer; a denial is never lifted.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] for a person who is denied; nothing is changed then, and nothing either while history is
    /// unavailable.
    pub async fn grant(&self, caller: Caller, id: CorporateId) -> Result<Grant> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.grant(&caller, &id).await })
            .await
    }
}

impl Dependencies {
    async fn grant(&self, caller: &Caller, id: &CorporateId) -> Result<Grant> {
        let user = if let Some(user) = self.desired.get_user(&id.object_name()).await? {
            user
        } else {
            self.refuse_the_denied(id, None)?;
            self.declare(caller, id).await?
        };
        self.refuse_the_denied(id, Some(&user))?;
        let wait = self.settings.grant_wait;
        match self.until(wait, || self.settled(id, &user).transpose()).await {
            Some(settled) => {
                settled?;
                Ok(Grant::Usable(self.configuration_of(&user).await?))
            }
            None => Ok(Grant::Accepted {
                corporate_id: user.spec.corporate_id.clone(),
                username: account(&user),
                detail: self.missing(&user),
            }),
        }
    }

    /// Nothing may have been changed when this refuses.
    fn refuse_the_denied(&self, id: &CorporateId, user: Option<&VpnUser>) -> Result<()> {
        let person = self.people.person(id);
        let holds = person.as_ref().map(|p| p.live_holds.clone()).unwrap_or_default();
        let declared = person.map(|person| person.declared);
        let reason = match (user, declared) {
            _ if !holds.is_empty() => Reason::Held,
            (None, _) | (Some(_), None) => Reason::Active,
            (Some(user), _) if user.metadata.deletion_timestamp.is_some() => Reason::Deleted,
            (Some(user), _) if !user.spec.active => Reason::Inactive,
            // The source was asked just now: the roster's word on these two can only be the older one.
            (Some(_), Some(declared)) if matches!(declared.reason, Reason::Deleted | Reason::Inactive) => {
                Reason::Active
            }
            (Some(_), Some(declared)) => declared.reason,
        };
        if reason == Reason::Active {
            return Ok(());
        }
        Err(AccessError::Conflict(Denial {
            corporate_id: user.map_or_else(|| id.clone(), |user| user.spec.corporate_id.clone()),
            reason,
            holds,
        }))
    }

    /// Creates the person's object. That somebody else did so at the same moment is success.
    async fn declare(&self, caller: &Caller, id: &CorporateId) -> Result<VpnUser> {
        let mut entry = caller.entry("grant", Some(id));
        entry.after = Some(tell::json(&json!({ "active": true })));
        self.audit_before(entry.clone()).await?;
        let name = id.object_name();
        let created = match self
            .desired
            .create_user(&name, bare(canonical(id)), caller.manager)
            .await
        {
            Err(DesiredError::AlreadyExists { kind, name }) => match self.desired.get_user(&name).await {
                Ok(Some(user)) => Ok(user),
                Ok(None) => Err(DesiredError::AlreadyExists { kind, name }),
                Err(error) => Err(error),
            },
            other => other,
        };
        match created {
            Ok(user) => Ok(user),
            Err(error) => {
                self.audit_failure(entry, &error).await;
                Err(error.into())
            }
        }
    }

    /// `None` while a client cannot connect yet; an error as soon as the person turns out to be denied.
    fn settled(&self, id: &CorporateId, user: &VpnUser) -> Result<Option<()>> {
        self.refuse_the_denied(id, Some(user))?;
        let granted = self.people.person(id).is_some_and(|person| {
            person.user.is_some()
                && person.effective.access == Access::Granted
                && person.declared.access == Access::Granted
        });
        let usable = granted && self.known_user(id).is_some() && !self.links(user).is_empty();
        Ok(usable.then_some(()))
    }

    fn missing(&self, user: &VpnUser) -> String {
        let id = &user.spec.corporate_id;
        let granted = self
            .people
            .person(id)
            .is_some_and(|person| person.effective.access == Access::Granted);
        if granted && self.links(user).is_empty() {
            self.no_link(user).to_string()
        } else {
            format!("{id} is declared, but the access is not in force yet")
        }
    }
}

fn bare(id: CorporateId) -> VpnUserSpec {
    VpnUserSpec {
        corporate_id: id,
        owner: None,
        email: None,
        role: None,
        active: true,
        valid_from: None,
        valid_until: None,
        traffic: None,
        max_devices: None,
        gateways: None,
        username: None,
        credentials_from: None,
        credential_generation: 1,
        subscription_generation: 1,
        deletion_policy: DeletionPolicy::default(),
        adopt: Adopt::default(),
    }
}
