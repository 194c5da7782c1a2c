//! The commands of the README, as a person types them.

use std::path::Path;

use serde_json::Value;

use super::operator::{House, Operator, copy_folder, eventually, run};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A house without any settings and with the examples at hand, as after a clone.
fn clone() -> House {
    let mut house = House::new();
    for name in [
        "MASTER_KEY",
        "HYSTERIA_AUTH_TOKEN",
        "HYSTERIA_STATS_SECRET",
        "CORPORATE_SECRET",
        "PUBLIC_URL",
        "HYSTERIA_POLL_INTERVAL",
    ] {
        house.unset(name);
    }
    copy_folder(&Path::new(ROOT).join("examples"), &house.path("examples"));
    house
}

/// The lines of the README's code blocks under "Try it".
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let (_, part) = readme.split_once("## Try it").unwrap();
    let part = part.split("\n## ").next().unwrap();
    let blocks = part
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    blocks
        .flat_map(str::lines)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// A command line that calls `curl`, with the operator's own addresses: the shell takes it apart, as it would for curl.
async fn curl(house: &House, operator: &Operator, line: &str) -> String {
    let line = line
        .replace("localhost:8080", &operator.api.to_string())
        .replace("localhost:8081", &operator.auth.to_string());
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(house.path("."))
        .args(["-c", &format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{line}")]);
    let (code, words, stderr) = run(shell).await;
    assert_eq!(code, 0, "{line}: {stderr}");
    let mut words = words.lines();
    let (mut method, mut url, mut headers, mut body) = ("GET", None, Vec::new(), None);
    while let Some(word) = words.next() {
        let Some(flags) = word.strip_prefix('-') else {
            url = Some(format!("http://{}", word.trim_start_matches("http://")));
            continue;
        };
        match flags.trim_matches(['s', 'S']) {
            "" => {}
            "X" => method = words.next().unwrap(),
            "H" => headers.push(words.next().unwrap().split_once(": ").unwrap()),
            "d" => (method, body) = ("POST", Some(words.next().unwrap().to_owned())),
            other => panic!("what does curl make of -{other} in {line}?"),
        }
    }
    let mut request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .request(method.parse().unwrap(), url.unwrap());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some(body) = body {
        request = request
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body);
    }
    request.send().await.unwrap().text().await.unwrap()
}

/// The operator, started by the README's first command.
async fn started(house: &House, commands: &[String]) -> Operator {
    let typed = commands[0].strip_prefix("cargo run --release -- run ").unwrap();
    let operator = house.launch(&typed.split(' ').collect::<Vec<_>>()).await;
    operator.ready().await;
    operator
}

impl Operator {
    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_do_what_it_says() {
    let house = clone();
    let commands = commands();
    let [_, config, login, deactivate, list, tests] = &commands[..] else {
        panic!("the README has other commands: {commands:?}");
    };
    assert_eq!(tests, "cargo test");
    let operator = started(&house, &commands).await;

    let configuration = Operator::json(&curl(&house, &operator, config).await);
    assert_eq!(configuration["corporate_id"], "AB123456");
    assert!(
        configuration["hy2_url"]
            .as_str()
            .unwrap()
            .starts_with("hysteria2://corp_ab123456:")
    );
    assert!(configuration["qr_code"].as_str().unwrap().len() > 100);
    assert_eq!(Operator::json(&curl(&house, &operator, login).await)["ok"], false);

    let begun = std::time::Instant::now();
    let answer = Operator::json(&curl(&house, &operator, deactivate).await);
    assert_eq!(answer["status"], "deactivated");
    assert!(
        begun.elapsed().as_millis() < 1500,
        "without a node that could prove anything there is nothing to wait for: {:?}",
        begun.elapsed()
    );
    let refused = Operator::json(&curl(&house, &operator, config).await);
    assert_eq!(refused["status"], 403, "{refused}");
    let typed = list.strip_prefix("cargo run --release -q -- ").unwrap();
    let (code, holds, stderr) = operator.cli(&house, &typed.split(' ').collect::<Vec<_>>()).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(
        holds.contains("api-deactivated-ab123456") && holds.contains("laptop lost"),
        "{holds}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edit_that_the_readme_suggests_takes_access_away() {
    let house = clone();
    let operator = started(&house, &commands()).await;
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("write `active: false` under Anna's spec in ")
        .unwrap();
    let file = house.path(rest.split(':').next().unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("active: true"), "{text}");
    std::fs::write(&file, text.replacen("active: true", "active: false", 1)).unwrap();
    let (secret, path) = (
        house.data().join("corporate-secret"),
        operator.url("/user/AB123456/config"),
    );
    let secret = std::fs::read_to_string(secret).unwrap();
    eventually("Anna is refused", async || {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = client.get(&path).header("X-Corporate-Secret", secret.trim()).send();
        (asked.await.unwrap().status() == 403).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_makes_secrets_and_says_what_to_try() {
    use std::os::unix::fs::PermissionsExt;
    let house = clone();
    let operator = started(&house, &commands()).await;
    let said = eventually("it says what to try", async || {
        Some(operator.stdout()).filter(|said| said.contains("doctor"))
    })
    .await;
    let log = operator.log();
    for name in [
        "master.key",
        "corporate-secret",
        "hysteria-auth-token",
        "hysteria-stats-secret",
    ] {
        let path = house.data().join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        assert!(log.contains(&format!("data/{name}")), "{name} is not named: {log}");
        let secret = std::fs::read_to_string(path).unwrap();
        assert!(!log.contains(secret.trim()) && !said.contains(secret.trim()), "{name}");
    }
    let mode = std::fs::metadata(house.data()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);

    for line in said
        .replace("\\\n", " ")
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl "))
    {
        let answer = Operator::json(&curl(&house, &operator, line).await);
        assert_eq!(answer["corporate_id"], "AB123456", "{line}: {answer}");
    }
    operator.stop().await;

    let operator = started(&house, &commands()).await;
    operator.stop().await;
    let again = started(&house, &commands()).await;
    assert!(!again.log().contains("made a secret") && again.stdout().is_empty());
}
