//! Every scenario, every request, and troubles that take turns.

use std::{
    env,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::Semaphore;

use super::{
    scenarios::{ALL, Scenario},
    world::{Course, Trouble, World},
};

/// Cases at a time, of both halves.
static ROOM: Semaphore = Semaphore::const_new(16);

/// Of these a request that asks for a change always meets one: it was carried out, and nobody knows. To a question an answer
/// that is lost is the same as a question that is.
const UNKNOWN: [Trouble; 2] = [Trouble::CrashAfter, Trouble::AnswerLost];

/// Which cases to run.
#[derive(Clone)]
struct Choice {
    all: bool,
    words: Vec<String>,
    /// Whose turn it is: another one every day (UTC), so that every request meets every trouble within days.
    turn: usize,
}

impl Choice {
    fn of_environment() -> Self {
        let said = env::var("FAULTS").unwrap_or_default();
        let days = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
        Self {
            all: said == "all",
            turn: usize::try_from(days).unwrap(),
            words: said
                .split_whitespace()
                .filter(|word| *word != "all")
                .map(str::to_owned)
                .collect(),
        }
    }

    fn takes(&self, at: usize, word: &str) -> bool {
        self.words.get(at).is_none_or(|wanted| wanted == word)
    }

    fn troubles(&self, scenario: usize, request: usize, changes: bool) -> Vec<Trouble> {
        if self.all || !self.words.is_empty() {
            let named = |trouble: &Trouble| self.takes(2, &format!("{trouble:?}"));
            return Trouble::ALL.into_iter().filter(named).collect();
        }
        let at = scenario + request + self.turn;
        if !changes {
            return vec![Trouble::ALL[at % Trouble::ALL.len()]];
        }
        let others: Vec<Trouble> = Trouble::ALL.into_iter().filter(|it| !UNKNOWN.contains(it)).collect();
        vec![UNKNOWN[at % UNKNOWN.len()], others[at % others.len()]]
    }
}

async fn run(
    name: String,
    scenario: Scenario,
    trouble: Option<(Trouble, usize)>,
    expected: Option<Arc<Course>>,
) -> Course {
    let mut world = World::new(name, trouble, expected).await;
    scenario(&mut world).await;
    world.end().await;
    std::mem::take(&mut world.course)
}

/// Runs the scenarios of one part, and fails with the first lines of everything that failed.
async fn sweep(part: usize, of: usize) {
    let choice = Choice::of_environment();
    let mut scenarios = Vec::new();
    let began = Instant::now();
    for (number, (name, scenario)) in ALL.iter().enumerate() {
        if number % of != part || !choice.takes(0, name) {
            continue;
        }
        let choice = choice.clone();
        scenarios.push(tokio::spawn(async move {
            let permit = ROOM.acquire().await.unwrap();
            let course = Arc::new(run((*name).to_owned(), *scenario, None, None).await);
            drop(permit);
            let mut cases = Vec::new();
            for request in 1..=course.requests {
                if !choice.takes(1, &request.to_string()) {
                    continue;
                }
                for trouble in choice.troubles(number, request, course.changes[request - 1]) {
                    let course = Arc::clone(&course);
                    let case = format!("{name} {request} {trouble:?}");
                    cases.push(tokio::spawn(async move {
                        let _permit = ROOM.acquire().await.unwrap();
                        run(case, *scenario, Some((trouble, request)), Some(course)).await;
                    }));
                }
            }
            let count = cases.len();
            let mut failed = Vec::new();
            for case in cases {
                failed.extend(case.await.err().map(said));
            }
            println!(
                "{name}: {} requests, {count} cases, {} failed, after {:?}",
                course.requests,
                failed.len(),
                began.elapsed()
            );
            failed
        }));
    }
    let mut failed = Vec::new();
    for scenario in scenarios {
        match scenario.await {
            Ok(more) => failed.extend(more),
            Err(error) => failed.push(said(error)),
        }
    }
    assert!(
        failed.is_empty(),
        "{} cases failed:\n{}",
        failed.len(),
        failed.join("\n\n")
    );
}

fn said(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(_) => "a case panicked".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_half_of_the_scenarios_survives_every_fault() {
    sweep(0, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_half_of_the_scenarios_survives_every_fault() {
    sweep(1, 2).await;
}
