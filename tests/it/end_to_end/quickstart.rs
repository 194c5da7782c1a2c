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

/// The operator on the examples without a node, as somebody runs it who has none yet.
async fn started(house: &House) -> Operator {
    let operator = house.launch(&["--desired", "folder:examples/quickstart"]).await;
    operator.ready().await;
    operator
}

/// What the shell makes of a command line that calls `vpn-operator`.
async fn words(house: &House, line: &str) -> Vec<String> {
    let arguments = line.strip_prefix("vpn-operator ").unwrap();
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(house.path("."))
        .args(["-c", &format!("printf '%s\\n' {arguments}")]);
    let (code, words, stderr) = run(shell).await;
    assert_eq!(code, 0, "{line}: {stderr}");
    words.lines().map(str::to_owned).collect()
}

/// A command of the README against this operator; answers what it says on stdout.
async fn said(house: &House, operator: &Operator, line: &str) -> String {
    let words = words(house, line).await;
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    let auth = operator.auth.to_string();
    if words[0] == "doctor" {
        words.extend(["--auth-listen", &auth]);
    }
    let (code, stdout, stderr) = operator.cli(house, &words).await;
    assert_eq!(code, 0, "{line}: {stdout}{stderr}");
    stdout
}

impl Operator {
    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// How many sessions of a person the nodes showed last.
async fn sessions(house: &House, operator: &Operator, id: &str) -> u64 {
    let shown = said(house, operator, &format!("vpn-operator user show {id} --output json")).await;
    Operator::json(&shown)["sessions"].as_u64().unwrap()
}

async fn simulated(house: &House, commands: &[String]) -> Operator {
    let typed = commands[0].strip_prefix("cargo run --release -- run ").unwrap();
    let operator = house.launch(&typed.split(' ').collect::<Vec<_>>()).await;
    operator.ready().await;
    operator
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_do_what_it_says() {
    let mut house = clone();
    // The same as for everybody, sooner.
    house.set("HYSTERIA_POLL_INTERVAL", "100ms");
    let commands = commands();
    let [_, path, list, grant, deactivate, holds, activate, doctor] = &commands[..] else {
        panic!("the README has other commands: {commands:?}");
    };
    assert_eq!(path, "export PATH=\"$PWD/target/release:$PATH\"");
    let operator = simulated(&house, &commands).await;
    let connected = async |anna: u64, chris: u64| {
        eventually("the devices are as they should be", async || {
            let now = (
                sessions(&house, &operator, "AB123456").await,
                sessions(&house, &operator, "CD234567").await,
            );
            (now == (anna, chris)).then_some(())
        })
        .await;
    };
    connected(3, 1).await;
    let listed = said(&house, &operator, list).await;
    assert!(listed.contains("AB123456") && listed.contains("CD234567"), "{listed}");
    let granted = said(&house, &operator, grant).await;
    assert!(
        granted.contains("hysteria2://corp_ab123456:") && granted.contains("simulated"),
        "{granted}"
    );
    let (_, page) = granted.split_once("http://").unwrap();
    let page = format!("http://{}", page.split_whitespace().next().unwrap());
    let page = reqwest::Client::builder().no_proxy().build().unwrap().get(page);
    let page = page.header("Accept", "text/html").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<html"));

    let before = said(&house, &operator, "vpn-operator user show CD234567 --output json").await;
    said(&house, &operator, deactivate).await;
    let shown = said(&house, &operator, "vpn-operator user show AB123456 --output json").await;
    let revocation = &Operator::json(&shown)["revocation"];
    assert!(revocation["contained_at"].is_string(), "{shown}");
    eventually(
        "the log says that three were cut, and that Chris lost nothing",
        async || {
            let log = operator.log();
            let cut = log.matches("a simulated device was cut").count();
            (cut == 3 && log.contains("all 3 simulated devices are out; 1 of other people go on, and lost nothing"))
                .then_some(())
        },
    )
    .await;
    connected(0, 1).await;
    let held = said(&house, &operator, holds).await;
    assert!(held.contains("laptop stolen") && held.contains("laptop lost"), "{held}");
    assert!(
        held.contains("(127.0.0.1)"),
        "who ordered it, as the audit names them: {held}"
    );
    eventually("Chris moves bytes all the time", async || {
        let now = said(&house, &operator, "vpn-operator user show CD234567 --output json").await;
        let used = |shown: &str| Operator::json(shown)["usage"]["download"].as_u64();
        (used(&now) > used(&before)).then_some(())
    })
    .await;

    said(&house, &operator, activate).await;
    connected(3, 1).await;
    let found = said(&house, &operator, doctor).await;
    assert!(found.contains("simulated"), "{found}");
    let log = operator.stop().await;
    assert!(log.contains("SIMULATED"), "{log}");
    let mut cut = log.lines().filter(|line| line.contains("a simulated device was cut"));
    assert!(cut.all(|line| line.contains("AB123456")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_edit_that_the_readme_suggests_cuts_her_sessions() {
    let house = clone();
    let operator = simulated(&house, &commands()).await;
    eventually("her devices are connected", async || {
        (operator.log().matches("a simulated device is connected").count() == 4).then_some(())
    })
    .await;
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("write `active: false` under Anna's spec in ")
        .unwrap();
    let file = house.path(rest.split(',').next().unwrap());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("active: true"), "{text}");
    std::fs::write(&file, text.replacen("active: true", "active: false", 1)).unwrap();
    eventually("Anna is out", async || {
        operator
            .log()
            .contains("all 3 simulated devices are out; 1 of other people")
            .then_some(())
    })
    .await;
}

/// Names of the data folder that the README explains; a star stands for anything.
fn explained() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let (_, table) = readme.split_once("### What is in the data folder").unwrap();
    let rows = table
        .split("\n## ")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap().replace('`', ""));
    cells
        .flat_map(|cell| {
            cell.split(", ")
                .map(|name| name.trim_end_matches('/').to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_in_the_data_folder_is_explained_in_the_readme() {
    let house = clone();
    let operator = simulated(&house, &commands()).await;
    let deactivated = "vpn-operator user deactivate AB123456";
    said(&house, &operator, deactivated).await;
    let explained = explained();
    let entries = std::fs::read_dir(house.data()).unwrap();
    for name in entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        let matches = |known: &String| match known.split_once('*') {
            Some((_, end)) => name.ends_with(end),
            None => *known == name,
        };
        assert!(explained.iter().any(matches), "{name} is not among {explained:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_simulated_stands_beside_anything_real() {
    let mut house = clone();
    let simulate = ["--simulate", "--desired", "folder:examples/quickstart"];
    house.set("DOMAIN", "vpn.example.com");
    let (code, said) = house.refusal(&simulate).await;
    assert!(
        code == 2 && said.contains("DOMAIN") && said.contains("unset it"),
        "{said}"
    );
    house.unset("DOMAIN");
    let (code, said) = house.refusal(&["--simulate", "--desired", "folder:examples"]).await;
    assert!(code == 1 && said.contains("VpnGateway default"), "{said}");
    assert!(!house.data().exists(), "what is refused leaves nothing behind");

    // Its data is no real data, and real data is none of its.
    let operator = house.launch(&simulate).await;
    operator.ready().await;
    // A real gateway that is declared later ends it.
    let gateway = std::fs::read_to_string(house.path("examples/gateways.yaml")).unwrap();
    std::fs::write(house.path("examples/quickstart/gateways.yaml"), gateway).unwrap();
    let mut operator = operator;
    assert_eq!(operator.ended().await.code(), Some(1));
    assert!(
        operator.log().contains("does not run beside a real gateway"),
        "{}",
        operator.log()
    );
    std::fs::remove_file(house.path("examples/quickstart/gateways.yaml")).unwrap();
    let (code, said) = house.refusal(&simulate[1..]).await;
    assert!(
        code == 1 && said.contains("made by --simulate") && said.contains("another --data"),
        "{said}"
    );
    house.launch(&simulate).await.ready().await;
    std::fs::remove_dir_all(house.data()).unwrap();
    started(&house).await.stop().await;
    let (code, said) = house.refusal(&simulate).await;
    assert!(code == 1 && said.contains("a real operator's"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_run_makes_secrets_and_says_what_to_try() {
    use std::os::unix::fs::PermissionsExt;
    let house = clone();
    let operator = started(&house).await;
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

    let operator = started(&house).await;
    operator.stop().await;
    let again = started(&house).await;
    assert!(!again.log().contains("made a secret") && again.stdout().is_empty());
}
