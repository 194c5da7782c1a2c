//! What is shown of somebody who was deleted, and of an operator that only simulates.

use serde_json::{Value, json};

use super::{Fake, SECRET};

fn record(zero: &Value, waiting_for: &Value) -> Value {
    json!({
        "type": "urn:vpn-operator:problem:not-found", "title": "Not found", "status": 404,
        "detail": "nobody is declared with the corporate ID AB123456 any more",
        "deleted_at": "2026-01-01T11:59:59Z",
        "revocation": { "denied_at": "2026-01-01T12:00:00Z", "contained_at": "2026-01-01T12:00:00.250Z",
                        "sessions_zero_at": zero, "waiting_for": waiting_for, "unprovable": [], "left_out": [],
                        "withdrawn_at": null },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_somebody_who_was_deleted_the_verdict_comes_first_and_then_the_proof() {
    for (zero, waiting_for, said) in [
        (json!("2026-01-01T12:00:31Z"), json!([]), "31.0 s later"),
        (json!(null), json!([]), "never seen"),
        (json!(null), json!(["default/node-1"]), "not yet"),
    ] {
        let fake = Fake::answering(404, record(&zero, &waiting_for)).await;
        let page = fake.run(&["user", "show", "AB123456"]).await;
        assert_eq!((page.code, page.stderr.as_str()), (3, ""), "{}", page.stdout);
        let lines: Vec<&str> = page.stdout.lines().collect();
        assert_eq!(
            lines[..2],
            ["AB123456", "Deleted: nobody is declared with this ID any more"]
        );
        let fact = |label: &str| {
            let line = lines.iter().find(|line| line.starts_with(label));
            line.unwrap_or_else(|| panic!("{label}: {}", page.stdout)).to_owned()
        };
        assert!(fact("deleted ").contains("2026-01-01 11:59:59 UTC"), "{}", page.stdout);
        assert!(
            fact("access ended ").contains("2026-01-01 12:00:00 UTC"),
            "{}",
            page.stdout
        );
        assert!(fact("contained ").contains("250 ms later"), "{}", page.stdout);
        assert!(fact("sessions zero ").ends_with(said), "{}", page.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_somebody_who_was_deleted_is_one_document_for_programs() {
    let body = record(&json!(null), &json!([]));
    let fake = Fake::answering(404, body.clone()).await;
    let page = fake.run(&["user", "show", "AB123456", "-o", "json"]).await;
    assert_eq!((page.code, page.stderr.as_str()), (3, ""));
    assert_eq!(serde_json::from_str::<Value>(&page.stdout).unwrap(), body);
    let unknown = json!({ "status": 404, "detail": "nobody is declared with the corporate ID AB123456" });
    let fake = Fake::answering(404, unknown).await;
    let page = fake.run(&["user", "show", "AB123456"]).await;
    assert_eq!((page.code, page.stdout.as_str()), (3, ""));
    assert!(page.stderr.contains("nobody is declared"), "{}", page.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_simulated_operator_answers_is_called_simulated_once() {
    for args in [
        &["user", "list"][..],
        &["user", "show", "AB123456"],
        &["user", "show", "AB123456", "--config"],
        &["hold", "list"],
        &["guard", "show"],
    ] {
        for simulated in [true, false] {
            let fake = Fake::start_as(simulated, |_, _| (200, json!({ "corporate_id": "AB123456" }))).await;
            let page = fake.run(args).await;
            let told = page.stderr.matches("SIMULATED").count();
            assert_eq!(told, usize::from(simulated), "{args:?}: {}", page.stderr);
            assert!(!page.stdout.contains("SIMULATED") && !page.stderr.contains(SECRET));
        }
    }
}
