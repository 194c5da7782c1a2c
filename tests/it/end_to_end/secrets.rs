//! Everything is done once with secrets that can be recognised, and then looked for wherever something is written.

use std::{path::Path, sync::Arc};

use reqwest::Method;
use serde_json::{Value, json};

use super::operator::{AUTH_TOKEN, CORPORATE_SECRET, House, MASTER_KEY, Operator, STATS_SECRET, eventually, user};
use crate::support::hysteria_node::{HysteriaNode, Mode};

const ANNA: &str = "AB123456";
const OBFS: &str = "the-secret-of-obfuscation";
const IMPORTED: &str = "the-imported-password";

/// Every spelling under which a secret could be shown.
fn spellings(secrets: &[String]) -> Vec<String> {
    use base64::Engine;
    let mut all = Vec::new();
    for secret in secrets {
        let encoded = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
        all.push(
            base64::engine::general_purpose::STANDARD
                .encode(secret)
                .trim_end_matches('=')
                .to_owned(),
        );
        if encoded != *secret {
            all.push(encoded);
        }
        all.push(secret.clone());
    }
    all
}

#[track_caller]
fn clean(place: &str, text: &[u8], secrets: &[String]) {
    let text = String::from_utf8_lossy(text);
    for secret in secrets {
        if let Some(at) = text.find(secret.as_str()) {
            let before = text[..at].char_indices().rev().nth(80).map_or(0, |(at, _)| at);
            panic!("{place} shows a secret behind: {}", &text[before..at]);
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// The passwords and the token in a configuration.
fn handed_out(config: &Value) -> Vec<String> {
    let link = super::operator::credential(config["hy2_url"].as_str().unwrap());
    let url = config["subscription_url"].as_str().unwrap();
    vec![
        link.split_once(':').unwrap().1.to_owned(),
        url.rsplit(['/', '.']).next().unwrap().to_owned(),
    ]
}

/// Asks wrongly in every way; answers what was said.
async fn wrong_questions(operator: &Operator, secret: &str) -> Vec<(String, String)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut said = Vec::new();
    for (method, path, body) in [
        (Method::GET, format!("/user/{secret}!/config"), String::new()),
        (Method::GET, format!("/sub/{secret}"), String::new()),
        (Method::GET, format!("/sub/ab123456.{secret}x"), String::new()),
        (Method::GET, format!("/sub/open/{secret}"), String::new()),
        (Method::POST, format!("/sub/open/{secret}"), format!("visit={secret}")),
        (Method::DELETE, format!("/user/AB123456/links/{secret}"), String::new()),
        (
            Method::POST,
            "/user/AB123456/links".to_owned(),
            format!("{{\"ttl\": \"{secret}\"}}"),
        ),
        (Method::GET, format!("/users?q={secret}&limit={secret}"), String::new()),
        (Method::GET, format!("/{secret}"), String::new()),
        (Method::PUT, format!("/user/{secret}"), String::new()),
        (
            Method::POST,
            "/access/grant".to_owned(),
            format!("{{\"corporate_id\": \"{secret} \"}}"),
        ),
        (
            Method::POST,
            "/access/grant".to_owned(),
            format!("{{\"{secret}\": 1, \"corporate_id\": 5}}"),
        ),
        (Method::POST, "/access/grant".to_owned(), format!("{{\"{secret}")),
        (
            Method::POST,
            "/holds".to_owned(),
            format!("{{\"corporate_id\": \"AB123456\", \"cause\": \"{secret}\"}}"),
        ),
        (
            Method::POST,
            "/user/AB123456/rotate".to_owned(),
            format!("{{\"what\": \"{secret}\"}}"),
        ),
    ] {
        for corporate in [CORPORATE_SECRET, secret] {
            let asked = client
                .request(method.clone(), operator.url(&path))
                .header("X-Corporate-Secret", corporate)
                .header("Content-Type", "application/json")
                .body(body.clone());
            let answer = asked.send().await.unwrap();
            let headers = format!("{:?}", answer.headers());
            said.push((format!("{method} {path}"), headers + &answer.text().await.unwrap()));
        }
    }
    for path in [
        format!("/auth/{secret}"),
        format!("/{secret}"),
        format!("/auth/{AUTH_TOKEN}"),
    ] {
        for body in [
            json!({ "addr": secret, "auth": format!("corp_ab123456:{secret}"), "tx": 0 }).to_string(),
            json!({ "addr": "192.0.2.1:1", "auth": secret, "tx": 0 }).to_string(),
            format!("{{\"auth\": \"{secret}"),
        ] {
            let asked = client.post(format!("http://{}{path}", operator.auth)).body(body);
            said.push((path.clone(), asked.send().await.unwrap().text().await.unwrap()));
        }
    }
    said
}

/// What was shown, and where.
type Shown = Vec<(&'static str, String)>;

/// Hands a link over, which is opened; answers its code.
async fn link_is_opened(operator: &Operator, shown: &mut Shown) -> String {
    let path = "/user/AB123456/links";
    let (_, link) = operator.post(path, json!({})).await;
    let url = link["url"].as_str().unwrap().to_owned();
    assert_eq!(super::handover::press(operator, &url).await, 303);
    shown.push(("links", operator.get(path).await.1.to_string()));
    // People paste what they should not.
    let (_, other) = operator.post(path, json!({ "reason": format!("not {url}") })).await;
    let gone = format!("{path}/{}?reason=instead%20of%20{url}", other["id"]);
    assert_eq!(operator.call(Method::DELETE, &gone, None).await.0, 204);
    url.rsplit('/').next().unwrap().to_owned()
}

/// Hands out, connects, rotates, runs out of quota and cuts; answers the secrets that there were.
async fn everything_happens(operator: &Operator, node: &Arc<HysteriaNode>, shown: &mut Shown) -> Vec<String> {
    let (_, config) = operator.get("/user/AB123456/config").await;
    let mut secrets = handed_out(&config);
    let anna = operator.credential(ANNA).await;
    let chris = format!("corp_cd234567:{IMPORTED}");
    eventually("the imported one is read", async || {
        operator.login(&chris, "192.0.2.3:1").await.then_some(())
    })
    .await;
    let mut device = operator.connect(node, &anna, "192.0.2.1:1").await.unwrap();
    let link = config["subscription_url"].as_str().unwrap();
    let link = link.replace("http://vpn.example.com", "");
    operator.text(&link).await;
    let code = link_is_opened(operator, shown).await;
    secrets.push(code);
    let (_, rotated) = operator.post("/user/AB123456/rotate", json!({ "what": "both" })).await;
    secrets.extend(handed_out(&rotated["config"]));
    shown.push(("the dead link", operator.text(&link).await));
    eventually("the rotation cuts", async || device.send(1, 1).is_err().then_some(())).await;
    let anna = operator.credential(ANNA).await;
    let mut device = operator.connect(node, &anna, "192.0.2.1:2").await.unwrap();
    device.send(1 << 20, 1).unwrap();
    operator.becomes(ANNA, "OverQuota").await;
    let grant = json!({ "corporate_id": "EF345678" });
    let (_, granted) = operator.post("/access/grant", grant).await;
    secrets.extend(handed_out(&granted));
    // People paste what they should not.
    let reason = json!({ "reason": format!("leaked {}", granted["hy2_url"]) });
    let (_, answer) = operator.post("/user/EF345678/deactivate", reason).await;
    shown.push(("a deactivation", answer.to_string()));
    secrets
}

/// Everything that the operator shows when it is asked.
async fn everything_is_asked(house: &House, operator: &Operator, shown: &mut Shown) {
    for path in [
        "/user/AB123456",
        "/user/EF345678",
        "/users",
        "/holds",
        "/guard",
        "/gateways",
        "/audit",
        "/readyz?verbose",
        "/health",
    ] {
        shown.push((path, operator.get(path).await.1.to_string()));
    }
    shown.push(("/metrics", operator.text("/metrics").await));
    for line in [
        "user list",
        "user show AB123456",
        "user links AB123456",
        "guard show",
        "gateway status",
        "gateway status default",
        "doctor --desired folder:vpn",
        "check vpn",
        "gateway render node-1 --acme a.example.com --acme-email a@example.com --redact",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let (_, stdout, stderr) = operator.cli(house, &args).await;
        shown.push((line, stdout + &stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_anywhere_whatever_happens() {
    let (mut house, [node, down]) = House::with_nodes().await;
    let imported = house.path("imported");
    std::fs::write(&imported, IMPORTED).unwrap();
    house.set("HYSTERIA_OBFS_PASSWORD", OBFS);
    house.set("LOG_LEVEL", "trace");
    house.write("anna.yaml", &user(ANNA, "  traffic: { limit: 1Mi }\n"));
    let from = format!("  credentialsFrom: {{ file: \"{}\" }}\n", imported.display());
    house.write("chris.yaml", &user("CD234567", &from));
    let operator = house.start().await;
    let given = [MASTER_KEY, AUTH_TOKEN, STATS_SECRET, CORPORATE_SECRET, OBFS, IMPORTED];
    let mut secrets: Vec<String> = given.map(str::to_owned).into();
    let mut shown = Vec::new();
    secrets.extend(everything_happens(&operator, &node, &mut shown).await);
    down.take_down().await;
    for wrong in [CORPORATE_SECRET, &secrets[7]] {
        let others: Vec<String> = secrets.iter().filter(|secret| *secret != wrong).cloned().collect();
        for (question, said) in wrong_questions(&operator, wrong).await {
            // Who asks may see what was asked; it is looked for in the log and in everything that is kept.
            clean(&question, said.as_bytes(), &spellings(&others));
        }
    }
    let typo = format!("  credentialsFrom: {IMPORTED}\n");
    house.write("typo.yaml", &user("GH456789", &typo));
    node.set_mode("/online", Mode::Garbage);
    for check in ["documents", "node/default/node-1"] {
        eventually(check, async || (!operator.check(check).await.is_empty()).then_some(())).await;
    }
    everything_is_asked(&house, &operator, &mut shown).await;

    let secrets = spellings(&secrets);
    assert!(secrets.iter().all(|secret| secret.len() >= 12));
    for (place, text) in &shown {
        clean(place, text.as_bytes(), &secrets);
    }
    let stdout = operator.stdout();
    let log = operator.stop().await;
    assert!(log.contains("TRACE"), "nothing was logged at trace level");
    clean("stderr", log.as_bytes(), &secrets);
    clean("stdout", stdout.as_bytes(), &secrets);
    let kept = files(&house.data());
    for name in ["history.db", "desired.db", "handover.db"] {
        assert!(kept.iter().any(|path| path.ends_with(name)), "{kept:?}");
    }
    let declared = files(&house.folder())
        .into_iter()
        .filter(|path| !path.ends_with("typo.yaml"));
    for path in declared.chain(kept) {
        clean(&path.display().to_string(), &std::fs::read(&path).unwrap(), &secrets);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_the_spool_shows_no_secret_either() {
    let (mut house, [_node]) = House::with_nodes().await;
    house.set("LOG_LEVEL", "trace");
    house.write("anna.yaml", &user(ANNA, ""));
    house.start().await.stop().await;
    std::fs::write(house.data().join("history.db"), "damaged").unwrap();
    let operator = house.start().await;
    let (_, config) = operator.get("/user/AB123456/config").await;
    let secrets = spellings(&handed_out(&config));
    let reason = format!("leaked {} and {}", config["hy2_url"], config["subscription_url"]);
    operator
        .post("/user/AB123456/deactivate", json!({ "reason": reason }))
        .await;
    let spool = house.data().join("audit-spool.jsonl");
    let text = eventually("it is in the spool", async || {
        std::fs::read(&spool)
            .ok()
            .filter(|text| String::from_utf8_lossy(text).contains("deactivate"))
    })
    .await;
    clean("the spool", &text, &secrets);
    clean("the log", operator.log().as_bytes(), &secrets);
}
