//! Telegram accounts: linked with a code from a mail or from the help desk, over HTTP and with a real mail server's double.

use std::{path::Path, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use super::operator::{House, Operator, eventually, hold, user};
use crate::support::smtp::{Begins, Fault, SmtpDouble};

const PERSON: &str = "AB123456";
const PASSWORD: &str = "the-password-of-mail";

/// A mail server for a house.
pub async fn with_mail(house: &mut House, begins: Begins) -> SmtpDouble {
    let mail = SmtpDouble::start(begins, Some(("vpn", PASSWORD))).await;
    let authority = house.path("authority.pem");
    std::fs::write(&authority, &mail.authority).unwrap();
    for (name, value) in [
        ("SMTP_HOST", "localhost"),
        ("SMTP_PORT", &mail.address.port().to_string()),
        ("SMTP_SECURITY", if begins == Begins::Tls { "tls" } else { "starttls" }),
        ("SMTP_USERNAME", "vpn"),
        ("SMTP_PASSWORD", PASSWORD),
        ("SMTP_FROM", "VPN <vpn@example.com>"),
        ("SMTP_CA_FILE", authority.to_str().unwrap()),
    ] {
        house.set(name, value);
    }
    mail
}

/// A house with a mail server, and a person who has an address.
async fn house(begins: Begins) -> (House, SmtpDouble) {
    let (mut house, [_node]) = House::with_nodes().await;
    let mail = with_mail(&mut house, begins).await;
    house.write("anna.yaml", &user(PERSON, "  email: anna@example.com\n"));
    (house, mail)
}

async fn ask(operator: &Operator, account: i64, id: &str) -> (u16, Value) {
    let body = json!({ "corporate_id": id, "chat": account, "language": "en" });
    operator
        .post_as("bot", &format!("/telegram/accounts/{account}/code"), body)
        .await
}

async fn link(operator: &Operator, account: i64, code: &str) -> (u16, Value) {
    let body = json!({ "chat": account, "code": code, "name": "@anna" });
    operator
        .post_as("bot", &format!("/telegram/accounts/{account}/link"), body)
        .await
}

async fn linked(operator: &Operator, mail: &SmtpDouble, account: i64) {
    let before = mail.taken().len();
    assert_eq!(ask(operator, account, PERSON).await.0, 202);
    let code = mail.letters(before + 1).await[before].code();
    let (status, body) = link(operator, account, &code).await;
    assert_eq!(status, 200, "{body}");
}

fn kind(body: &Value) -> &str {
    body["type"]
        .as_str()
        .unwrap_or_default()
        .rsplit(':')
        .next()
        .unwrap_or_default()
}

/// Waits until something is to be told; says that it was.
async fn told(operator: &Operator, account: Option<i64>) -> String {
    let (status, body) = operator.get("/telegram/notices?wait=20").await;
    assert_eq!(status, 200, "{body}");
    let [notice] = &body["notices"].as_array().unwrap()[..] else {
        panic!("one notice: {body}")
    };
    assert_eq!(notice["account"].as_i64(), account, "{notice}");
    let done = format!("/telegram/notices/{}/done", notice["id"]);
    assert_eq!(operator.post(&done, json!({ "outcome": "told" })).await.0, 204);
    notice["kind"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_links_with_the_code_from_the_mail_and_has_their_own_access_in_the_chat() {
    for begins in [Begins::StartTls, Begins::Tls] {
        let (house, mail) = house(begins).await;
        let operator = house.start().await;
        let (status, body) = ask(&operator, 42, "ab123456").await;
        assert_eq!(
            (status, &body),
            (202, &json!({ "valid_seconds": 600, "by_mail": true }))
        );
        let letter = mail.letters(1).await.remove(0);
        assert_eq!(letter.to, "anna@example.com");
        assert!(
            letter.raw.contains("multipart/alternative") && letter.raw.contains("text/html"),
            "{}",
            letter.raw
        );
        let code = letter.code();
        let (status, body) = link(&operator, 43, &code).await;
        assert_eq!((status, kind(&body)), (403, "wrong-code"), "another account");
        let (status, body) = link(&operator, 42, &code).await;
        assert_eq!(
            (status, &body),
            (200, &json!({ "corporate_id": PERSON, "replaced": false }))
        );
        assert_eq!(link(&operator, 42, &code).await.0, 403, "once");

        let (status, person) = operator.get("/telegram/accounts/42").await;
        assert_eq!(
            (status, &person["granted"], &person["reason"]),
            (200, &json!(true), &json!("Granted"))
        );
        let (_, own) = operator.get("/telegram/accounts/42/config").await;
        let (_, admin) = operator.get(&format!("/user/{PERSON}/config")).await;
        assert_eq!(own, admin, "the same as everybody gets");
        let (status, rotated) = operator
            .post("/telegram/accounts/42/rotate", json!({ "what": "password" }))
            .await;
        assert_eq!((status, &rotated["credential_generation"]), (200, &json!(2)));
        let language = json!({ "language": "ru" });
        let path = "/telegram/accounts/42/language";
        assert_eq!(operator.call(Method::PUT, path, Some(language)).await.0, 204);
        let (_, person) = operator.get("/telegram/accounts/42").await;
        assert_eq!(person["language"], "ru");
        let (_, of_person) = operator.get(&format!("/user/{PERSON}/telegram")).await;
        assert_eq!(of_person["account"], 42);

        assert_eq!(
            operator
                .call(Method::DELETE, "/telegram/accounts/42/link", None)
                .await
                .0,
            204
        );
        let (status, body) = operator.get("/telegram/accounts/42/config").await;
        assert_eq!((status, kind(&body)), (404, "not-linked"));
        let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
        let rows = audit.to_string();
        for action in ["telegram.link", "telegram.unlink", "telegram.code-sent", "rotate"] {
            assert!(rows.contains(&format!("\"{action}\"")), "{action} is not in {rows}");
        }
        let bare: String = code.chars().filter(char::is_ascii_digit).collect();
        let log = operator.stop().await;
        for text in [&rows, &log] {
            assert!(
                !text.contains(&bare) && !text.contains(&code) && !text.contains(PASSWORD) && !text.contains("anna@")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_tells_which_ids_exist() {
    let (house, mail) = house(Begins::StartTls).await;
    house.write("held.yaml", &user("CD123456", "  email: held@example.com\n"));
    house.write("hold.yaml", &hold("helpdesk-out-cd123456", "CD123456", ""));
    let operator = house.start().await;
    let mut answers = Vec::new();
    for (account, id) in [(1, PERSON), (2, "CD123456"), (3, "ZZ999999"), (4, "GH123456")] {
        let mut said = vec![ask(&operator, account, id).await];
        for _ in 0..6 {
            let (status, mut body) = link(&operator, account, "00000000").await;
            if let Value::Object(fields) = &mut body {
                fields.remove("request_id");
            }
            said.push((status, body));
        }
        let (status, mut body) = ask(&operator, account, id).await;
        if let Value::Object(fields) = &mut body {
            fields.remove("request_id");
        }
        said.push((status, body));
        answers.push(said);
    }
    for (at, said) in answers.iter().enumerate() {
        assert_eq!(said, &answers[0], "{at}");
    }
    let statuses: Vec<u16> = answers[0].iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [202, 403, 403, 403, 403, 429, 429, 429]);
    let (status, body) = ask(&operator, 9, "no corporate id!").await;
    assert!(
        status == 422 && body["detail"].as_str().unwrap().contains("AB123456")
            || body["detail"].to_string().contains("letters")
    );
    // Two of them have an address.
    let to: Vec<String> = mail.letters(2).await.into_iter().map(|letter| letter.to).collect();
    assert!(to.contains(&"anna@example.com".to_owned()) && to.contains(&"held@example.com".to_owned()));
    eventually("all four were looked at", async || {
        let looked_at = operator.metric("vpn_operator_telegram_link_mails_total").await;
        ((looked_at - 4.0).abs() < 0.5).then_some(())
    })
    .await;
}

/// How many rows each table of the links has, and what is counted, without whose it is.
fn work(house: &House) -> Vec<(String, i64)> {
    let file = rusqlite::Connection::open(house.data().join("linking.db")).unwrap();
    let mut tables = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut counted: Vec<String> = tables
        .map(|name| format!("SELECT count(*) FROM {}", name.unwrap()))
        .collect();
    counted.push("SELECT total(failures) FROM counts".to_owned());
    counted.push("SELECT total(requests) FROM counts".to_owned());
    let count = |query: String| {
        let count: f64 = file.query_row(&query, [], |row| row.get(0)).unwrap();
        #[allow(clippy::cast_possible_truncation, reason = "a handful of rows")]
        (query, count as i64)
    };
    counted.into_iter().map(count).collect()
}

/// The mail server takes a connection and never says a word. Whoever waited for it would hear that an ID has an address; so would who was
/// written about more, or less, before the answer.
#[tokio::test(flavor = "multi_thread")]
async fn before_the_answer_the_same_is_done_for_every_id_and_no_mail_server_is_waited_for() {
    let (house, mail) = house(Begins::StartTls).await;
    mail.faults([Fault::Slow(Duration::from_secs(3600)); 64]);
    let mut ids = vec![PERSON.to_owned(), "ZZ999999".to_owned(), "GH123456".to_owned()];
    // More with an address than letters are sent at a time.
    for number in 0..6 {
        let id = format!("CD12345{number}");
        house.write(
            &format!("{id}.yaml"),
            &user(&id, &format!("  email: c{number}@example.com\n")),
        );
        ids.push(id);
    }
    house.write("bare.yaml", &user("EF123456", ""));
    house.write("held.yaml", &user("EF123457", "  email: held@example.com\n"));
    house.write("hold.yaml", &hold("helpdesk-out-ef123457", "EF123457", ""));
    ids.extend(["EF123456".to_owned(), "EF123457".to_owned()]);
    let operator = house.start().await;
    let (_, issued) = operator
        .post("/id/issue", json!({ "owner": "Carl", "email": "carl@example.com" }))
        .await;
    ids.push(issued["id"].as_str().unwrap().to_owned());
    let mut done = Vec::new();
    for (account, id) in (1..).zip(&ids) {
        let before = work(&house);
        // Shorter than a try to send may last.
        let limit = Duration::from_secs(45);
        let asked = tokio::time::timeout(limit, ask(&operator, account, id)).await;
        let asked = asked.unwrap_or_else(|_| panic!("the answer about {id} waits for the mail server"));
        let between = work(&house);
        let tried = tokio::time::timeout(limit, link(&operator, account, "00000000")).await;
        let tried = tried.unwrap_or_else(|_| panic!("the answer about {id} waits for the mail server"));
        assert_eq!((asked.0, tried.0), (202, 403), "{id}");
        let grown = |from: &[(String, i64)], to: &[(String, i64)]| {
            let pairs = from.iter().zip(to);
            pairs
                .map(|((what, from), (_, to))| (what.clone(), to - from))
                .filter(|(_, grown)| *grown != 0)
                .collect::<Vec<_>>()
        };
        done.push((grown(&before, &between), grown(&between, &work(&house))));
    }
    for (id, done_for_it) in ids.iter().zip(&done) {
        assert_eq!(done_for_it, &done[0], "{id}");
        assert!(
            !done_for_it.0.is_empty() && !done_for_it.1.is_empty(),
            "{done_for_it:?}"
        );
    }
    let audit = operator.get("/audit?limit=1000").await.1.to_string();
    assert!(!audit.contains("telegram."), "{audit}");
    eventually("the mail server is asked", async || {
        (mail.connections() > 0).then_some(())
    })
    .await;
    assert!(mail.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_an_address_links_with_a_code_that_is_given_out() {
    let (house, mail) = house(Begins::StartTls).await;
    house.write("boris.yaml", &user("CD123456", ""));
    let operator = house.start().await;
    assert_eq!(ask(&operator, 7, "CD123456").await.0, 202);
    let (exit, code, said) = operator
        .cli(&house, &["user", "link-code", "CD123456", "--reason", "no mailbox"])
        .await;
    assert_eq!(exit, 0, "{said}");
    assert_eq!(ask(&operator, 8, "CD123456").await.0, 202);
    assert_eq!(link(&operator, 8, code.trim()).await.0, 403, "who asked later");
    let (status, body) = link(&operator, 7, code.trim()).await;
    assert_eq!(status, 200, "{body}");
    let (exit, shown, _) = operator.cli(&house, &["user", "telegram", "cd123456"]).await;
    assert!(exit == 0 && shown.contains('7'), "{shown}");
    let (exit, _, _) = operator
        .cli(&house, &["user", "telegram", "CD123456", "--unlink"])
        .await;
    assert_eq!(exit, 0);
    assert_eq!(told(&operator, Some(7)).await, "unlinked");
    let (exit, _, _) = operator.cli(&house, &["user", "telegram", "CD123456"]).await;
    assert_eq!(exit, 3, "there is none");
    let (status, _) = operator.post("/user/ZZ999999/link-codes", json!({})).await;
    assert_eq!(status, 404);
    assert!(mail.taken().is_empty());
    let (_, audit) = operator.get("/audit?corporate_id=CD123456").await;
    assert!(audit.to_string().contains("no mailbox") && !audit.to_string().contains(code.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_held_hears_that_after_the_right_code_alone() {
    let (house, mail) = house(Begins::StartTls).await;
    house.write("hold.yaml", &hold("helpdesk-out-ab123456", PERSON, ""));
    let operator = house.start().await;
    assert_eq!(ask(&operator, 42, PERSON).await.0, 202);
    let code = mail.letters(1).await[0].code();
    let (status, body) = link(&operator, 42, "00000000").await;
    assert_eq!((status, kind(&body)), (403, "wrong-code"));
    let (status, body) = link(&operator, 42, &code).await;
    assert_eq!(
        (status, kind(&body), &body["reason"]),
        (403, "access-denied", &json!("Held")),
        "{body}"
    );
    assert_eq!(operator.get("/telegram/accounts/42").await.0, 404);
    // Somebody in the registry alone, of whom nobody declared anything.
    let (_, issued) = operator
        .post("/id/issue", json!({ "owner": "Carl", "email": "carl@example.com" }))
        .await;
    let id = issued["id"].as_str().unwrap();
    assert_eq!(ask(&operator, 43, id).await.0, 202);
    let letter = mail.letters(2).await.remove(1);
    assert_eq!(letter.to, "carl@example.com", "the registry's");
    let (status, body) = link(&operator, 43, &letter.code()).await;
    assert_eq!((status, &body["reason"]), (403, &json!("Undeclared")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_a_linked_person_is_told_once_also_over_a_kill() {
    let (house, mail) = house(Begins::StartTls).await;
    let operator = house.start().await;
    linked(&operator, &mail, 42).await;
    let denied = operator
        .post_as("helpdesk", &format!("/user/{PERSON}/deactivate"), json!({}))
        .await;
    assert_eq!(denied.0, 200, "{}", denied.1);
    let (status, config) = operator.get("/telegram/accounts/42/config").await;
    assert_eq!((status, &config["reason"]), (403, &json!("Held")));
    let (status, _) = operator
        .post("/telegram/accounts/42/rotate", json!({ "what": "both" }))
        .await;
    assert_eq!(status, 403);
    let (_, body) = operator.get("/telegram/notices?wait=20").await;
    assert_eq!(body["notices"][0]["kind"], "suspended", "{body}");
    operator.kill();
    let operator = house.start().await;
    let (_, again) = operator.get("/telegram/notices?wait=20").await;
    assert_eq!(again, body, "nobody said that it was told");
    assert_eq!(told(&operator, Some(42)).await, "suspended");
    let (_, none) = operator.get("/telegram/notices?wait=0").await;
    assert_eq!(none["notices"], json!([]));
    let activated = operator
        .post_as("helpdesk", &format!("/user/{PERSON}/activate"), json!({}))
        .await;
    assert_eq!(activated.0, 200, "{}", activated.1);
    assert_eq!(told(&operator, Some(42)).await, "restored");
    linked(&operator, &mail, 77).await;
    assert_eq!(told(&operator, Some(42)).await, "replaced");
    // A long poll ends at once when the operator does.
    let waiting = operator.http().get(operator.url("/telegram/notices?wait=25"));
    let waiting = waiting
        .header("X-Corporate-Secret", super::operator::CORPORATE_SECRET)
        .send();
    let (answer, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(15), waiting), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        operator.terminate();
    });
    assert!(answer.is_ok(), "it waited on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_or_breaks_off_is_tried_again_and_one_that_refuses_is_not() {
    let (house, mail) = house(Begins::StartTls).await;
    let operator = house.start().await;
    mail.faults([Fault::Busy, Fault::Drop]);
    assert_eq!(ask(&operator, 42, PERSON).await.0, 202);
    let code = mail.letters(1).await[0].code();
    assert_eq!(link(&operator, 42, &code).await.0, 200);
    mail.faults([Fault::NoSuchPerson]);
    assert_eq!(ask(&operator, 43, PERSON).await.0, 202);
    let rows = eventually("the failure is in the audit", async || {
        let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
        let rows = audit.to_string();
        rows.contains("telegram.code-sent.failed").then_some(rows)
    })
    .await;
    assert!(rows.contains("550") && !rows.contains("anna@"), "{rows}");
    let connections = mail.connections();
    mail.faults([Fault::NoTls]);
    assert_eq!(ask(&operator, 44, PERSON).await.0, 202);
    eventually("it was asked", async || {
        (mail.connections() > connections).then_some(())
    })
    .await;
    // Without TLS neither the login nor a code is sent: the double would have noticed.
    assert_eq!(mail.taken().len(), 1);
}

/// The file is killed with its process while a code is tried: the link is there and in the audit, or the code is good still.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_code_is_tried_leaves_no_half_of_a_link() {
    let (house, _mail) = house(Begins::StartTls).await;
    let mut operator = house.start().await;
    let mut linked = 0;
    for round in 0..6_u64 {
        let account = 100 + i64::try_from(round).unwrap();
        let (status, body) = operator
            .post(&format!("/user/{PERSON}/link-codes"), json!({ "minutes": 60 }))
            .await;
        assert_eq!(status, 201, "{body}");
        let code = body["code"].as_str().unwrap().to_owned();
        // Requests are counted by ID, too: each round asks for another one's in the same way.
        let asked = ask(&operator, account, PERSON).await;
        if asked.0 == 429 {
            break;
        }
        let path = format!("/telegram/accounts/{account}/link");
        let trying = operator.try_call(Method::POST, &path, Some(json!({ "chat": account, "code": code })));
        let (_, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(5), trying), async {
            tokio::time::sleep(Duration::from_micros(600 * (round + 1))).await;
            operator.signal("KILL");
        });
        operator.kill();
        operator = house.start().await;
        let (status, body) = operator.get(&format!("/user/{PERSON}/telegram")).await;
        let is_linked = status == 200 && body["account"] == account;
        let again = link(&operator, account, &code).await;
        assert_eq!(again.0, if is_linked { 403 } else { 200 }, "{}", again.1);
        linked += usize::from(is_linked);
        let named = format!("telegram:{account}");
        eventually("the link is in the audit", async || {
            let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
            audit.to_string().contains(&named).then_some(())
        })
        .await;
    }
    assert!(linked <= 6);
    assert!(Path::new(&house.data().join("linking.db")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_the_mail_server_and_sends_nothing() {
    let (mut house, mail) = house(Begins::StartTls).await;
    let operator = house.start().await;
    let finding = async |house: &House| {
        let (_, out, err) = operator.cli(house, &["doctor", "--output", "json"]).await;
        let body: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        let checks = body["checks"].as_array().unwrap();
        checks
            .iter()
            .find(|check| check["name"] == "mail server")
            .cloned()
            .unwrap()
    };
    let fine = finding(&house).await;
    assert_eq!(fine["result"], "ok", "{fine}");
    house.set("SMTP_PASSWORD", "another one");
    let wrong = finding(&house).await;
    assert!(
        wrong["result"] == "failed" && wrong["message"].to_string().contains("535"),
        "{wrong}"
    );
    house.unset("SMTP_CA_FILE");
    let stranger = finding(&house).await;
    assert!(
        stranger["result"] == "failed" && stranger["message"].to_string().contains("TLS"),
        "{stranger}"
    );
    assert!(mail.taken().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_the_former_service_are_there_after_the_start_and_do_not_come_back() {
    let (house, _mail) = house(Begins::StartTls).await;
    std::fs::create_dir_all(house.data()).unwrap();
    let line = json!({ "table": "users", "row": 1, "corporate_id": PERSON, "telegram_id": "4711", "created_at": "2025-01-01T10:00:00Z" });
    std::fs::write(house.data().join("imported-registry.jsonl"), format!("{line}\n")).unwrap();
    let operator = house.start().await;
    let path = format!("/user/{PERSON}/telegram");
    let linked = eventually("the link is taken over", async || {
        let (status, body) = operator.get(&path).await;
        (status == 200).then_some(body)
    })
    .await;
    assert_eq!(
        (&linked["account"], &linked["linked_at"]),
        (&json!(4711), &json!("2025-01-01T10:00:00Z"))
    );
    assert_eq!(operator.get("/telegram/accounts/4711/config").await.0, 200);
    let (_, none) = operator.get("/telegram/notices?wait=0").await;
    assert_eq!(none["notices"], json!([]), "nobody is told what was so before");
    assert_eq!(
        operator
            .call(Method::DELETE, "/telegram/accounts/4711/link", None)
            .await
            .0,
        204
    );
    operator.stop().await;
    let operator = house.start().await;
    eventually("the registry is ready", async || {
        (operator.get(&format!("/audit?corporate_id={PERSON}")).await.0 == 200).then_some(())
    })
    .await;
    assert_eq!(operator.get(&path).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_put_back_gives_no_link_back_that_was_taken_away() {
    let (house, mail) = house(Begins::StartTls).await;
    let operator = house.start().await;
    linked(&operator, &mail, 42).await;
    operator.stop().await;
    let (file, copy) = (house.data().join("linking.db"), house.path("copy.db"));
    std::fs::copy(&file, &copy).unwrap();
    let operator = house.start().await;
    linked(&operator, &mail, 77).await;
    operator.stop().await;
    std::fs::copy(&copy, &file).unwrap();
    for beside in ["linking.db-wal", "linking.db-shm"] {
        let _ = std::fs::remove_file(house.data().join(beside));
    }
    let operator = house.start().await;
    eventually("the link is gone", async || {
        (operator.get(&format!("/user/{PERSON}/telegram")).await.0 == 404).then_some(())
    })
    .await;
    assert_eq!(operator.get("/telegram/accounts/42/config").await.0, 404);
    assert_eq!(told(&operator, Some(42)).await, "unlinked");
    // The link is gone before its row stands there.
    eventually("it is in the audit", async || {
        let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
        audit.to_string().contains("was put back").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_the_traffic_and_what_the_guard_holds_back_are_told() {
    let (mut house, [node]) = House::with_nodes().await;
    house.set("GUARD_LIMIT", "1");
    house.set("GUARD_SHARE", "0%");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 7 - 2);
    let terms = format!(
        "  validUntil: {}\n  traffic: {{ limit: 10Mi }}\n",
        end.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    house.write("anna.yaml", &user(PERSON, &terms));
    for number in 0..4 {
        house.write(&format!("{number}.yaml"), &user(&format!("CD10000{number}"), ""));
    }
    let operator = house.start().await;
    let (_, code) = operator.post(&format!("/user/{PERSON}/link-codes"), json!({})).await;
    assert_eq!(ask(&operator, 42, PERSON).await.0, 202);
    assert_eq!(link(&operator, 42, code["code"].as_str().unwrap()).await.0, 200);
    assert_eq!(told(&operator, Some(42)).await, "expiring");
    let credential = operator.credential(PERSON).await;
    let mut device = operator.connect(&node, &credential, "192.0.2.1:1").await.unwrap();
    device.send(4 << 20, 5 << 20).unwrap();
    assert_eq!(told(&operator, Some(42)).await, "quota");
    for number in 0..4 {
        house.write(
            &format!("{number}.yaml"),
            &user(&format!("CD10000{number}"), "  active: false\n"),
        );
    }
    assert_eq!(told(&operator, None).await, "held_back");
}
