//! Activating: lift what this source placed, set `spec.active`, and say what still stands against access.

use serde_json::json;

use super::{AccessError, Caller, Denial, Dependencies, Result, UseCases, deactivate::DEACTIVATED, tell};
use crate::{
    desired::DesiredError,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        hold::hold_name,
    },
};

/// What became of an activation.
#[derive(Debug, Clone)]
pub struct Activation {
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// What auth does now.
    pub access: Access,
    /// Why.
    pub reason: Reason,
    /// Holds that were lifted.
    pub released: Vec<String>,
    /// Holds that still deny: their own sources have to lift them.
    pub remaining: Vec<String>,
    /// Whether auth has taken the change in already.
    pub in_force: bool,
    /// What denied the person again while this was under way, for people.
    pub overtaken: Option<String>,
}

/// What an activation leaves behind; whatever differs from it was ordered later.
struct Left {
    /// The holds that were to be lifted, with their uids where those are known.
    holds: Vec<(String, Option<String>)>,
    /// Generation of the user in which `spec.active` is true.
    generation: Option<i64>,
}

/// A denial that was ordered while an activation was under way.
struct Overtaking {
    reason: Reason,
    hold: Option<String>,
    told: String,
}

/// What an activation waits for.
enum Outcome {
    Lifted,
    Overtaken(Overtaking),
}

impl UseCases {
    /// Lifts every hold of the caller's source and sets `spec.active`. Other holds stay. Idempotent. A denial that is ordered
    /// meanwhile wins, and is named in the answer.
    ///
    /// # Errors
    /// Nothing is known of the person, history is unavailable, or the object cannot be edited; holds stay then.
    pub async fn activate(&self, caller: Caller, id: CorporateId, reason: Option<String>) -> Result<Activation> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.activate(&caller, &id, reason).await })
            .await
    }
}

impl Dependencies {
    async fn activate(&self, caller: &Caller, id: &CorporateId, reason: Option<String>) -> Result<Activation> {
        self.loaded().await?;
        let user = self.desired.get_user(&id.object_name()).await?;
        let person = self.people.person(id);
        if user.is_none() && person.is_none() {
            return Err(AccessError::UnknownPerson(id.clone()));
        }
        let id = user.as_ref().map_or(id, |user| &user.spec.corporate_id);
        if user
            .as_ref()
            .is_some_and(|user| user.metadata.deletion_timestamp.is_some())
        {
            return Err(AccessError::Conflict(Denial {
                corporate_id: id.clone(),
                reason: Reason::Deleted,
                holds: person.map(|person| person.live_holds).unwrap_or_default(),
            }));
        }
        let own = self.own_holds(caller, id);
        let flips = user.as_ref().is_some_and(|user| !user.spec.active);
        let mut left = Left {
            holds: own.iter().map(|name| (name.clone(), self.uid_of_hold(name))).collect(),
            generation: user.as_ref().and_then(|user| user.metadata.generation),
        };
        if flips || !own.is_empty() {
            let mut entry = caller.entry("activate", Some(id));
            entry.reason = reason;
            entry.before = Some(tell::json(&json!({ "active": !flips, "holds": own })));
            entry.after = Some(tell::json(&json!({ "active": true })));
            self.audit_before(entry.clone()).await?;
            let done = async {
                let flipped = self.flip(caller, user.as_ref(), true).await?;
                self.release_all(caller, &own).await.map(|()| flipped)
            };
            match done.await {
                Ok(Some(flipped)) => left.generation = flipped.metadata.generation,
                Ok(None) => {}
                Err(error) => {
                    self.audit_failure(entry, &error).await;
                    return Err(error.into());
                }
            }
        }
        let outcome = self
            .until(self.settings.grant_wait, || {
                let overtaken = || self.overtaking(id, &left).map(Outcome::Overtaken);
                self.lifted(id, &own).then_some(Outcome::Lifted).or_else(overtaken)
            })
            .await;
        let person = self.people.person(id);
        let mut done = Activation {
            corporate_id: id.clone(),
            access: person.as_ref().map_or(Access::Denied, |p| p.effective.access),
            reason: person.as_ref().map_or(Reason::Deleted, |p| p.effective.reason),
            released: own,
            remaining: person.map(|person| person.live_holds).unwrap_or_default(),
            in_force: outcome.is_some(),
            overtaken: None,
        };
        if let Some(Outcome::Overtaken(overtaking)) = outcome {
            done.give_way(overtaking);
        }
        Ok(done)
    }

    /// The denial that was ordered after what an activation left behind, as far as memory shows one.
    fn overtaking(&self, id: &CorporateId, left: &Left) -> Option<Overtaking> {
        let again = left.holds.iter().find_map(|(name, before)| {
            let hold = self.directory.hold(name)?;
            let is_another = before.is_some() && hold.metadata.uid != *before;
            (is_another && hold.metadata.deletion_timestamp.is_none()).then_some((name, hold))
        });
        if let Some((name, hold)) = again {
            let at = hold.metadata.creation_timestamp.as_ref();
            let at = at.map(|at| format!(" at {}", at.0)).unwrap_or_default();
            let why = hold
                .spec
                .reason
                .as_ref()
                .map(|why| format!(" ({why})"))
                .unwrap_or_default();
            return Some(Overtaking {
                reason: Reason::Held,
                hold: Some(name.clone()),
                told: format!("{} placed the hold {name}{at}{why}", hold.spec.source),
            });
        }
        let user = self.known_user(id)?;
        let is_later = user.metadata.generation > left.generation && left.generation.is_some();
        (is_later && !user.spec.active).then(|| Overtaking {
            reason: Reason::Inactive,
            hold: None,
            told: "spec.active was set to false".to_owned(),
        })
    }

    fn uid_of_hold(&self, name: &str) -> Option<String> {
        self.directory.hold(name)?.metadata.uid.clone()
    }

    /// Names of the holds that the caller's source placed on this person.
    fn own_holds(&self, caller: &Caller, id: &CorporateId) -> Vec<String> {
        let mut own: Vec<String> = self
            .directory
            .holds()
            .iter()
            .filter(|hold| hold.spec.corporate_id == *id && hold.spec.source == caller.source)
            .filter_map(|hold| hold.metadata.name.clone())
            .collect();
        let usual = hold_name(&caller.source, DEACTIVATED, id);
        let lives = self
            .people
            .person(id)
            .is_some_and(|person| person.live_holds.contains(&usual));
        if lives && !own.contains(&usual) {
            own.push(usual);
        }
        own.sort_unstable();
        own
    }

    async fn release_all(&self, caller: &Caller, names: &[String]) -> std::result::Result<(), DesiredError> {
        for name in names {
            match self.desired.lift_hold(name, caller.manager).await {
                Ok(()) | Err(DesiredError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether memory shows the person active and without these holds.
    pub(super) fn lifted(&self, id: &CorporateId, holds: &[String]) -> bool {
        let person = self.people.person(id);
        person.is_none_or(|person| person.declared.reason != Reason::Inactive) && self.are_gone(id, holds)
    }

    /// Whether memory shows the person without these holds.
    pub(super) fn are_gone(&self, id: &CorporateId, holds: &[String]) -> bool {
        let gone = |name: &String| {
            self.directory
                .hold(name)
                .is_none_or(|hold| hold.metadata.deletion_timestamp.is_some())
        };
        let person = self.people.person(id);
        let free = person.is_none_or(|person| !person.live_holds.iter().any(|live| holds.contains(live)));
        free && holds.iter().all(gone)
    }
}

impl Activation {
    /// The later order wins, whether or not auth shows it at this moment.
    fn give_way(&mut self, overtaking: Overtaking) {
        if self.access == Access::Granted {
            self.reason = overtaking.reason;
        }
        self.access = Access::Denied;
        self.remaining.extend(overtaking.hold);
        self.remaining.sort_unstable();
        self.remaining.dedup();
        self.released.retain(|name| !self.remaining.contains(name));
        self.overtaken = Some(overtaking.told);
    }
}
