//! What is in force stays in force: random histories over the real roster, the real plan and simulated stores.
//!
//! Every store keeps its earlier versions. Between any two writes of any store the leader may crash, and while nobody leads a
//! store may be put back or lost. In a cluster two followers hear of users and holds late, each kind in order and by itself. A
//! ledger that knows nothing of how the operator decides says who was told what, and whom an instruction permits again.

mod adapter;
mod checks;
mod edits;
mod faults;
mod folder;
mod leader;
mod ledger;
mod limits;
mod listener;
mod orders;
mod passing;
mod reports;
mod steps;
mod stores;
mod world;

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use self::{
    checks::Promise,
    edits::Edit,
    faults::{Damage, Part},
    orders::{FEEDS, Span},
    steps::{Step, history},
    world::{Mode, Pace, World},
};

/// Histories that are tried for each promise, the same in every run, unless `PROPTEST_CASES` asks for so many others.
const CASES: u32 = 64;

/// By itself nothing happens.
const STILL: Pace = Pace {
    hears: false,
    keeps: false,
    reports: false,
};

fn run(mode: Mode, promises: &[Promise], pace: Pace, steps: Vec<Step>) -> Result<(), String> {
    let mut world = World::new(mode);
    for step in steps.into_iter().chain([Step::Settle]) {
        world.take(step, pace)?;
        world.check(promises)?;
    }
    Ok(())
}

/// Tries histories until one breaks a promise.
fn holds(mode: Mode, promises: &[Promise]) {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    let mut runner = match cases {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let outcome = runner.run(&history(mode), |(pace, steps)| {
        run(mode, promises, pace, steps).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{mode:?}: {error}");
    }
}

#[test]
fn a_denial_that_was_told_stays_in_a_folder() {
    holds(Mode::Folder, &[Promise::ToldStays]);
}

#[test]
fn a_denial_that_was_told_stays_in_a_cluster() {
    holds(Mode::Cluster, &[Promise::ToldStays]);
}

#[test]
fn no_order_waits_in_a_folder() {
    holds(Mode::Folder, &[Promise::NoOrderWaits]);
}

#[test]
fn no_order_waits_in_a_cluster() {
    holds(Mode::Cluster, &[Promise::NoOrderWaits]);
}

#[test]
fn every_listener_agrees_when_everything_was_heard() {
    holds(Mode::Cluster, &[Promise::ListenersAgree]);
}

#[test]
fn what_is_held_back_is_reported_and_found_again_in_a_folder() {
    holds(Mode::Folder, &[Promise::HeldBackIsFound]);
}

#[test]
fn what_is_held_back_is_reported_and_found_again_in_a_cluster() {
    holds(Mode::Cluster, &[Promise::HeldBackIsFound]);
}

#[test]
fn no_more_than_the_limit_lose_access_in_a_folder() {
    holds(Mode::Folder, &[Promise::LimitHolds]);
}

#[test]
fn no_more_than_the_limit_lose_access_in_a_cluster() {
    holds(Mode::Cluster, &[Promise::LimitHolds]);
}

#[test]
fn what_is_held_back_of_a_hold_is_held_back_when_its_file_comes_again() {
    let put_back = |part, writes| Step::Damage {
        part,
        damage: Damage::PutBack(writes),
        start: false,
    };
    let steps = vec![
        Step::Feed {
            source: FEEDS[0],
            first: 0,
            count: 11,
            span: Span::default(),
        },
        Step::Settle,
        put_back(Part::Files, 1),
        Step::Settle,
        put_back(Part::Files, 1),
        Step::Settle,
        put_back(Part::Record, 2),
    ];
    let promises = [Promise::ToldStays, Promise::HeldBackIsFound];
    assert_eq!(run(Mode::Folder, &promises, STILL, steps), Ok(()));
}

#[test]
fn whose_object_was_let_go_stays_out_when_the_guard_is_put_back() {
    let delete = |count| Step::Delete { first: 0, count };
    let steps = vec![
        delete(1),
        delete(11),
        Step::ReportAll,
        Step::Damage {
            part: Part::Guard,
            damage: Damage::PutBack(2),
            start: false,
        },
    ];
    let pace = Pace { keeps: true, ..STILL };
    assert_eq!(run(Mode::Folder, &[Promise::ToldStays], pace, steps), Ok(()));
}

#[test]
fn who_was_held_out_before_counts_for_nothing_while_nobody_leads() {
    let steps = vec![
        Step::Feed {
            source: FEEDS[0],
            first: 0,
            count: 1,
            span: Span::default(),
        },
        Step::Hear {
            listener: 1,
            users: 0,
            holds: 1,
        },
        Step::Release(0),
        Step::Delete { first: 4, count: 11 },
        Step::Silence,
    ];
    assert_eq!(run(Mode::Cluster, &[Promise::LimitHolds], STILL, steps), Ok(()));
}

#[test]
fn what_the_guards_store_forgot_of_a_confirmation_it_learns_from_the_objects() {
    let put_back = |part, start| Step::Damage {
        part,
        damage: Damage::PutBack(1),
        start,
    };
    let steps = vec![
        Step::Feed {
            source: FEEDS[0],
            first: 3,
            count: 12,
            span: Span::default(),
        },
        Step::Settle,
        put_back(Part::Guard, true),
        Step::Confirm(None),
        Step::Settle,
        put_back(Part::Guard, false),
        Step::Settle,
        put_back(Part::Record, false),
    ];
    assert_eq!(run(Mode::Cluster, &[Promise::ToldStays], STILL, steps), Ok(()));
}

#[test]
fn who_is_held_and_deleted_while_nobody_leads_counts_once() {
    let steps = vec![
        Step::Delete { first: 0, count: 11 },
        Step::Feed {
            source: FEEDS[0],
            first: 0,
            count: 1,
            span: Span::default(),
        },
        Step::Damage {
            part: Part::Guard,
            damage: Damage::PutBack(1),
            start: true,
        },
        Step::Silence,
    ];
    let pace = Pace { reports: true, ..STILL };
    assert_eq!(run(Mode::Cluster, &[Promise::LimitHolds], pace, steps), Ok(()));
}

#[test]
fn a_follower_takes_the_word_of_a_version_that_it_hears_of_together_with_the_next() {
    let steps = vec![
        Step::Edit {
            first: 10,
            count: 1,
            edit: Edit::Narrow(true),
        },
        Step::Damage {
            part: Part::Guard,
            damage: Damage::PutBack(1),
            start: true,
        },
        Step::Keep,
        Step::Report(10),
        Step::Delete { first: 0, count: 11 },
        Step::Silence,
    ];
    assert_eq!(run(Mode::Cluster, &[Promise::ToldStays], STILL, steps), Ok(()));
}

#[test]
fn who_was_out_before_by_another_cause_counts_for_nothing_while_nobody_leads() {
    let steps = vec![
        Step::LoseHolds { first: 0, count: 1 },
        Step::Delete { first: 0, count: 4 },
        Step::Silence,
        Step::Start,
        Step::Feed {
            source: FEEDS[0],
            first: 0,
            count: 11,
            span: Span::default(),
        },
        Step::Silence,
    ];
    assert_eq!(run(Mode::Cluster, &[Promise::LimitHolds], STILL, steps), Ok(()));
}
