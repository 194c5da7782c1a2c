//! Taking a wrong burst back as one: every hold that a source placed from a moment on.
//!
//! Orders never wait, so a wrong burst of them must be easy to undo. What `spec.active` said before is put back too, where it
//! was this source's deactivation that changed it. A person for whom one step fails keeps the hold, so that asking again
//! finds what is left; the others do not wait for that.

mod undo;

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde_json::json;

use self::undo::Undo;
use super::{AccessError, Caller, Dependencies, Result, UseCases, tell};
use crate::{
    history::AuditEntry,
    model::{
        RELEASED,
        access::{Access, Reason},
        corporate_id::CorporateId,
        hold::VpnHold,
    },
};

/// People who are worked on at a time: enough to keep a disk or an API server busy, few enough to leave them to others.
const AT_ONCE: usize = 16;

/// Names of holds that the one row about all of them lists; each person's own row has that person's.
const NAMES_IN_AUDIT: usize = 200;

/// Which holds of the caller's source to take back.
#[derive(Debug, Clone)]
pub struct ReleaseMany {
    /// Those placed at this moment or later. Compared in whole seconds, as an API server keeps them.
    pub since: Timestamp,
    /// Why, for people.
    pub reason: Option<String>,
    /// Only look.
    pub dry_run: bool,
}

/// What became of taking holds back.
#[derive(Debug, Clone)]
pub struct ReleasedMany {
    /// Whose holds.
    pub source: String,
    /// Nothing was changed: this says what would happen.
    pub dry_run: bool,
    /// Whom it concerns, in the order of their IDs.
    pub people: Vec<ReleasedPerson>,
    /// Whether auth has taken the changes in already.
    pub in_force: bool,
}

/// What became of one person's holds.
#[derive(Debug, Clone)]
pub struct ReleasedPerson {
    /// Whom it concerns.
    pub corporate_id: CorporateId,
    /// The holds, in the order of their names.
    pub holds: Vec<ReleasedOne>,
    /// `spec.active` is set back to true, because a deactivation by this source had set it to false.
    pub reactivates: bool,
    /// Why not everything could be taken back.
    pub error: Option<String>,
    /// What auth does afterwards.
    pub access: Access,
    /// Why.
    pub reason: Reason,
    /// Holds that still deny.
    pub remaining: Vec<String>,
}

/// A hold that was to be taken back.
#[derive(Debug, Clone)]
pub struct ReleasedOne {
    /// Name of the hold.
    pub name: String,
    /// When it was placed.
    pub since: Timestamp,
    /// Why it was placed, for people.
    pub reason: Option<String>,
    /// It is gone.
    pub released: bool,
}

impl UseCases {
    /// Takes back every hold that the caller's source placed from a moment on, and what its deactivations did to `spec.active`.
    /// One audit row speaks of all, and one of each person.
    ///
    /// # Errors
    /// The moment lies ahead, or history is unavailable: nothing is changed then. What fails for one person only is in the
    /// answer.
    pub async fn release_many(&self, caller: Caller, order: ReleaseMany) -> Result<ReleasedMany> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.release_many(&caller, &order).await })
            .await
    }
}

impl Dependencies {
    async fn release_many(&self, caller: &Caller, order: &ReleaseMany) -> Result<ReleasedMany> {
        self.loaded().await?;
        if order.since > self.clock.now() {
            return Err(AccessError::Invalid {
                field: "since",
                message: format!("{} lies ahead: give a moment that has passed", order.since),
            });
        }
        let since = Timestamp::from_second(order.since.as_second()).unwrap_or(order.since);
        let plans = stream::iter(self.concerned(&caller.source, since))
            .map(|(id, holds)| self.plan(&caller.source, since, id, holds));
        let undos: Vec<Undo> = plans.buffered(AT_ONCE).try_collect().await?;
        let mut done = ReleasedMany {
            source: caller.source.clone(),
            dry_run: order.dry_run,
            people: Vec::with_capacity(undos.len()),
            in_force: true,
        };
        if order.dry_run {
            let foreseen = stream::iter(undos).map(|undo| self.foresee(undo));
            done.people = foreseen.buffered(AT_ONCE).collect().await;
            return Ok(done);
        }
        if undos.is_empty() {
            return Ok(done);
        }
        self.audit_all_before(rows(caller, order, &undos)).await?;
        let carried_out = stream::iter(undos).map(|undo| self.carry_out(caller, undo));
        let undos: Vec<Undo> = carried_out.buffered(AT_ONCE).collect().await;
        let mut waiting = undos.iter().peekable();
        let taken_in = || {
            while waiting.peek().is_some_and(|undo| self.is_taken_in(undo)) {
                waiting.next();
            }
            waiting.peek().is_none().then_some(())
        };
        done.in_force = self.until(self.settings.grant_wait, taken_in).await.is_some();
        done.people = undos.into_iter().map(|undo| self.outcome(undo)).collect();
        Ok(done)
    }

    /// Holds of a source that were placed from a moment on and that nobody has lifted, by person.
    fn concerned(&self, source: &str, since: Timestamp) -> BTreeMap<CorporateId, Vec<ReleasedOne>> {
        let lifted = |hold: &VpnHold| {
            let annotations = hold.metadata.annotations.as_ref();
            annotations.is_some_and(|all| all.get(RELEASED).is_some_and(|value| value == "true"))
        };
        let mut people: BTreeMap<CorporateId, Vec<ReleasedOne>> = BTreeMap::new();
        for hold in self.directory.holds() {
            let Some(created) = hold.metadata.creation_timestamp.as_ref().map(|at| at.0) else {
                continue;
            };
            if hold.spec.source == source && created >= since && !lifted(&hold) {
                let placed = ReleasedOne {
                    name: hold.metadata.name.clone().unwrap_or_default(),
                    since: created,
                    reason: hold.spec.reason.clone(),
                    released: false,
                };
                people.entry(hold.spec.corporate_id.clone()).or_default().push(placed);
            }
        }
        for holds in people.values_mut() {
            holds.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        }
        people
    }
}

/// One row about all of them, and one for each person, so that whoever asks for a person finds it.
fn rows(caller: &Caller, order: &ReleaseMany, undos: &[Undo]) -> Vec<AuditEntry> {
    let names = || undos.iter().flat_map(Undo::names);
    let count = names().count();
    let mut all = caller.entry("hold.release-many", None);
    all.reason.clone_from(&order.reason);
    all.before = Some(tell::json(&json!({
        "source": caller.source,
        "since": order.since,
        "holds": count,
        "people": undos.len(),
        "names": names().take(NAMES_IN_AUDIT).collect::<Vec<_>>(),
        "namesLeftOut": count.saturating_sub(NAMES_IN_AUDIT),
    })));
    let of_person = |undo: &Undo| {
        let mut entry = undo.entry(caller);
        entry.reason.clone_from(&order.reason);
        entry
    };
    std::iter::once(all).chain(undos.iter().map(of_person)).collect()
}
