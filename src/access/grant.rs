//! Granting: declare a person who is not declared yet, and answer when the access is really usable.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AccessError, Caller, Configuration, Denial, Dependencies, Result, UseCases, canonical, tell};
use crate::{
    desired::DesiredError,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        user::{Adopt, DeletionPolicy, VpnUser, VpnUserSpec},
        validate::user_errors,
    },
};

/// Whom to grant access, and what to declare of a person whom nobody declared yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Whom.
    pub corporate_id: CorporateId,
    /// Text that is shown to admins.
    pub owner: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Free text.
    pub role: Option<String>,
    /// First moment after access.
    pub valid_until: Option<Timestamp>,
}

impl From<CorporateId> for NewUser {
    /// Nothing but the ID.
    fn from(corporate_id: CorporateId) -> Self {
        Self {
            corporate_id,
            owner: None,
            email: None,
            role: None,
            valid_until: None,
        }
    }
}

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
    /// Gives a person access. Asking again, or twice at once, gives the same answer; a denial is never lifted, and what is
    /// declared of a person never changed.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] for a person who is denied, [`AccessError::DeclaredOtherwise`] for one who is declared with
    /// something else; nothing is changed then, and nothing either while history is unavailable.
    pub async fn grant(&self, caller: Caller, new: impl Into<NewUser>) -> Result<Grant> {
        let dependencies = self.dependencies.clone();
        let new = new.into();
        self.to_the_end(async move { dependencies.grant(&caller, &new).await })
            .await
    }
}

impl Dependencies {
    async fn grant(&self, caller: &Caller, new: &NewUser) -> Result<Grant> {
        new.check(self.clock.now())?;
        let id = &new.corporate_id;
        let user = if let Some(user) = self.desired.get_user(&id.object_name()).await? {
            user
        } else {
            self.refuse_the_denied(id, None)?;
            self.refuse_revoked_id(id).await?;
            self.declare(caller, new).await?
        };
        self.refuse_the_denied(id, Some(&user))?;
        new.agrees_with(&user.spec)?;
        let wait = self.settings.grant_wait;
        match self.until(wait, || self.settled(id, &user).transpose()).await {
            Some(settled) => {
                settled?;
                let configuration = self.configuration_of(&user).await?;
                self.note_handed_out(caller, id).await;
                Ok(Grant::Usable(configuration))
            }
            None => Ok(Grant::Accepted {
                corporate_id: user.spec.corporate_id.clone(),
                username: user.spec.account(),
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
    async fn declare(&self, caller: &Caller, new: &NewUser) -> Result<VpnUser> {
        let id = &new.corporate_id;
        let mut entry = caller.entry("grant", Some(id));
        entry.after = Some(tell::json(&new.told()));
        self.audit_before(entry.clone()).await?;
        let name = id.object_name();
        let created = match self.desired.create_user(&name, new.spec(), caller.manager).await {
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
        let usable = granted && self.known_user(id).is_some() && !self.issuer.links(user).is_empty();
        Ok(usable.then_some(()))
    }

    fn missing(&self, user: &VpnUser) -> String {
        let id = &user.spec.corporate_id;
        let granted = self
            .people
            .person(id)
            .is_some_and(|person| person.effective.access == Access::Granted);
        if granted && self.issuer.links(user).is_empty() {
            self.no_link(user).to_string()
        } else {
            format!("{id} is declared, but the access is not in force yet")
        }
    }
}

impl NewUser {
    fn check(&self, now: Timestamp) -> Result<()> {
        let invalid = |field, message: String| Err(AccessError::Invalid { field, message });
        for (field, text) in [("owner", &self.owner), ("role", &self.role)] {
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                return invalid(field, "must be one line, without control characters".to_owned());
            }
        }
        if self.valid_until.is_some_and(|until| until <= now) {
            return invalid("valid_until", "has passed already: nothing would be granted".to_owned());
        }
        let name = self.corporate_id.object_name();
        match user_errors(Some(&name), &self.spec(), None).into_iter().next() {
            None => Ok(()),
            Some(error) => invalid(field_of(&error.path), error.message),
        }
    }

    /// What a grant says of a person who is declared already has to be so.
    fn agrees_with(&self, spec: &VpnUserSpec) -> Result<()> {
        fn differs<T: PartialEq>(wanted: Option<&T>, declared: Option<&T>) -> bool {
            wanted.is_some() && wanted != declared
        }
        let fields: Vec<&'static str> = [
            ("owner", differs(self.owner.as_ref(), spec.owner.as_ref())),
            ("email", differs(self.email.as_ref(), spec.email.as_ref())),
            ("role", differs(self.role.as_ref(), spec.role.as_ref())),
            (
                "valid_until",
                differs(self.valid_until.as_ref(), spec.valid_until.as_ref()),
            ),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect();
        if fields.is_empty() {
            return Ok(());
        }
        Err(AccessError::DeclaredOtherwise {
            corporate_id: spec.corporate_id.clone(),
            fields,
        })
    }

    /// For the audit.
    fn told(&self) -> Value {
        let mut told = json!({
            "active": true, "owner": self.owner, "email": self.email, "role": self.role, "validUntil": self.valid_until,
        });
        if let Value::Object(fields) = &mut told {
            fields.retain(|_, value| !value.is_null());
        }
        told
    }

    fn spec(&self) -> VpnUserSpec {
        VpnUserSpec {
            corporate_id: canonical(&self.corporate_id),
            owner: self.owner.clone(),
            email: self.email.clone(),
            role: self.role.clone(),
            active: true,
            valid_from: None,
            valid_until: self.valid_until,
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
}

/// What a grant calls a field of the object.
fn field_of(path: &str) -> &'static str {
    match path {
        "spec.owner" => "owner",
        "spec.email" => "email",
        "spec.role" => "role",
        "spec.validUntil" => "valid_until",
        _ => "corporate_id",
    }
}
