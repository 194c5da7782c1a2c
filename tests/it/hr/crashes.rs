//! The process ends before or after any of its calls: an answered event is in the inbox, and whatever happens, what is left behind
//! is the same as if nothing had.

use serde_json::{Value, json};
use vpn_operator::{desired::DesiredState as _, inbox::State, model::hr::HrMarks};

use super::world::{Crash, Operator, Place, audited, live};
use crate::support::hr::event;

const ANNA: &str = "AB123456";

struct Scenario {
    name: &'static str,
    declared: bool,
    /// What HR said before, and was carried out.
    before: Vec<Value>,
    sent: Value,
    action: &'static str,
}

fn said(event_type: &str, minute: u32, data: Value) -> Value {
    event(event_type, ANNA, &format!("2026-05-01T11:{minute:02}:00Z"), data)
}

fn scenarios() -> Vec<Scenario> {
    let scenario = |name, declared, before, sent, action| Scenario {
        name,
        declared,
        before,
        sent,
        action,
    };
    let left = || said("user_deactivated", 10, json!({}));
    vec![
        scenario("deactivated", true, vec![], left(), "deactivate"),
        scenario("unknown", false, vec![], left(), "deactivate"),
        scenario(
            "again",
            true,
            vec![left()],
            said("user_deactivated", 20, json!({})),
            "deactivate",
        ),
        scenario(
            "suspended",
            true,
            vec![],
            said("user_suspended", 10, json!({ "duration_days": 3 })),
            "suspend",
        ),
        scenario(
            "activated",
            true,
            vec![left()],
            said("user_activated", 20, json!({})),
            "activate",
        ),
        scenario(
            "role",
            true,
            vec![],
            said("user_role_changed", 10, json!({ "new_role": "Lead" })),
            "role.change",
        ),
    ]
}

/// What is left behind: the person, and the holds.
async fn left_behind(place: &Place, operator: &Operator) -> String {
    let user = place.source.get_user("ab123456").await.unwrap();
    let user = user.map(|user| (user.spec, HrMarks::of(user.metadata.annotations.as_ref())));
    format!("{user:?} {:?} {}", operator.holds(place), operator.has_access(ANNA))
}

fn prepared(scenario: &Scenario) -> Place {
    let place = Place::new();
    if scenario.declared {
        place.declare(ANNA);
    }
    live(&place, Crash::never(), async |operator| {
        for body in &scenario.before {
            operator.send(body, None).await.unwrap();
        }
        operator.settle().await;
    });
    place
}

#[test]
fn a_crash_at_any_call_loses_no_event_and_carries_none_out_twice() {
    for scenario in scenarios() {
        let name = scenario.name;
        let place = prepared(&scenario);
        let wanted = live(&place, Crash::never(), async |operator| {
            let received = operator.send(&scenario.sent, None).await.unwrap();
            assert_eq!(received.event.state, State::Processed, "{name}: {received:?}");
            left_behind(&place, operator).await
        });
        let rows = audited(&place, scenario.action);
        let mut crashes = 0;
        for call in 0.. {
            let mut ended = 0;
            for after in [false, true] {
                let place = prepared(&scenario);
                let shown = format!("{name}, call {call}, after: {after}");
                let crash = Crash::at(call, after);
                let answered = live(&place, crash.clone(), async |operator| {
                    tokio::select! {
                        received = operator.send(&scenario.sent, None) => Some(received.unwrap().event.id),
                        () = crash.happened.notified() => None,
                    }
                });
                crashes += usize::from(answered.is_none());
                ended += usize::from(answered.is_some());
                live(&place, Crash::never(), async |operator| {
                    let known = operator.events().await.len();
                    assert!(
                        answered.is_none() || known == scenario.before.len() + 1,
                        "{shown}: an answered event is lost"
                    );
                    // Who was not answered sends it again.
                    operator.send(&scenario.sent, None).await.unwrap();
                    operator.settle().await;
                    let events = operator.events().await;
                    assert_eq!(events.len(), scenario.before.len() + 1, "{shown}");
                    assert!(
                        events.iter().all(|event| event.state == State::Processed),
                        "{shown}: {events:?}"
                    );
                    assert_eq!(left_behind(&place, operator).await, wanted, "{shown}");
                });
                let written = audited(&place, scenario.action);
                assert!(
                    written >= rows && written <= rows + 1,
                    "{shown}: {written} rows of the audit, not {rows}"
                );
            }
            if ended == 2 {
                break;
            }
        }
        assert!(crashes >= 3, "{name}: only {crashes} crashes");
    }
}
