//! Deactivating: a hold denies at once, the flip of `spec.active` follows gently, and the answer says what is proved.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{AccessError, Caller, Dependencies, Flip, Proof, Result, UseCases, Why, canonical, tell};
use crate::{
    desired::{DesiredError, UserPatch},
    history::{AuditEntry, RevocationRow},
    model::{
        access::Access,
        corporate_id::CorporateId,
        guard::Feed,
        hold::{VpnHold, VpnHoldSpec, hold_name},
        user::VpnUser,
    },
    roster::Person,
};

/// Cause in the name of the hold that a deactivation places.
pub(super) const DEACTIVATED: &str = "deactivated";

/// Cause in the name of a hold that is placed without one.
pub const HELD: &str = "held";

/// Longest that the flip of `spec.active` waits for the hold before it.
const FLIP_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of a deactivation.
#[derive(Debug, Clone)]
pub struct Deactivation {
    /// ID as declared.
    pub corporate_id: CorporateId,
    /// The hold that keeps the person out.
    pub hold: String,
    /// How far the denial is proved.
    pub proof: Proof,
    /// What could not be done, for people.
    pub note: Option<String>,
}

impl UseCases {
    /// Takes a person's access away, and keeps it away until the same source activates the person. Idempotent.
    ///
    /// # Errors
    /// Nothing is known of the person, or the hold could not be placed; `spec.active` is set to false as well as it goes then.
    pub async fn deactivate(&self, caller: Caller, id: CorporateId, why: Why) -> Result<Deactivation> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.deactivate(&caller, &id, why).await })
            .await
    }
}

impl Dependencies {
    async fn deactivate(&self, caller: &Caller, id: &CorporateId, why: Why) -> Result<Deactivation> {
        let user = match self.desired.get_user(&id.object_name()).await {
            Ok(user) => user,
            // A source that cannot be read now must not keep a known person in.
            Err(error) if self.is_known(id) => {
                tracing::warn!(%error, "the user could not be read; the hold is placed all the same");
                self.known_user(id).map(|user| (*user).clone())
            }
            Err(error) => return Err(error.into()),
        };
        if user.is_none() && self.people.person(id).is_none() {
            return Err(AccessError::NobodyToDeny {
                corporate_id: id.clone(),
                hold: hold_name(&caller.source, HELD, id),
            });
        }
        let id = user.as_ref().map_or(id, |user| &user.spec.corporate_id);
        let was_active = user.as_ref().is_some_and(|user| user.spec.active);
        let stood = self.stands_for_good(&hold_name(&caller.source, DEACTIVATED, id));

        let placed = self
            .place_standing_hold(caller, id, DEACTIVATED, why.reason.clone())
            .await;
        let mut entry = caller.entry("deactivate", Some(id));
        entry.reason.clone_from(&why.reason);
        entry.before = Some(tell::json(&json!({ "active": was_active })));
        entry.after = Some(why.after(json!({ "active": false, "hold": placed.as_ref().ok() })));
        let hold = match placed {
            Ok(hold) => hold,
            Err(error) => return Err(self.not_held(caller, id, user.as_ref(), entry, error).await),
        };
        let why = entry.reason.clone();
        let audit = async {
            if was_active || !stood {
                self.audit_denial(entry).await;
            }
        };
        let (flip, proof, ()) = tokio::join!(
            self.flip_behind(caller, user.as_ref(), &hold),
            self.await_denial(id, &hold),
            audit
        );
        self.order_ends(caller, id, &hold, why.as_deref(), &proof);
        let note = match flip {
            Flip::Failed(error) => Some(format!(
                "the hold keeps the person out, but spec.active could not be set to false: {error}"
            )),
            Flip::Waits => Some(Flip::Waits.to_string()),
            Flip::Done | Flip::OfFeed | Flip::Undeclared => None,
        };
        Ok(Deactivation {
            corporate_id: id.clone(),
            hold,
            proof,
            note,
        })
    }

    /// Denies as well as it goes where no hold stands, and says that this is not what was ordered.
    async fn not_held(
        &self,
        caller: &Caller,
        id: &CorporateId,
        user: Option<&VpnUser>,
        mut entry: AuditEntry,
        error: DesiredError,
    ) -> AccessError {
        let of_feed = Feed::of_source(&caller.source).is_some();
        let flip = match self.flip(caller, user.filter(|_| !of_feed), false).await {
            Err(error) => Flip::Failed(error),
            Ok(_) if of_feed => Flip::OfFeed,
            Ok(_) if user.is_none() => Flip::Undeclared,
            Ok(_) => Flip::Done,
        };
        let error = AccessError::NotHeld {
            corporate_id: id.clone(),
            error,
            flip: Box::new(flip),
        };
        entry.action.push_str(".failed");
        entry.after = None;
        entry.reason = Some(error.to_string());
        self.audit_denial(entry).await;
        error
    }

    /// Sets `spec.active` to false behind a hold. The hold is the order; the flip is declared state, and takes nothing away
    /// from anybody whom a hold denies already: so an order uses up nothing of what the guard lets through as declared. The
    /// denial waits for none of this.
    async fn flip_behind(&self, caller: &Caller, user: Option<&VpnUser>, hold: &str) -> Flip {
        let Some(user) = user else {
            return Flip::Undeclared;
        };
        let id = &user.spec.corporate_id;
        let denies = || {
            let person = self.people.person(id)?;
            let has = |names: &[String]| names.iter().any(|name| name == hold);
            (has(&person.live_holds) || has(&person.held_back_holds)).then(|| has(&person.live_holds))
        };
        if user.spec.active && self.until(FLIP_TIMEOUT, denies).await == Some(false) {
            return Flip::Waits;
        }
        match self.flip(caller, Some(user), false).await {
            Ok(_) => Flip::Done,
            Err(error) => Flip::Failed(error),
        }
    }

    /// Sets `spec.active` and nothing else. Gives the object where that changed it.
    pub(super) async fn flip(
        &self,
        caller: &Caller,
        user: Option<&VpnUser>,
        active: bool,
    ) -> std::result::Result<Option<VpnUser>, DesiredError> {
        let Some(user) = user.filter(|user| user.spec.active != active) else {
            return Ok(None);
        };
        let patch = UserPatch {
            active: Some(active),
            ..UserPatch::default()
        };
        let name = user.spec.corporate_id.object_name();
        match self.desired.patch_user(&name, patch, caller.manager).await {
            Err(DesiredError::NotFound { .. }) if !active => Ok(None),
            other => other.map(Some),
        }
    }

    /// Places a hold without an end, under a name of its own if the usual one is taken by a hold that ends or vanishes.
    pub(super) async fn place_standing_hold(
        &self,
        caller: &Caller,
        id: &CorporateId,
        cause: &str,
        reason: Option<String>,
    ) -> std::result::Result<String, DesiredError> {
        let spec = VpnHoldSpec {
            corporate_id: canonical(id),
            source: caller.source.clone(),
            reason,
            from: None,
            until: None,
        };
        let name = hold_name(&caller.source, cause, id);
        let taken = self.directory.hold(&name).is_some() && !self.stands_for_good(&name);
        if !taken {
            match self.order(caller, &name, spec.clone(), None).await {
                // One with another reason does the same work.
                Ok(_) | Err(DesiredError::AlreadyExists { .. }) => return Ok(name),
                Err(error) => return Err(error),
            }
        }
        if let Some(name) = self.another_standing_hold(&caller.source, cause, id) {
            return Ok(name);
        }
        let another = format!("{cause}{}", self.clock.now().as_second());
        let name = hold_name(&caller.source, &another, id);
        match self.order(caller, &name, spec, None).await {
            // Somebody said the same in the same second.
            Ok(_) | Err(DesiredError::AlreadyExists { .. }) => Ok(name),
            Err(error) => Err(error),
        }
    }

    /// A hold that this source placed earlier for this cause under a name of its own, and that stands.
    fn another_standing_hold(&self, source: &str, cause: &str, id: &CorporateId) -> Option<String> {
        let prefix = format!("{source}-{cause}");
        let holds = self.directory.holds();
        let mut names = holds
            .iter()
            .filter(|hold| hold.spec.source == source && hold.spec.corporate_id == *id)
            .filter_map(|hold| hold.metadata.name.clone());
        names.find(|name| name.starts_with(&prefix) && self.stands_for_good(name))
    }

    /// Whether a hold denies without an end. One that a person rejected never will: who says it again means another one.
    pub(super) fn stands_for_good(&self, name: &str) -> bool {
        let now = self.clock.now();
        let rejected = |id: &CorporateId| {
            let person = self.people.person(id);
            person.is_some_and(|person| person.rejected_holds.iter().any(|rejected| rejected == name))
        };
        let stands = |hold: &VpnHold| {
            hold.metadata.deletion_timestamp.is_none()
                && !rejected(&hold.spec.corporate_id)
                && hold.spec.until.is_none()
                && hold.spec.from.is_none_or(|from| from <= now)
        };
        self.directory.hold(name).is_some_and(|hold| stands(&hold))
    }

    /// Waits, for a bounded time, until the denial is in force and no session can pass another byte.
    pub(super) async fn await_denial(&self, id: &CorporateId, hold: &str) -> Proof {
        let wait = self.settings.denial_wait;
        let mut seen = None;
        let done = self
            .until(wait, || {
                let proof = self.proof(id, hold, &mut seen);
                (proof.held_back
                    || proof.contained_at.is_some()
                    || (proof.in_force && self.nothing_follows(id, &proof)))
                .then_some(proof)
            })
            .await;
        let mut proof = done.unwrap_or_else(|| self.proof(id, hold, &mut seen));
        if proof.held_back && !self.guard_kept().await {
            // A question that a crash would forget is not put to anybody as settled.
            proof.held_back = false;
        }
        proof
    }

    /// Whether a denial in force will never be proved further than this.
    fn nothing_follows(&self, id: &CorporateId, proof: &Proof) -> bool {
        let only_without_statistics =
            !proof.waiting_for.is_empty() && proof.unprovable.len() == proof.waiting_for.len();
        let only_left_out = proof.waiting_for.is_empty() && !proof.left_out.is_empty();
        only_without_statistics || only_left_out || self.known_user(id).is_none() || self.links.health().is_empty()
    }

    /// What is proved now. `seen` keeps when the denial was first seen in force.
    fn proof(&self, id: &CorporateId, hold: &str, seen: &mut Option<Timestamp>) -> Proof {
        let Some(person) = self.people.person(id) else {
            return Proof::default();
        };
        if !person.live_holds.iter().any(|live| live == hold) {
            return Proof {
                held_back: person.held_back_holds.iter().any(|it| it == hold),
                ..Proof::default()
            };
        }
        if person.effective.access == Access::Granted {
            return Proof {
                held_back: person.held_back_since.is_some(),
                ..Proof::default()
            };
        }
        let mut proof = self.recorded(&person);
        proof.in_force = true;
        if proof.denied_at.is_none() {
            proof.denied_at = Some(*seen.get_or_insert_with(|| self.clock.now()));
        }
        proof
    }

    /// The revocation that belongs to the present epoch: as gateways know it, or as the status kept it over a restart.
    pub(super) fn recorded(&self, person: &Person) -> Proof {
        self.with_unprovable(self.times(person))
    }

    /// The last revocation of somebody who is gone, with what is waited for now. Once the word of a node is not waited for any
    /// more, and the time is absent, nobody saw it.
    pub(super) fn recorded_of_former(&self, row: &RevocationRow) -> Proof {
        let mut proof = Proof::of_record(row);
        if row.sessions_zero_at.is_none()
            && let Some(progress) = self.links.revocation(&row.account)
            && i64::try_from(progress.below.0).is_ok_and(|below| below >= row.epoch)
        {
            proof.waiting_for = progress.waiting_for;
        }
        self.with_unprovable(proof)
    }

    fn with_unprovable(&self, mut proof: Proof) -> Proof {
        if !proof.waiting_for.is_empty() {
            let health = self.links.health();
            let without_statistics = |name: &&String| health.iter().any(|node| !node.proves && *node.node.0 == ***name);
            proof.unprovable = proof.waiting_for.iter().filter(without_statistics).cloned().collect();
        }
        proof
    }

    fn times(&self, person: &Person) -> Proof {
        let user = self.known_user(&person.corporate_id);
        let account = user
            .as_deref()
            .map_or_else(|| person.account.clone(), |user| user.spec.account());
        if let Some(progress) = self.links.revocation(&account)
            && progress.below >= person.epoch
        {
            return Proof {
                denied_at: Some(progress.denied_at),
                contained_at: progress.contained_at,
                sessions_zero_at: progress.sessions_zero_at,
                waiting_for: progress.waiting_for,
                left_out: progress.left_out,
                withdrawn_at: progress.withdrawn_at,
                ..Proof::default()
            };
        }
        let status = user.as_ref().and_then(|user| user.status.as_ref());
        let same_epoch = status
            .and_then(|status| status.epoch)
            .and_then(|epoch| u64::try_from(epoch).ok())
            == Some(person.epoch.0);
        match status
            .and_then(|status| status.revocation.clone())
            .filter(|_| same_epoch)
        {
            Some(kept) => Proof {
                denied_at: Some(kept.denied_at),
                contained_at: kept.contained_at,
                sessions_zero_at: kept.sessions_zero_at,
                waiting_for: kept.waiting_for,
                left_out: kept.left_out,
                withdrawn_at: kept.withdrawn_at,
                ..Proof::default()
            },
            None => Proof::default(),
        }
    }
}
