//! A replica that follows the controller: the real roster in both roles, the real plan in between, and a watch that lags.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use vpn_operator::{
    auth::words::Role,
    model::{
        RELEASED,
        access::{HoldSpan, Period, Usage},
        guard::WaitingHold,
        hold::{HoldPhase, VpnHoldStatus},
        quantity::Bytes,
        user::TrafficLimit,
    },
    reconcile::plan::{Facts, SecretOutcome, plan},
};

use super::*;

const USERS: usize = 3;
const LIMIT: u64 = 100;

fn roster(role: Role, clock: &Arc<ManualClock>) -> Roster {
    Roster::with_role(role, Arc::new(Spelled), Arc::new(|_: &VpnUser| None), clock.clone())
}

/// What a watch delivers.
#[derive(Debug, Clone)]
enum Said {
    User(Box<VpnUser>),
    UserGone(String),
    Hold(Box<VpnHold>),
    HoldGone(String, bool),
}

impl Said {
    fn input(&self) -> Input {
        match self.clone() {
            Self::User(user) => Input::User(Arc::new(*user)),
            Self::UserGone(name) => Input::UserGone(name),
            Self::Hold(hold) => Input::Hold(Arc::new(*hold)),
            Self::HoldGone(name, released) => Input::HoldGone { name, released },
        }
    }
}

/// A controller, a replica, and the API server between them.
struct Pair {
    clock: Arc<ManualClock>,
    controller: Roster,
    replica: Roster,
    users: BTreeMap<String, VpnUser>,
    holds: BTreeMap<String, VpnHold>,
    used: BTreeMap<String, u64>,
    uids: u32,
    /// What the replica has still to be told: users, holds.
    lag: (VecDeque<Said>, VecDeque<Said>),
    /// What the replica has been told.
    seen_users: BTreeMap<String, VpnUser>,
    seen_holds: BTreeMap<String, VpnHold>,
}

impl Pair {
    fn new() -> Self {
        let clock = ManualClock::at(ts(START));
        let mut pair = Self {
            controller: roster(Role::Controller, &clock),
            replica: roster(Role::Follower, &clock),
            clock,
            users: BTreeMap::new(),
            holds: BTreeMap::new(),
            used: BTreeMap::new(),
            uids: 0,
            lag: Default::default(),
            seen_users: BTreeMap::new(),
            seen_holds: BTreeMap::new(),
        };
        pair.controller.loaded();
        pair.replica.loaded();
        for n in 0..USERS {
            pair.declare(n, |_| {});
        }
        pair.settle();
        pair
    }

    fn say(&mut self, said: Said) {
        self.controller.apply(vec![said.input()]);
        match &said {
            Said::User(_) | Said::UserGone(_) => self.lag.0.push_back(said),
            Said::Hold(_) | Said::HoldGone(..) => self.lag.1.push_back(said),
        }
    }

    fn declare(&mut self, n: usize, edit: impl FnOnce(&mut VpnUser)) {
        let fresh = user(&nth(n));
        let name = fresh.metadata.name.clone().unwrap();
        let next = match self.users.get(&name) {
            // Nobody edits what is being deleted.
            Some(present) if present.metadata.deletion_timestamp.is_some() => return,
            Some(present) => edited(present, edit),
            None => {
                self.uids += 1;
                let mut fresh = fresh;
                fresh.metadata.uid = Some(format!("uid-{}", self.uids));
                edit(&mut fresh);
                fresh
            }
        };
        self.users.insert(name, next.clone());
        self.say(Said::User(Box::new(next)));
    }

    fn put_hold(&mut self, hold: VpnHold) {
        let name = hold.metadata.name.clone().unwrap();
        self.holds.insert(name, hold.clone());
        self.say(Said::Hold(Box::new(hold)));
    }

    fn drop_hold(&mut self, name: &str, released: bool) {
        if self.holds.remove(name).is_some() {
            self.say(Said::HoldGone(name.to_owned(), released));
        }
    }

    /// What the controller would report of a user now.
    fn status(&self, user: &VpnUser) -> VpnUserStatus {
        let name = user.metadata.name.as_deref().unwrap();
        let person = self.controller.person_by_user(name).unwrap();
        let used = user.spec.traffic.as_ref();
        let facts = Facts {
            person: &person,
            password: None,
            used: used.map(|limit| (self.used.get(name).copied().unwrap_or(0), limit.period)),
            gateways: &[],
            refused: &[],
            secret: &SecretOutcome::NotStored,
            unreadable: None,
        };
        plan(user, &facts, self.clock.now()).status
    }

    /// The controller reports one user. Answers whether there was anything to report.
    fn report(&mut self, name: &str) -> bool {
        let Some(user) = self.users.get(name).cloned() else {
            return false;
        };
        let status = self.status(&user);
        if user.status.as_ref() == Some(&status) {
            return false;
        }
        let mut next = user;
        next.status = Some(status);
        self.users.insert(name.to_owned(), next.clone());
        self.say(Said::User(Box::new(next)));
        true
    }

    /// The replica is told what it has not heard yet: so many of each kind.
    fn deliver(&mut self, users: usize, holds: usize) {
        let users = users.min(self.lag.0.len());
        let holds = holds.min(self.lag.1.len());
        let batch: Vec<Said> = self.lag.0.drain(..users).chain(self.lag.1.drain(..holds)).collect();
        let inputs = batch.iter().map(Said::input).collect();
        for said in batch {
            match said {
                Said::User(user) => drop(self.seen_users.insert(user.metadata.name.clone().unwrap(), *user)),
                Said::UserGone(name) => drop(self.seen_users.remove(&name)),
                Said::Hold(hold) => drop(self.seen_holds.insert(hold.metadata.name.clone().unwrap(), *hold)),
                Said::HoldGone(name, _) => drop(self.seen_holds.remove(&name)),
            }
        }
        self.replica.apply(inputs);
    }

    fn pass(&mut self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.controller.tick();
        self.replica.tick();
    }

    /// The controller reports until nothing is left to report, and the replica hears all of it.
    fn settle(&mut self) {
        for _ in 0..10 {
            let names: Vec<String> = self.users.keys().cloned().collect();
            let reported = names.iter().filter(|name| self.report(name)).count();
            self.deliver(usize::MAX, usize::MAX);
            if reported == 0 {
                return;
            }
        }
        panic!("the statuses never come to rest");
    }

    fn use_up(&mut self, n: usize, bytes: u64) {
        let used = self.used.entry(id(&nth(n)).object_name()).or_default();
        *used += bytes;
        let usage = Usage {
            lifetime: *used,
            ..Usage::default()
        };
        let account = id(&nth(n)).account();
        self.controller.apply(vec![Input::Usage { account, usage }]);
    }

    fn login(&self, n: usize) -> Verdict {
        let id = id(&nth(n));
        let generation = self.seen_users.get(&id.object_name());
        let generation = generation.map_or(1, |user| user.spec.credential_generation);
        let index = self.replica.index();
        let auth = format!("{}:{}", id.account(), password(id.key(), generation));
        index.login(&index.node(&NodeName("default/a".into())), &auth)
    }

    fn is_in(&self, n: usize) -> bool {
        matches!(self.login(n), Verdict::Granted(_))
    }

    /// Why the replica must not let somebody in, by what it has been told.
    fn objection(&self, n: usize) -> Option<String> {
        let name = id(&nth(n)).object_name();
        let Some(user) = self.seen_users.get(&name) else {
            return Some("there is no such user".to_owned());
        };
        if self.replica.person_by_user(&name)?.held_back_since.is_some() {
            return None;
        }
        let now = self.clock.now();
        if !user.spec.active || user.metadata.deletion_timestamp.is_some() {
            return Some("the spec".to_owned());
        }
        if user.spec.valid_until.is_some_and(|until| until <= now) {
            return Some("the end of access".to_owned());
        }
        let span = |hold: &VpnHold| HoldSpan {
            from: hold.spec.from,
            until: hold.spec.until,
        };
        let is_of = |hold: &&VpnHold| hold.spec.corporate_id.key() == user.spec.corporate_id.key();
        let live = |hold: &VpnHold| {
            span(hold).is_live(now) && !hold.metadata.annotations.iter().flatten().any(|(it, _)| it == RELEASED)
        };
        let holds: Vec<&VpnHold> = self.seen_holds.values().filter(is_of).collect();
        if holds.iter().any(|hold| live(hold)) {
            return Some("a live hold".to_owned());
        }
        let status = user.status.as_ref()?;
        let denied =
            status.access == Some(Access::Denied) && Some(status.observed_generation) == user.metadata.generation;
        match status.reason.filter(|_| denied)? {
            Reason::Held => {
                let said = status
                    .conditions
                    .iter()
                    .find(|it| it.type_ == "Granted")?
                    .message
                    .to_string();
                let named: Vec<&str> = said.strip_prefix("held by ").unwrap().split(", ").collect();
                let known = |name: &&str| self.seen_holds.contains_key(*name);
                (!named.iter().all(known)).then(|| format!("the status: {said}"))
            }
            Reason::NotYetValid => None,
            reason => Some(format!("the status: {reason:?}")),
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for n in 0..USERS {
            if self.is_in(n)
                && let Some(why) = self.objection(n)
            {
                return Err(TestCaseError::fail(format!("{} is let in against {why}", nth(n))));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Active(usize, bool),
    Until(usize, Option<u32>),
    Rotate(usize),
    Limit(usize, Option<u64>),
    Used(usize, u64),
    Delete(usize),
    Release(usize),
    Hold(usize, usize, Option<u32>, Option<u32>),
    Lift(usize, usize),
    Lose(usize, usize),
    Vanish(usize, usize),
    Report(usize),
    Deliver(usize, usize),
    Confirm,
    Pass(u32),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, hold) = (0..USERS, 0..2usize);
    let soon = || proptest::option::of(0..60u32);
    prop_oneof![
        3 => (user.clone(), any::<bool>()).prop_map(|(u, on)| Step::Active(u, on)),
        1 => (user.clone(), soon()).prop_map(|(u, at)| Step::Until(u, at)),
        1 => user.clone().prop_map(Step::Rotate),
        1 => (user.clone(), proptest::option::of(1..200u64)).prop_map(|(u, limit)| Step::Limit(u, limit)),
        1 => (user.clone(), 0..80u64).prop_map(|(u, bytes)| Step::Used(u, bytes)),
        1 => user.clone().prop_map(Step::Delete),
        1 => user.clone().prop_map(Step::Release),
        3 => (user.clone(), hold.clone(), soon(), soon()).prop_map(|(u, h, from, until)| Step::Hold(u, h, from, until)),
        2 => (user.clone(), hold.clone()).prop_map(|(u, h)| Step::Lift(u, h)),
        2 => (user.clone(), hold.clone()).prop_map(|(u, h)| Step::Lose(u, h)),
        1 => (user.clone(), hold).prop_map(|(u, h)| Step::Vanish(u, h)),
        6 => user.prop_map(Step::Report),
        8 => (0..4usize, 0..3usize).prop_map(|(users, holds)| Step::Deliver(users, holds)),
        1 => Just(Step::Confirm),
        2 => (1..30u32).prop_map(Step::Pass),
        1 => Just(Step::Settle),
    ]
}

fn take(pair: &mut Pair, step: Step) {
    let in_a_while = |pair: &Pair, seconds: Option<u32>| {
        seconds.map(|seconds| pair.clock.now() + jiff::SignedDuration::from_secs(i64::from(seconds) - 20))
    };
    let hold_name = |n: usize, h: usize| format!("hr-{h}-{}", id(&nth(n)).object_name());
    match step {
        Step::Active(n, on) => pair.declare(n, |user| user.spec.active = on),
        Step::Until(n, at) => {
            let at = in_a_while(pair, at);
            pair.declare(n, |user| user.spec.valid_until = at);
        }
        Step::Rotate(n) => pair.declare(n, |user| user.spec.credential_generation += 1),
        Step::Limit(n, limit) => pair.declare(n, |user| {
            user.spec.traffic = limit.map(|limit| TrafficLimit {
                limit: Bytes::parse(&limit.to_string()).unwrap(),
                period: Period::Lifetime,
            });
        }),
        Step::Used(n, bytes) => pair.use_up(n, bytes),
        Step::Delete(n) => pair.declare(n, |user| {
            user.metadata.deletion_timestamp = serde_json::from_value(serde_json::json!(START)).unwrap();
        }),
        Step::Release(n) => {
            let name = id(&nth(n)).object_name();
            let denied = |pair: &Pair| {
                let person = pair.controller.person_by_user(&name);
                person.is_some_and(|person| person.effective.access == Access::Denied)
            };
            let deleted = pair
                .users
                .get(&name)
                .is_some_and(|it| it.metadata.deletion_timestamp.is_some());
            if deleted && denied(pair) {
                pair.users.remove(&name);
                pair.say(Said::UserGone(name));
            }
        }
        Step::Hold(n, h, from, until) => {
            let mut hold = hold(&hold_name(n, h), &nth(n));
            (hold.spec.from, hold.spec.until) = (in_a_while(pair, from), in_a_while(pair, until));
            pair.put_hold(hold);
        }
        Step::Lift(n, h) => pair.drop_hold(&hold_name(n, h), true),
        Step::Lose(n, h) => {
            if let Some(hold) = pair.holds.get(&hold_name(n, h)).cloned() {
                pair.put_hold(lost(&hold));
            }
            // The controller lets go of those whose loss took effect.
            for name in pair.controller.lost_holds_confirmed() {
                pair.drop_hold(&name, true);
            }
        }
        Step::Vanish(n, h) => pair.drop_hold(&hold_name(n, h), false),
        Step::Report(n) => drop(pair.report(&id(&nth(n)).object_name())),
        Step::Deliver(users, holds) => pair.deliver(users, holds),
        Step::Confirm => {
            pair.controller.confirm(None);
            for name in pair.controller.lost_holds_confirmed() {
                pair.drop_hold(&name, true);
            }
        }
        Step::Pass(seconds) => pair.pass(u64::from(seconds)),
        Step::Settle => pair.settle(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_lets_nobody_in_too_early_and_agrees_in_the_end(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut pair = Pair::new();
        for step in steps {
            take(&mut pair, step);
            pair.check()?;
        }
        pair.settle();
        pair.check()?;
        for name in pair.users.keys() {
            let [ours, theirs] = [&pair.controller, &pair.replica].map(|roster| roster.person_by_user(name).unwrap());
            // What a replica refused before the controller's guard held it back stays refused.
            let refused = ours.held_back_since.is_some() && theirs.effective.access == Access::Denied;
            if !refused {
                prop_assert_eq!(ours.effective.access, theirs.effective.access, "{}: {:?} {:?}", name, ours, theirs);
            }
            prop_assert_eq!(ours.epoch, theirs.epoch, "{}", name);
        }
        for roster in [&pair.controller, &pair.replica] {
            for person in roster.people() {
                prop_assert_eq!(roster.access(&person.corporate_id), person.effective.access);
            }
        }
    }

    #[test]
    fn a_replica_that_starts_late_agrees_at_once(steps in proptest::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for step in steps {
            take(&mut pair, step);
        }
        pair.settle();
        let late = roster(Role::Follower, &pair.clock);
        let users = pair.users.values().map(said);
        late.apply(users.chain(pair.holds.values().map(held)).collect());
        late.loaded();
        for name in pair.users.keys() {
            let [ours, theirs] = [&pair.controller, &late].map(|roster| roster.person_by_user(name).unwrap());
            prop_assert_eq!(ours.effective.access, theirs.effective.access, "{}: {:?} {:?}", name, ours, theirs);
            prop_assert_eq!(ours.epoch, theirs.epoch, "{}", name);
        }
    }
}

fn epoch(pair: &Pair, n: usize) -> u64 {
    match pair.login(n) {
        Verdict::Granted(session) => session.id().epoch.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rotation_counts_at_once_and_its_epoch_with_the_status() {
    let mut pair = Pair::new();
    assert_eq!(epoch(&pair, 0), 0);
    pair.declare(0, |user| user.spec.credential_generation += 1);
    pair.deliver(1, 0);
    assert!(
        pair.is_in(0),
        "with the new password, whether the controller is there or not"
    );
    assert_eq!(epoch(&pair, 0), 0, "no replica invents an epoch");
    pair.settle();
    assert!(epoch(&pair, 0) > 0);
    assert_eq!(epoch(&pair, 0), pair.controller.person(&id(&nth(0))).unwrap().epoch.0);
}

#[test]
fn a_higher_limit_lets_in_without_the_controller() {
    let mut pair = Pair::new();
    let limit = |bytes: u64| {
        Some(TrafficLimit {
            limit: Bytes::parse(&bytes.to_string()).unwrap(),
            period: Period::Lifetime,
        })
    };
    pair.declare(0, |user| user.spec.traffic = limit(LIMIT));
    pair.use_up(0, LIMIT);
    pair.settle();
    assert!(matches!(pair.login(0), Verdict::Denied(Reason::OverQuota)));
    pair.declare(0, |user| user.spec.owner = Some("Anna".into()));
    pair.deliver(1, 0);
    assert!(!pair.is_in(0), "another edit is no higher limit");
    pair.declare(0, |user| user.spec.traffic = limit(LIMIT + 1));
    pair.deliver(1, 0);
    assert!(pair.is_in(0));
}

#[test]
fn a_new_month_lets_in_without_the_controller() {
    let mut pair = Pair::new();
    let name = id(&nth(0)).object_name();
    let mut over = pair.users[&name].clone();
    over.spec.traffic = Some(TrafficLimit {
        limit: Bytes::parse("10Gi").unwrap(),
        period: Period::Month,
    });
    over.status = serde_json::from_value(serde_json::json!({
        "observedGeneration": 1, "access": "Denied", "reason": "OverQuota",
        "traffic": { "used": "10Gi", "periodStart": "2026-05-01T00:00:00Z" },
    }))
    .unwrap();
    pair.replica.apply(vec![said(&over)]);
    assert!(matches!(pair.login(0), Verdict::Denied(Reason::OverQuota)));
    pair.pass(32 * 24 * 3600);
    assert!(pair.is_in(0));
    // Limits between what a status shows and what may be meant let nobody in.
    let mut raised = edited(&over, |user| {
        user.spec.traffic.as_mut().unwrap().limit = Bytes::parse("10.5Gi").unwrap();
    });
    raised.status.as_mut().unwrap().traffic.as_mut().unwrap().period_start = Some(ts("2026-06-01T00:00:00Z"));
    pair.replica.apply(vec![said(&raised)]);
    assert!(matches!(pair.login(0), Verdict::Denied(Reason::OverQuota)));
    raised.spec.traffic.as_mut().unwrap().limit = Bytes::parse("11Gi").unwrap();
    pair.replica.apply(vec![said(&raised)]);
    assert!(pair.is_in(0));
}

#[test]
fn a_replica_denies_by_a_hold_that_it_never_saw() {
    let pair = Pair::new();
    let mut kept = pair.users[&id(&nth(0)).object_name()].clone();
    kept.status = serde_json::from_value(serde_json::json!({
        "observedGeneration": 1, "access": "Denied", "reason": "Held",
        "conditions": [{ "type": "Granted", "status": "False", "reason": "Held", "message": "held by hr-lost",
            "lastTransitionTime": START }],
    }))
    .unwrap();
    pair.replica.apply(vec![said(&kept)]);
    assert!(matches!(pair.login(0), Verdict::Denied(Reason::Held)));
    let other = edited(&kept, |user| user.spec.owner = Some("Anna".into()));
    pair.replica.apply(vec![said(&other)]);
    assert!(!pair.is_in(0), "an edit of the user says nothing of the hold");
    let mut granted = other;
    granted.status.as_mut().unwrap().access = Some(Access::Granted);
    pair.replica.apply(vec![said(&granted)]);
    assert!(pair.is_in(0));
}

#[test]
fn who_is_reported_as_held_is_refused_before_the_hold_says_that_it_was_confirmed() {
    let pair = Pair::new();
    let mut waits = hold("hr-waits", &nth(0));
    waits.status = Some(VpnHoldStatus {
        phase: Some(HoldPhase::HeldBack),
        held_back: Some(WaitingHold {
            since: ts(START),
            rejected: false,
        }),
        lost: None,
    });
    pair.replica.apply(vec![held(&waits)]);
    assert!(pair.is_in(0));
    let mut told = pair.users[&id(&nth(0)).object_name()].clone();
    told.status = serde_json::from_value(serde_json::json!({
        "observedGeneration": 1, "access": "Denied", "reason": "Held",
        "conditions": [{ "type": "Granted", "status": "False", "reason": "Held", "message": "held by hr-waits",
            "lastTransitionTime": START }],
    }))
    .unwrap();
    pair.replica.apply(vec![said(&told)]);
    assert!(!pair.is_in(0));
}

#[test]
fn a_suspension_ends_by_time_without_the_controller() {
    let mut pair = Pair::new();
    let mut suspension = hold("hr-suspended", &nth(0));
    suspension.spec.until = Some(pair.clock.now() + jiff::SignedDuration::from_secs(60));
    pair.put_hold(suspension);
    pair.settle();
    assert!(!pair.is_in(0));
    pair.pass(60);
    assert!(pair.is_in(0), "the status still says that the hold denies");
}

#[test]
fn a_lost_hold_stays_in_force_until_the_controller_lets_go_of_it() {
    let mut pair = Pair::new();
    pair.put_hold(hold("hr-x", &nth(0)));
    pair.deliver(0, 1);
    let tombstone = lost(&pair.holds["hr-x"]);
    pair.put_hold(tombstone);
    pair.deliver(0, 1);
    pair.pass(3600);
    assert!(!pair.is_in(0));
    pair.drop_hold("hr-x", true);
    pair.deliver(0, 1);
    assert!(pair.is_in(0));
}

#[test]
fn a_replica_that_starts_keeps_what_the_controller_holds_back() {
    let clock = ManualClock::at(ts(START));
    let controller = roster(Role::Controller, &clock);
    let before: Vec<VpnUser> = (0..20).map(|n| recorded(&user(&nth(n)), Access::Granted, 0)).collect();
    controller.apply(before.iter().map(said).collect());
    controller.loaded();
    let now: Vec<VpnUser> = before
        .iter()
        .map(|it| edited(it, |it| it.spec.active = false))
        .collect();
    controller.apply(now.iter().map(said).collect());
    let report = |user: &VpnUser| {
        let person = controller.person(&user.spec.corporate_id).unwrap();
        let facts = Facts {
            person: &person,
            password: None,
            used: None,
            gateways: &[],
            refused: &[],
            secret: &SecretOutcome::NotStored,
            unreadable: None,
        };
        let mut user = user.clone();
        user.status = Some(plan(&user, &facts, clock.now()).status);
        user
    };
    let replica = roster(Role::Follower, &clock);
    // Few enough that the replica's own guard would let them pass.
    let some: Vec<VpnUser> = now[..3].iter().map(report).collect();
    replica.apply(some.iter().map(said).collect());
    replica.loaded();
    let granted = |n: usize| replica.person(&id(&nth(n))).unwrap().effective.access;
    assert!((0..3).all(|n| granted(n) == Access::Granted));
    // Somebody is denied for another reason as well: that was not held back.
    replica.apply(vec![held(&hold("hr-x", &nth(1)))]);
    assert_eq!(
        [0, 1, 2].map(granted),
        [Access::Granted, Access::Denied, Access::Granted]
    );
    replica.tick();
    assert_eq!(granted(1), Access::Denied);
    controller.confirm(Some(&[id(&nth(2))]));
    replica.apply(vec![said(&report(&now[2]))]);
    assert_eq!(
        [0, 1, 2].map(granted),
        [Access::Granted, Access::Denied, Access::Denied]
    );
}

/// What the controller would report of somebody.
fn reported(controller: &Roster, user: &VpnUser, clock: &ManualClock) -> VpnUser {
    let person = controller.person(&user.spec.corporate_id).unwrap();
    let facts = Facts {
        person: &person,
        password: None,
        used: None,
        gateways: &[],
        refused: &[],
        secret: &SecretOutcome::NotStored,
        unreadable: None,
    };
    let mut user = user.clone();
    user.status = Some(plan(&user, &facts, clock.now()).status);
    user
}

#[test]
fn a_replica_that_judged_by_itself_follows_the_controller_again() {
    let clock = ManualClock::at(ts(START));
    let before: Vec<VpnUser> = (0..40).map(|n| recorded(&user(&nth(n)), Access::Granted, 0)).collect();
    let replica = roster(Role::Follower, &clock);
    replica.apply(before.iter().map(said).collect());
    replica.loaded();
    let edit = |it: &VpnUser| edited(it, |it| it.spec.active = false);
    let now: Vec<VpnUser> = before[..15].iter().map(edit).collect();
    for batch in now.chunks(5) {
        replica.apply(batch.iter().map(said).collect());
        clock.advance(Duration::from_secs(700));
        replica.tick();
    }
    let granted = |roster: &Roster, n: usize| roster.person(&id(&nth(n))).unwrap().effective.access == Access::Granted;
    assert!((0..15).all(|n| !granted(&replica, n)));
    let controller = roster(Role::Controller, &clock);
    controller.apply(now.iter().chain(&before[15..]).map(said).collect());
    controller.loaded();
    assert!((0..15).all(|n| granted(&controller, n)), "one batch, held back");
    let said_so: Vec<Input> = now.iter().map(|it| said(&reported(&controller, it, &clock))).collect();
    replica.apply(said_so);
    assert!((0..15).all(|n| granted(&replica, n)), "there is one judge");
    controller.confirm(None);
    let said_so: Vec<Input> = now.iter().map(|it| said(&reported(&controller, it, &clock))).collect();
    replica.apply(said_so);
    assert!((0..15).all(|n| !granted(&replica, n)));
    assert!((15..40).all(|n| granted(&replica, n)));
}

#[test]
fn a_replica_that_starts_late_heeds_a_hold_that_came_later() {
    let clock = ManualClock::at(ts(START));
    let controller = roster(Role::Controller, &clock);
    let before: Vec<VpnUser> = (0..20).map(|n| recorded(&user(&nth(n)), Access::Granted, 0)).collect();
    controller.apply(before.iter().map(said).collect());
    controller.loaded();
    let edit = |it: &VpnUser| edited(it, |it| it.spec.active = false);
    let now: Vec<VpnUser> = before.iter().map(edit).collect();
    controller.apply(now.iter().map(said).collect());
    let now: Vec<VpnUser> = now.iter().map(|it| reported(&controller, it, &clock)).collect();
    let replica = roster(Role::Follower, &clock);
    replica.apply(now.iter().map(said).collect());
    let mut waits = hold("hr-waits", &nth(0));
    let waiting = WaitingHold {
        since: ts(START),
        rejected: false,
    };
    waits.status = Some(VpnHoldStatus {
        phase: Some(HoldPhase::HeldBack),
        held_back: Some(waiting),
        lost: None,
    });
    replica.apply(vec![
        held(&waits),
        held(&hold("hr-new", &nth(1))),
        held(&hold_of("helpdesk", "helpdesk-new", &nth(2))),
    ]);
    replica.loaded();
    let granted = |n: usize| replica.person(&id(&nth(n))).unwrap().effective.access == Access::Granted;
    assert!(granted(0), "the controller holds this one back");
    assert!(!granted(1) && !granted(2));
    assert!((3..20).all(granted));
    waits.status.as_mut().unwrap().phase = Some(HoldPhase::Live);
    waits.status.as_mut().unwrap().held_back = None;
    replica.apply(vec![held(&waits)]);
    assert!(!granted(0), "confirmed");
}

/// Fifteen of a hundred deleted at once, and a replica that is told before the controller has said anything.
fn told_first() -> (Arc<ManualClock>, Roster, Vec<VpnUser>) {
    let clock = ManualClock::at(ts(START));
    let before: Vec<VpnUser> = (0..100).map(|n| recorded(&user(&nth(n)), Access::Granted, 0)).collect();
    let replica = roster(Role::Follower, &clock);
    replica.apply(before.iter().map(said).collect());
    replica.loaded();
    let deleted: Vec<VpnUser> = before[..15].iter().map(tombstone).collect();
    for user in &deleted {
        replica.apply(vec![said(user)]);
    }
    (clock, replica, deleted)
}

fn refused(replica: &Roster, among: std::ops::Range<usize>) -> usize {
    let denied = |n: &usize| replica.person(&id(&nth(*n))).unwrap().effective.access == Access::Denied;
    among.filter(denied).count()
}

#[test]
fn a_replica_takes_back_what_the_controller_holds_back() {
    let (clock, replica, deleted) = told_first();
    assert_eq!(refused(&replica, 0..100), 15, "at once, whatever the number");
    let controller = roster(Role::Controller, &clock);
    controller.trust_deletions();
    let before: Vec<VpnUser> = (0..100).map(|n| recorded(&user(&nth(n)), Access::Granted, 0)).collect();
    controller.apply(before.iter().map(said).collect());
    controller.loaded();
    for user in &deleted {
        controller.apply(vec![said(user)]);
    }
    let agree = |replica: &Roster| {
        for user in &deleted {
            replica.apply(vec![said(&reported(&controller, user, &clock))]);
        }
        for n in 0..100 {
            let access = |roster: &Roster| roster.person(&id(&nth(n))).unwrap().effective.access;
            assert_eq!(access(replica), access(&controller), "{n}");
        }
    };
    agree(&replica);
    assert_eq!(refused(&replica, 0..100), 10);
    controller.cancel(Some(&[id(&nth(12))]));
    agree(&replica);
    controller.confirm(Some(&[id(&nth(13))]));
    agree(&replica);
    assert_eq!(refused(&replica, 0..100), 11);
    let late = roster(Role::Follower, &clock);
    late.apply(before[15..].iter().map(said).collect());
    late.apply(
        deleted
            .iter()
            .map(|user| said(&reported(&controller, user, &clock)))
            .collect(),
    );
    late.loaded();
    agree(&late);
}

#[test]
fn while_nobody_leads_a_replica_holds_back_more_than_the_limit() {
    let (clock, replica, _) = told_first();
    clock.advance(Duration::from_secs(4));
    replica.tick();
    assert_eq!(refused(&replica, 0..100), 15, "a controller may still speak");
    clock.advance(Duration::from_secs(2));
    replica.tick();
    assert_eq!(refused(&replica, 0..100), 0, "nobody does");
    let edit = |n: usize| {
        let before = recorded(&user(&nth(n)), Access::Granted, 0);
        said(&edited(&before, |it| it.spec.active = false))
    };
    for n in 20..29 {
        replica.apply(vec![edit(n)]);
    }
    assert_eq!(refused(&replica, 0..100), 9, "a few are refused all the same");
    replica.apply((40..60).map(edit).collect());
    assert_eq!(
        refused(&replica, 0..100),
        9,
        "and many are not, from the first moment on"
    );
    clock.advance(Duration::from_secs(3600));
    replica.tick();
    assert_eq!(refused(&replica, 0..100), 9, "what was decided stays");
}

#[test]
fn replicas_hand_out_numbers_of_their_own_whatever_nodes_show() {
    let slot = |pair: &Pair| {
        let index = pair.replica.index();
        index.expect_polls_of(&[NodeName("default/a".into())].into());
        pair.clock.advance(Duration::from_secs(60));
        let polled = pair.clock.monotonic();
        vpn_operator::gateway::SessionLedger::observed(
            &*index,
            &NodeName("default/a".into()),
            polled,
            &std::collections::HashMap::new(),
        );
        match pair.login(0) {
            Verdict::Granted(session) => session.id().slot,
            other => panic!("{other:?}"),
        }
    };
    let slots: std::collections::HashSet<u32> = (0..8).map(|_| slot(&Pair::new()) / 4096).collect();
    assert!(!slots.contains(&0), "the low numbers are the controller's");
    assert!(slots.len() > 6, "{slots:?}");
}
