//! Candidates with clocks, networks and processes that misbehave, around one lease. Deterministic: time is a number.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    Times,
    candidate::{Candidate, Seen, Step},
};

/// True time, in microseconds.
type Micros = u64;

const MILLI: Micros = 1_000;
const SECOND: Micros = 1_000 * MILLI;
const REQUEST_TIMEOUT: Micros = 3 * SECOND;
const CALLS: usize = 4;

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
struct Fate {
    there: Micros,
    back: Micros,
    /// Never arrives.
    request_lost: bool,
    /// Done, and nobody hears of it.
    answer_lost: bool,
    /// 500, 429, …: not done.
    refused: bool,
}

const CALM: Fate = Fate {
    there: 5 * MILLI,
    back: 5 * MILLI,
    request_lost: false,
    answer_lost: false,
    refused: false,
};

/// What happens to a process.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// SIGSTOP, and SIGCONT so much later.
    Pause(Micros),
    /// The wall clock jumps by so many minutes.
    Step(i64),
    /// A graceful stop, and a new process.
    Release,
}

#[derive(Debug, Clone, Copy)]
struct Machine {
    rate: f64,
    boot: Duration,
    wall: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Trouble(usize),
    Wake { who: usize, epoch: u64 },
    Arrive { call: u64 },
    Answer { call: u64 },
    Timeout { call: u64 },
}

#[derive(Debug, Clone)]
enum Outcome {
    Read(Option<Seen>),
    Written(Seen),
    Conflict,
    Refused,
}

#[derive(Debug)]
struct Call {
    who: usize,
    step: Step,
    fate: Fate,
    begun: Duration,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Process {
    machine: Machine,
    candidate: Candidate,
    paused_until: Micros,
    /// Wakes of an earlier epoch are void.
    epoch: u64,
    call: Option<u64>,
    calls: usize,
    /// Index of the term under way.
    term: Option<usize>,
}

/// When a fence was open, in true time.
#[derive(Debug, Clone, Copy)]
struct Term {
    who: usize,
    from: f64,
    until: f64,
}

struct World {
    now: Micros,
    calm_from: Micros,
    queue: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    numbers: u64,
    lease: Option<Seen>,
    processes: Vec<Process>,
    calls: BTreeMap<u64, Call>,
    terms: Vec<Term>,
    fates: Vec<Fate>,
    troubles: Vec<(Micros, usize, Trouble)>,
}

impl World {
    fn new(
        machines: Vec<Machine>,
        fates: Vec<Fate>,
        troubles: Vec<(Micros, usize, Trouble)>,
        calm_from: Micros,
    ) -> Self {
        let mut world = Self {
            now: 0,
            calm_from,
            queue: BinaryHeap::new(),
            numbers: 0,
            lease: None,
            processes: Vec::new(),
            calls: BTreeMap::new(),
            terms: Vec::new(),
            fates,
            troubles,
        };
        for (who, machine) in machines.into_iter().enumerate() {
            world.processes.push(Process {
                machine,
                candidate: Candidate::new(format!("{who}_0"), Times::default()),
                paused_until: 0,
                epoch: 0,
                call: None,
                calls: 0,
                term: None,
            });
            world.at(0, Event::Wake { who, epoch: 0 });
        }
        for index in 0..world.troubles.len() {
            world.at(world.troubles[index].0, Event::Trouble(index));
        }
        world
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn at(&mut self, when: Micros, event: Event) {
        let number = self.number();
        self.queue.push(Reverse((when, number, event)));
    }

    fn local(&self, who: usize) -> Duration {
        let machine = self.processes[who].machine;
        machine.boot + Duration::from_micros(self.now).mul_f64(machine.rate)
    }

    fn wall(&self, who: usize) -> Timestamp {
        let minutes = self.processes[who].machine.wall;
        Timestamp::UNIX_EPOCH + Duration::from_micros(self.now) + jiff::SignedDuration::from_mins(1_000_000 + minutes)
    }

    fn run_until(&mut self, end: Micros) {
        while let Some(Reverse((when, _, _))) = self.queue.peek()
            && *when <= end
            && let Some(Reverse((when, _, event))) = self.queue.pop()
        {
            self.now = self.now.max(when);
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        // A process that is stopped finds later what happened meanwhile.
        let who = match &event {
            Event::Wake { who, .. } => Some(*who),
            Event::Answer { call } | Event::Timeout { call } => self.calls.get(call).map(|call| call.who),
            Event::Trouble(_) | Event::Arrive { .. } => None,
        };
        if let Some(until) = who.map(|who| self.processes[who].paused_until)
            && until > self.now
        {
            return self.at(until, event);
        }
        match event {
            Event::Trouble(index) => self.trouble(index),
            Event::Wake { who, epoch } if self.processes[who].epoch == epoch => {
                self.processes[who].calls = 0;
                self.step(who);
            }
            Event::Wake { .. } => {}
            Event::Arrive { call } => self.arrive(call),
            Event::Answer { call } => self.answer(call),
            Event::Timeout { call } => {
                if let Some(who) = self.take(call).map(|call| call.who) {
                    self.wake_after(who, MILLI);
                }
            }
        }
    }

    fn trouble(&mut self, index: usize) {
        let (_, who, trouble) = self.troubles[index];
        let who = who % self.processes.len();
        match trouble {
            Trouble::Pause(length) => {
                let process = &mut self.processes[who];
                process.paused_until = process.paused_until.max(self.now + length);
            }
            Trouble::Step(minutes) => self.processes[who].machine.wall += minutes,
            Trouble::Release if self.processes[who].paused_until > self.now => {}
            Trouble::Release => {
                self.close(who);
                let process = &mut self.processes[who];
                process.candidate.resign();
                (process.call, process.calls) = (None, 0);
                process.epoch += 1;
                self.step(who);
            }
        }
    }

    fn step(&mut self, who: usize) {
        let (begun, wall) = (self.local(who), self.wall(who));
        let process = &mut self.processes[who];
        process.calls += 1;
        if process.calls > CALLS {
            return self.wake_after(who, 2 * SECOND);
        }
        let step = process.candidate.next(begun, wall);
        match step {
            Step::Wait => self.wake_after(who, 2 * SECOND),
            Step::Lost(_) | Step::Resigned => {
                self.close(who);
                let number = self.number();
                self.processes[who].candidate = Candidate::new(format!("{who}_{number}"), Times::default());
                self.wake_after(who, 2 * SECOND);
            }
            Step::Read | Step::Create(_) | Step::Replace(..) => {
                let call = self.number();
                let fate = if self.now >= self.calm_from || self.fates.is_empty() {
                    CALM
                } else {
                    self.fates[usize::try_from(call).unwrap() % self.fates.len()]
                };
                self.processes[who].call = Some(call);
                self.calls.insert(
                    call,
                    Call {
                        who,
                        step,
                        fate,
                        begun,
                        outcome: None,
                    },
                );
                if !fate.request_lost {
                    self.at(self.now + fate.there, Event::Arrive { call });
                }
                self.at(self.now + REQUEST_TIMEOUT, Event::Timeout { call });
            }
        }
    }

    /// The API server does what it is asked, whether or not anybody waits for it still.
    fn arrive(&mut self, id: u64) {
        let version = self.number().to_string();
        let Some(call) = self.calls.get_mut(&id) else { return };
        let present = self.lease.as_ref();
        let outcome = match &call.step {
            _ if call.fate.refused => Outcome::Refused,
            Step::Create(record) if present.is_none() => Outcome::Written(Seen {
                record: record.clone(),
                version,
            }),
            Step::Replace(record, seen) if present.is_some_and(|lease| lease.version == *seen) => {
                let unchanged = present.filter(|lease| lease.record == *record);
                Outcome::Written(unchanged.cloned().unwrap_or_else(|| Seen {
                    record: record.clone(),
                    version,
                }))
            }
            Step::Create(_) | Step::Replace(..) => Outcome::Conflict,
            _ => Outcome::Read(self.lease.clone()),
        };
        if let Outcome::Written(lease) = &outcome {
            self.lease = Some(lease.clone());
        }
        let (lost, back) = (call.fate.answer_lost, call.fate.back);
        call.outcome = Some(outcome);
        if !lost {
            self.at(self.now + back, Event::Answer { call: id });
        }
    }

    /// The call, if its process still waits for it.
    fn take(&mut self, id: u64) -> Option<&Call> {
        let call = self.calls.get(&id)?;
        let waiting = &mut self.processes[call.who].call;
        if *waiting != Some(id) {
            return None;
        }
        *waiting = None;
        Some(call)
    }

    fn answer(&mut self, id: u64) {
        let Some(call) = self.take(id) else { return };
        let (who, begun, outcome) = (call.who, call.begun, call.outcome.clone());
        let now = self.local(who);
        let candidate = &mut self.processes[who].candidate;
        match outcome {
            Some(Outcome::Read(seen)) => {
                candidate.read(seen, now);
                self.step(who);
            }
            Some(Outcome::Conflict) => {
                candidate.conflicted();
                self.step(who);
            }
            Some(Outcome::Written(seen)) => {
                candidate.wrote(seen, begun, now);
                if let Some(until) = candidate.held_until() {
                    self.open(who, until);
                }
                self.wake_after(who, 2 * SECOND);
            }
            Some(Outcome::Refused) | None => self.wake_after(who, 2 * SECOND),
        }
    }

    fn wake_after(&mut self, who: usize, pause: Micros) {
        self.processes[who].epoch += 1;
        let epoch = self.processes[who].epoch;
        // Some come earlier than others, so that they do not take turns for ever.
        let early = self.number() % 7 * 100 * MILLI;
        let pause = pause.saturating_sub(early).max(MILLI);
        self.at(self.now + pause, Event::Wake { who, epoch });
    }

    fn true_now(&self) -> f64 {
        Duration::from_micros(self.now).as_secs_f64()
    }

    fn open(&mut self, who: usize, until: Duration) {
        let now = self.true_now();
        let process = &mut self.processes[who];
        let until = until.saturating_sub(process.machine.boot).as_secs_f64() / process.machine.rate;
        let index = *process.term.get_or_insert_with(|| {
            self.terms.push(Term { who, from: now, until });
            self.terms.len() - 1
        });
        self.terms[index].until = until;
    }

    fn close(&mut self, who: usize) {
        let now = self.true_now();
        if let Some(index) = self.processes[who].term.take() {
            let term = &mut self.terms[index];
            term.until = term.until.min(now);
        }
    }

    /// Two terms that were open at the same true time.
    fn overlap(&self) -> Option<(Term, Term)> {
        let mut terms = self.terms.clone();
        terms.sort_by(|one, other| one.from.total_cmp(&other.from));
        let pair = terms.windows(2).find(|pair| pair[1].from < pair[0].until);
        pair.map(|pair| (pair[0], pair[1]))
    }

    fn leaders(&self) -> Vec<usize> {
        let now = self.true_now();
        let open = self.terms.iter().filter(|term| term.from <= now && now < term.until);
        open.map(|term| term.who).collect()
    }
}

fn machine() -> impl Strategy<Value = Machine> {
    (0.9..=1.1, 1u64..1_000_000, -600i64..600).prop_map(|(rate, boot, wall)| Machine {
        rate,
        boot: Duration::from_secs(boot),
        wall,
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    let way = || prop_oneof![8 => MILLI..50 * MILLI, 2 => 50 * MILLI..9 * SECOND];
    (way(), way(), 0u8..100).prop_map(|(there, back, luck)| Fate {
        there,
        back,
        request_lost: luck < 5,
        answer_lost: (5..15).contains(&luck),
        refused: (15..22).contains(&luck),
    })
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        4 => (SECOND..40 * SECOND).prop_map(Trouble::Pause),
        1 => prop::sample::select(vec![-60, 60, 1, -1]).prop_map(Trouble::Step),
        2 => Just(Trouble::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn never_are_two_fences_open_and_in_calm_weather_one_is(
        machines in prop::collection::vec(machine(), 2..=3),
        fates in prop::collection::vec(fate(), 1..60),
        troubles in prop::collection::vec((0..150 * SECOND, 0usize..3, trouble()), 0..20),
    ) {
        let calm_from = 150 * SECOND;
        let mut world = World::new(machines, fates, troubles, calm_from);
        // The last pause ends 40 s later, and a lease that nobody renews 15 s of a slow clock after that.
        world.run_until(calm_from + 80 * SECOND);
        prop_assert_eq!(world.leaders().len(), 1, "{:?}", &world.terms);
        let leader = world.leaders();
        world.run_until(calm_from + 200 * SECOND);
        prop_assert_eq!(world.leaders(), leader, "in calm weather the lease stays where it is");
        if let Some((one, other)) = world.overlap() {
            prop_assert!(false, "{:?} and {:?} were open at the same time", one, other);
        }
    }
}

const PLAIN: Machine = Machine {
    rate: 1.0,
    boot: Duration::from_secs(1),
    wall: 0,
};

#[test]
fn a_process_that_is_stopped_is_succeeded_and_finds_its_fence_closed() {
    for (slow, fast) in [(0.9, 1.1), (1.1, 0.9)] {
        let machines = vec![Machine { rate: slow, ..PLAIN }, Machine { rate: fast, ..PLAIN }];
        let mut world = World::new(machines, Vec::new(), Vec::new(), 0);
        world.run_until(10 * SECOND);
        let leader = world.leaders();
        world.troubles = vec![(10 * SECOND, leader[0], Trouble::Pause(60 * SECOND))];
        world.at(10 * SECOND, Event::Trouble(0));
        world.run_until(40 * SECOND);
        assert_eq!(world.leaders(), [1 - leader[0]]);
        world.run_until(120 * SECOND);
        assert_eq!(world.leaders(), [1 - leader[0]]);
        assert_eq!((world.terms.len(), world.overlap().is_none()), (2, true));
    }
}

#[test]
fn a_wall_clock_that_is_stepped_by_an_hour_changes_nothing() {
    let troubles = [(20, 0, -60), (30, 1, 60), (40, 0, 120), (50, 1, -120)];
    let troubles = troubles.map(|(at, who, minutes)| (at * SECOND, who, Trouble::Step(minutes)));
    let mut world = World::new(vec![PLAIN; 2], Vec::new(), troubles.to_vec(), 0);
    world.run_until(120 * SECOND);
    assert_eq!((world.terms.len(), world.leaders().len()), (1, 1));
}

#[test]
fn after_a_graceful_stop_a_successor_takes_over_at_its_next_look() {
    let mut world = World::new(vec![PLAIN; 2], Vec::new(), Vec::new(), 0);
    world.run_until(20 * SECOND);
    let leader = world.leaders();
    world.troubles = vec![
        (20 * SECOND, leader[0], Trouble::Release),
        // So that it is the other that takes over.
        (20 * SECOND + 200 * MILLI, leader[0], Trouble::Pause(10 * SECOND)),
    ];
    world.at(20 * SECOND, Event::Trouble(0));
    world.at(20 * SECOND + 200 * MILLI, Event::Trouble(1));
    world.run_until(23 * SECOND);
    assert_eq!(world.leaders(), [1 - leader[0]]);
    assert!(world.overlap().is_none());
}
