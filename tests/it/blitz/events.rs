//! What may happen to an operator and a panel, as random schedules have it.

use std::time::Duration;

use proptest::prelude::*;

use crate::support::blitz::{Account as Stored, Fault, GB};

pub const NAMES: [&str; 3] = ["corp_a", "corp_b", "corp_c"];
/// Somebody else's, of which nothing may ever change.
pub const STRANGERS: [&str; 2] = ["guest", "corp_d"];

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Dropped),
        Just(Fault::AnswerLost),
        Just(Fault::HalfDone),
        Just(Fault::DoesNothing),
        Just(Fault::Truncated),
        Just(Fault::Hang),
        Just(Fault::Status(500)),
        Just(Fault::Status(502)),
        Just(Fault::Status(400)),
        Just(Fault::Status(422)),
        Just(Fault::SlowBody(Duration::from_millis(10))),
    ]
}

/// What people do to an account at the panel, or the panel by itself.
#[derive(Debug, Clone, Copy)]
pub enum Hand {
    LetIn,
    Block,
    Password,
    Note,
    Limits,
    Delete,
}

#[derive(Debug, Clone)]
pub enum Event {
    Grant(usize),
    Deny(usize),
    Rotate(usize),
    Leave(usize),
    /// The operator is killed and starts again.
    Crash,
    /// It is killed in the middle of the next call.
    CrashInCall,
    /// The wall clock is set.
    Clock(i64),
    Hand(usize, Hand),
    /// The panel loses everything.
    Reset,
    /// Somebody keeps a copy of the panel's database, or puts the last one back.
    Backup,
    Restore,
    Fault(usize, Fault),
    /// The panel cannot do anything about this account for a while.
    Stumble(usize, u16, usize),
    /// Hysteria's traffic API is away until the next of these.
    TrafficApi,
}

fn hand() -> impl Strategy<Value = Hand> {
    prop_oneof![
        2 => Just(Hand::LetIn),
        1 => Just(Hand::Block),
        1 => Just(Hand::Password),
        1 => Just(Hand::Note),
        1 => Just(Hand::Limits),
        1 => Just(Hand::Delete),
    ]
}

pub fn event() -> impl Strategy<Value = Event> {
    let who = 0..NAMES.len();
    prop_oneof![
        4 => who.clone().prop_map(Event::Grant),
        4 => who.clone().prop_map(Event::Deny),
        1 => who.clone().prop_map(Event::Rotate),
        2 => who.clone().prop_map(Event::Leave),
        1 => Just(Event::Crash),
        2 => Just(Event::CrashInCall),
        1 => (-40 * 86_400..40 * 86_400i64).prop_map(Event::Clock),
        2 => (who.clone(), hand()).prop_map(|(who, hand)| Event::Hand(who, hand)),
        1 => Just(Event::Reset),
        1 => Just(Event::Backup),
        1 => Just(Event::Restore),
        6 => (0..6usize, fault()).prop_map(|(at, fault)| Event::Fault(at, fault)),
        1 => (who, prop_oneof![Just(400u16), Just(422), Just(500)], 1..5usize)
            .prop_map(|(who, status, times)| Event::Stumble(who, status, times)),
        1 => Just(Event::TrafficApi),
    ]
}

pub fn stranger() -> Stored {
    Stored {
        password: "made-by-hand".to_owned(),
        max_download_bytes: 7 * GB,
        expiration_days: 90,
        account_creation_date: None,
        blocked: false,
        unlimited_user: true,
        note: Some("call before 10".to_owned()),
        upload_bytes: None,
        download_bytes: None,
        online_count: 0,
    }
}

/// The panel loses everything, or has an older state again, while calls go wrong and the operator is killed.
pub fn disaster() -> impl Strategy<Value = Event> {
    let not_done = |fault: &Fault| !matches!(fault, Fault::Hang);
    prop_oneof![
        2 => Just(Event::Reset),
        2 => Just(Event::Backup),
        2 => Just(Event::Restore),
        1 => Just(Event::Crash),
        1 => Just(Event::CrashInCall),
        1 => (-86_400..86_400i64).prop_map(Event::Clock),
        1 => (0..3usize).prop_map(|who| Event::Hand(who, Hand::Note)),
        1 => (0..3usize).prop_map(|who| Event::Hand(who, Hand::Delete)),
        4 => (0..6usize, fault().prop_filter("it is answered", not_done)).prop_map(|(at, fault)| Event::Fault(at, fault)),
    ]
}
