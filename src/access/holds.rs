//! Standing denials: list, place, lift.

use jiff::Timestamp;
use serde_json::json;

use super::{
    AccessError, Caller, Dependencies, Proof, Result, UseCases, Why, canonical, deactivate::DEACTIVATED, tell,
};
use crate::{
    desired::{DesiredError, HoldNotes},
    history::redact,
    model::{
        ORDERED_BY,
        access::HoldSpan,
        corporate_id::CorporateId,
        hold::{HoldPhase, VpnHold, VpnHoldSpec, hold_name},
    },
    roster::Person,
};

/// Where a hold stands in its life.
pub type Phase = HoldPhase;

/// A hold as it is shown.
#[derive(Debug, Clone)]
pub struct HoldView {
    /// Name of the object.
    pub name: String,
    /// The object.
    pub spec: VpnHoldSpec,
    /// Where it stands at present.
    pub phase: Phase,
    /// The guard holds it back, and a person rejected it: it will not deny any more.
    pub rejected: bool,
    /// When it was placed; `None` if its source does not say.
    pub since: Option<Timestamp>,
    /// Who ordered it, as the audit names them; `None` for one that was not placed through the API or the command line.
    pub ordered_by: Option<String>,
    /// Whether it denies now: auth refuses the person because of it.
    pub in_force: bool,
}

/// Which holds to list.
#[derive(Debug, Clone, Default)]
pub struct HoldFilter {
    /// Only those of this person.
    pub corporate_id: Option<CorporateId>,
    /// Only those of this source.
    pub source: Option<String>,
    /// Only those in this phase.
    pub phase: Option<Phase>,
}

/// A hold to be placed.
#[derive(Debug, Clone)]
pub struct NewHold {
    /// Whom it denies. The person need not be declared yet.
    pub corporate_id: CorporateId,
    /// A short word that becomes part of the name.
    pub cause: String,
    /// Why.
    pub why: Why,
    /// When it begins.
    pub from: Option<Timestamp>,
    /// When it ends.
    pub until: Option<Timestamp>,
}

/// What became of a hold that was to be placed.
#[derive(Debug, Clone)]
pub struct PlacedHold {
    /// The hold.
    pub hold: HoldView,
    /// How far the denial is proved; nothing is while the hold is pending.
    pub proof: Proof,
}

/// What became of a hold that was to be lifted.
#[derive(Debug, Clone)]
pub struct ReleasedHold {
    /// Name of the hold.
    pub name: String,
    /// Whom it denied.
    pub corporate_id: CorporateId,
    /// Holds that still deny.
    pub remaining: Vec<String>,
}

impl UseCases {
    /// Holds in the order of their names.
    pub fn holds(&self, filter: &HoldFilter) -> Vec<HoldView> {
        self.dependencies.holds(filter)
    }

    /// Places a hold. Placing the same again succeeds.
    ///
    /// # Errors
    /// A field breaks a rule, or another hold has the name.
    pub async fn place_hold(&self, caller: Caller, hold: NewHold) -> Result<PlacedHold> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.place_hold(&caller, hold).await })
            .await
    }

    /// Lifts a hold of the caller's own source. The reason stands in the audit.
    ///
    /// # Errors
    /// There is none of that name, another source placed it, or history is unavailable.
    pub async fn release_hold(&self, caller: Caller, name: String, reason: Option<String>) -> Result<ReleasedHold> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.release_hold(&caller, &name, reason).await })
            .await
    }
}

impl Dependencies {
    /// Holds that pass the filter, in the order of their names.
    pub(super) fn holds(&self, filter: &HoldFilter) -> Vec<HoldView> {
        let now = self.clock.now();
        let mut found: Vec<HoldView> = self
            .directory
            .holds()
            .iter()
            .filter(|hold| {
                let spec = &hold.spec;
                filter.corporate_id.as_ref().is_none_or(|id| spec.corporate_id == *id)
                    && filter.source.as_ref().is_none_or(|source| spec.source == *source)
            })
            .map(|hold| self.hold_view(hold, now))
            .filter(|view| filter.phase.is_none_or(|phase| view.phase == phase))
            .collect();
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        found
    }

    async fn place_hold(&self, caller: &Caller, new: NewHold) -> Result<PlacedHold> {
        let now = self.clock.now();
        check(&new, now)?;
        let id = &new.corporate_id;
        let name = hold_name(&caller.source, &new.cause, id);
        let spec = VpnHoldSpec {
            corporate_id: canonical(id),
            source: caller.source.clone(),
            reason: new.why.reason.clone(),
            from: new.from,
            until: new.until,
        };
        let existed = self.directory.hold(&name).is_some_and(|hold| hold.spec == spec);
        let hold = self.order(caller, &name, spec, None).await?;
        let mut view = self.hold_view(&hold, now);
        let mut entry = caller.entry("hold.create", Some(id));
        entry.reason.clone_from(&view.spec.reason);
        let after = json!({ "hold": name, "from": new.from, "until": new.until });
        entry.after = Some(new.why.after(after));
        let begun = phase_at(&view.spec, now) == Phase::Live;
        let proof = async {
            if begun {
                self.await_denial(id, &name).await
            } else {
                let seen = || self.directory.hold(&name);
                let _ = self.until(self.settings.denial_wait, seen).await;
                Proof::default()
            }
        };
        let audit = async {
            if !existed {
                self.audit_denial(entry).await;
            }
        };
        let (proof, ()) = tokio::join!(proof, audit);
        self.order_ends(caller, id, &name, view.spec.reason.as_deref(), &proof);
        view.phase = self.hold_view(&hold, now).phase;
        Ok(PlacedHold { hold: view, proof })
    }

    /// Places a hold, and has the line in the log that tells of the denial name who ordered it.
    pub(super) async fn order(
        &self,
        caller: &Caller,
        name: &str,
        spec: VpnHoldSpec,
        hr_event_at: Option<Timestamp>,
    ) -> std::result::Result<VpnHold, DesiredError> {
        self.people.order_begins(name, &caller.actor);
        let notes = HoldNotes {
            ordered_by: &redact(&caller.actor),
            hr_event_at,
        };
        let placed = self.desired.create_hold(name, spec, notes, caller.manager).await;
        if placed.is_err() {
            self.people.order_ends(name);
        }
        placed
    }

    /// Tells of an order by which nobody lost access: the person had none, or has it still.
    pub(super) fn order_ends(&self, caller: &Caller, id: &CorporateId, hold: &str, why: Option<&str>, proof: &Proof) {
        if self.people.order_ends(hold) {
            return;
        }
        let (by, why) = (&caller.actor, why.unwrap_or_default());
        tracing::info!(
            corporate_id = %id,
            hold,
            ?by,
            ?why,
            in_force = proof.in_force,
            held_back = proof.held_back,
            "a denial was ordered by which nobody lost access at this moment"
        );
    }

    async fn release_hold(&self, caller: &Caller, name: &str, reason: Option<String>) -> Result<ReleasedHold> {
        self.loaded().await?;
        let hold = self
            .directory
            .hold(name)
            .ok_or_else(|| AccessError::UnknownHold(name.to_owned()))?;
        if hold.spec.source != caller.source {
            return Err(AccessError::ForeignHold {
                name: name.to_owned(),
                source_name: hold.spec.source.clone(),
            });
        }
        let id = &hold.spec.corporate_id;
        let mut entry = caller.entry("hold.release", Some(id));
        entry.reason = reason;
        entry.before = Some(tell::json(&json!({ "hold": name })));
        self.audit_before(entry.clone()).await?;
        match self.desired.lift_hold(name, caller.manager).await {
            Ok(()) => {}
            Err(DesiredError::NotFound { .. }) => return Err(AccessError::UnknownHold(name.to_owned())),
            Err(error) => {
                self.audit_failure(entry, &error).await;
                return Err(error.into());
            }
        }
        let names = [name.to_owned()];
        let gone = || (!self.names_live(id, name) && self.directory.hold(name).is_none()).then_some(());
        let _ = self.until(self.settings.grant_wait, gone).await;
        let remaining = self
            .people
            .person(id)
            .map(|person| person.live_holds)
            .unwrap_or_default();
        Ok(ReleasedHold {
            name: name.to_owned(),
            corporate_id: id.clone(),
            remaining: remaining.into_iter().filter(|live| !names.contains(live)).collect(),
        })
    }

    fn hold_view(&self, hold: &VpnHold, now: Timestamp) -> HoldView {
        let name = hold.metadata.name.clone().unwrap_or_default();
        let person = self.people.person(&hold.spec.corporate_id);
        let among = |names: fn(&Person) -> &Vec<String>| person.as_ref().is_some_and(|it| names(it).contains(&name));
        let in_force = among(|person| &person.live_holds);
        let recorded = hold.status.as_ref().and_then(|status| status.phase) == Some(Phase::HeldBack);
        // The roster says whether the guard keeps it from denying, or, where it has not taken the hold in yet, the status.
        let held_back = among(|person| &person.held_back_holds) || (recorded && !in_force);
        HoldView {
            phase: match phase_at(&hold.spec, now) {
                Phase::Live if held_back => Phase::HeldBack,
                phase => phase,
            },
            rejected: among(|person| &person.rejected_holds),
            since: hold.metadata.creation_timestamp.as_ref().map(|at| at.0),
            ordered_by: hold
                .metadata
                .annotations
                .as_ref()
                .and_then(|all| all.get(ORDERED_BY).cloned()),
            in_force,
            spec: hold.spec.clone(),
            name,
        }
    }

    fn names_live(&self, id: &CorporateId, name: &str) -> bool {
        self.people
            .person(id)
            .is_some_and(|person| person.live_holds.iter().any(|live| live == name))
    }
}

fn check(new: &NewHold, now: Timestamp) -> Result<()> {
    let invalid = |field, message: &str| {
        Err(AccessError::Invalid {
            field,
            message: message.to_owned(),
        })
    };
    let mut letters = new.cause.bytes();
    let word = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !word || new.cause.len() > 20 {
        return invalid(
            "cause",
            "give one short word of small letters and digits, at most 20, like 'vacation'",
        );
    }
    if new.cause.starts_with(DEACTIVATED) {
        return invalid("cause", "'deactivated' belongs to POST /user/{corporate_id}/deactivate");
    }
    if new.until.is_some_and(|until| until <= now) {
        return invalid("until", "the end has passed already: the hold would never deny");
    }
    if let (Some(from), Some(until)) = (new.from, new.until)
        && until <= from
    {
        return invalid("until", "the end must lie after 'from'");
    }
    Ok(())
}

fn phase_at(spec: &VpnHoldSpec, now: Timestamp) -> Phase {
    let span = HoldSpan {
        from: spec.from,
        until: spec.until,
    };
    if span.is_live(now) {
        Phase::Live
    } else if spec.until.is_some_and(|until| until <= now) {
        Phase::Expired
    } else {
        Phase::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(cause: &str, from: Option<&str>, until: Option<&str>) -> NewHold {
        NewHold {
            corporate_id: CorporateId::parse("AB123456").unwrap(),
            cause: cause.to_owned(),
            why: Why::default(),
            from: from.map(|at| at.parse().unwrap()),
            until: until.map(|at| at.parse().unwrap()),
        }
    }

    #[test]
    fn a_hold_that_could_never_deny_or_confuses_names_is_refused() {
        let now: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        let field = |hold: &NewHold| match check(hold, now) {
            Ok(()) => "",
            Err(AccessError::Invalid { field, .. }) => field,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(field(&new("vacation", None, None)), "");
        assert_eq!(field(&new("Vacation", None, None)), "cause");
        assert_eq!(field(&new("a-b", None, None)), "cause");
        assert_eq!(field(&new("", None, None)), "cause");
        assert_eq!(field(&new("deactivated", None, None)), "cause");
        assert_eq!(field(&new("x", None, Some("2026-05-01T00:00:00Z"))), "until");
        assert_eq!(field(&new("x", None, Some("2026-05-01T00:00:01Z"))), "");
        assert_eq!(
            field(&new("x", Some("2026-06-02T00:00:00Z"), Some("2026-06-01T00:00:00Z"))),
            "until"
        );
    }

    #[test]
    fn the_phase_of_a_hold_follows_its_span() {
        let spec = |from: Option<&str>, until: Option<&str>| VpnHoldSpec {
            corporate_id: CorporateId::parse("AB123456").unwrap(),
            source: "api".to_owned(),
            reason: None,
            from: from.map(|at| at.parse().unwrap()),
            until: until.map(|at| at.parse().unwrap()),
        };
        let now: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        assert_eq!(phase_at(&spec(None, None), now), Phase::Live);
        assert_eq!(phase_at(&spec(Some("2026-05-01T00:00:00Z"), None), now), Phase::Live);
        assert_eq!(phase_at(&spec(Some("2026-05-01T00:00:01Z"), None), now), Phase::Pending);
        assert_eq!(phase_at(&spec(None, Some("2026-05-01T00:00:00Z")), now), Phase::Expired);
    }
}
