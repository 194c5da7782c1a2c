//! What the inbox keeps, and what it takes for the same event.

use std::sync::Arc;

use jiff::SignedDuration;
use rusqlite::StatementStatus;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{signature::Scheme, *};
use crate::clock::ManualClock;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

struct House {
    dir: TempDir,
    clock: Arc<ManualClock>,
    inbox: Inbox,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(at(0));
        let inbox = Inbox::open_or_retry(&dir.path().join(INBOX_FILE), clock.clone()).unwrap();
        Self { dir, clock, inbox }
    }

    /// Accepts one, and sees to it that what is answered is what is kept.
    async fn new_one(&self, event: NewEvent) -> StoredEvent {
        let event = match self.inbox.accept(event).await.unwrap() {
            Accepted::New(event) => event,
            Accepted::Again(event) => panic!("{event:?} was there"),
        };
        assert_eq!(self.inbox.get(event.id).await.unwrap().as_ref(), Some(&event));
        event
    }

    async fn again(&self, event: NewEvent) -> StoredEvent {
        match self.inbox.accept(event).await.unwrap() {
            Accepted::Again(event) => event,
            Accepted::New(event) => panic!("{event:?} is new"),
        }
    }
}

fn event(body: &str, webhook_id: Option<&str>) -> NewEvent {
    NewEvent {
        received_at: at(0),
        scheme: if webhook_id.is_some() {
            Scheme::Standard
        } else {
            Scheme::Hub
        },
        webhook_id: webhook_id.map(str::to_owned),
        digest: Sha256::digest(body).into(),
        body: body.into(),
        text: None,
        event_type: Some("user_deactivated".to_owned()),
        corporate_id: Some("AB123456".to_owned()),
        said_at: None,
        ordered_at: Some(at(-1)),
        request_id: Some("r-1".to_owned()),
        failure: None,
        later: None,
    }
}

fn outcome(state: State, due_at: Option<Timestamp>, scheduled: bool) -> Outcome {
    Outcome {
        state,
        reason: Some("why".to_owned()),
        hold: Some("hr-deactivated-ab123456".to_owned()),
        due_at,
        scheduled,
    }
}

#[tokio::test]
async fn the_same_event_is_kept_once_and_gets_the_answer_that_the_first_one_has() {
    let house = House::new();
    let first = house.new_one(event("{1}", None)).await;
    assert_eq!(
        (first.id, first.state, first.text.as_deref()),
        (1, State::Pending, Some("{1}"))
    );
    assert_eq!(first.digest.len(), 64);
    assert_eq!(house.again(event("{1}", None)).await, first);
    house
        .inbox
        .settle(1, outcome(State::Processed, None, false), false)
        .await
        .unwrap();
    assert_eq!(house.again(event("{1}", None)).await.state, State::Processed);
    // A copy without the headers that were signed with it.
    let standard = house.new_one(event("{2}", Some("msg_2"))).await;
    assert_eq!(house.again(event("{2}", None)).await.id, standard.id);
    assert_eq!(house.again(event("{2}", Some("msg_2"))).await.id, standard.id);
    // Standard Webhooks tells events by their ids alone.
    assert_ne!(house.new_one(event("{2}", Some("msg_3"))).await.id, standard.id);
}

#[tokio::test]
async fn what_is_answered_is_what_is_kept_however_odd_the_event_is() {
    let house = House::new();
    let between = Timestamp::from_nanosecond(1_800_000_000_123_456_789).unwrap();
    let odd = |body: &[u8], text: Option<&str>| NewEvent {
        received_at: between,
        digest: Sha256::digest(body).into(),
        body: body.into(),
        text: text.map(str::to_owned),
        said_at: Some(between),
        ordered_at: Some(between),
        corporate_id: None,
        event_type: None,
        request_id: None,
        ..event("", None)
    };
    house.new_one(odd(b"\xff\xfe", None)).await;
    house.new_one(odd(b"\x1f\x8b", Some("{}"))).await;
    let later = NewEvent {
        later: Some(between),
        ..odd(b"{}", None)
    };
    house.new_one(later).await;
    let failed = NewEvent {
        failure: Some("no type".to_owned()),
        ..odd(b"[]", None)
    };
    house.new_one(failed).await;
}

#[tokio::test]
async fn a_look_up_is_planned_once_for_all_values() {
    let house = House::new();
    let planned_anew = |conn: &Connection| {
        let mut times = 0;
        for value in [[1_u8; 32], [2; 32], [3; 32]] {
            let sql = format!("SELECT {COLUMNS} FROM events WHERE digest = ?1 ORDER BY id LIMIT 1");
            let mut query = conn.prepare_cached(&sql)?;
            query.query_row([value], |_| Ok(())).optional()?;
            times += query.get_status(StatementStatus::RePrepare);
        }
        Ok(times)
    };
    assert_eq!(house.inbox.store.write(planned_anew).await.unwrap(), 0);
    assert_eq!(house.inbox.store.read(planned_anew).await.unwrap(), 0);
}

#[tokio::test]
async fn an_id_that_comes_with_another_body_is_kept_as_failed() {
    let house = House::new();
    let first = house.new_one(event("{1}", Some("msg_1"))).await;
    let other = house.new_one(event("{2}", Some("msg_1"))).await;
    assert_eq!(other.state, State::Failed);
    assert!(other.reason.as_ref().unwrap().contains("event 1"), "{other:?}");
    assert_eq!(house.again(event("{2}", Some("msg_1"))).await, other);
    assert_eq!(house.again(event("{1}", Some("msg_1"))).await, first);
}

#[tokio::test]
async fn what_is_done_stays_done_and_what_was_discarded_only_a_person_takes_up_again() {
    let house = House::new();
    house.new_one(event("{1}", None)).await;
    let settle = |state, again| {
        let settled = house.inbox.settle(1, outcome(state, None, false), again);
        async { settled.await.unwrap().unwrap().state }
    };
    assert_eq!(settle(State::Failed, false).await, State::Failed);
    assert_eq!(settle(State::Discarded, false).await, State::Discarded);
    assert_eq!(settle(State::Pending, false).await, State::Discarded);
    assert_eq!(settle(State::Pending, true).await, State::Pending);
    assert_eq!(settle(State::Processed, false).await, State::Processed);
    assert_eq!(settle(State::Failed, true).await, State::Processed);
    let event = house.inbox.get(1).await.unwrap().unwrap();
    assert_eq!(
        (event.attempts, event.hold.as_deref()),
        (4, Some("hr-deactivated-ab123456"))
    );
    assert_eq!(
        house
            .inbox
            .settle(2, outcome(State::Failed, None, false), false)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn what_waits_is_found_when_it_is_due() {
    let house = House::new();
    for body in ["{1}", "{2}", "{3}", "{4}"] {
        house.new_one(event(body, None)).await;
    }
    let settle = |id, outcome| house.inbox.settle(id, outcome, false);
    settle(1, outcome(State::Pending, Some(at(3600)), true)).await.unwrap();
    settle(2, outcome(State::HeldBack, None, false)).await.unwrap();
    settle(3, outcome(State::Failed, None, false)).await.unwrap();
    let due = |at| house.inbox.due(at, 10);
    let ids = |events: Vec<StoredEvent>| events.iter().map(|event| event.id).collect::<Vec<_>>();
    assert_eq!(ids(due(at(0)).await.unwrap()), [4]);
    assert_eq!(ids(due(at(3600)).await.unwrap()), [4, 1]);
    assert_eq!(ids(house.inbox.held_back(0, 10).await.unwrap()), [2]);
    assert_eq!(ids(house.inbox.held_back(2, 10).await.unwrap()), [0; 0]);
    let waiting = house.inbox.waiting().await.unwrap();
    assert_eq!((waiting.pending, waiting.held_back, waiting.failed), (2, 1, 1));
    assert_eq!((waiting.oldest_due, waiting.next_due), (Some(at(0)), Some(at(0))));
    settle(4, outcome(State::Processed, None, false)).await.unwrap();
    let waiting = house.inbox.waiting().await.unwrap();
    assert_eq!(
        (waiting.oldest_due, waiting.next_due),
        (None, Some(at(3600))),
        "what takes effect later is not late"
    );
    house.clock.advance(std::time::Duration::from_secs(3601));
    assert_eq!(house.inbox.waiting().await.unwrap().oldest_due, Some(at(3600)));
}

#[tokio::test]
async fn events_are_listed_newest_first_by_state_type_and_person() {
    let house = House::new();
    for body in ["{1}", "{2}", "{3}"] {
        house.new_one(event(body, None)).await;
    }
    let mut other = event("{4}", None);
    other.corporate_id = Some("cd000001".to_owned());
    other.event_type = Some("user_activated".to_owned());
    other.failure = Some("no".to_owned());
    house.new_one(other).await;
    let list = |filter, limit| {
        let list = house.inbox.list(filter, limit);
        async { list.await.unwrap().iter().map(|event| event.id).collect::<Vec<_>>() }
    };
    let all = EventFilter::default();
    assert_eq!(list(all.clone(), 10).await, [4, 3, 2, 1]);
    assert_eq!(
        list(
            EventFilter {
                before: Some(4),
                ..all.clone()
            },
            2
        )
        .await,
        [3, 2]
    );
    assert_eq!(
        list(
            EventFilter {
                states: vec![State::Failed, State::HeldBack],
                ..all.clone()
            },
            10
        )
        .await,
        [4]
    );
    assert_eq!(
        list(
            EventFilter {
                corporate_id: Some("ab123456".to_owned()),
                ..all.clone()
            },
            10
        )
        .await,
        [3, 2, 1]
    );
    assert_eq!(
        list(
            EventFilter {
                event_type: Some("user_activated".to_owned()),
                ..all
            },
            10
        )
        .await,
        [4]
    );
}

#[tokio::test]
async fn the_moment_of_an_activation_only_rises_and_everything_survives_a_restart() {
    let house = House::new();
    let kept = |key: &str| house.inbox.activated_at(key.to_owned());
    assert_eq!(kept("ab123456").await.unwrap(), None);
    for second in [5, 3, 7, 6] {
        house.inbox.activate("ab123456".to_owned(), at(second)).await.unwrap();
    }
    house.new_one(event("{1}", None)).await;
    let House { dir, clock, inbox } = house;
    drop(inbox);
    let inbox = Inbox::open_or_retry(&dir.path().join(INBOX_FILE), clock).unwrap();
    assert_eq!(inbox.activated_at("ab123456".to_owned()).await.unwrap(), Some(at(7)));
    assert!(matches!(
        inbox.accept(event("{1}", None)).await.unwrap(),
        Accepted::Again(_)
    ));
}

#[tokio::test]
async fn past_retention_the_body_goes_and_what_tells_a_copy_stays() {
    let house = House::new();
    for (body, days) in [("{1}", RETENTION_DAYS + 1), ("{2}", RETENTION_DAYS + 1), ("{3}", 1)] {
        let mut event = event(body, None);
        event.received_at = at(0).checked_sub(SignedDuration::from_hours(24 * days)).unwrap();
        house.new_one(event).await;
    }
    for id in [1, 3] {
        house
            .inbox
            .settle(id, outcome(State::Processed, None, false), false)
            .await
            .unwrap();
    }
    house
        .inbox
        .store
        .write(|conn| (schema().prune)(conn, at(0)))
        .await
        .unwrap();
    let text = |id| {
        let event = house.inbox.get(id);
        async { event.await.unwrap().unwrap().text }
    };
    assert_eq!(text(1).await, None);
    assert_eq!(text(2).await.as_deref(), Some("{2}"), "what is not done is kept");
    assert_eq!(text(3).await.as_deref(), Some("{3}"));
    assert_eq!(house.again(event("{1}", None)).await.id, 1);
}
