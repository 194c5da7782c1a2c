//! Everything is done once with secrets that can be recognised, and then looked for wherever something is written.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::operator::{AUTH_TOKEN, CORPORATE_SECRET, House, MASTER_KEY, Operator, STATS_SECRET, eventually, user};

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

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_written_anywhere_whatever_happens() {
    let (mut house, [node, down]) = House::with_nodes().await;
    let imported = house.path("imported");
    std::fs::write(&imported, IMPORTED).unwrap();
    house.set("HYSTERIA_OBFS_PASSWORD", OBFS);
    house.set("LOG_LEVEL", "trace");
    house.write("anna.yaml", &user(ANNA, "  traffic: { limit: 1Mi }\n"));
    house.write(
        "chris.yaml",
        &user(
            "CD234567",
            &format!("  credentialsFrom: {{ file: \"{}\" }}\n", imported.display()),
        ),
    );
    let operator = house.start().await;
    let mut secrets = vec![
        MASTER_KEY.to_owned(),
        AUTH_TOKEN.to_owned(),
        STATS_SECRET.to_owned(),
        CORPORATE_SECRET.to_owned(),
        OBFS.to_owned(),
        IMPORTED.to_owned(),
    ];
    let mut shown = Vec::new();

    // Handing out, connecting, moving, rotating, running out of quota, cutting.
    let (_, config) = operator.get("/user/AB123456/config").await;
    secrets.extend(handed_out(&config));
    let anna = operator.credential(ANNA).await;
    eventually("the imported one is read", async || {
        operator
            .login(&format!("corp_cd234567:{IMPORTED}"), "192.0.2.3:1")
            .await
            .then_some(())
    })
    .await;
    let mut device = operator.connect(&node, &anna, "192.0.2.1:1").await.unwrap();
    let subscription = config["subscription_url"]
        .as_str()
        .unwrap()
        .replace("http://vpn.example.com", "");
    operator.text(&subscription).await;
    down.take_down().await;
    let (_, rotated) = operator.post("/user/AB123456/rotate", json!({ "what": "both" })).await;
    secrets.extend(handed_out(&rotated["config"]));
    shown.push(("the dead link", operator.text(&subscription).await));
    eventually("the rotation cuts", async || device.send(1, 1).is_err().then_some(())).await;
    let anna = operator.credential(ANNA).await;
    let mut device = operator.connect(&node, &anna, "192.0.2.1:2").await.unwrap();
    device.send(1 << 20, 1).unwrap();
    operator.becomes(ANNA, "OverQuota").await;
    let (_, granted) = operator
        .post("/access/grant", json!({ "corporate_id": "EF345678" }))
        .await;
    secrets.extend(handed_out(&granted));
    // People paste what they should not.
    let (_, gh) = operator
        .post(
            "/user/EF345678/deactivate",
            json!({ "reason": format!("leaked {}", granted["hy2_url"]) }),
        )
        .await;
    shown.push(("a deactivation", gh.to_string()));
    for wrong in [CORPORATE_SECRET, &secrets[7]] {
        let others: Vec<String> = secrets.iter().filter(|secret| *secret != wrong).cloned().collect();
        for (question, said) in wrong_questions(&operator, wrong).await {
            // Who asks may see what was asked; it is looked for in the log and in everything that is kept.
            clean(&question, said.as_bytes(), &spellings(&others));
        }
    }
    house.write(
        "typo.yaml",
        &user("GH456789", &format!("  credentialsFrom: {IMPORTED}\n")),
    );
    eventually("the typo is shown", async || {
        (!operator.check("documents").await.is_empty()).then_some(())
    })
    .await;
    // Statistics that a node answers wrongly.
    node.set_mode("/online", crate::support::hysteria_node::Mode::Garbage);
    eventually("the garbage is noticed", async || {
        (!operator.check("node/default/node-1").await.is_empty()).then_some(())
    })
    .await;

    for path in [
        "/user/AB123456",
        "/user/EF345678",
        "/users",
        "/holds",
        "/guard",
        "/audit",
        "/readyz?verbose",
        "/health",
    ] {
        shown.push((path, operator.get(path).await.1.to_string()));
    }
    shown.push(("/metrics", operator.text("/metrics").await));
    for args in [
        &["user", "list"][..],
        &["user", "show", ANNA],
        &["user", "deactivate", ANNA, "--wait", "0s"],
        &["guard", "show"],
        &["doctor", "--desired", "folder:vpn"],
        &["check", "vpn"],
        &[
            "gateway",
            "render",
            "node-1",
            "--acme",
            "a.example.com",
            "--acme-email",
            "a@example.com",
            "--redact",
        ],
    ] {
        let (_, stdout, stderr) = operator.cli(&house, args).await;
        shown.push(("a command", stdout + &stderr));
    }

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
    assert!(
        kept.iter().any(|path| path.ends_with("history.db")) && kept.iter().any(|path| path.ends_with("desired.db"))
    );
    for path in kept {
        clean(&path.display().to_string(), &std::fs::read(&path).unwrap(), &secrets);
    }
    for path in files(&house.folder())
        .iter()
        .filter(|path| !path.ends_with("typo.yaml"))
    {
        clean(&path.display().to_string(), &std::fs::read(path).unwrap(), &secrets);
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
