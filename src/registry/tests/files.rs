//! Files that are taken in, and what the former service left.

use super::*;

async fn import(house: &House, text: &str) -> Result<Plan, Vec<String>> {
    let table = table::read(text.as_bytes()).unwrap();
    let (table, planned) = house.registry.plan(table).await.unwrap();
    let before = house.registry.search(Search::default(), None, 1000).await.unwrap();
    let done = house.registry.import(table, by("csv")).await.unwrap();
    assert_eq!(planned, done, "what is planned is what is done");
    if done.is_err() {
        let after = house.registry.search(Search::default(), None, 1000).await.unwrap();
        assert_eq!(before, after, "all of it or nothing");
    }
    done.map_err(|bad| bad.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_file_is_taken_whole_or_not_at_all_and_again_changes_nothing() {
    let house = house();
    house.add("AB123456", "Anna").await;
    house.step("AB123456", Step::Revoke).await.unwrap();
    let bad = import(
        &house,
        "id,owner,status\nEF123456,Bob,\nab123456,Anna,active\nGH123456,Eve,\n",
    )
    .await;
    let bad = bad.unwrap_err();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(
        bad[0].starts_with("line 3: AB123456 is revoked here and active in the file"),
        "{bad:?}"
    );

    let good = "id,owner,status\nEF123456,Bob,\nab123456,Anna Neu,\nold_one,,Archived\n";
    let plan = import(&house, good).await.unwrap();
    assert_eq!(
        plan.added,
        [(id("EF123456"), Status::Issued), (id("old_one"), Status::Archived)]
    );
    assert_eq!(plan.updated, [(id("AB123456"), vec!["owner"])]);
    let anna = house.registry.get(&id("AB123456")).await.unwrap().unwrap();
    assert_eq!(anna.owner.owner.as_deref(), Some("Anna Neu"));
    assert_eq!(
        anna.owner.email.as_deref(),
        Some("a@example.com"),
        "a column that is not there clears nothing"
    );
    let changes = house.registry.changes(&anna.id, 1).await.unwrap();
    assert_eq!(
        (changes[0].action.as_str(), changes[0].after),
        ("update", Some(Status::Revoked))
    );

    let again = import(&house, good).await.unwrap();
    assert!(again.is_empty() && again.unchanged == 3, "{again:?}");
    let all = house.registry.search(Search::default(), None, 100).await.unwrap();
    let exported = table::header() + &table::lines(&all);
    let again = import(&house, &exported).await.unwrap();
    assert!(again.is_empty() && again.unchanged == 3, "{again:?}");
}

const FORMER: &str = r#"{"table":"id_registry","row":1,"id":"AB123456","owner":"Anna","status":"active","issued_at":"2025-01-01T10:00:00Z","updated_at":"2025-02-01T10:00:00Z"}
{"table":"id_registry","row":2,"id":"EF123456","owner":"Bob","status":"revoked","issued_at":"2025-01-01T10:00:00Z","updated_at":null}
{"table":"id_registry","row":3,"id":"old-one","owner":null,"status":"issued","issued_at":null,"updated_at":null}
{"table":"id_audit","row":1,"audit_id":"1","id":"AB123456","action":"issued","actor":"root","details":null,"created_at":"2025-01-01T10:00:00Z"}
{"table":"users","row":1,"corporate_id":"AB123456","telegram_id":"4711","created_at":"2025-01-02T10:00:00Z","last_access":null}
{"table":"users","row":2,"corporate_id":"EF123456","telegram_id":"4711","created_at":null,"last_access":null}
{"table":"nonsense"}
"#;

#[tokio::test]
async fn what_the_former_service_knew_is_taken_over_once_and_what_people_did_since_stays() {
    let house = house();
    let done = house.registry.take_over(FORMER).await.unwrap();
    assert_eq!((done.added, done.changes, done.links, done.known), (3, 1, 1, 0));
    let lines: Vec<u64> = done.remarks.iter().map(|remark| remark.line).collect();
    assert_eq!(lines, [6, 7], "{:?}", done.remarks);
    let anna = house.registry.get(&id("ab123456")).await.unwrap().unwrap();
    assert_eq!(
        (anna.status, anna.owner.owner.as_deref()),
        (Status::Active, Some("Anna"))
    );
    assert_eq!(anna.issued_at, Some("2025-01-01T10:00:00Z".parse().unwrap()));
    assert_eq!(
        house.registry.telegram(&anna.id).await.unwrap().unwrap().telegram_id,
        4711
    );
    let history = house.registry.changes(&anna.id, 10).await.unwrap();
    let told: Vec<&str> = history.iter().map(|change| change.action.as_str()).collect();
    assert_eq!(told, ["import", "issued"], "by time");

    // Somebody reinstates one and revokes another here; the former service goes on for a while.
    house.step("EF123456", Step::Reinstate).await.unwrap();
    let later = FORMER.to_owned()
        + r#"{"table":"id_registry","row":1,"id":"AB123456","owner":"Anna","status":"revoked","issued_at":null,"updated_at":null}
{"table":"id_registry","row":2,"id":"EF123456","owner":"Bob","status":"archived","issued_at":null,"updated_at":null}
"#;
    let done = house.registry.take_over(&later).await.unwrap();
    assert_eq!((done.added, done.changes, done.links, done.known), (0, 0, 0, 6));
    assert_eq!(done.denied_since, [id("AB123456")]);
    assert_eq!(house.status("AB123456").await, Status::Revoked);
    assert_eq!(
        house.status("EF123456").await,
        Status::Active,
        "what people did here is theirs"
    );
    assert!(
        done.remarks
            .iter()
            .any(|remark| remark.message.contains("EF123456 stays active"))
    );
    let before = house.registry.store.commits();
    let again = house.registry.take_over(&later).await.unwrap();
    assert_eq!((again.added, again.known, again.denied_since.len()), (0, 8, 0));
    assert_eq!(house.status("EF123456").await, Status::Active);
    assert!(house.registry.store.commits() - before <= 1);
}
