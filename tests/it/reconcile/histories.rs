//! Random histories over the whole core: declarations, nodes that fail, sessions that move bytes, processes that die.
//! The promises are checked all the time by what clients see, and at the end everything has to come to rest and agree.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use vpn_operator::{auth::index::Verdict, model::access::Access};

use super::world::{Operator, STATS_SECRET, Source, settled};
use crate::support::hysteria_node::{HysteriaNode, Mode, Session};

const PEOPLE: [&str; 2] = ["AB123456", "AB123457"];
const PLACES: [(&str, &str); 3] = [("default", "n1"), ("default", "n2"), ("paris", "n3")];

/// A small generator of its own, so that a seed tells the whole history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is declared")]
struct Declared {
    gone: bool,
    inactive: bool,
    held: bool,
    generation: i64,
    paris: bool,
    /// Last changed, or given to a new process.
    since: Option<Instant>,
}

impl Declared {
    fn permits(&self, gateway: &str) -> bool {
        !(self.gone || self.inactive || self.held) && (gateway == "default" || self.paris)
    }
}

struct World {
    seed: u64,
    dice: Dice,
    data: tempfile::TempDir,
    source: Arc<Source>,
    nodes: Vec<Arc<HysteriaNode>>,
    down: Vec<bool>,
    operator: Option<Operator>,
    declared: HashMap<&'static str, Declared>,
    live: Vec<(usize, Session)>,
    port: u16,
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut nodes = Vec::new();
        for _ in PLACES {
            nodes.push(HysteriaNode::start(STATS_SECRET, Duration::from_millis(300)).await);
        }
        let source = Arc::new(Source::default());
        source.gateway("default", &[("n1", &nodes[0]), ("n2", &nodes[1])]);
        source.gateway("paris", &[("n3", &nodes[2])]);
        let mut declared = HashMap::new();
        for person in PEOPLE {
            source.declare(person, |_| {});
            declared.insert(
                person,
                Declared {
                    generation: 1,
                    ..Declared::default()
                },
            );
        }
        let data = tempfile::tempdir().unwrap();
        let operator = Some(Operator::start(&source, data.path()).await);
        Self {
            seed,
            dice: Dice(seed),
            data,
            source,
            nodes,
            down: vec![false; PLACES.len()],
            operator,
            declared,
            live: Vec::new(),
            port: 1000,
        }
    }

    fn change(&mut self, person: &'static str, edit: impl FnOnce(&mut Declared)) {
        let state = self.declared.get_mut(person).unwrap();
        edit(state);
        state.since = Some(Instant::now());
        let (active, generation, paris) = (!state.inactive, state.generation, state.paris);
        self.source.declare(person, |spec| {
            spec.active = active;
            spec.credential_generation = generation;
            let both = || vec!["default".to_owned(), "paris".to_owned()];
            spec.gateways = paris.then(both);
        });
    }

    async fn step(&mut self) {
        let person = PEOPLE[self.dice.roll(PEOPLE.len())];
        let gone = self.declared[person].gone;
        let hold = format!("hr-dismissed-{}", person.to_lowercase());
        match self.dice.roll(32) {
            0..=1 if !gone => self.change(person, |it| it.inactive = !it.inactive),
            2 if !gone => self.change(person, |it| it.generation += 1),
            3..=4 if !gone => self.change(person, |it| it.paris = !it.paris),
            5..=6 if self.declared[person].held => {
                self.declared.get_mut(person).unwrap().held = false;
                self.source.lift(&hold);
            }
            5..=6 => {
                let state = self.declared.get_mut(person).unwrap();
                state.held = true;
                state.since = Some(Instant::now());
                self.source.hold(&hold, person);
            }
            7 if gone => self.change(person, |it| it.gone = false),
            7 => {
                let state = self.declared.get_mut(person).unwrap();
                state.gone = true;
                state.since = Some(Instant::now());
                self.source.delete(person);
            }
            8 | 24..=25 => {
                // Its documents are away for a moment.
                self.source.lose_hold(&hold);
                self.source.find_hold(&hold);
            }
            9 | 26..=27 => {
                let at = self.dice.roll(PLACES.len());
                if self.down[at] {
                    self.nodes[at].bring_up().await;
                } else {
                    self.nodes[at].take_down().await;
                }
                self.down[at] = !self.down[at];
            }
            10 => {
                let (at, mode) = (self.dice.roll(PLACES.len()), self.dice.roll(5));
                let mode = [
                    Mode::Normal,
                    Mode::Error,
                    Mode::Garbage,
                    Mode::Hang,
                    Mode::Slow(Duration::from_millis(60)),
                ][mode];
                let path = ["/online", "/kick", "/traffic"][self.dice.roll(3)];
                self.nodes[at].set_mode(path, mode);
            }
            11 => {
                let at = self.dice.roll(PLACES.len());
                self.nodes[at].restart();
                self.live.retain(|(of, _)| *of != at);
            }
            12 => {
                if let Some(operator) = self.operator.take() {
                    operator.kill().await;
                }
            }
            13 if !self.live.is_empty() => {
                let at = self.dice.roll(self.live.len());
                self.live.swap_remove(at).1.vanish();
            }
            _ => self.log_in(person),
        }
        if self.operator.is_none() && self.dice.roll(3) == 0 {
            self.operator = Some(Operator::start(&self.source, self.data.path()).await);
        }
    }

    fn log_in(&mut self, person: &'static str) {
        let Some(operator) = &self.operator else { return };
        let at = self.dice.roll(PLACES.len());
        let (gateway, node) = PLACES[at];
        self.port += 1;
        let address = format!("192.0.2.1:{}", self.port);
        let generation = self.declared[person].generation;
        if let Verdict::Granted(session) = operator.login(gateway, node, person, generation) {
            let session = self.nodes[at].register(session.id().to_string(), &address);
            self.live.push((at, session));
        }
    }

    /// Devices are busy for a while. What passes is compared with what the statuses say by then.
    async fn busy(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            for (_, session) in &mut self.live {
                let _ = session.send(1, 1);
            }
            self.check();
            self.probe();
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    }

    /// Who has been denied for longer than a disappearance may wait for others is not let in.
    fn probe(&self) {
        let Some(operator) = &self.operator else { return };
        for (person, declared) in &self.declared {
            let settled = declared
                .since
                .is_none_or(|since| since.elapsed() > Duration::from_millis(1200));
            for (gateway, node) in PLACES
                .iter()
                .filter(|(gateway, _)| settled && !declared.permits(gateway))
            {
                let verdict = operator.login(gateway, node, person, declared.generation);
                assert!(
                    !matches!(verdict, Verdict::Granted(_)),
                    "seed {}: {person} at {gateway}: {verdict:?}",
                    self.seed
                );
            }
        }
    }

    /// Of a revocation that is contained no session of an earlier epoch moved a byte after that time.
    fn check(&self) {
        for person in PEOPLE {
            let status = self.source.status(person);
            let Some(contained) = status.revocation.as_ref().and_then(|it| it.contained_at) else {
                continue;
            };
            let epoch = u64::try_from(status.epoch.unwrap_or(0)).unwrap();
            let account = format!("corp_{}", person.to_lowercase());
            for (_, session) in &self.live {
                let id = vpn_operator::model::session::SessionId::parse(&session.id).unwrap();
                let moved: Option<Timestamp> = session.last_moved;
                if id.account == account && id.epoch.0 < epoch {
                    assert!(
                        moved.is_none_or(|moved| moved <= contained),
                        "seed {}: {} moved at {moved:?} after {contained}: {status:?}",
                        self.seed,
                        session.id
                    );
                }
            }
        }
    }

    async fn come_to_rest(&mut self) {
        for at in 0..PLACES.len() {
            for path in ["/online", "/kick", "/traffic"] {
                self.nodes[at].set_mode(path, Mode::Normal);
            }
            if self.down[at] {
                self.nodes[at].bring_up().await;
            }
        }
        if self.operator.is_none() {
            self.operator = Some(Operator::start(&self.source, self.data.path()).await);
        }
        let seed = self.seed;
        // Until the last change was taken in, statuses speak of what was before.
        self.busy(Duration::from_millis(500)).await;
        for person in PEOPLE {
            let gone = self.declared[person].gone;
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                for (_, session) in &mut self.live {
                    let _ = session.send(1, 1);
                }
                self.check();
                let done = if gone {
                    self.source.user(person).is_none()
                } else {
                    let revocation = self.source.status(person).revocation;
                    self.source.is_ready(person) && revocation.is_none_or(|it| it.sessions_zero_at.is_some())
                };
                if done {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "seed {seed}: {person} (gone: {gone}) does not come to rest: {:?}",
                    self.source.user(person)
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        settled(&self.source).await;
        let operator = self.operator.as_ref().unwrap();
        for person in PEOPLE {
            let declared = &self.declared[person];
            let status = self.source.status(person);
            let granted = declared.permits("default");
            if !declared.gone {
                assert_eq!(
                    status.access == Some(Access::Granted),
                    granted,
                    "seed {seed}: {person} {status:?}"
                );
                let expected = 1 + usize::from(declared.paris);
                assert_eq!(status.gateways.len(), expected, "seed {seed}: {person} {status:?}");
            }
            for (gateway, node) in PLACES {
                let verdict = operator.login(gateway, node, person, declared.generation);
                assert_eq!(
                    matches!(verdict, Verdict::Granted(_)),
                    declared.permits(gateway),
                    "seed {seed}: {person} at {gateway}: {verdict:?}"
                );
            }
            // Nobody moves a byte who may not.
            let account = format!("corp_{}", person.to_lowercase());
            for (at, session) in &mut self.live {
                if session.id.starts_with(&format!("{account}.")) && session.send(1, 1).is_ok() {
                    assert!(declared.permits(PLACES[*at].0), "seed {seed}: {} lives on", session.id);
                }
            }
        }
        assert_eq!(self.operator.as_ref().unwrap().core.roster.guard(0).pending.total, 0);
    }
}

async fn history(seed: u64) {
    let mut world = World::new(seed).await;
    for _ in 0..45 {
        world.step().await;
        let pause = [0, 0, 10, 60, 150, 700][world.dice.roll(6)];
        world.busy(Duration::from_millis(pause)).await;
        // The guard lets ten denials pass in ten minutes; what it holds back is confirmed, as a person would.
        if let Some(operator) = &world.operator {
            operator.core.dispatch(operator.core.roster.confirm(None));
        }
    }
    world.come_to_rest().await;
    // A process that dies now leaves nothing to do for the next one.
    world.operator.take().unwrap().kill().await;
    let before = world.source.lock().reported.len();
    let operator = Operator::start(&world.source, world.data.path()).await;
    settled(&world.source).await;
    let again = world.source.lock().reported.split_off(before - 1);
    assert!(
        again.len() == 1,
        "seed {seed}: a settled state was written again: {again:#?}"
    );
    operator.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_history_breaks_a_promise() {
    let first = std::env::var("HISTORY_SEED").ok().and_then(|seed| seed.parse().ok());
    let count = std::env::var("HISTORIES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(4);
    let first: u64 = first.unwrap_or(1);
    let runs: Vec<_> = (first..first + count).map(|seed| tokio::spawn(history(seed))).collect();
    for run in runs {
        run.await.unwrap();
    }
}
