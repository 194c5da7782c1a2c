//! Events of the HR system, from the request to the answer of auth.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::operator::{CORPORATE_SECRET, House, Operator, eventually, user};
use crate::support::hr::{HUB_SECRET, STANDARD_KEY, event, hub, standard};

const ANNA: &str = "AB000001";

fn house() -> House {
    let mut house = House::new();
    house.set("WEBHOOK_SECRET", HUB_SECRET);
    house.set("WEBHOOK_SECRETS", &format!("standard:whsec_{STANDARD_KEY}"));
    house
}

async fn send(operator: &Operator, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let request = operator
        .http()
        .post(operator.url("/webhooks/hr-events"))
        .header("X-Hub-Signature-256", hub(body.as_bytes()));
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// A moment so many seconds from now.
fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string()
}

async fn done(operator: &Operator, body: &Value) -> Value {
    let (status, answer) = send(operator, body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("processed")), "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_is_out_until_hr_says_otherwise_whatever_comes_late_or_again() {
    let house = house();
    house.write("a.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let left_at = ago(60);
    let left = event(
        "user_deactivated",
        ANNA,
        &left_at,
        json!({ "deactivation_reason": "left", "deactivated_by": "hr.admin" }),
    );
    let answer = done(&operator, &left).await;
    assert_eq!(answer["hold"], "hr-deactivated-ab000001");
    assert!(!operator.login(&secret, "192.0.2.1:1").await);
    assert_eq!(operator.verdict(ANNA).await, "Held");
    assert!(house.read("a.yaml").contains("active: false"));
    let again = done(&operator, &left).await;
    assert_eq!(
        (&again["event_id"], &again["repeated"]),
        (&answer["event_id"], &json!(true))
    );

    // Older, and of the same moment.
    for at in [&ago(3600), &left_at] {
        let (status, answer) = send(&operator, &event("user_activated", ANNA, at, json!({}))).await;
        assert_eq!(status, 200, "{answer}");
    }
    assert!(!operator.login(&secret, "192.0.2.1:2").await);
    let activated = ago(30);
    done(&operator, &event("user_activated", ANNA, &activated, json!({}))).await;
    assert!(operator.login(&secret, "192.0.2.1:3").await);
    assert!(house.read("a.yaml").contains("active: true"));
    // A deactivation that HR said before, and that was on its way for long.
    let late = done(&operator, &event("user_deactivated", ANNA, &ago(50), json!({}))).await;
    assert!(late["detail"].as_str().unwrap().contains("came late"), "{late}");
    assert!(operator.login(&secret, "192.0.2.1:4").await);
    operator.kill();

    let operator = house.start().await;
    let again = done(&operator, &left).await;
    assert_eq!(again["repeated"], true, "also after a restart");
    assert!(operator.login(&secret, "192.0.2.1:5").await);
    let (_, audit) = operator.get(&format!("/audit?corporate_id={ANNA}")).await;
    let rows = audit["rows"].as_array().unwrap();
    let of_hr = |action: &str| {
        rows.iter()
            .find(|row| row["action"] == action && row["source"] == "hr")
            .unwrap()
    };
    assert!(
        of_hr("deactivate")["actor"].as_str().unwrap().contains("hr.admin"),
        "{audit}"
    );
    assert!(
        of_hr("deactivate")["after"].as_str().unwrap().contains("\"event\":1"),
        "{audit}"
    );
    assert!(of_hr("activate")["request_id"].is_string(), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_unknown_is_held_before_being_declared() {
    let house = house();
    let operator = house.start().await;
    done(&operator, &event("user_deactivated", ANNA, &ago(5), json!({}))).await;
    house.write("a.yaml", &user(ANNA, ""));
    operator.becomes(ANNA, "Held").await;
    let (status, answer) = operator.post("/access/grant", json!({ "corporate_id": ANNA })).await;
    assert_eq!(status, 409, "{answer}");
    let answer = done(&operator, &event("user_activated", ANNA, &ago(1), json!({}))).await;
    assert_eq!(
        operator.verdict(ANNA).await,
        "Granted",
        "{answer} {}",
        operator.get(&format!("/user/{ANNA}")).await.1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_held_back_until_a_person_decides_and_the_events_say_so() {
    let mut house = house();
    house.set("GUARD_LIMIT", "10,hr=2");
    house.set("GUARD_SHARE", "0");
    let id = |number: usize| format!("AB{number:06}");
    house.write(
        "people.yaml",
        &(0..6).map(|n| user(&id(n), "")).collect::<Vec<_>>().join("---\n"),
    );
    let operator = house.start().await;
    let secret = operator.credential(&id(4)).await;
    let mut states = Vec::new();
    for number in 0..6 {
        let (status, answer) = send(&operator, &event("user_deactivated", &id(number), &ago(5), json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        states.push(answer["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        states,
        [
            "processed",
            "processed",
            "held_back",
            "held_back",
            "held_back",
            "held_back"
        ]
    );
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    let (_, pending) = operator.get("/webhooks/events/pending").await;
    assert_eq!(pending["events"].as_array().unwrap().len(), 4, "{pending}");
    assert!(
        pending["events"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("guard confirm"),
        "{pending}"
    );
    operator.kill();

    let operator = house.start().await;
    let (code, _, stderr) = operator.cli(&house, &["guard", "cancel", &id(5)]).await;
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = operator
        .cli(&house, &["guard", "confirm", &id(2), &id(3), &id(4)])
        .await;
    assert_eq!(code, 0, "{stderr}");
    eventually("the events say what was decided", async || {
        let (_, page) = operator.get("/webhooks/events").await;
        let states: Vec<&str> = page["events"]
            .as_array()?
            .iter()
            .filter_map(|it| it["status"].as_str())
            .collect();
        (states
            == [
                "discarded",
                "processed",
                "processed",
                "processed",
                "processed",
                "processed",
            ])
        .then_some(())
    })
    .await;
    assert!(!operator.login(&secret, "192.0.2.1:2").await);
    eventually("active follows", async || {
        (house.read("people.yaml").matches("active: false").count() == 5).then_some(())
    })
    .await;
    assert_eq!(operator.verdict(&id(5)).await, "Granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_effect_later_does_so_over_a_restart() {
    let house = house();
    house.write("a.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let leaves = ago(-6);
    let (_, answer) = send(
        &operator,
        &event("user_deactivated", ANNA, &ago(5), json!({ "effective_date": leaves })),
    )
    .await;
    assert_eq!(answer["status"], "pending", "{answer}");
    let role = event(
        "user_role_changed",
        ANNA,
        &ago(4),
        json!({ "new_role": "Chief: \"x\"", "effective_date": leaves }),
    );
    let (_, answer) = send(&operator, &role).await;
    assert_eq!(answer["status"], "pending", "{answer}");
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    assert_eq!(
        operator.check("hr-events").await,
        [""; 0],
        "what is announced is not late"
    );
    operator.kill();

    let operator = house.start().await;
    operator.becomes(ANNA, "Held").await;
    assert!(!operator.login(&secret, "192.0.2.1:2").await);
    let leaves: Timestamp = leaves.parse().unwrap();
    assert!(Timestamp::now() >= leaves, "not before its time");
    eventually("both are processed", async || {
        let (_, page) = operator.get("/webhooks/events").await;
        let events = page["events"].as_array()?;
        events.iter().all(|it| it["status"] == "processed").then_some(())
    })
    .await;
    let text = house.read("a.yaml");
    assert!(
        text.contains("active: false") && text.contains(r#"role: "Chief: \"x\"""#),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_kept_and_what_cannot_be_done_is_and_can_be_replayed() {
    let house = house();
    let operator = house.start().await;
    let body = event("user_role_changed", ANNA, &ago(5), json!({ "new_role": "Chief" })).to_string();
    let post = |headers: Vec<(&'static str, String)>, body: Vec<u8>| {
        let mut request = operator.http().post(operator.url("/webhooks/hr-events"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        async {
            let answer = request.body(body).send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.json::<Value>().await.unwrap_or_default(),
            )
        }
    };
    let bytes = || body.clone().into_bytes();
    let good = hub(body.as_bytes());
    let now = Timestamp::now().as_second();
    for (headers, sent, expected) in [
        (vec![], bytes(), 401),
        (
            vec![("X-Hub-Signature-256", good.replace("sha256=", "sha1="))],
            bytes(),
            401,
        ),
        (vec![("X-Hub-Signature-256", good.clone())], b"{}".to_vec(), 401),
        (
            vec![
                ("X-Hub-Signature-256", good.clone()),
                ("X-Hub-Signature-256", good.clone()),
            ],
            bytes(),
            401,
        ),
        (standard("msg_1", now - 301, body.as_bytes()).to_vec(), bytes(), 401),
        (standard("msg_1", now, b"{}").to_vec(), bytes(), 401),
        (
            vec![("X-Hub-Signature-256", good.clone()), ("webhook-id", "x".to_owned())],
            bytes(),
            401,
        ),
        (
            vec![("X-Hub-Signature-256", hub(&vec![b' '; 70_000]))],
            vec![b' '; 70_000],
            413,
        ),
        (
            vec![("X-Hub-Signature-256", hub(b"\x1f\x8b\x08garbage"))],
            b"\x1f\x8b\x08garbage".to_vec(),
            400,
        ),
        (
            vec![
                ("X-Hub-Signature-256", hub(b"x")),
                ("Content-Encoding", "br".to_owned()),
            ],
            b"x".to_vec(),
            400,
        ),
    ] {
        let shown = format!("{headers:?}");
        let (status, answer) = post(headers, sent).await;
        assert_eq!(status, expected, "{shown}: {answer}");
        assert!(!answer["detail"].as_str().unwrap().is_empty());
    }
    let (_, page) = operator.get("/webhooks/events").await;
    assert_eq!(page["events"], json!([]));

    let signed = standard("msg_1", now, body.as_bytes()).to_vec();
    let (status, answer) = post(signed.clone(), bytes()).await;
    assert_eq!((status, &answer["status"]), (200, &json!("failed")), "{answer}");
    let (_, again) = post(signed, bytes()).await;
    assert_eq!(
        (&again["event_id"], &again["repeated"]),
        (&answer["event_id"], &json!(true))
    );
    house.write("a.yaml", &user(ANNA, "  role: Dev\n"));
    operator.becomes(ANNA, "Granted").await;
    let (status, answer) = operator.post("/webhooks/events/1/process", json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("processed")), "{answer}");
    assert!(house.read("a.yaml").contains("role: \"Chief\""));
    let (_, health) = operator.get("/webhooks/health").await;
    assert_eq!(health["schemes"], json!(["hub", "standard"]), "{health}");
    assert!(operator.metric("vpn_operator_hr_events_refused_total").await >= 9.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_nothing_is_taken_unless_that_is_said_expressly() {
    let mut house = House::new();
    house.write("a.yaml", &user(ANNA, ""));
    let operator = house.start().await;
    let left = event("user_deactivated", ANNA, &ago(5), json!({}));
    let plain = async |operator: &Operator| {
        let answer = operator
            .http()
            .post(operator.url("/webhooks/hr-events"))
            .json(&left)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let (status, answer) = plain(&operator).await;
    assert_eq!(status, 503);
    assert!(
        answer["detail"].as_str().unwrap().contains("WEBHOOK_SECRET"),
        "{answer}"
    );
    operator.kill();
    house.set("WEBHOOK_ALLOW_UNSIGNED", "true");
    let operator = house.start().await;
    let (status, answer) = plain(&operator).await;
    assert_eq!((status, &answer["status"]), (200, &json!("processed")), "{answer}");
    assert_eq!(operator.verdict(ANNA).await, "Held");
    assert!(operator.check("hr-events").await[0].contains("without a signature"));
    assert!(operator.log().contains("WEBHOOK_ALLOW_UNSIGNED"));
    // With a secret nothing is taken unsigned.
    operator.kill();
    house.set("WEBHOOK_SECRET", HUB_SECRET);
    let (code, log) = house.refusal(&[]).await;
    assert_ne!(code, 0);
    assert!(log.contains("WEBHOOK_ALLOW_UNSIGNED"), "{log}");
    assert!(!log.contains(CORPORATE_SECRET) && !log.contains(HUB_SECRET));
}
