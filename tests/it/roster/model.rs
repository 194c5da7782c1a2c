//! Random histories of desired state, time, logins and nodes, against a model that is as simple as possible.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use proptest::prelude::*;
use vpn_operator::{
    clock::SystemClock,
    gateway::{Revoke, SessionLedger, Standing},
    model::{
        access::{HoldSpan, Terms, reason_at},
        session::{Epoch, SessionId},
    },
    roster::Roster,
};

use super::*;

const USERS: usize = 4;
const NODES: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Step {
    Active(usize, bool),
    Until(usize, Option<u32>),
    Rotate(usize),
    Delete(usize),
    Gone(usize),
    Hold(usize, usize, Option<u32>, Option<u32>),
    Release(usize, usize),
    Lose(usize, usize),
    Login { user: usize, node: usize, late: u32 },
    Poll(usize),
    Leave(usize),
    Tick,
    Pass(u32),
    SetBack(u32),
    Confirm,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, hold, node) = (0..USERS, 0..2usize, 0..NODES);
    let soon = || proptest::option::of(0..60u32);
    prop_oneof![
        2 => (user.clone(), any::<bool>()).prop_map(|(u, on)| Step::Active(u, on)),
        2 => (user.clone(), soon()).prop_map(|(u, at)| Step::Until(u, at)),
        1 => user.clone().prop_map(Step::Rotate),
        1 => user.clone().prop_map(Step::Delete),
        1 => user.clone().prop_map(Step::Gone),
        2 => (user.clone(), hold.clone(), soon(), soon()).prop_map(|(u, h, from, until)| Step::Hold(u, h, from, until)),
        2 => (user.clone(), hold.clone()).prop_map(|(u, h)| Step::Release(u, h)),
        1 => (user.clone(), hold).prop_map(|(u, h)| Step::Lose(u, h)),
        12 => (user, node.clone(), 0..10u32).prop_map(|(user, node, late)| Step::Login { user, node, late }),
        6 => node.prop_map(Step::Poll),
        3 => (0..20usize).prop_map(Step::Leave),
        4 => Just(Step::Tick),
        6 => (1..20u32).prop_map(Step::Pass),
        1 => (1..90u32).prop_map(Step::SetBack),
        1 => Just(Step::Confirm),
    ]
}

/// A session that a node has, or will have as soon as it took our answer.
#[derive(Debug, Clone)]
struct Live {
    id: String,
    node: usize,
    /// In monotonic seconds.
    shown: u64,
}

struct World {
    house: House,
    users: Vec<Option<VpnUser>>,
    holds: HashMap<(usize, usize), VpnHold>,
    live: Vec<Live>,
    elapsed: u64,
    epochs: HashMap<String, Epoch>,
}

impl World {
    fn new() -> Self {
        let house = House::of(USERS);
        let nodes = (0..NODES).map(|n| NodeName(format!("default/{n}").into())).collect();
        house.roster.index().expect_polls_of(&nodes);
        Self {
            house,
            users: (0..USERS)
                .map(|n| Some(recorded(&user(&nth(n)), Access::Granted, 0)))
                .collect(),
            holds: HashMap::new(),
            live: Vec::new(),
            elapsed: 0,
            epochs: HashMap::new(),
        }
    }

    fn at(&self, seconds: Option<u32>) -> Option<Timestamp> {
        seconds.map(|seconds| self.house.later(i64::from(seconds) - 20))
    }

    fn terms(&self, n: usize) -> Terms {
        let Some(user) = &self.users[n] else {
            return Terms {
                deleted: true,
                ..Terms::default()
            };
        };
        Terms {
            active: user.spec.active,
            deleted: user.metadata.deletion_timestamp.is_some(),
            valid_until: user.spec.valid_until,
            holds: (self.holds.iter().filter(|((of, _), _)| *of == n))
                .map(|(_, hold)| HoldSpan {
                    from: hold.spec.from,
                    until: hold.spec.until,
                })
                .collect(),
            ..Terms::default()
        }
    }

    fn edit(&mut self, n: usize, edit: impl FnOnce(&mut VpnUser)) -> Vec<Transition> {
        let fresh = || user(&nth(n));
        let present = self.users[n].clone().unwrap_or_else(fresh);
        let next = edited(&present, edit);
        self.users[n] = Some(next.clone());
        self.house.roster.apply(vec![said(&next)])
    }

    fn hold_name(n: usize, h: usize) -> String {
        format!("hr-{h}-{n}")
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        let transitions = match step {
            Step::Active(n, on) => self.edit(n, |user| user.spec.active = on),
            Step::Until(n, until) => {
                let until = self.at(until);
                self.edit(n, |user| user.spec.valid_until = until)
            }
            Step::Rotate(n) => self.edit(n, |user| user.spec.credential_generation += 1),
            Step::Delete(n) => match self.users[n].clone() {
                None => Vec::new(),
                Some(present) => {
                    self.users[n] = Some(tombstone(&present));
                    self.house.roster.apply(vec![said(&tombstone(&present))])
                }
            },
            Step::Gone(n) => {
                self.users[n] = None;
                self.house.roster.apply(vec![Input::UserGone(nth(n).to_lowercase())])
            }
            Step::Hold(n, h, from, until) => {
                let mut hold = hold(&Self::hold_name(n, h), &nth(n));
                hold.spec.from = self.at(from);
                hold.spec.until = self.at(until);
                self.holds.insert((n, h), hold.clone());
                self.house.roster.apply(vec![held(&hold)])
            }
            Step::Release(n, h) => {
                self.holds.remove(&(n, h));
                let name = Self::hold_name(n, h);
                self.house.roster.apply(vec![Input::HoldGone { name, released: true }])
            }
            Step::Lose(n, h) => {
                // One at a time: within the guard's limit, as long as there are few.
                match self.holds.remove(&(n, h)) {
                    None => Vec::new(),
                    Some(hold) => self.house.roster.apply(vec![held(&lost(&hold))]),
                }
            }
            Step::Login { user, node, late } => return self.login(user, node, late),
            Step::Poll(node) => return self.poll(node),
            Step::Leave(n) => {
                let elapsed = self.elapsed;
                let shown: Vec<usize> = (0..self.live.len())
                    .filter(|at| self.live[*at].shown <= elapsed)
                    .collect();
                if let Some(at) = shown.get(n) {
                    self.live.swap_remove(*at);
                }
                Vec::new()
            }
            Step::Tick => self.house.roster.tick(),
            Step::Pass(seconds) => {
                self.elapsed += u64::from(seconds);
                self.house.clock.advance(Duration::from_secs(seconds.into()));
                Vec::new()
            }
            Step::SetBack(seconds) => {
                self.house.clock.step_wall(self.house.later(-i64::from(seconds)));
                Vec::new()
            }
            Step::Confirm => self.house.roster.confirm(None),
        };
        for revoke in transitions
            .iter()
            .filter_map(|it| it.revoke.as_ref().map(|revoke| (it.account.as_str(), revoke)))
        {
            self.check_revoke(revoke.0, revoke.1)?;
        }
        Ok(())
    }

    /// Every session that may be alive and is of an earlier epoch is named.
    fn check_revoke(&mut self, account: &str, revoke: &Revoke) -> Result<(), TestCaseError> {
        let known: HashSet<&str> = revoke.known.iter().map(String::as_str).collect();
        for live in &self.live {
            let id = SessionId::parse(&live.id).unwrap();
            if id.account == account && id.epoch < revoke.below {
                prop_assert!(known.contains(live.id.as_str()), "{} is not in {:?}", live.id, revoke);
            }
        }
        let before = self.epochs.insert(account.to_owned(), revoke.below);
        prop_assert!(before.is_none_or(|before| before < revoke.below), "epochs only rise");
        Ok(())
    }

    fn login(&mut self, n: usize, node: usize, late: u32) -> Result<(), TestCaseError> {
        let index = self.house.roster.index();
        let name = NodeName(format!("default/{node}").into());
        let generation = self.users[n].as_ref().map_or(1, |user| user.spec.credential_generation);
        let key = nth(n).to_lowercase();
        let auth = format!("corp_{key}:{}", password(&key, generation));
        let verdict = index.login(&index.node(&name), &auth);
        let permitted = reason_at(&self.terms(n), self.house.clock.now()) == Reason::Active;
        let person = self.house.roster.person(&id(&nth(n)));
        let held_back = person.is_some_and(|person| person.held_back_since.is_some());
        let lost_back = self
            .house
            .roster
            .guard(usize::MAX)
            .pending
            .first
            .iter()
            .any(|it| it.cause.starts_with("hr-"));
        match verdict {
            Verdict::Granted(session) => {
                prop_assert!(
                    permitted || held_back,
                    "yes, although {:?}",
                    reason_at(&self.terms(n), self.house.clock.now())
                );
                let session = session.id().to_string();
                prop_assert!(
                    self.live.iter().all(|it| it.id != session),
                    "{session} is alive: {:?}",
                    self.live
                );
                let shown = self.elapsed + u64::from(late);
                self.live.push(Live {
                    id: session,
                    node,
                    shown,
                });
            }
            refused => prop_assert!(
                !permitted || lost_back,
                "{refused:?} although nothing is declared against it"
            ),
        }
        Ok(())
    }

    fn poll(&mut self, node: usize) -> Result<(), TestCaseError> {
        let index = self.house.roster.index();
        let shown = self
            .live
            .iter()
            .filter(|it| it.node == node && it.shown <= self.elapsed);
        let online: HashMap<String, u32> = shown.map(|it| (it.id.clone(), 1)).collect();
        index.observed(
            &NodeName(format!("default/{node}").into()),
            self.house.clock.monotonic(),
            &online,
        );
        for id in online.keys() {
            let session = SessionId::parse(id).unwrap();
            let person = self.house.roster.person_by_account(session.account);
            let permitted =
                person.is_some_and(|it| it.effective.access == Access::Granted && it.epoch == session.epoch);
            prop_assert_eq!(
                index.standing(&NodeName::new("default", "0"), id) == Standing::Permitted,
                permitted,
                "{}",
                id
            );
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_history_lets_a_denied_person_in_or_forgets_a_session(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(step)?;
        }
    }
}

/// Threads log in as fast as they can while access is taken and given back.
#[test]
fn a_denial_in_the_middle_of_a_storm_of_logins_misses_no_session() {
    // The guard lets ten denials pass in ten minutes, so a roster is good for ten rounds.
    for _ in 0..15 {
        storm(10);
    }
}

fn storm(rounds: usize) {
    let roster = Roster::with_derivation(Arc::new(Spelled), Arc::new(|_: &VpnUser| None), Arc::new(SystemClock));
    roster.apply(vec![said(&user("AB123456")), said(&user("AB123457"))]);
    roster.loaded();
    let index = roster.index();
    let stop = AtomicBool::new(false);
    // Orders what threads saw: a login that got its number before another event was over before that event began.
    let sequence = AtomicUsize::new(0);
    let next = || sequence.fetch_add(1, Ordering::SeqCst);
    let said_yes: Mutex<Vec<(usize, Epoch, String)>> = Mutex::default();
    let log_in = &|| {
        let node = index.node(&NodeName("default/a".into()));
        while !stop.load(Ordering::SeqCst) {
            let verdict = index.login(&node, "corp_ab123456:pw-ab123456-1");
            let number = next();
            if let Verdict::Granted(session) = verdict {
                said_yes
                    .lock()
                    .unwrap()
                    .push((number, session.id().epoch, session.id().to_string()));
            }
        }
    };
    let wait_for = |more: usize| {
        let target = sequence.load(Ordering::SeqCst) + more;
        while sequence.load(Ordering::SeqCst) < target {
            std::thread::yield_now();
        }
    };
    let mut revokes: Vec<(Revoke, usize)> = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(log_in);
        }
        for round in 0..rounds {
            wait_for(200);
            let name = format!("hr-{round}");
            let mut done = roster.apply(vec![held(&hold(&name, "AB123456"))]);
            wait_for(100);
            revokes.extend(done.remove(0).revoke.map(|revoke| (revoke, next())));
            roster.apply(vec![Input::HoldGone { name, released: true }]);
        }
        stop.store(true, Ordering::SeqCst);
    });
    let said_yes = said_yes.into_inner().unwrap();
    assert_eq!(revokes.len(), rounds);
    assert!(said_yes.len() > 500, "{}", said_yes.len());
    for (number, epoch, id) in said_yes {
        let lifted = revokes
            .iter()
            .find(|(revoke, _)| revoke.below == epoch)
            .map(|(_, lifted)| *lifted);
        assert!(
            lifted.is_none_or(|lifted| lifted < number),
            "{id}: a yes after its denial and before access was given back"
        );
        // The denial that ended this epoch, unless it is the last one.
        if let Some((revoke, _)) = revokes.iter().find(|(revoke, _)| revoke.below > epoch) {
            assert!(
                revoke.known.contains(&id),
                "{id} is not in the cut below {:?}",
                revoke.below
            );
        }
    }
}
