//! A person's page, as somebody reads it.

use serde_json::json;

use super::Fake;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_begins_with_the_verdict_and_its_reason_and_fits_100_columns() {
    let message = "logins are refused, because the hold cli-deactivated-ab123456 stands, and so on, until whoever placed it lifts it";
    let fake = Fake::answering(
        200,
        json!({
            "corporate_id": "AB123456", "owner": "Anna Ivanova", "role": "engineer", "declared": true, "active": true,
            "access": "Denied", "reason": "Held", "username": "corp_ab123456", "sessions": 0, "max_devices": 3,
            "live_holds": ["cli-deactivated-ab123456"],
            "usage": { "upload": 1_610_612_736, "download": 88_046_829_568_u64, "used": 89_657_442_304_u64,
                       "limit": 107_374_182_400_u64, "period": "Month" },
            "gateways": [{ "name": "default", "account": "Absent" }],
            "holds": [{ "name": "cli-deactivated-ab123456", "source": "cli", "phase": "Live", "in_force": true,
                        "since": "2026-01-01T12:00:00Z", "reason": "laptop stolen", "ordered_by": "anna (192.0.2.7)" }],
            "conditions": [{ "type": "Ready", "status": "True", "reason": "InAgreement", "message": message,
                             "last_transition_time": "2026-01-01T12:00:00Z" }],
            "revocation": { "denied_at": "2026-01-01T12:00:00Z", "contained_at": "2026-01-01T12:00:00.006Z",
                            "sessions_zero_at": "2026-01-01T12:00:31.25Z", "waiting_for": [], "unprovable": [] },
            "revocations": [{ "reason": "Held", "denied_at": "2026-01-01T12:00:00.000321Z", "contained_at": null },
                            { "reason": "Expired", "denied_at": "2025-01-01T12:00:00Z", "contained_at": "2025-01-01T12:00:01.5Z" }],
            "history": [{ "seq": 1, "at": "2026-01-01T12:00:00Z", "actor": "anna", "source": "cli", "action": "deactivate",
                          "after": "{\"hold\":\"cli-deactivated-ab123456\"}", "reason": "laptop stolen" }],
            "traffic_by_day": [{ "start": "2026-01-01T00:00:00Z", "upload": 1024, "download": 2048 }],
        }),
    )
    .await;
    let page = fake.run(&["user", "show", "AB123456"]).await;
    assert_eq!(page.code, 0, "{}", page.stderr);
    let lines: Vec<&str> = page.stdout.lines().collect();
    assert_eq!(
        lines[..2],
        ["AB123456, Anna Ivanova, engineer", "Denied: Held"],
        "{}",
        page.stdout
    );
    let earlier = lines.iter().position(|line| *line == "Earlier revocations").unwrap();
    assert!(
        lines[earlier + 2].contains("2025") && !lines[earlier + 3].contains("2026-01-01"),
        "{}",
        page.stdout
    );
    let reason = lines[2..4].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    assert!(
        reason.contains("cli-deactivated-ab123456 of cli, ordered by anna (192.0.2.7), since 2026-01-01 12:00:00 UTC"),
        "{reason}"
    );
    assert!(reason.contains("laptop stolen"), "{reason}");
    for part in [
        "83.5 GiB used of 100.0 GiB this month; up 1.5 GiB, down 82.0 GiB",
        "6 ms later",
        "31.2 s later",
        "d ago",
        "2026-01-01  1.0 KiB",
        "anna (cli)",
        "1.5 s",
    ] {
        assert!(page.stdout.contains(part), "{part}: {}", page.stdout);
    }
    assert!(
        !page.stdout.contains('{') && !page.stdout.contains('\u{1b}'),
        "{}",
        page.stdout
    );
    for line in lines {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_create_waits_and_ends_as_a_deactivation_does() {
    let hold = json!({ "status": "created", "name": "cli-held-ab123456", "corporate_id": "AB123456", "phase": "Live",
                       "denied_at": "2026-01-01T12:00:00Z", "waiting_for": ["default/node-1"] });
    for (contained, code) in [(true, 0), (false, 6)] {
        let hold = hold.clone();
        let fake = Fake::start(move |seen, _| match seen.method.as_str() {
            "POST" => (201, hold.clone()),
            _ if contained => (
                200,
                json!({ "revocation": { "denied_at": "2026-01-01T12:00:00Z", "contained_at": "2026-01-01T12:00:00.020Z" } }),
            ),
            _ => (200, json!({ "revocation": { "denied_at": "2026-01-01T12:00:00Z", "waiting_for": ["default/node-1"] } })),
        })
        .await;
        let outcome = fake.run(&["hold", "create", "AB123456", "--wait", "300ms"]).await;
        assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.stdout.contains("20 ms later"), contained, "{}", outcome.stdout);
    }
    let later = json!({ "status": "created", "name": "cli-held-ab123456", "phase": "Pending" });
    let fake = Fake::answering(201, later).await;
    let outcome = fake
        .run(&["hold", "create", "AB123456", "--from", "2099-01-01T00:00:00Z"])
        .await;
    assert_eq!(outcome.code, 0, "nothing is to be proved yet: {}", outcome.stderr);
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_holds_says_since_when_by_whom_and_whether_it_denies() {
    let fake = Fake::answering(
        200,
        json!({ "holds": [
            { "name": "hr-x", "corporate_id": "AB1", "source": "hr", "phase": "Live", "in_force": true,
              "since": "2026-01-01T12:00:00Z", "reason": "left", "ordered_by": "bob" },
            { "name": "cli-y", "corporate_id": "AB2", "source": "cli", "phase": "Pending", "in_force": false,
              "from": "2099-01-01T12:00:00Z" },
        ] }),
    )
    .await;
    let outcome = fake.run(&["hold", "list"]).await;
    let lines: Vec<String> = outcome
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines[0], "ID IN FORCE SOURCE BY WHOM SINCE ENDS NAME REASON");
    assert!(
        lines[1].starts_with("AB1 yes hr bob 2026-01-01 12:00:00 UTC, "),
        "{}",
        lines[1]
    );
    assert!(lines[1].ends_with("hr-x left"), "{}", lines[1]);
    assert!(lines[2].starts_with("AB2 no, begins in "), "{}", lines[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn releasing_nothing_is_not_done() {
    let fake = Fake::answering(200, json!({ "status": "released", "people": [], "holds": 0 })).await;
    for form in ["table", "json"] {
        let outcome = fake
            .run(&["hold", "release", "--source", "helpdesk", "--since", "2h", "-o", form])
            .await;
        assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_waited_for_after_containment_is_the_zero_and_sessions_are_unknown_before_the_first_poll() {
    for (contained, shown) in [(json!("2026-01-01T12:00:01Z"), true), (json!(null), false)] {
        let fake = Fake::answering(
            200,
            json!({ "corporate_id": "AB123456", "access": "Denied", "reason": "Held", "username": "corp_ab123456",
                    "sessions": null, "max_devices": 3,
                    "revocation": { "denied_at": "2026-01-01T12:00:00Z", "contained_at": contained,
                                    "waiting_for": ["default/node-1"] } }),
        )
        .await;
        let page = fake.run(&["user", "show", "AB123456"]).await.stdout;
        let waiting = page.lines().find(|line| line.starts_with("waiting for")).unwrap();
        assert!(waiting.contains("default/node-1"), "{page}");
        assert_eq!(waiting.contains("for sessions zero"), shown, "{page}");
        let sessions = page.lines().find(|line| line.starts_with("sessions ")).unwrap();
        assert!(sessions.contains("not known yet") && !sessions.contains('0'), "{page}");
    }
    let user = json!({ "corporate_id": "AB123456", "access": "Granted", "sessions": null });
    let fake = Fake::answering(200, json!({ "users": [user], "next": null })).await;
    let list = fake.run(&["user", "list"]).await.stdout;
    assert!(list.lines().nth(1).unwrap().trim_end().ends_with(" -"), "{list}");
}
