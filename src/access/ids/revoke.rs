//! Revoking: the hold first, then the registry.

use serde_json::json;

use super::{
    super::{AccessError, Caller, Dependencies, Proof, Result, UseCases, Why, tell},
    REGISTRY, REVOKED,
};
use crate::{
    desired::DesiredError,
    model::{corporate_id::CorporateId, hold::hold_name},
    registry::{Added, Entry, NewEntry, Owner, Status, Step, StoreError},
};

/// What became of an ID that was to be revoked.
#[derive(Debug, Clone)]
pub struct RevokedId {
    /// The ID as the registry has it.
    pub entry: Entry,
    /// The hold that denies.
    pub hold: String,
    /// How far the denial is proved.
    pub proof: Proof,
}

impl UseCases {
    /// Takes an ID away: from now on it is denied, whoever uses it, until it is reinstated. Idempotent. An order: neither history
    /// nor the registry can keep it from being done.
    ///
    /// # Errors
    /// Nothing is known of the ID, the hold could not be placed, or the hold denies and the registry could not say so.
    pub async fn revoke_id(&self, caller: Caller, id: CorporateId, why: Why) -> Result<RevokedId> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.revoke_id(&caller, &id, why).await })
            .await
    }
}

impl Dependencies {
    async fn revoke_id(&self, caller: &Caller, id: &CorporateId, why: Why) -> Result<RevokedId> {
        let known = self.registry().get(id).await;
        let id = match &known {
            Ok(Some(entry)) => entry.id.clone(),
            // Whoever uses an ID is put out with it, wherever it was issued.
            Ok(None) if !self.is_used(id).await => {
                return Err(AccessError::NoIdToRevoke {
                    hold: hold_name(&caller.source, super::super::HELD, id),
                    corporate_id: id.clone(),
                });
            }
            Ok(None) => id.clone(),
            Err(error) => {
                tracing::warn!(%error, "the registry could not be read; the hold is placed all the same");
                id.clone()
            }
        };
        let before = known.ok().flatten().map(|entry| entry.status);
        let registry = caller.for_registry();
        let stood = self.stands_for_good(&hold_name(REGISTRY, REVOKED, &id));
        let mut row = caller.entry("id.revoke", Some(&id));
        row.reason.clone_from(&why.reason);
        row.before = before.map(|status| tell::json(&json!({ "status": status.as_str() })));
        let placed = self
            .place_standing_hold(&registry, &id, REVOKED, why.reason.clone())
            .await;
        let hold = match placed {
            Ok(hold) => hold,
            Err(error) => {
                row.action.push_str(".failed");
                row.reason = Some(error.to_string());
                self.audit_denial(row).await;
                return Err(error.into());
            }
        };
        row.after = Some(why.after(json!({ "status": Status::Revoked.as_str(), "hold": hold })));
        let audit = async {
            if before.is_none_or(Status::is_valid) || !stood {
                self.audit_denial(row).await;
            }
        };
        let (recorded, proof, ()) = tokio::join!(
            self.record_revoked(caller, &id, why.reason.as_deref()),
            self.await_denial(&id, &hold),
            audit
        );
        self.order_ends(&registry, &id, &hold, why.reason.as_deref(), &proof);
        let entry = match recorded {
            Ok(entry) => entry,
            Err(error) => {
                return Err(AccessError::RevokedUnrecorded {
                    corporate_id: id,
                    hold,
                    error,
                });
            }
        };
        // Somebody may have reinstated the ID between two of these writes, and lifted the hold. The later word is this one, and it is
        // said when the registry still says revoked after the hold was seen: whoever lifts the hold after that reads the registry.
        let (mut entry, mut hold, mut proof, mut crossed) = (entry, hold, proof, false);
        loop {
            match self.hold_again(&registry, &id, why.reason.clone()).await {
                Ok(standing) => hold = standing,
                Err(error) if !crossed && self.stands_for_good(&hold) => {
                    tracing::warn!(%id, %error, "whether the hold of the revocation still stands could not be looked at");
                }
                Err(error) => return Err(error.into()),
            }
            if crossed {
                proof = self.await_denial(&id, &hold).await;
            }
            match self.registry().get(&id).await? {
                Some(now) if now.status.is_valid() => {
                    crossed = true;
                    entry = self.record_revoked(caller, &id, why.reason.as_deref()).await?;
                }
                Some(_) | None => break,
            }
        }
        Ok(RevokedId { entry, hold, proof })
    }

    /// Places the hold of a revocation where it is gone by the word of the source.
    pub(super) async fn hold_again(
        &self,
        registry: &Caller,
        id: &CorporateId,
        reason: Option<String>,
    ) -> Result<String, DesiredError> {
        let hold = self.place_standing_hold(registry, id, REVOKED, reason).await?;
        self.people.order_ends(&hold);
        Ok(hold)
    }

    /// Whether somebody is declared or held with an ID, by the word of the source where memory knows nothing.
    async fn is_used(&self, id: &CorporateId) -> bool {
        if self.is_known(id) {
            return true;
        }
        // A source that cannot be read is no reason to leave somebody in.
        self.desired
            .get_user(&id.object_name())
            .await
            .map_or(true, |user| user.is_some())
    }

    /// Has the registry say that an ID is revoked; one that it did not know is entered.
    pub(super) async fn record_revoked(
        &self,
        caller: &Caller,
        id: &CorporateId,
        reason: Option<&str>,
    ) -> Result<Entry, StoreError> {
        let step = self.registry().step(id, Step::Revoke, caller.by(reason)).await?;
        // An order to revoke is never refused.
        if let Some(Ok(stepped)) = step {
            return Ok(stepped.entry);
        }
        let unknown = NewEntry {
            id: super::super::canonical(id),
            status: Status::Revoked,
            owner: Owner::default(),
            request_key: None,
            action: Step::Revoke.as_str(),
        };
        match self.registry().add(unknown, caller.by(reason)).await? {
            Added::Entered(entry) | Added::Before(entry) => Ok(entry),
            // Somebody entered it in this moment.
            Added::Taken => match self.registry().step(id, Step::Revoke, caller.by(reason)).await? {
                Some(Ok(stepped)) => Ok(stepped.entry),
                Some(Err(_)) | None => Err(StoreError::Unavailable(format!(
                    "the registry changed {id} at the same time: try again"
                ))),
            },
        }
    }
}
