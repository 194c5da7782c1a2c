//! Activating, reinstating and archiving.

use serde_json::json;

use super::super::{AccessError, Caller, Dependencies, Result, UseCases, tell};
use crate::{
    desired::DesiredError,
    model::corporate_id::CorporateId,
    registry::{Entry, Status, Step},
};

/// What became of an ID that was to be given back.
#[derive(Debug, Clone)]
pub struct ReinstatedId {
    /// The ID as the registry has it.
    pub entry: Entry,
    /// Holds that were lifted.
    pub released: Vec<String>,
    /// Holds of others that still deny.
    pub remaining: Vec<String>,
}

impl UseCases {
    /// Says that somebody uses an ID from now on. Gives nothing back that was revoked.
    ///
    /// # Errors
    /// There is no such ID, it is revoked or archived, or history or the registry are unavailable.
    pub async fn activate_id(&self, caller: Caller, id: CorporateId, reason: Option<String>) -> Result<Entry> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.step(&caller, &id, Step::Activate, reason).await })
            .await
    }

    /// Gives back an ID that was revoked: the registry says active, then the hold is lifted. Whoever was cut off between the two
    /// leaves the person out; asking again goes on. A revocation at the same time wins.
    ///
    /// # Errors
    /// As [`Self::activate_id`]; or the hold could not be lifted.
    pub async fn reinstate_id(&self, caller: Caller, id: CorporateId, reason: Option<String>) -> Result<ReinstatedId> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.reinstate(&caller, &id, reason).await })
            .await
    }

    /// Puts a revoked ID away for good. Its hold stays.
    ///
    /// # Errors
    /// There is no such ID, it is in use, or history or the registry are unavailable.
    pub async fn archive_id(&self, caller: Caller, id: CorporateId, reason: Option<String>) -> Result<Entry> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.step(&caller, &id, Step::Archive, reason).await })
            .await
    }
}

impl Dependencies {
    /// One step in the registry, with its audit row before it.
    async fn step(&self, caller: &Caller, id: &CorporateId, step: Step, reason: Option<String>) -> Result<Entry> {
        let unknown = || AccessError::UnknownId(id.clone());
        let known = self.registry().get(id).await?.ok_or_else(unknown)?;
        let next = known.status.after(step, &known.id)?;
        if next == known.status {
            return Ok(known);
        }
        let mut row = caller.entry(&format!("id.{}", step.as_str()), Some(&known.id));
        row.before = Some(told(known.status));
        let by = caller.by(reason.as_deref());
        let announced = self.announce(row, reason, told(next)).await?;
        let failed = match self.registry().step(id, step, by).await {
            Ok(Some(Ok(stepped))) => return Ok(stepped.entry),
            Ok(Some(Err(error))) => error.into(),
            Ok(None) => unknown(),
            Err(error) => error.into(),
        };
        Err(self.not_done(announced, failed).await)
    }

    async fn reinstate(&self, caller: &Caller, id: &CorporateId, reason: Option<String>) -> Result<ReinstatedId> {
        self.loaded().await?;
        let mut entry = self.step(caller, id, Step::Reinstate, reason).await?;
        let released = self.revoking_holds(&entry.id);
        for name in &released {
            match self.desired.lift_hold(name, caller.manager).await {
                Ok(()) | Err(DesiredError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let gone = || self.are_gone(&entry.id, &released).then_some(());
        let _ = self.until(self.settings.grant_wait, gone).await;
        // Who revoked the ID meanwhile found the hold in its place, and this has lifted it.
        entry = self.registry().get(id).await?.unwrap_or(entry);
        if !entry.status.is_valid() {
            let registry = caller.for_registry();
            self.hold_again(&registry, &entry.id, None).await?;
            return Err(AccessError::Overtaken(entry.id));
        }
        let person = self.people.person(&entry.id);
        Ok(ReinstatedId {
            remaining: person.map(|person| person.live_holds).unwrap_or_default(),
            entry,
            released,
        })
    }
}

fn told(status: Status) -> String {
    tell::json(&json!({ "status": status.as_str() }))
}
