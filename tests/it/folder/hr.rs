//! What events of HR leave on people and holds.

use jiff::Timestamp;
use rusqlite::Connection;
use vpn_operator::model::hr::{HR_EVENT_AT, HrMarks};

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn marks(user: &VpnUser) -> HrMarks {
    HrMarks::of(Some(user.annotations()))
}

#[tokio::test]
async fn marks_of_hr_are_kept_beside_the_document_and_survive_a_restart() {
    let place = Place::new();
    place.put("a.yaml", &user(1, "  role: Dev\n"));
    let house = place.open().await;
    let patch = UserPatch {
        role: Some("Team: lead".to_owned()),
        hr: HrMarksPatch {
            event_at: Some(at("2026-05-01T10:00:00.5Z")),
            role_at: Some(at("2026-05-02T10:00:00Z")),
            inactive_at: Some(at("2026-05-01T10:00:00.5Z")),
        },
        ..OFF
    };
    let patched = house
        .source
        .patch_user(&name(1), patch, FieldManager::Hr)
        .await
        .unwrap();
    let expected = HrMarks {
        event_at: Some(at("2026-05-01T10:00:00.5Z")),
        role_at: Some(at("2026-05-02T10:00:00Z")),
        inactive_at: Some(at("2026-05-01T10:00:00.5Z")),
    };
    assert_eq!(marks(&patched), expected);
    assert_eq!(
        (patched.spec.active, patched.spec.role.as_deref()),
        (false, Some("Team: lead"))
    );
    let text = place.text("a.yaml");
    assert!(
        text.contains("active: false") && text.contains("role: \"Team: lead\""),
        "{text}"
    );
    assert!(!text.contains("hr-"), "{text}");
    house.stop().await;

    let mut house = place.open().await;
    assert_eq!(marks(house.user(&name(1))), expected);
    // An edit of something else leaves them; that somebody sets `active` back ends the one that speaks of it.
    place.swap("a.yaml", &text.replace("Team: lead", "Chief"));
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("Chief"))
        .await;
    assert_eq!(marks(house.user(&name(1))), expected);
    place.swap("a.yaml", &text.replace("active: false", "active: true"));
    house.users.until(|users| users[&name(1)].spec.active).await;
    assert_eq!(marks(house.user(&name(1))).inactive_at, None);
    place.swap("a.yaml", &text);
    house.users.until(|users| !users[&name(1)].spec.active).await;
    assert_eq!(
        marks(house.user(&name(1))),
        HrMarks {
            inactive_at: None,
            ..expected
        },
        "this was not HR"
    );
    house.stop().await;
}

#[tokio::test]
async fn an_older_mark_and_the_same_again_write_nothing() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let house = place.open().await;
    let mark = |event_at: &str| UserPatch {
        hr: HrMarksPatch {
            event_at: Some(at(event_at)),
            ..HrMarksPatch::default()
        },
        ..UserPatch::default()
    };
    let (first_name, nobody) = (name(1), name(9));
    let patch = |event_at| house.source.patch_user(&first_name, mark(event_at), FieldManager::Hr);
    let first = patch("2026-05-02T10:00:00Z").await.unwrap();
    for same in ["2026-05-02T10:00:00Z", "2026-05-01T10:00:00Z"] {
        let again = patch(same).await.unwrap();
        assert_eq!(again.metadata.resource_version, first.metadata.resource_version);
    }
    assert_eq!(
        first.metadata.generation,
        Some(1),
        "it is no change of what is declared"
    );
    let nobody = house
        .source
        .patch_user(&nobody, mark("2026-05-02T10:00:00Z"), FieldManager::Hr);
    assert!(matches!(nobody.await, Err(DesiredError::NotFound { .. })));
    house.stop().await;
}

#[tokio::test]
async fn what_a_document_says_of_marks_counts_for_nothing() {
    let place = Place::new();
    let claimed = user(1, "  active: false\n").replace(
        "metadata:\n",
        "metadata:\n  annotations: {vpn-operator.io/hr-inactive-at: '2026-05-01T10:00:00Z', vpn-operator.io/hr-event-at: '2026-05-01T10:00:00Z', a: b}\n",
    );
    place.put("a.yaml", &claimed);
    let house = place.open().await;
    assert_eq!(marks(house.user(&name(1))), HrMarks::default());
    assert_eq!(house.user(&name(1)).annotations()["a"], "b");
    house.stop().await;
}

#[tokio::test]
async fn a_hold_of_hr_carries_the_moment_of_its_event_whoever_ordered_it() {
    let place = Place::new();
    let house = place.open().await;
    for (nth, by) in [(1, "hr: anna"), (2, "anna \u{0} \u{ffff}")] {
        let notes = HoldNotes {
            ordered_by: by,
            hr_event_at: Some(at("2026-05-01T10:00:00.123Z")),
        };
        let made = house
            .source
            .create_hold(
                &format!("hr-deactivated-{}", name(nth)),
                hold_spec(nth),
                notes,
                FieldManager::Hr,
            )
            .await
            .unwrap();
        assert_eq!(made.annotations()[HR_EVENT_AT], "2026-05-01T10:00:00.123Z", "{by}");
    }
    house.stop().await;
    let house = place.open().await;
    assert!(
        house
            .holds
            .now
            .values()
            .all(|hold| hold.annotations()[HR_EVENT_AT] == "2026-05-01T10:00:00.123Z")
    );
    house.stop().await;
}

#[tokio::test]
async fn a_record_of_the_former_version_is_taken_over() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let house = place.open().await;
    let uid = house.user(&name(1)).metadata.uid.clone();
    house.stop().await;
    let path = place.dir.path().join("data/desired.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("ALTER TABLE objects DROP COLUMN hr; PRAGMA user_version = 1")
        .unwrap();
    drop(db);
    let house = place.open().await;
    assert_eq!(house.user(&name(1)).metadata.uid, uid);
    house.no_problems().await;
    house.stop().await;
    let db = Connection::open(&path).unwrap();
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}
