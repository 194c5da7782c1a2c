//! Issuing: an ID that nobody had, has, or will be given by somebody else.

use serde_json::json;

use super::super::{AccessError, Caller, Dependencies, Result, UseCases, request_key, tell};
use crate::registry::{Added, Entry, NewEntry, Owner, Status};

/// How often an ID that was found is given up because somebody else took it in the same moment.
const ATTEMPTS: usize = 8;

/// For whom an ID is issued.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewId {
    /// Whose it will be; `owner` has to be there.
    pub owner: Owner,
    /// What the caller calls the request: asked again by the same key, the answer is the ID that it got before.
    pub request_key: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl UseCases {
    /// Issues an ID that was never issued and that no user and no hold names, in any case.
    ///
    /// # Errors
    /// A value breaks a rule, the key of the request was used for somebody else, or registry, history or desired state are
    /// unavailable; nothing is issued then.
    pub async fn issue_id(&self, caller: Caller, new: NewId) -> Result<Entry> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.issue_id(&caller, new).await })
            .await
    }
}

impl Dependencies {
    async fn issue_id(&self, caller: &Caller, new: NewId) -> Result<Entry> {
        check(&new)?;
        self.ids.check_begun()?;
        self.loaded().await?;
        if let Some(key) = &new.request_key
            && let Some(before) = self.registry().of_request(key).await?
        {
            return same_request(before, &new);
        }
        for _ in 0..ATTEMPTS {
            let id = self.ids.registrar.find(|id| self.is_known(id)).await?;
            // Memory may lag behind.
            if self.desired.get_user(&id.object_name()).await?.is_some() {
                continue;
            }
            let after = json!({ "status": Status::Issued.as_str(), "fields": new.owner.fields() });
            let entry = caller.entry("id.issue", Some(&id));
            let announced = self.announce(entry, new.reason.clone(), tell::json(&after)).await?;
            let wanted = NewEntry {
                id,
                status: Status::Issued,
                owner: new.owner.clone(),
                request_key: new.request_key.clone(),
                action: "issue",
            };
            match self.registry().add(wanted, caller.by(new.reason.as_deref())).await {
                Ok(Added::Entered(entry)) => return Ok(entry),
                Ok(Added::Before(before)) => {
                    let error = AccessError::RequestKeyUsed;
                    self.audit_failure(announced, &error).await;
                    return same_request(before, &new);
                }
                Ok(Added::Taken) => {
                    self.audit_failure(announced, &AccessError::IdTaken).await;
                }
                Err(error) => return Err(self.not_done(announced, error.into()).await),
            }
        }
        Err(AccessError::IdTaken)
    }
}

fn check(new: &NewId) -> Result<()> {
    let invalid = |field, message: String| Err(AccessError::Invalid { field, message });
    new.owner.check()?;
    if new.owner.owner.is_none() {
        return invalid("owner", "say whose ID it will be".to_owned());
    }
    request_key::check(new.request_key.as_deref())
}

fn same_request(before: Entry, new: &NewId) -> Result<Entry> {
    if before.owner == new.owner {
        Ok(before)
    } else {
        Err(AccessError::RequestKeyUsed)
    }
}
