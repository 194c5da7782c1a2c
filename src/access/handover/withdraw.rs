//! Withdrawing a link.

use serde_json::json;

use crate::{
    access::{AccessError, Caller, Result, UseCases, announced::row, tell},
    handover::{Handover, Withdrawn},
    model::corporate_id::CorporateId,
};

impl UseCases {
    /// Withdraws a link of a person, so that it opens nothing any more. What was opened stays open: a new subscription link ends that.
    ///
    /// # Errors
    /// The person has no such link, or the links cannot be written.
    pub async fn withdraw_handover(
        &self,
        caller: Caller,
        id: CorporateId,
        number: i64,
        reason: Option<String>,
    ) -> Result<()> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move {
            let links = &dependencies.handovers;
            let mut entry = caller.entry("handover.withdrawn", Some(&id));
            entry.reason = reason;
            let told = move |link: &Handover| {
                entry.before = Some(tell::json(
                    &json!({ "link": link.number, "usesLeft": link.uses_left() }),
                ));
                row(&entry)
            };
            match links.withdraw(&id, number, told).await? {
                Withdrawn::Unknown => Err(AccessError::UnknownHandover { id, number }),
                Withdrawn::Before => Ok(()),
                Withdrawn::Now { unaudited } => {
                    dependencies
                        .audit_announced_or_later(&links.outbox(), &[unaudited])
                        .await;
                    Ok(())
                }
            }
        })
        .await
    }
}
