use std::collections::HashSet;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::{
    history::{AuditEntry, ImportedEvent},
    import::legacy::Cell,
};

const PASSWORD: &str = "NEEDLE-in_a-haystack";

fn times() -> Times {
    Times {
        now: "2026-03-15T12:00:00Z".parse().unwrap(),
        zone: TimeZone::UTC,
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

/// A row of somebody who is in.
fn anna(id: &str) -> Vec<(&'static str, Cell)> {
    vec![
        ("corporate_id", text(id)),
        ("blitz_username", text(&format!("corp_{}", id.to_lowercase()))),
        ("hy2_auth_key", text(PASSWORD)),
        (
            "subscription_url",
            text("https://old.example.com/sub/NEEDLE-in_a-haystack"),
        ),
        ("is_active", Cell::Integer(1)),
        ("locked_until", Cell::Null),
        ("total_upload", Cell::Integer(10)),
        ("total_download", Cell::Integer(20)),
    ]
}

fn with(mut row: Vec<(&'static str, Cell)>, column: &'static str, cell: Cell) -> Vec<(&'static str, Cell)> {
    row.retain(|(name, _)| *name != column);
    row.push((column, cell));
    row
}

fn users(rows: Vec<Vec<(&'static str, Cell)>>) -> Tables {
    let mut tables = Tables::default();
    let rows = rows.into_iter().zip(1..);
    tables.set(
        Table::Users,
        rows.map(|(cells, number)| Row::new(number, cells)).collect(),
    );
    tables
}

/// The plan for one row, and what is said of it.
fn one(row: Vec<(&'static str, Cell)>) -> (Plan, Vec<String>) {
    let plan = map(&users(vec![row]), &times());
    let said = plan.remarks.iter().map(ToString::to_string).collect();
    (plan, said)
}

#[test]
fn somebody_who_is_in_keeps_account_and_password() {
    let (plan, said) = one(anna("AB123456"));
    assert_eq!(said, [""; 0]);
    let [
        FormerUser {
            person, has_old_link, ..
        },
    ] = &plan.people[..]
    else {
        panic!("{plan:?}")
    };
    assert_eq!(
        (
            person.id.as_str(),
            person.username.as_str(),
            person.password.expose_secret()
        ),
        ("AB123456", "corp_ab123456", PASSWORD)
    );
    assert!(person.holds.is_empty() && *has_old_link);
}

#[test]
fn whatever_cannot_be_understood_keeps_out() {
    let row = || anna("AB123456");
    for (column, cell, holds, remarks) in [
        ("is_active", Cell::Integer(0), &["import-inactive-ab123456"][..], 0),
        ("is_active", Cell::Null, &["import-inactive-ab123456"], 1),
        ("is_active", text("maybe"), &["import-inactive-ab123456"], 1),
        (
            "locked_until",
            text("2026-03-15 12:00:01"),
            &["import-locked-ab123456"],
            0,
        ),
        ("locked_until", text("2026-03-15 12:00:00"), &[], 0),
        ("locked_until", text("soon"), &["import-locked-ab123456"], 1),
    ] {
        let (plan, said) = one(with(row(), column, cell));
        let names: Vec<&str> = plan.people[0]
            .person
            .holds
            .iter()
            .map(|hold| hold.name.as_str())
            .collect();
        assert_eq!((&names[..], said.len()), (holds, remarks), "{column}: {said:?}");
        assert!(
            plan.people[0]
                .person
                .holds
                .iter()
                .all(|hold| hold.spec.source == "import")
        );
    }
    let locked = one(with(row(), "locked_until", text("2026-03-15 12:30:00"))).0;
    let until = locked.people[0].person.holds[0]
        .spec
        .until
        .map(|until| until.to_string());
    assert_eq!(until.as_deref(), Some("2026-03-15T12:30:00Z"));
}

#[test]
fn a_row_of_which_nothing_can_be_made_says_why() {
    let row = || anna("AB123456");
    for (column, cell, why) in [
        ("corporate_id", Cell::Null, "corporate_id is empty"),
        ("corporate_id", text("-x"), "position 1"),
        ("corporate_id", Cell::Other("binary"), "corporate_id is binary"),
        ("blitz_username", text("anna@corp"), "blitz_username must be"),
        ("hy2_auth_key", Cell::Null, "hy2_auth_key is empty"),
        ("hy2_auth_key", text("two\nlines"), "control characters"),
    ] {
        let (plan, said) = one(with(row(), column, cell));
        assert!(plan.people.is_empty() && plan.past.is_empty(), "{column}");
        assert_eq!(said.len(), 1, "{column}");
        assert!(
            said[0].starts_with("users row 1: skipped: ") && said[0].contains(why),
            "{said:?}"
        );
        assert!(!said[0].contains("two") && !said[0].contains("inactive"), "{said:?}");
    }
    let out = with(with(row(), "hy2_auth_key", Cell::Null), "is_active", Cell::Integer(0));
    assert!(one(out).1[0].contains("they were inactive or locked"));
}

#[test]
fn two_rows_that_become_one_id_or_one_account_are_both_named() {
    let other = with(anna("CD234567"), "blitz_username", text("CORP_EF345678"));
    let plan = map(
        &users(vec![anna("AB123456"), anna("ab123456"), other, anna("EF345678")]),
        &times(),
    );
    assert!(plan.people.is_empty());
    let said: Vec<String> = plan.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 4);
    for (said, other) in said.iter().zip(["row 2", "row 1", "row 4", "row 3"]) {
        assert!(said.contains(&format!("of {other}:")), "{said}");
    }
}

#[test]
fn who_left_by_an_event_or_the_registry_and_is_active_all_the_same_is_told_of() {
    let mut tables = users(vec![anna("AB123456")]);
    let event = [
        ("event_type", text("user_deactivated")),
        ("corporate_id", text("ab123456")),
        ("created_at", text("2026-03-14 12:00:00")),
    ];
    tables.set(Table::WebhookEvents, vec![Row::new(7, event)]);
    let registry = [
        ("id", text("AB123456")),
        ("owner", text("Anna")),
        ("status", text("revoked")),
    ];
    tables.set(Table::IdRegistry, vec![Row::new(8, registry)]);
    let plan = map(&tables, &times());
    assert_eq!(plan.people[0].person.owner.as_deref(), Some("Anna"));
    let told: Vec<(Table, i64, bool)> = plan.remarks.iter().map(|it| (it.table, it.row, it.skipped)).collect();
    assert_eq!(told, [(Table::WebhookEvents, 7, false), (Table::IdRegistry, 8, false)]);
    assert_eq!(plan.registry.len(), 1);
}

#[test]
fn a_log_row_is_the_same_whatever_else_is_written_into_it_later() {
    let event = |processed: i64, kind: &str| {
        let mut tables = Tables::default();
        let cells = [
            ("id", Cell::Integer(1)),
            ("event_type", text(kind)),
            ("processed", Cell::Integer(processed)),
            ("created_at", text("2026-03-14 12:00:00")),
        ];
        tables.set(Table::WebhookEvents, vec![Row::new(1, cells)]);
        map(&tables, &times()).past[0].digest()
    };
    assert_eq!(event(0, "user_suspended"), event(1, "user_suspended"));
    assert_ne!(event(0, "user_suspended"), event(0, "user_deactivated"));
}

fn cell(good: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Cell> {
    prop_oneof![
        6 => good.prop_map(Cell::Text),
        1 => Just(Cell::Null),
        1 => any::<i64>().prop_map(Cell::Integer),
        1 => Just(Cell::Other("binary")),
        1 => "\\PC{0,6}".prop_map(Cell::Text),
    ]
    .boxed()
}

prop_compose! {
    fn any_user()(
        id in cell("[AaBb]{1,2}[12]?"), name in cell("corp_[ab]{1,2}"), password in cell(Just(PASSWORD.to_owned())),
        active in cell("[01]"), locked in cell("20(25|27)-01-01 00:00:00"), upload in cell("[0-9]{1,4}"),
    ) -> Vec<(&'static str, Cell)> {
        vec![("corporate_id", id), ("blitz_username", name), ("hy2_auth_key", password), ("is_active", active),
             ("locked_until", locked), ("total_upload", upload)]
    }
}

prop_compose! {
    fn any_log()(
        id in cell("[AaBb]{1,2}"), at in cell("20(20|26)-01-01 00:00:00"),
        error in cell(Just(format!("got {PASSWORD}, /sub/{PASSWORD}"))), username in cell("corp_[ab]{1,2}"),
    ) -> Vec<(&'static str, Cell)> {
        vec![("corporate_id", id.clone()), ("id", id), ("created_at", at.clone()), ("timestamp", at),
             ("error_message", error.clone()), ("event_data", error.clone()), ("details", error), ("username", username),
             ("upload_bytes", Cell::Integer(3))]
    }
}

proptest! {
    #[test]
    fn each_row_is_made_or_said_and_no_secret_is_told(
        people in prop::collection::vec(any_user(), 0..8), logs in prop::collection::vec(any_log(), 0..8),
    ) {
        let mut tables = users(people);
        for table in [Table::AuthLogs, Table::WebhookEvents, Table::IdAudit, Table::IdRegistry, Table::TrafficStats] {
            let rows = logs.clone().into_iter().zip(1..);
            tables.set(table, rows.map(|(cells, number)| Row::new(number, cells)).collect());
        }
        let plan = map(&tables, &times());
        let skipped = |table: Table| -> Vec<i64> {
            let of = plan.remarks.iter().filter(|it| it.table == table && it.skipped);
            of.map(|it| it.row).collect()
        };
        // People: each row once, in one of the two.
        let mut rows = skipped(Table::Users);
        rows.extend(plan.people.iter().map(|user| user.row));
        rows.sort_unstable();
        let all: Vec<i64> = tables.rows(Table::Users).iter().map(|row| row.number).collect();
        prop_assert_eq!(rows, all);
        let ids: HashSet<String> = plan.people.iter().map(|user| user.person.id.object_name()).collect();
        let accounts: HashSet<&str> = plan.people.iter().map(|user| user.person.username.as_str()).collect();
        prop_assert_eq!((ids.len(), accounts.len()), (plan.people.len(), plan.people.len()));
        // Whoever was out is out.
        for FormerUser { row, person, .. } in &plan.people {
            let row = tables.rows(Table::Users).iter().find(|it| it.number == *row).unwrap();
            let active = row.integer("is_active").ok().flatten().is_some_and(|active| active != 0);
            prop_assert_eq!(active, !person.holds.iter().any(|hold| hold.name.starts_with("import-inactive-")));
        }
        // Logs: as many as are written are neither skipped nor too old.
        let events: Vec<&AuditEntry> = plan.past.iter().filter_map(|past| match past {
            Past::Event(ImportedEvent { entry, .. }) => Some(entry),
            Past::Traffic(_) => None,
        }).collect();
        let taken: usize = [Table::AuthLogs, Table::WebhookEvents, Table::IdAudit].map(|table| plan.taken(table)).iter().sum();
        prop_assert_eq!(events.len(), taken);
        prop_assert_eq!(plan.registry.len(), 2 * logs.len());
        // Each skipped row is named once.
        for table in Table::ALL {
            let rows = skipped(table);
            prop_assert_eq!(rows.iter().collect::<HashSet<_>>().len(), rows.len());
        }
        let told = format!("{:?}{events:?}{:?}{:?}", plan.remarks, plan.registry, plan.people);
        let mut passwords = tables.rows(Table::Users).iter().filter_map(|row| row.told("hy2_auth_key"));
        let known = passwords.any(|password| password == PASSWORD);
        prop_assert!(!known || !told.contains(PASSWORD), "{}", told);
    }
}
