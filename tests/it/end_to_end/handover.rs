//! Links that are handed over, from the command line to the page, over kills, and what is left of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::operator::{House, Operator, eventually, user};

const PERSON: &str = "AB123456";
const BROWSER: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)";

/// A browser that shows where it is led.
fn browser() -> reqwest::Client {
    let browser = reqwest::Client::builder().no_proxy().user_agent(BROWSER);
    browser.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Where a link is opened at this operator.
fn at(operator: &Operator, link: &str) -> String {
    operator.url(&link[link.find("/sub/open/").unwrap()..])
}

/// What the first page of a link gives a browser.
async fn visit(operator: &Operator, link: &str) -> Option<String> {
    let page = browser()
        .get(at(operator, link))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let (_, rest) = page.split_once("name=\"visit\" value=\"")?;
    Some(rest.split_once('"').unwrap().0.to_owned())
}

async fn sends(operator: &Operator, link: &str, visit: &str) -> reqwest::Result<reqwest::Response> {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("visit", visit)
        .finish();
    let request = browser().post(at(operator, link)).body(form);
    request
        .header("Content-Type", "application/x-www-form-urlencoded")
        .send()
        .await
}

/// Looks at a link and presses its button; answers the status.
pub async fn press(operator: &Operator, link: &str) -> u16 {
    let visit = visit(operator, link).await.unwrap_or_default();
    sends(operator, link, &visit).await.unwrap().status().as_u16()
}

/// Rows of the audit about one link, newest first.
async fn rows(operator: &Operator, action: &str, link: i64) -> Vec<Value> {
    let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}&limit=1000")).await;
    let rows = audit["rows"].as_array().unwrap().iter();
    let is_it = |row: &&Value| {
        let said = ["after", "before"].map(|name| row[name].as_str().unwrap_or_default().to_owned());
        row["action"] == action && said.iter().any(|said| said.contains(&format!("\"link\":{link},")))
    };
    rows.filter(is_it).cloned().collect()
}

async fn made(operator: &Operator, body: Value) -> (i64, String) {
    let (status, link) = operator.post(&format!("/user/{PERSON}/links"), body).await;
    assert_eq!(status, 201, "{link}");
    (link["id"].as_i64().unwrap(), link["url"].as_str().unwrap().to_owned())
}

async fn house() -> House {
    let (house, [_node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(PERSON, ""));
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_from_the_command_line_to_the_page_over_a_kill_and_the_audit_has_who_opened_it() {
    let house = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    let args = [
        "user",
        "link",
        PERSON,
        "--ttl",
        "4h",
        "--uses",
        "2",
        "--reason",
        "new phone",
    ];
    let (exit, link, said) = operator.cli(&house, &args).await;
    assert_eq!(exit, 0, "{said}");
    let link = link.trim();
    assert!(
        link.starts_with("http://vpn.example.com/sub/open/") && !link.contains(char::is_whitespace),
        "the address alone: {link}"
    );
    assert!(said.contains("2 times") && !said.contains(link), "{said}");
    let given = visit(&operator, link).await.unwrap();
    operator.kill();
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    // The page of before the kill is good still.
    let answer = sends(&operator, link, &given).await.unwrap();
    assert_eq!(answer.status(), 303);
    let to = answer.headers()["location"].to_str().unwrap().to_owned();
    let page = browser().get(operator.url(&to)).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    let (_, config) = operator.get(&format!("/user/{PERSON}/config")).await;
    for shown in ["subscription_url", "hy2_url"] {
        assert!(page.contains(config[shown].as_str().unwrap()), "{shown}");
    }
    let (exit, listed, said) = operator
        .cli(&house, &["user", "links", PERSON, "--output", "json"])
        .await;
    assert_eq!(exit, 0, "{said}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let one = &listed["links"][0];
    let number = one["id"].as_i64().unwrap();
    assert_eq!((&one["uses"], &one["uses_left"]), (&json!(2), &json!(1)), "{listed}");
    assert!(one["made_by"].as_str().unwrap().contains("tester"), "{listed}");
    let opened = rows(&operator, "handover.opened", number).await;
    assert_eq!(opened.len(), 1, "{opened:?}");
    assert_eq!(
        (&opened[0]["address"], &opened[0]["source"]),
        (&json!("127.0.0.1"), &json!("subscription"))
    );
    assert!(
        opened[0]["after"].as_str().unwrap().contains("iPhone OS 18_1"),
        "{opened:?}"
    );
    let made = rows(&operator, "handover.made", number).await;
    assert_eq!(
        (made.len(), &made[0]["reason"], &made[0]["source"]),
        (1, &json!("new phone"), &json!("cli"))
    );

    let (exit, table, _) = operator.cli(&house, &["user", "links", PERSON]).await;
    assert!(
        exit == 0 && table.contains("1 of 2") && table.contains("tester"),
        "{table}"
    );
    let withdraw = [
        "user",
        "links",
        PERSON,
        "--withdraw",
        &number.to_string(),
        "--reason",
        "lost",
    ];
    let (exit, done, said) = operator.cli(&house, &withdraw).await;
    assert!(exit == 0 && done.contains("opens nothing any more"), "{done}{said}");
    assert_eq!(press(&operator, link).await, 410);
    let withdrawn = rows(&operator, "handover.withdrawn", number).await;
    assert_eq!((withdrawn.len(), &withdrawn[0]["reason"]), (1, &json!("lost")));
    let (exit, _, said) = operator.cli(&house, &["user", "links", PERSON]).await;
    assert!(exit == 0 && said.contains("No link opens"), "{said}");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_says_what_is_wrong_and_makes_one_link_for_a_request_that_is_repeated() {
    let house = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    for (wrong, expected) in [
        (vec!["user", "links", PERSON, "--withdraw", "99"], 3),
        (vec!["user", "link", "ZZ999999"], 3),
        (vec!["user", "link", PERSON, "--ttl", "10s"], 2),
        (vec!["user", "link", PERSON, "--ttl", "31d"], 2),
        (vec!["user", "link", PERSON, "--uses", "21"], 2),
    ] {
        let (exit, out, said) = operator.cli(&house, &wrong).await;
        assert_eq!(exit, expected, "{wrong:?}: {out}{said}");
        assert!(!said.is_empty() && !out.contains("/sub/open/"), "{wrong:?}: {out}");
    }
    let key = ["user", "link", PERSON, "--key", "ticket-4711"];
    let (_, first, _) = operator.cli(&house, &key).await;
    let (_, again, _) = operator.cli(&house, &key).await;
    assert!(first == again && first.contains("/sub/open/"), "{first}{again}");
    house.write("hold.yaml", &super::operator::hold("helpdesk-out-ab123456", PERSON, ""));
    operator.becomes(PERSON, "Held").await;
    let (exit, link, said) = operator.cli(&house, &["user", "link", PERSON]).await;
    assert!(exit == 0 && said.contains("no access at present (Held)"), "{said}");
    assert_eq!(press(&operator, link.trim()).await, 403);
    operator.stop().await;
}

/// Killed while a link is opened: the browser that asks again gets the page, nobody else does, and the audit has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_link_is_opened_uses_it_up_once_and_leaves_it_in_the_audit() {
    let house = house().await;
    let mut operator = house.start().await;
    for round in 0..6_u64 {
        operator.becomes(PERSON, "Granted").await;
        let (number, link) = made(&operator, json!({})).await;
        let given = visit(&operator, &link).await.unwrap();
        let opening = tokio::time::timeout(Duration::from_secs(5), sends(&operator, &link, &given));
        let (_, ()) = tokio::join!(opening, async {
            tokio::time::sleep(Duration::from_micros(900 * (round + 1))).await;
            operator.signal("KILL");
        });
        operator.kill();
        operator = house.start().await;
        operator.becomes(PERSON, "Granted").await;
        assert_eq!(
            sends(&operator, &link, &given).await.unwrap().status(),
            303,
            "round {round}"
        );
        assert_eq!(sends(&operator, &link, "another").await.unwrap().status(), 410);
        let opened = rows(&operator, "handover.opened", number).await;
        // One that was written in the very moment of the kill is written once more at the start, or by whoever asks again then.
        assert!((1..=3).contains(&opened.len()), "{opened:?}");
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_link_is_made_leaves_one_link_that_is_in_the_audit_or_none() {
    let house = house().await;
    let mut operator = house.start().await;
    let path = format!("/user/{PERSON}/links");
    for round in 0..6_u64 {
        operator.becomes(PERSON, "Granted").await;
        let key = format!("round-{round}");
        let ask = |operator: &Operator| {
            let request = operator.http().post(operator.url(&path));
            let request = request.header("X-Corporate-Secret", super::operator::CORPORATE_SECRET);
            request.header("Idempotency-Key", &key).send()
        };
        let making = tokio::time::timeout(Duration::from_secs(5), ask(&operator));
        let (_, ()) = tokio::join!(making, async {
            tokio::time::sleep(Duration::from_micros(700 * (round + 1))).await;
            operator.signal("KILL");
        });
        operator.kill();
        operator = house.start().await;
        operator.becomes(PERSON, "Granted").await;
        let link: Value = ask(&operator).await.unwrap().json().await.unwrap();
        let number = link["id"].as_i64().unwrap();
        eventually("it is in the audit", async || {
            let made = rows(&operator, "handover.made", number).await.len();
            assert!(made <= 2, "{made}");
            (made > 0).then_some(())
        })
        .await;
        let (_, listed) = operator.get(&path).await;
        assert_eq!(listed["links"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(press(&operator, link["url"].as_str().unwrap()).await, 303);
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_person_who_is_forgotten_open_nothing_and_nothing_of_them_is_kept() {
    for offline in [false, true] {
        let house = house().await;
        let mut operator = house.start().await;
        operator.becomes(PERSON, "Granted").await;
        let (_, link) = made(&operator, json!({ "uses": 3 })).await;
        assert_eq!(press(&operator, &link).await, 303);
        let mut forget = vec!["audit", "forget", PERSON, "--reason", "request 31", "--yes"];
        if offline {
            forget.push("--offline");
            operator.stop().await;
            let done = house.command(&forget).env("DATA_DIR", "data").output().unwrap();
            assert_eq!(done.status.code(), Some(0), "{done:?}");
            operator = house.start().await;
            operator.becomes(PERSON, "Granted").await;
        } else {
            let done = operator.cli(&house, &forget).await;
            assert_eq!(done.0, 0, "{}{}", done.1, done.2);
        }
        assert_eq!(press(&operator, &link).await, 404);
        operator.stop().await;
        let file = std::fs::read(house.data().join("handover.db")).unwrap();
        for personal in ["ab123456", "AB123456", "iPhone", "127.0.0.1"] {
            let is_there = file.windows(personal.len()).any(|window| window == personal.as_bytes());
            assert!(!is_there, "{personal}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_links_that_is_damaged_stands_in_no_logins_way_and_is_told() {
    let house = house().await;
    std::fs::create_dir_all(house.data()).unwrap();
    std::fs::write(house.data().join("handover.db"), "damaged").unwrap();
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    let credential = operator.credential(PERSON).await;
    assert!(operator.login(&credential, "192.0.2.1:1").await);
    let (status, body) = operator.post(&format!("/user/{PERSON}/links"), json!({})).await;
    assert_eq!(status, 503, "{body}");
    assert!(body["detail"].as_str().unwrap().contains("handover.db"), "{body}");
    let code = "a".repeat(40);
    assert_eq!(press(&operator, &format!("/sub/open/{code}")).await, 503);
    let told = operator.check("handed-over-links").await;
    assert!(told.iter().any(|line| line.contains("damaged")), "{told:?}");
    operator.stop().await;
}
