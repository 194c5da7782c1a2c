//! Random histories: at every moment nobody is let in whom the newest valid instruction denies.

use jiff::{SignedDuration, Timestamp};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use vpn_operator::{
    access::Why,
    clock::Clock as _,
    inbox::order::ordered_at,
    model::{access::HoldSpan, corporate_id::CorporateId},
};

use super::world::{Crash, Operator, Place, caller, live};
use crate::support::hr::event;

const PEOPLE: [&str; 2] = ["AB000001", "AB000002"];
/// Histories that are tried, the same in every run, unless `PROPTEST_CASES` asks for so many others.
const CASES: u32 = 40;

#[derive(Debug, Clone)]
enum Step {
    /// HR says something: of whom, what, how long ago by its clock, and from how many minutes from now on.
    Say(usize, What, i64, Option<i64>),
    /// What was sent as the so-manieth arrives again.
    Again(prop::sample::Index),
    /// Somebody else sends it.
    Forge(usize, What),
    ApiDeactivates(usize),
    ApiActivates(usize),
    /// A person lifts HR's holds.
    Release(usize),
    /// The wall clock moves by so many minutes.
    Clock(i64),
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Deactivate,
    Suspend(i64),
    Activate,
}

/// What HR said of a person and counts.
#[derive(Debug, Clone, Copy)]
enum Said {
    Deny(Timestamp, HoldSpan),
    /// It takes effect at a moment.
    Activate(Timestamp, Timestamp),
}

/// What is to be true of one person.
#[derive(Debug, Default)]
struct Person {
    said: Vec<Said>,
    /// The newest activation that took effect.
    activated: Option<Timestamp>,
    by_api: bool,
    /// Somebody else had a word, so that nothing is promised about being let in.
    meddled: bool,
}

impl Person {
    fn is_denied(&self, now: Timestamp) -> bool {
        let counts = |at: &Timestamp| self.activated.is_none_or(|activated| *at >= activated);
        let denies = |said: &Said| matches!(said, Said::Deny(at, span) if counts(at) && span.is_live(now));
        self.by_api || self.said.iter().any(denies)
    }

    fn pass(&mut self, now: Timestamp) {
        for said in &self.said {
            if let Said::Activate(at, effective) = said
                && *effective <= now
            {
                self.activated = self.activated.max(Some(*at));
            }
        }
    }
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

struct History<'a> {
    place: &'a Place,
    people: [Person; 2],
    sent: Vec<Value>,
}

impl History<'_> {
    async fn take(&mut self, operator: &Operator, step: &Step) {
        let now = self.place.clock.now();
        match step {
            Step::Say(who, what, ago, effective) => {
                let own = now - minutes(*ago);
                let effective = effective.map(|from| now + minutes(from));
                let body = body(*who, *what, own, effective, self.sent.len());
                self.sent.push(body.clone());
                let received = operator.send(&body, None).await.unwrap();
                assert!(!received.again);
                if let Ok(at) = ordered_at(Some(own), now) {
                    self.people[*who].said.push(match what {
                        What::Activate => Said::Activate(at, effective.unwrap_or(now)),
                        _ => Said::Deny(at, span(*what, at, effective, now)),
                    });
                }
            }
            Step::Again(index) if !self.sent.is_empty() => {
                let body = index.get(&self.sent);
                assert!(operator.send(body, None).await.unwrap().again);
            }
            Step::Forge(who, what) => {
                let body = body(*who, *what, now, None, self.sent.len());
                let other = crate::support::hr::hub(b"something else");
                assert!(operator.send(&body, Some(&other)).await.is_none());
            }
            Step::ApiDeactivates(who) => {
                operator
                    .use_cases
                    .deactivate(caller("api"), id(*who), Why::default())
                    .await
                    .unwrap();
                self.people[*who].by_api = true;
                self.people[*who].meddled = true;
            }
            Step::ApiActivates(who) => {
                operator
                    .use_cases
                    .activate(caller("api"), id(*who), None)
                    .await
                    .unwrap();
                self.people[*who].by_api = false;
            }
            Step::Release(who) => {
                for (name, ..) in operator.holds(self.place) {
                    if name.starts_with("hr-") && name.ends_with(&id(*who).object_name()) {
                        operator.use_cases.release_hold(caller("hr"), name, None).await.unwrap();
                    }
                }
                // A person overrules what HR said so far.
                self.people[*who].said.retain(|said| matches!(said, Said::Activate(..)));
                self.people[*who].meddled = true;
            }
            Step::Clock(by) => self.place.clock.step_wall(now + minutes(*by)),
            Step::Again(_) | Step::Restart => {}
        }
        operator.settle().await;
        let now = self.place.clock.now();
        for (who, person) in self.people.iter_mut().enumerate() {
            person.pass(now);
            let has_access = operator.has_access(PEOPLE[who]);
            assert!(
                !has_access || !person.is_denied(now),
                "{} is in at {now}: {person:?}",
                PEOPLE[who]
            );
            assert!(
                has_access || person.meddled || person.is_denied(now),
                "{} is out at {now}: {person:?}",
                PEOPLE[who]
            );
        }
    }
}

fn id(who: usize) -> CorporateId {
    CorporateId::parse(PEOPLE[who]).unwrap()
}

fn body(who: usize, what: What, own: Timestamp, effective: Option<Timestamp>, number: usize) -> Value {
    let mut data = json!({ "number": number, "effective_date": effective });
    let event_type = match what {
        What::Deactivate => "user_deactivated",
        What::Suspend(days) => {
            data["duration_days"] = json!(days);
            "user_suspended"
        }
        What::Activate => "user_activated",
    };
    event(event_type, PEOPLE[who], &own.to_string(), data)
}

fn span(what: What, at: Timestamp, effective: Option<Timestamp>, now: Timestamp) -> HoldSpan {
    let until = match what {
        What::Suspend(days) => Some(effective.unwrap_or(at) + minutes(days * 24 * 60)),
        _ => None,
    };
    HoldSpan {
        from: effective.filter(|effective| *effective > now),
        until,
    }
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        2 => Just(What::Deactivate),
        1 => (1..3_i64).prop_map(What::Suspend),
        2 => Just(What::Activate),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let effective = prop::option::weighted(0.3, -2000..2000_i64);
    prop_oneof![
        10 => (0..2_usize, what(), -8..60_i64, effective).prop_map(|(who, what, ago, from)| Step::Say(who, what, ago, from)),
        2 => any::<prop::sample::Index>().prop_map(Step::Again),
        1 => (0..2_usize, what()).prop_map(|(who, what)| Step::Forge(who, what)),
        1 => (0..2_usize).prop_map(Step::ApiDeactivates),
        1 => (0..2_usize).prop_map(Step::ApiActivates),
        1 => (0..2_usize).prop_map(Step::Release),
        4 => (-30..2000_i64).prop_map(Step::Clock),
        2 => Just(Step::Restart),
    ]
}

fn run(steps: &[Step]) {
    let place = Place::new();
    for id in PEOPLE {
        place.declare(id);
    }
    let mut history = History {
        place: &place,
        people: Default::default(),
        sent: Vec::new(),
    };
    for life in steps.split_inclusive(|step| matches!(step, Step::Restart)) {
        live(&place, Crash::never(), async |operator| {
            for step in life {
                history.take(operator, step).await;
            }
        });
    }
}

#[test]
fn nobody_is_let_in_whom_the_newest_valid_instruction_denies() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    };
    let mut runner = match cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let outcome = runner.run(&prop::collection::vec(step(), 1..20), |steps| {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&steps)));
        done.map_err(|panic| {
            let why = panic.downcast_ref::<String>().cloned();
            TestCaseError::fail(why.unwrap_or_else(|| "it panicked".to_owned()))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
