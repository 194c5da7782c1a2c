//! The guard, for people: what is held back, and the word to let it through or to reject it.

use serde_json::json;

use super::{Caller, Result, UseCases, tell};
use crate::{desired::DesiredError, model::corporate_id::CorporateId, roster::GuardReport};

/// What the guard holds back.
pub type GuardView = GuardReport;

/// What became of a word to the guard.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// Whom it concerned.
    pub affected: Vec<CorporateId>,
    /// What is held back afterwards.
    pub report: GuardView,
}

impl UseCases {
    /// What the guard holds back, and how much more it lets through. Nothing is answered that a crash would forget, as long as
    /// the guard's store takes it in time.
    pub async fn guard(&self) -> GuardView {
        let report = self.dependencies.people.guard();
        self.dependencies.guard_kept().await;
        report
    }

    /// Lets pending denials through, and rejected ones that cannot be taken back: those named, or all. Names that nothing is pending for are passed over.
    ///
    /// # Errors
    /// Only an internal one.
    pub async fn confirm_guard(&self, caller: Caller, ids: Option<Vec<CorporateId>>) -> Result<Confirmed> {
        self.word_to_the_guard(caller, ids, true).await
    }

    /// Rejects pending denials: those named, or all. The people keep their access until their objects change again.
    ///
    /// # Errors
    /// History is unavailable: a denial is not undone without a trace.
    pub async fn cancel_guard(&self, caller: Caller, ids: Option<Vec<CorporateId>>) -> Result<Confirmed> {
        self.word_to_the_guard(caller, ids, false).await
    }

    async fn word_to_the_guard(
        &self,
        caller: Caller,
        ids: Option<Vec<CorporateId>>,
        confirm: bool,
    ) -> Result<Confirmed> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move {
            let GuardReport { pending, rejected, .. } = dependencies.people.guard();
            let again = rejected.into_iter().filter(|_| confirm);
            let mut affected: Vec<CorporateId> = pending.into_iter().chain(again).map(|it| it.corporate_id).collect();
            if let Some(ids) = &ids {
                let named: std::collections::HashSet<&CorporateId> = ids.iter().collect();
                affected.retain(|id| named.contains(id));
            }
            affected.sort_unstable();
            affected.dedup();
            if !affected.is_empty() {
                let action = if confirm { "guard.confirm" } else { "guard.cancel" };
                let entries: Vec<_> = affected
                    .iter()
                    .map(|id| {
                        let mut entry = caller.entry(action, Some(id));
                        entry.after = Some(tell::json(&json!({ "all": ids.is_none() })));
                        entry
                    })
                    .collect();
                // Exactly the people who are audited, also when more came in meanwhile.
                if confirm {
                    dependencies.people.confirm(Some(&affected));
                    dependencies.audit_denials(entries).await;
                } else {
                    dependencies.audit_all_before(entries).await?;
                    dependencies.people.cancel(Some(&affected));
                }
                if !dependencies.guard_kept().await {
                    let why = dependencies.people.guard_store().join("; ");
                    return Err(DesiredError::Unavailable(format!(
                        "the word to the guard is in force now, and a crash would undo it, because it cannot be kept: {why}. Say it again when that is mended"
                    ))
                    .into());
                }
            }
            Ok(Confirmed {
                affected,
                report: dependencies.people.guard(),
            })
        })
        .await
    }
}
