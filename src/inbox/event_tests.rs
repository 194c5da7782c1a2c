use proptest::prelude::*;
use serde_json::json;

use super::*;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn event_of(body: &Value) -> Result<HrEvent, EventError> {
    read(&body.to_string(), &berlin()).event
}

fn deactivated(data: &Value) -> Value {
    json!({ "event_type": "user_deactivated", "corporate_id": "ab123456", "event_data": data })
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn effective(date: &Value) -> Option<Timestamp> {
    event_of(&deactivated(&json!({ "effective_date": date })))
        .unwrap()
        .effective
}

#[test]
fn the_four_events_are_read_and_unknown_fields_are_left_alone() {
    let event = event_of(&json!({
        "event_type": "user_deactivated", "corporate_id": "AB123456", "timestamp": "2026-05-01T10:00:00+02:00", "version": 3,
        "signature": "x",
        "event_data": { "deactivation_reason": "left", "deactivated_by": "hr.admin", "effective_date": null, "cost_center": [1] },
    }))
    .unwrap();
    assert_eq!(event.corporate_id.as_str(), "AB123456");
    assert_eq!(event.instruction, Instruction::Deactivate);
    assert_eq!(event.at, Some(at("2026-05-01T08:00:00Z")));
    assert_eq!(
        (event.by.as_deref(), event.reason.as_deref()),
        (Some("hr.admin"), Some("left"))
    );
    assert_eq!(event.effective, None);
    let of = |event_type: &str, data: Value| {
        let body = json!({ "event_type": event_type, "corporate_id": "AB123456", "event_data": data });
        event_of(&body).unwrap().instruction
    };
    assert_eq!(
        of("user_suspended", json!({ "duration_days": 14 })),
        Instruction::Suspend { days: 14 }
    );
    assert_eq!(
        of("user_suspended", json!({ "duration_days": "3" })),
        Instruction::Suspend { days: 3 }
    );
    assert_eq!(of("user_activated", json!({})), Instruction::Activate);
    let role = Instruction::ChangeRole {
        role: "Lead".to_owned(),
    };
    assert_eq!(
        of("user_role_changed", json!({ "old_role": "Dev", "new_role": " Lead " })),
        role
    );
    for event_type in Instruction::TYPES {
        let data = json!({ "duration_days": 1, "new_role": "x" });
        assert_eq!(of(event_type, data).event_type(), event_type);
    }
}

#[test]
fn what_is_missing_or_makes_no_sense_is_named() {
    let field = |body: Value| event_of(&body).unwrap_err().to_string();
    let suspended = |days: Value| {
        field(
            json!({ "event_type": "user_suspended", "corporate_id": "AB123456", "event_data": { "duration_days": days } }),
        )
    };
    let role = |role: Value| {
        field(
            json!({ "event_type": "user_role_changed", "corporate_id": "AB123456", "event_data": { "new_role": role } }),
        )
    };
    let long = "x".repeat(129);
    for (said, named) in [
        (field(json!([])), "no JSON object"),
        (field(json!({})), "event_type is missing"),
        (field(json!({ "event_type": 1 })), "event_type: must be a text"),
        (
            field(json!({ "event_type": "user_deactivated" })),
            "corporate_id is missing",
        ),
        (
            field(json!({ "event_type": "user_deactivated", "corporate_id": 123_456 })),
            "corporate_id: must be a text",
        ),
        (
            field(json!({ "event_type": "user_deactivated", "corporate_id": "a/b" })),
            "corporate_id: ",
        ),
        (
            field(json!({ "event_type": "user_hired", "corporate_id": "AB123456" })),
            "'user_hired' is not known",
        ),
        (field(deactivated(&json!("x"))), "event_data: must be"),
        (
            field(deactivated(&json!({ "effective_date": "tomorrow" }))),
            "event_data.effective_date: must be",
        ),
        (
            field(deactivated(&json!({ "effective_date": true }))),
            "event_data.effective_date: must be",
        ),
        (
            field(json!({ "event_type": "user_deactivated", "corporate_id": "A", "timestamp": 12 })),
            "timestamp: must be",
        ),
        (suspended(Value::Null), "duration_days is missing"),
        (suspended(json!(0)), "duration_days: must be"),
        (suspended(json!(-1)), "duration_days: must be"),
        (suspended(json!(1.5)), "duration_days: must be"),
        (suspended(json!(1e300)), "duration_days: must be"),
        (role(Value::Null), "new_role is missing"),
        (role(json!(" ")), "new_role: must be"),
        (role(json!("a\nb")), "new_role: must be"),
        (role(json!(long)), "new_role: must be"),
    ] {
        assert!(said.contains(named), "{said}, not {named}");
    }
    let twice = read(
        r#"{"event_type":"user_activated","corporate_id":"A","corporate_id":"B"}"#,
        &berlin(),
    );
    assert!(twice.event.unwrap_err().to_string().contains("duplicate field"));
}

#[test]
fn as_much_as_can_be_read_of_a_bad_event_is_told() {
    let reading = read(r#"{"event_type":"user_hired","corporate_id":"AB123456"}"#, &berlin());
    assert_eq!(reading.event_type.as_deref(), Some("user_hired"));
    assert_eq!(reading.corporate_id.unwrap().as_str(), "AB123456");
    let long = event_of(&deactivated(
        &json!({ "deactivation_reason": format!("a\nb{}", "x".repeat(600)) }),
    ))
    .unwrap();
    let reason = long.reason.unwrap();
    assert!(reason.starts_with("a\\nb") && reason.chars().count() == MAX_REASON);
    assert_eq!(
        event_of(&deactivated(&json!({ "deactivated_by": 17 })))
            .unwrap()
            .by
            .as_deref(),
        Some("17")
    );
}

#[test]
fn a_date_is_the_first_moment_of_that_day_in_the_zone_also_when_clocks_change() {
    assert_eq!(
        effective(&json!("2026-05-01T12:00:00+02:00")),
        Some(at("2026-05-01T10:00:00Z"))
    );
    assert_eq!(
        effective(&json!("2026-05-01T12:00:00")),
        Some(at("2026-05-01T10:00:00Z"))
    );
    assert_eq!(
        effective(&json!("2026-05-01 12:00:00")),
        Some(at("2026-05-01T10:00:00Z"))
    );
    assert_eq!(effective(&json!("2026-05-01")), Some(at("2026-04-30T22:00:00Z")));
    assert_eq!(effective(&json!("")), None);
    assert_eq!(effective(&json!(1_777_629_600)), Some(at("2026-05-01T10:00:00Z")));
    assert_eq!(
        effective(&json!(1_777_629_600_500_i64)),
        Some(at("2026-05-01T10:00:00.5Z"))
    );
    // Clocks go forward at 2:00 on 29 March 2026 and back at 3:00 on 25 October 2026.
    assert_eq!(effective(&json!("2026-03-29")), Some(at("2026-03-28T23:00:00Z")));
    assert_eq!(effective(&json!("2026-03-30")), Some(at("2026-03-29T22:00:00Z")));
    assert_eq!(effective(&json!("2026-10-25")), Some(at("2026-10-24T22:00:00Z")));
    assert_eq!(effective(&json!("2026-10-26")), Some(at("2026-10-25T23:00:00Z")));
    assert_eq!(
        effective(&json!("2026-03-29T02:30:00")),
        Some(at("2026-03-29T01:30:00Z")),
        "does not exist: an hour later"
    );
    assert_eq!(
        effective(&json!("2026-10-25T02:30:00")),
        Some(at("2026-10-25T00:30:00Z")),
        "exists twice: the first"
    );
    let zone = |zone: &str, date: &str| moment_of_text(date, &TimeZone::get(zone).unwrap()).unwrap();
    assert_eq!(
        zone("America/Sao_Paulo", "2018-11-04"),
        at("2018-11-04T03:00:00Z"),
        "no midnight on that day"
    );
    assert_eq!(
        zone("America/Havana", "2026-11-01"),
        at("2026-11-01T04:00:00Z"),
        "two midnights on that day"
    );
    for bad in [
        "2026-13-01",
        "2026-05-01T12:00:00+99:00",
        "2026-05-01T12:00 MEZ",
        "05/01/2026",
        "2026-5-1",
        "now",
    ] {
        assert_eq!(moment_of_text(bad, &berlin()), None, "{bad}");
    }
}

#[test]
fn days_are_days_of_the_calendar() {
    let from = at("2026-03-28T11:00:00Z");
    assert_eq!(end_of(from, 1, &berlin()), Some(at("2026-03-29T10:00:00Z")), "23 hours");
    assert_eq!(
        end_of(at("2026-10-24T10:00:00Z"), 1, &berlin()),
        Some(at("2026-10-25T11:00:00Z")),
        "25 hours"
    );
    assert_eq!(end_of(from, 7, &TimeZone::UTC), Some(at("2026-04-04T11:00:00Z")));
    assert_eq!(end_of(Timestamp::MAX, 1, &berlin()), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_words(text in "\\PC{0,80}") {
        let reading = read(&text, &berlin());
        prop_assert!(reading.event.is_err_and(|error| !error.to_string().is_empty()));
    }

    #[test]
    fn any_values_in_known_fields_are_read_or_refused(
        event_type in prop_oneof![Just("user_deactivated"), Just("user_suspended"), Just("user_activated"), Just("user_role_changed")],
        id in "\\PC{0,12}", text in "\\PC{0,30}", number in any::<f64>(), days in any::<i64>(),
    ) {
        for value in [json!(text), json!(number), json!(days), json!([text]), json!({ "a": number }), Value::Null] {
            let body = json!({
                "event_type": event_type, "corporate_id": id, "timestamp": value,
                "event_data": { "effective_date": value, "duration_days": value, "new_role": value, "deactivated_by": value },
            });
            let reading = read(&body.to_string(), &berlin());
            if let Ok(event) = reading.event {
                prop_assert_eq!(event.corporate_id.as_str(), &id);
                prop_assert!(event.by.is_none_or(|by| by.chars().count() <= MAX_NAME && !by.contains('\n')));
            }
        }
    }
}
