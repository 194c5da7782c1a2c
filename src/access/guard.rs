//! The guard, for people: what is held back, and the word to let it through or to reject it.

use jiff::SignedDuration;
use kube::ResourceExt;
use serde_json::json;

use super::{Caller, Dependencies, Result, UseCases, tell};
use crate::{
    desired::DesiredError,
    model::{
        Kind,
        corporate_id::CorporateId,
        guard::{Budget, BudgetReport},
    },
    roster::{GuardReport, PendingDenial, Several},
};

/// Things of each kind that are shown by name: nobody reads more, and an answer about a whole company would be too long for
/// whoever asks.
pub const MOST_SHOWN: usize = 1000;

/// What the guard holds back, as people need it to decide.
#[derive(Debug, Clone)]
pub struct GuardView {
    /// Denials and lost holds that wait for a person, [`MOST_SHOWN`] of them by name.
    pub pending: Several<WaitingDenial>,
    /// Denials that a person rejected, of people whose objects are deleted for good: they keep access until somebody confirms.
    /// [`MOST_SHOWN`] of them by name.
    pub rejected: Several<WaitingDenial>,
    /// Each budget, in the order of [`Budget::ALL`].
    pub budgets: Vec<BudgetReport>,
    /// People who were denied by orders within the window.
    pub orders: usize,
    /// The time over which is counted.
    pub window: SignedDuration,
}

/// One thing that the guard holds back, with whom and what it came from.
#[derive(Debug, Clone)]
pub struct WaitingDenial {
    /// What is held back.
    pub denial: PendingDenial,
    /// Text that is shown to admins.
    pub owner: Option<String>,
    /// The file that declares it, or the reason that the hold was given.
    pub from: Option<String>,
}

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
        let view = self.dependencies.guard_view().await;
        self.dependencies.guard_kept().await;
        view
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
            let GuardReport { pending, rejected, .. } = dependencies.people.guard(usize::MAX);
            let again = rejected.first.into_iter().filter(|_| confirm);
            let all = pending.first.into_iter().chain(again);
            let mut affected: Vec<CorporateId> = all.map(|it| it.corporate_id).collect();
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
                report: dependencies.guard_view().await,
            })
        })
        .await
    }
}

impl Dependencies {
    async fn guard_view(&self) -> GuardView {
        let report = self.people.guard(MOST_SHOWN);
        GuardView {
            pending: self.seen(report.pending).await,
            rejected: self.seen(report.rejected).await,
            budgets: report.budgets,
            orders: report.orders,
            window: report.window,
        }
    }

    async fn seen(&self, waiting: Several<PendingDenial>) -> Several<WaitingDenial> {
        let mut first = Vec::with_capacity(waiting.first.len());
        for denial in waiting.first {
            first.push(self.seen_one(denial).await);
        }
        Several {
            first,
            total: waiting.total,
        }
    }

    async fn seen_one(&self, denial: PendingDenial) -> WaitingDenial {
        let user = self.directory.user(&denial.corporate_id.object_name());
        // Only holds of feeds and lost holds are named as causes.
        let hold = matches!(denial.budget, Budget::Hr | Budget::Scim | Budget::Holds)
            .then(|| self.directory.hold(&denial.cause))
            .flatten();
        let from = match (&hold, &user) {
            (Some(hold), _) if hold.spec.reason.is_some() => hold.spec.reason.clone(),
            (Some(hold), _) => self.desired.place(Kind::VpnHold, &hold.name_any()).await,
            (None, Some(user)) => self.desired.place(Kind::VpnUser, &user.name_any()).await,
            (None, None) => None,
        };
        WaitingDenial {
            owner: user.and_then(|user| user.spec.owner.clone()),
            from,
            denial,
        }
    }
}
