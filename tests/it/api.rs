//! The types of answers, as clients of another version than the operator read them.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vpn_operator::api::{
    access::{AcceptedBody, ActivatedBody, ConfigBody, DeactivatedBody, FullConfigBody, RotatedBody},
    audit::{AcknowledgedBody, AuditPageBody},
    backup::BackupBody,
    client::{ApiError, read},
    events::{EventBody, EventsBody, OneEventBody, ReceivedBody, WebhookHealthBody},
    forget::ForgottenBody,
    gateways::{GatewayStatusBody, GatewaysBody},
    guard::{DoneBody, GuardBody},
    handover::{HandedOver, Handovers},
    health::{HealthBody, ReadyBody, StatusBody},
    holds::{HoldsBody, PlacedBody, ReleasedBody, ReleasedManyBody},
    ids::{ActivatedIdBody, IdBody, IdDetailBody, IdsBody, ImportedIdsBody, RevokedIdBody, ValidityBody},
    problem::ProblemBody,
    records::{StoryBody, WhoBody},
    telegram::{CodeAnswer, LinkCode, Linked, LinkedPerson, Notices, TelegramLink},
    users::{UserDetailBody, UsersBody},
};

use crate::support::document;

type Read = fn(&Value) -> Result<Value, ApiError>;

macro_rules! readers {
    ($($type:ident),* $(,)?) => {
        vec![$((stringify!($type), (|answer| read::<$type>(answer).map(|read| serde_json::to_value(read).unwrap())) as Read)),*]
    };
}

/// Every answer of the API, by the name of its schema, and how it is read.
fn readers() -> Vec<(&'static str, Read)> {
    let mut readers = readers![
        AcceptedBody,
        AcknowledgedBody,
        ActivatedBody,
        ActivatedIdBody,
        AuditPageBody,
        BackupBody,
        CodeAnswer,
        ConfigBody,
        DeactivatedBody,
        DoneBody,
        EventBody,
        EventsBody,
        ForgottenBody,
        FullConfigBody,
        GatewayStatusBody,
        GatewaysBody,
        GuardBody,
        HandedOver,
        Handovers,
        HealthBody,
        HoldsBody,
        IdBody,
        IdDetailBody,
        IdsBody,
        ImportedIdsBody,
        LinkCode,
        Linked,
        LinkedPerson,
        Notices,
        OneEventBody,
        PlacedBody,
        ReadyBody,
        ReceivedBody,
        ReleasedBody,
        ReleasedManyBody,
        RevokedIdBody,
        RotatedBody,
        StatusBody,
        StoryBody,
        TelegramLink,
        UserDetailBody,
        UsersBody,
        ValidityBody,
        WebhookHealthBody,
        WhoBody,
    ];
    let problem = readers![ProblemBody].remove(0).1;
    readers.push(("Problem", problem));
    readers
}

#[test]
fn every_answer_has_a_type_that_clients_read() {
    let typed: BTreeSet<String> = readers().into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(typed, document::answered());
}

/// With a field that nobody knows yet in every object.
fn of_a_later_version(answer: Value) -> Value {
    match answer {
        Value::Object(fields) => {
            let mut later: serde_json::Map<String, Value> = fields
                .into_iter()
                .map(|(name, value)| (name, of_a_later_version(value)))
                .collect();
            later.insert("of_a_later_version".to_owned(), json!({ "list": [1, null] }));
            Value::Object(later)
        }
        Value::Array(items) => items.into_iter().map(of_a_later_version).collect(),
        other => other,
    }
}

/// Whether everything of `least` stands in `whole` as well.
fn holds(whole: &Value, least: &Value) -> bool {
    match (whole, least) {
        (Value::Object(whole), Value::Object(least)) => least
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| holds(whole, part))),
        (Value::Array(whole), Value::Array(least)) => {
            whole.len() == least.len() && whole.iter().zip(least).all(|(whole, least)| holds(whole, least))
        }
        (whole, least) => whole == least,
    }
}

#[test]
fn an_older_client_passes_over_what_a_newer_operator_says_and_a_newer_one_misses_nothing_that_may_be_absent() {
    for (name, read) in readers() {
        let least = document::least(name);
        assert!(
            least.as_object().is_some_and(|least| !least.is_empty()),
            "{name}: {least}"
        );
        let older = read(&least).unwrap_or_else(|error| panic!("{name}: {error}: {least}"));
        let newer = of_a_later_version(least.clone());
        let newer = read(&newer).unwrap_or_else(|error| panic!("{name}: {error}: {newer}"));
        assert_eq!(older, newer, "{name}");
        assert!(holds(&newer, &least), "{name}: {least} was read as {newer}");
    }
}

#[test]
fn a_notice_of_a_later_version_keeps_nobody_from_hearing_the_others() {
    let [one] = document::least("Notices")["notices"]
        .as_array()
        .unwrap()
        .clone()
        .try_into()
        .unwrap();
    let mut later = one.clone();
    later["kind"] = json!("of_a_later_version");
    let read: Notices = read(&json!({ "notices": [later, one] })).unwrap();
    assert_eq!((read.notices.len(), read.unknown), (1, 1));
    assert!(vpn_operator::api::client::read::<Notices>(&json!({ "notices": "none" })).is_err());
}
