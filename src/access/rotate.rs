//! Rotating a password, a subscription link, or both.

use serde_json::json;

use super::{AccessError, Caller, Configuration, Denial, Dependencies, Result, UseCases, tell};
use crate::{
    desired::UserPatch,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        user::VpnUser,
    },
};

/// Action of a row about a rotation.
pub(super) const ROTATE: &str = "rotate";

/// What to rotate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotate {
    /// The password. Sessions that used the old one are cut.
    Password,
    /// The subscription link. Sessions stay.
    Subscription,
    /// Both.
    Both,
}

impl Rotate {
    const fn has_password(self) -> bool {
        matches!(self, Self::Password | Self::Both)
    }

    const fn has_link(self) -> bool {
        matches!(self, Self::Subscription | Self::Both)
    }
}

/// What became of a rotation.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// Present generation of the password.
    pub credential_generation: i64,
    /// Present generation of the subscription link.
    pub subscription_generation: i64,
    /// Whether auth has taken the change in already.
    pub in_force: bool,
    /// The new configuration; `None` for a person who is denied, or while it is not in force.
    pub configuration: Option<Configuration>,
}

impl UseCases {
    /// Raises the generation of what is to be rotated. Two at once rotate once.
    ///
    /// # Errors
    /// The person is unknown or being deleted, or the password is declared elsewhere.
    pub async fn rotate(&self, caller: Caller, id: CorporateId, what: Rotate) -> Result<Rotation> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move {
            let user = dependencies.to_rotate(&id, what).await?;
            dependencies.rotated(&caller, &user, what).await
        })
        .await
    }
}

impl Dependencies {
    /// The user of whom this can be rotated, as the source has it now.
    pub(super) async fn to_rotate(&self, id: &CorporateId, what: Rotate) -> Result<VpnUser> {
        let name = id.object_name();
        let user = self
            .desired
            .get_user(&name)
            .await?
            .ok_or_else(|| AccessError::UnknownPerson(id.clone()))?;
        let id = &user.spec.corporate_id;
        if user.metadata.deletion_timestamp.is_some() {
            return Err(AccessError::Conflict(Denial {
                corporate_id: id.clone(),
                reason: Reason::Deleted,
                holds: Vec::new(),
            }));
        }
        if what.has_password() && user.spec.credentials_from.is_some() {
            return Err(AccessError::ImportedPassword(id.clone()));
        }
        Ok(user)
    }

    /// Raises the generations of this user.
    pub(super) async fn rotated(&self, caller: &Caller, user: &VpnUser, what: Rotate) -> Result<Rotation> {
        let id = &user.spec.corporate_id;
        let (password, link) = (what.has_password(), what.has_link());
        let (old_password, old_link) = (user.spec.credential_generation, user.spec.subscription_generation);
        let new_password = old_password.saturating_add(i64::from(password));
        let new_link = old_link.saturating_add(i64::from(link));
        let patch = UserPatch {
            credential_generation: password.then_some(new_password),
            subscription_generation: link.then_some(new_link),
            ..UserPatch::default()
        };
        let before = self.people.person(id);
        let mut entry = caller.entry(ROTATE, Some(id));
        entry.before = Some(tell::json(
            &json!({ "credentialGeneration": old_password, "subscriptionGeneration": old_link }),
        ));
        entry.after = Some(tell::json(
            &json!({ "credentialGeneration": new_password, "subscriptionGeneration": new_link }),
        ));
        // Before the change, so that a kill between the two leaves no rotation without its row. The old password may have leaked:
        // history that is stuck delays its end by the longest wait for a disk, and stops nothing.
        self.audit_denial(entry.clone()).await;
        if let Err(error) = self.desired.patch_user(&id.object_name(), patch, caller.manager).await {
            self.audit_failure(entry, &error).await;
            return Err(error.into());
        }
        let epoch = before
            .filter(|person| password && person.effective.access == Access::Granted)
            .map(|person| person.epoch);
        let taken_in = || {
            let user = self.known_user(id)?;
            let seen = user.spec.credential_generation >= new_password && user.spec.subscription_generation >= new_link;
            let cut = epoch.is_none_or(|old| self.people.person(id).is_some_and(|person| person.epoch > old));
            (seen && cut).then_some(user)
        };
        let rotated = self.until(self.settings.grant_wait, taken_in).await;
        let configuration = match &rotated {
            Some(user) if self.permitted(user).is_ok() => self.configuration_of(user).await.ok(),
            _ => None,
        };
        Ok(Rotation {
            corporate_id: id.clone(),
            credential_generation: new_password,
            subscription_generation: new_link,
            in_force: rotated.is_some(),
            configuration,
        })
    }
}
