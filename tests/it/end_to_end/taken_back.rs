//! A wrong burst of orders, taken back with the command line.

use serde_json::{Value, json};

use super::operator::{House, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_burst_is_lifted_with_the_files_and_found_in_the_audit_of_each_person() {
    let house = House::new();
    for n in 1..=3 {
        let text = user(&format!("AB00000{n}"), "");
        house.write(&format!("ab{n}.yaml"), &text);
    }
    let operator = house.start().await;
    for n in 1..=3 {
        let path = format!("/user/AB00000{n}/deactivate");
        let (status, answer) = operator.post(&path, json!({})).await;
        assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    }
    // An order of somebody else stays.
    let other = json!({ "corporate_id": "AB000003", "source": "helpdesk" });
    assert_eq!(operator.post("/holds", other).await.0, 201);

    let release = ["hold", "release", "--source", "api", "--since", "1h"];
    let with = |more: &'static [&'static str]| [&release[..], more].concat();
    let (code, foreseen, error) = operator.cli(&house, &with(&["--dry-run"])).await;
    assert_eq!(code, 0, "{error}");
    assert!(foreseen.contains("api-deactivated-ab000001") && foreseen.contains("helpdesk-held-ab000003"));
    assert_eq!(operator.verdict("AB000001").await, "Held");

    let (code, done, error) = operator
        .cli(&house, &with(&["--reason", "wrong list", "-o", "json"]))
        .await;
    assert_eq!(code, 0, "{error}");
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(
        (&done["status"], &done["holds"]),
        (&json!("released"), &json!(3)),
        "{done}"
    );
    let granted = [1, 2].map(|n| format!("AB00000{n}"));
    for id in &granted {
        assert_eq!(operator.verdict(id).await, "Granted");
    }
    assert_eq!(operator.verdict("AB000003").await, "Held");
    for n in 1..=3 {
        let text = house.read(&format!("ab{n}.yaml"));
        assert!(!text.contains("active: false"), "{text}");
    }
    let (_, audit) = operator.get("/audit?limit=100").await;
    let rows = audit["rows"].as_array().unwrap();
    let all = rows.iter().find(|row| row["action"] == "hold.release-many").unwrap();
    assert_eq!((&all["source"], &all["reason"]), (&json!("api"), &json!("wrong list")));
    let (_, of_one) = operator.get("/audit?corporate_id=AB000003&limit=100").await;
    let own = of_one["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["action"] == "hold.release");
    assert_eq!(own.unwrap()["request_id"], all["request_id"]);

    let (code, _, error) = operator.cli(&house, &with(&[])).await;
    assert_eq!(code, 3, "nothing is left to release: {error}");
    assert!(error.contains("No hold of that source"), "{error}");
}
