//! What the guard holds back, and what is taken back: as the command line shows it.

use serde_json::{Value, json};

use super::{Fake, with};

/// The lines with one space between their words, and with `AGO` where they say how long ago something was.
fn squeezed(text: &str) -> Vec<String> {
    let ago = regex::Regex::new("[0-9]+ [a-z]+ ago").unwrap();
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|line| ago.replace_all(&line, "AGO").into_owned())
        .collect()
}

fn decide(id: &str) -> Value {
    json!({ "confirm": format!("vpn-operator guard confirm {id}"), "cancel": format!("vpn-operator guard cancel {id}") })
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_show_says_what_each_budget_has_left_and_how_to_decide() {
    let fake = Fake::answering(
        200,
        json!({
            "pending": [{ "corporate_id": "AB123456", "reason": "hr-deactivated-ab123456", "budget": "Hr", "since": "2026-01-01T12:00:00Z",
                          "owner": "Anna", "from": "left the company", "decide": decide("AB123456") }],
            "rejected": [],
            "budgets": [
                { "budget": "Hr", "limit": 10, "used": 8, "left": 2, "waiting": 1 },
                { "budget": "Usage", "limit": null, "used": 3, "left": null, "waiting": 0 },
            ],
            "orders": 7, "window_seconds": 600, "pending_total": 100_000, "rejected_total": 0,
        }),
    )
    .await;
    let outcome = fake.run(&["guard", "show"]).await;
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("and 99999 more, of 100000"),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        squeezed(&outcome.stdout),
        [
            "BUDGET LIMIT USED LEFT WAITING",
            "Hr 10 8 2 1",
            "Usage off 3 off 0",
            "Within 10m. Besides, orders denied 7 people; they never wait.",
            "",
            "ID OWNER CAUSE FROM BUDGET SINCE",
            "AB123456 Anna hr-deactivated-ab123456 left the company Hr 2026-01-01 12:00:00 UTC, AGO",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_is_held_back_with_the_command_that_decides() {
    let fake = Fake::start(|seen, _| match seen.uri.path() {
        "/holds" => (
            200,
            json!({ "holds": [
                { "name": "hr-x", "corporate_id": "AB123456", "source": "hr", "phase": "HeldBack",
                  "decide": decide("AB123456") },
                { "name": "hr-z", "corporate_id": "AB000003", "source": "hr", "phase": "HeldBack", "rejected": true },
                { "name": "hr-y", "corporate_id": "AB000002", "source": "hr", "phase": "Live" },
            ] }),
        ),
        "/users" => (
            200,
            json!({ "users": (0..11).map(|n| json!({
                "corporate_id": format!("AB0000{n:02}"), "access": "Granted", "reason": "GuardHeldBack",
                "held_back_since": "2026-01-01T12:00:00Z", "decide": decide("AB000000"),
            })).collect::<Vec<_>>() }),
        ),
        _ => (
            200,
            json!({ "corporate_id": "AB123456", "reason": "GuardHeldBack", "held_back_since": "2026-01-01T12:00:00Z",
                    "decide": decide("AB123456") }),
        ),
    })
    .await;
    let holds = fake.run(&["hold", "list", "--phase", "heldback"]).await;
    assert!(holds.stdout.contains("no, held back"), "{}", holds.stdout);
    assert!(holds.stderr.contains("guard confirm AB123456  "), "{}", holds.stderr);
    assert!(holds.stdout.contains("no, cancelled"), "{}", holds.stdout);
    assert!(
        !holds.stderr.contains("AB000002") && !holds.stderr.contains("AB000003"),
        "{}",
        holds.stderr
    );
    assert_eq!(fake.seen()[0].uri.to_string(), "/holds?phase=HeldBack");

    let users = fake.run(&["user", "list"]).await;
    assert!(users.stdout.contains("GuardHeldBack"), "{}", users.stdout);
    assert!(
        users.stderr.contains("11 people are held back") && users.stderr.contains("guard confirm ID"),
        "{}",
        users.stderr
    );

    let user = fake.run(&["user", "show", "AB123456"]).await;
    assert!(
        squeezed(&user.stdout).contains(&"vpn-operator guard confirm AB123456".to_owned()),
        "{}",
        user.stdout
    );
}

fn burst(error: Option<&str>) -> Value {
    json!({
        "status": error.map_or("released", |_| "incomplete"), "source": "helpdesk", "holds": 3, "failed": 0,
        "people": [
            { "corporate_id": "AB000001", "access": "Granted", "reason": "Active", "remaining": [], "reactivates": true,
              "holds": [{ "name": "helpdesk-a", "since": "2026-01-01T12:00:00Z", "reason": "left", "released": true },
                        { "name": "helpdesk-b", "since": "2026-01-01T12:00:02Z", "reason": null, "released": true }] },
            { "corporate_id": "AB000002", "access": "Denied", "reason": "Held", "remaining": ["hr-x"],
              "reactivates": false, "error": error,
              "holds": [{ "name": "helpdesk-c", "since": "2026-01-01T12:00:02Z", "reason": null, "released": error.is_none() }] },
        ],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_taken_back_for_one_source_since_a_moment() {
    let fake = Fake::answering(200, burst(None)).await;
    let moment = "2026-05-01T12:00:00Z";
    let outcome = fake
        .run(&[
            "hold",
            "release",
            "--source",
            "helpdesk",
            "--since",
            moment,
            "--reason",
            "wrong list",
        ])
        .await;
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(
        squeezed(&outcome.stdout),
        [
            "ID HOLD SINCE REASON RELEASED ACCESS STILL AGAINST IT",
            "AB000001 helpdesk-a 2026-01-01 12:00:00 UTC, AGO left yes Granted -",
            "AB000001 helpdesk-b 2026-01-01 12:00:02 UTC, AGO - yes Granted -",
            "AB000002 helpdesk-c 2026-01-01 12:00:02 UTC, AGO - yes Denied hr-x",
        ]
    );
    let dry = fake
        .run(&["hold", "release", "--source", "helpdesk", "--since", "2h", "--dry-run"])
        .await;
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(dry.stderr.contains("Nothing was changed"), "{}", dry.stderr);
    let seen = fake.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].uri.path()),
        ("POST", "/holds/release")
    );
    assert_eq!(
        seen[0].body,
        json!({ "source": "helpdesk", "since": moment, "reason": "wrong list" })
    );
    let relative: jiff::Timestamp = serde_json::from_value(seen[1].body["since"].clone()).unwrap();
    let ago = jiff::Timestamp::now().duration_since(relative).as_secs();
    assert!((7200..7260).contains(&ago), "{ago}");
    assert_eq!(seen[1].body["dry_run"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_taken_back_is_named_and_exits_with_1() {
    let fake = Fake::answering(200, burst(Some("helpdesk-c could not be lifted: read-only"))).await;
    for form in ["table", "json"] {
        let outcome = fake
            .run(&["hold", "release", "--source", "helpdesk", "--since", "2h", "-o", form])
            .await;
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("AB000002: helpdesk-c could not be lifted"),
            "{}",
            outcome.stderr
        );
        assert!(outcome.stdout.contains("helpdesk-a"), "{}", outcome.stdout);
    }
}

#[test]
fn a_release_names_one_hold_or_a_source_and_a_moment() {
    for wrong in [
        &["hold", "release"][..],
        &["hold", "release", "--since", "2h"],
        &["hold", "release", "x", "--source", "cli", "--since", "2h"],
        &["hold", "release", "x", "--dry-run"],
        &["hold", "release", "--source", "cli", "--since", "yesterday"],
        &["hold", "release", "--source", "Help-Desk", "--since", "2h"],
        &["hold", "create", "AB123456", "--source", "abcdefghijklmnopqr"],
    ] {
        let outcome = with(wrong);
        assert_eq!(outcome.code, 2, "{wrong:?}: {}", outcome.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_that_no_hold_keeps_exits_with_the_detail() {
    let fake = Fake::answering(503, json!({ "detail": "AB123456 is not kept out, because …" })).await;
    let outcome = fake.run(&["user", "deactivate", "AB123456"]).await;
    assert_eq!(outcome.code, 5);
    assert!(outcome.stderr.contains("not kept out"), "{}", outcome.stderr);
    assert_eq!(fake.seen().len(), 1, "there is no denial to wait for");
}
