//! The command line as a person and a script meet it: the real binary, and a fake of the operator's API.

mod check;
mod data_folder;
mod doctor;
mod former;
mod forward;
mod gateway_status;
mod guarded;
mod health;
mod person;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use assert_cmd::Command;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::document;

const SECRET: &str = "correct-horse-battery";

/// The binary in an empty environment, so that the machine's own settings do not leak in.
fn vpn_operator() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vpn-operator"));
    command.env_clear().env("USER", "anna").timeout(Duration::from_secs(30));
    command
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn run(mut command: Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn with(args: &[&str]) -> Outcome {
    let mut command = vpn_operator();
    command.args(args);
    run(command)
}

#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Value,
}

type Answers = dyn Fn(&Seen, usize) -> (u16, Value) + Send + Sync;

/// An operator's API that records what it is asked and answers as the test says. What the operator says besides in such an answer,
/// by its OpenAPI document, is added.
struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    data: TempDir,
}

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Answers>,
    simulated: bool,
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let request = Seen {
        method,
        uri,
        headers,
        body,
    };
    let number = {
        let mut seen = shared.seen.lock().unwrap();
        seen.push(request.clone());
        seen.len()
    };
    let (status, body) = (shared.answers)(&request, number);
    let body = document::whole(request.method.as_str(), request.uri.path(), status, body);
    let status = StatusCode::from_u16(status).unwrap();
    let mut simulated = HeaderMap::new();
    if shared.simulated {
        simulated.insert("x-vpn-operator-simulated", HeaderValue::from_static("true"));
    }
    if body.is_null() {
        (status, simulated).into_response()
    } else {
        (status, simulated, Json(body)).into_response()
    }
}

impl Fake {
    async fn start(answers: impl Fn(&Seen, usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::start_as(false, answers).await
    }

    /// As [`Self::start`], perhaps as an operator with a simulated node.
    async fn start_as(simulated: bool, answers: impl Fn(&Seen, usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(answer).with_state(Shared {
            seen: seen.clone(),
            answers: Arc::new(answers),
            simulated,
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let data = tempfile::tempdir().unwrap();
        let secret = data.path().join("corporate-secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        set_mode(&secret, 0o600);
        set_mode(data.path(), 0o700);
        Self { address, seen, data }
    }

    async fn answering(status: u16, body: Value) -> Self {
        Self::start(move |_, _| (status, body.clone())).await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = vpn_operator();
        command
            .args(args)
            .env("LISTEN_ADDR", self.address.to_string())
            .env("DATA_DIR", self.data.path());
        command
    }

    async fn run(&self, args: &[&str]) -> Outcome {
        let command = self.command(args);
        tokio::task::spawn_blocking(move || run(command)).await.unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn only(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }
}

// ── Help, usage, exit codes ──────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn help_teaches_and_documents_the_exit_codes() {
    let help = with(&["--help"]);
    assert_eq!(help.code, 0);
    for part in [
        "run",
        "check",
        "crd",
        "openapi",
        "gateway",
        "user",
        "hold",
        "guard",
        "seal",
        "doctor",
        "forward",
        "completions",
        "man",
    ] {
        assert!(help.stdout.contains(&format!("\n  {part}")), "{part}: {}", help.stdout);
    }
    for part in ["Examples:", "Exit codes:", "0  done", "6  pending", "CORPORATE_SECRET"] {
        assert!(help.stdout.contains(part), "{part}: {}", help.stdout);
    }
    for command in [
        &["user", "list"][..],
        &["user", "deactivate"],
        &["guard", "confirm"],
        &["doctor"],
        &["gateway", "render"],
        &["seal"],
    ] {
        let help = with(&[command, &["--help"]].concat());
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("Examples:"), "{command:?}: {}", help.stdout);
    }
}

#[test]
fn no_help_or_error_shows_a_secret_of_the_environment() {
    let secrets = vpn_operator::config::secrets::SECRET_VARIABLES;
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["doctor", "--help"],
        &["gateway", "render", "--help"],
        &["user", "list", "--help"],
        &["run", "--listen", "nonsense"],
        &["user", "list"],
        &["doctor", "--data", "/nowhere"],
    ] {
        let mut command = vpn_operator();
        command
            .args(args)
            .env("HYSTERIA_STATS_URLS", "http://user:hunter2@127.0.0.1:9");
        for name in secrets {
            command.env(name, "hunter2");
        }
        command.env("LISTEN_ADDR", "127.0.0.1:9");
        let outcome = run(command);
        assert!(
            !outcome.stdout.contains("hunter2") && !outcome.stderr.contains("hunter2"),
            "{args:?}"
        );
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["frobnicate"][..],
        &["user", "show"],
        &["user", "show", "not an id"],
        &["user", "rotate", "AB123456", "--what", "name"],
        &["guard", "confirm"],
        &["guard", "confirm", "AB123456", "--all"],
        &["hold", "create", "AB123456", "--until", "tomorrow"],
        &["run", "--desired", "./vpn"],
        &["run", "--tls-cert", "a.pem"],
        &["gateway", "render", "node-1"],
        &[
            "gateway",
            "render",
            "node-1",
            "--acme",
            "a",
            "--acme-email",
            "b",
            "--tcp-fallback",
            "--hop",
            "1-2",
        ],
        &["--log-level", "][", "check", "."],
    ] {
        let outcome = with(args);
        assert_eq!(outcome.code, 2, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_secret_given_twice_stops_the_start_and_names_both() {
    let mut command = vpn_operator();
    command
        .args(["run"])
        .env("MASTER_KEY", "hunter2")
        .env("MASTER_KEY_FILE", "/x");
    let outcome = run(command);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("MASTER_KEY and MASTER_KEY_FILE are both set"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_second_run_on_one_data_folder_is_refused_and_names_the_first() {
    let data = tempfile::tempdir().unwrap();
    let lock = std::fs::File::create(data.path().join("operator.lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(data.path().join("operator.lock"), "4711\n").unwrap();
    set_mode(data.path(), 0o700);
    let mut command = vpn_operator();
    command
        .args(["run", "--listen", "127.0.0.1:0", "--auth-listen", "127.0.0.1:0"])
        .env("DATA_DIR", data.path())
        .env("DESIRED", format!("folder:{}", data.path().join("vpn").display()));
    std::fs::create_dir(data.path().join("vpn")).unwrap();
    let outcome = run(command);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("in use by process 4711"), "{}", outcome.stderr);
    assert!(!data.path().join("desired.db").exists());
}

#[test]
fn an_unusable_certificate_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let junk = folder.path().join("tls.pem");
    std::fs::write(&junk, "junk").unwrap();
    std::fs::create_dir(folder.path().join("vpn")).unwrap();
    for flags in [["--tls-cert", "--tls-key"], ["--auth-tls-cert", "--auth-tls-key"]] {
        let mut command = vpn_operator();
        command
            .args(["run", "--listen", "127.0.0.1:0", "--auth-listen", "127.0.0.1:0"])
            .args([flags[0], junk.to_str().unwrap(), flags[1], junk.to_str().unwrap()])
            .env("DATA_DIR", folder.path().join("data"))
            .env("DESIRED", format!("folder:{}", folder.path().join("vpn").display()));
        let outcome = run(command);
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("error:") && last.contains("tls.pem"),
            "{}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("listening"), "{}", outcome.stderr);
    }
}

#[test]
fn a_run_says_its_version_in_the_chosen_form() {
    let mut command = vpn_operator();
    command
        .args(["run", "--log-format", "json"])
        .env("MASTER_KEY", "")
        .env("LOG_FORMAT", "text");
    let outcome = run(command);
    let first: Value = serde_json::from_str(outcome.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(outcome.code, 2);
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let outcome = with(&["completions", shell]);
        assert_eq!(outcome.code, 0);
        assert!(outcome.stdout.contains("COMPLETE"), "{shell}: {}", outcome.stdout);
    }
}

/// What is offered for the last word, as the script for zsh asks.
fn completed(mut command: Command, words: &[&str]) -> String {
    command
        .env("COMPLETE", "zsh")
        .env("_CLAP_COMPLETE_INDEX", words.len().to_string())
        .args(["--", "vpn-operator"])
        .args(words);
    let outcome = run(command);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    outcome.stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_offered_the_people_and_holds_of_the_running_operator() {
    let fake = Fake::start(|seen, _| match seen.uri.path() {
        "/users" => (
            200,
            json!({ "users": [{ "corporate_id": "AB123456", "owner": "Anna", "access": "Granted" },
                              { "corporate_id": "XAB1", "access": "Denied" }] }),
        ),
        _ => (200, json!({ "holds": [{ "name": "hr-x", "phase": "Live" }] })),
    })
    .await;
    let ask = |words: &'static [&'static str]| {
        let command = fake.command(&[]);
        tokio::task::spawn_blocking(move || completed(command, words))
    };
    assert!(ask(&["user", "dea"]).await.unwrap().contains("deactivate"));
    let people = ask(&["user", "show", "ab1"]).await.unwrap();
    assert!(
        people.contains("AB123456") && people.contains("Anna") && !people.contains("XAB1"),
        "{people}"
    );
    assert!(ask(&["hold", "release", ""]).await.unwrap().contains("hr-x"));
    assert_eq!(fake.seen()[0].uri.to_string(), "/users?q=ab1&limit=100");
}

#[test]
fn completion_without_an_operator_is_quiet() {
    let mut command = vpn_operator();
    command.env("LISTEN_ADDR", "127.0.0.1:1").env("DATA_DIR", "/nowhere");
    assert!(!completed(command, &["user", "show", "AB1"]).contains("AB1"));
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = with(&["man"]);
    assert_eq!(page.code, 0);
    assert!(page.stdout.contains(".TH vpn-operator 1"), "{}", page.stdout);
    let folder = tempfile::tempdir().unwrap();
    let outcome = with(&["man", "--dir", folder.path().join("man1").to_str().unwrap()]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let text = std::fs::read_to_string(folder.path().join("man1/vpn-operator-user-deactivate.1")).unwrap();
    assert!(text.contains("How long to wait for containment"), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_vpn-operator"))
        .args(["completions", "zsh"])
        .env_clear()
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

// ── Settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn env_example_lists_exactly_the_supported_variables() {
    use clap::CommandFactory;

    fn collect(command: &clap::Command, into: &mut BTreeSet<String>) {
        into.extend(
            command
                .get_arguments()
                .filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned())),
        );
        for sub in command.get_subcommands() {
            collect(sub, into);
        }
    }
    let mut supported = BTreeSet::from(["RUST_LOG".to_owned()]);
    collect(&vpn_operator::cli::Cli::command(), &mut supported);
    for name in vpn_operator::config::secrets::SECRET_VARIABLES {
        supported.extend([name.to_owned(), format!("{name}_FILE")]);
    }
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    // What only Compose reads stands at the end; `packaging::compose` looks at it.
    let (text, _) = text.split_once("# ── docker-compose.yml alone").unwrap();
    let listed: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
        .collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), supported);
    assert_eq!(listed.len(), supported.len(), "a variable is listed twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_wins_over_the_environment() {
    let fake = Fake::answering(200, json!({ "users": [] })).await;
    let mut command = fake.command(&["user", "list", "--listen", &fake.address.to_string()]);
    command.env("LISTEN_ADDR", "127.0.0.1:1");
    let outcome = tokio::task::spawn_blocking(move || run(command)).await.unwrap();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);

    let mut command = fake.command(&["user", "list", "--listen", "127.0.0.1:1"]);
    command.env("VPN_OPERATOR_URL", format!("http://{}", fake.address));
    let outcome = tokio::task::spawn_blocking(move || run(command)).await.unwrap();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_the_environment_goes_before_the_data_folder() {
    let fake = Fake::answering(200, json!({ "users": [] })).await;
    let file = fake.data.path().join("other");
    std::fs::write(&file, "from-file\n").unwrap();
    for (name, value) in [
        ("", ""),
        ("CORPORATE_SECRET", "from-env"),
        ("CORPORATE_SECRET_FILE", file.to_str().unwrap()),
    ] {
        let mut command = fake.command(&["user", "list"]);
        if !name.is_empty() {
            command.env(name, value);
        }
        tokio::task::spawn_blocking(move || run(command)).await.unwrap();
    }
    let sent: Vec<_> = fake
        .seen()
        .iter()
        .map(|seen| seen.headers["x-corporate-secret"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(sent, [SECRET, "from-env", "from-file"]);
}

#[test]
fn without_a_secret_the_person_is_told_where_it_was_looked_for() {
    let data = tempfile::tempdir().unwrap();
    let outcome = with(&["user", "list", "--data", data.path().to_str().unwrap()]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("corporate-secret does not exist"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.stderr.contains("CORPORATE_SECRET_FILE"), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_that_everybody_can_read_is_warned_of() {
    let fake = Fake::answering(200, json!({ "users": [] })).await;
    let file = fake.data.path().join("corporate-secret");
    for (mode, warned) in [(0o600, false), (0o644, true)] {
        set_mode(&file, mode);
        let outcome = fake.run(&["user", "list"]).await;
        assert_eq!(
            outcome.stderr.contains("chmod 600"),
            warned,
            "{mode:o}: {}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains(SECRET));
    }
}

// ── Client commands ──────────────────────────────────────────────────────────────────────────────────────────────────

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_table_for_people_and_the_answer_itself_for_programs() {
    let body = json!({
        "users": [
            { "corporate_id": "AB123456", "owner": "Anna \u{1b}[31mIvanova", "access": "Granted", "reason": "Active", "username": "corp_ab123456", "sessions": 2 },
            { "corporate_id": "AB123457", "access": "Denied", "reason": "Held", "username": "corp_ab123457" },
        ],
        "next": "ab123457",
    });
    let fake = Fake::answering(200, body.clone()).await;
    let table = fake
        .run(&[
            "user", "list", "--access", "denied", "--reason", "Held", "-q", "a&b", "--limit", "2",
        ])
        .await;
    assert_eq!(table.code, 0, "{}", table.stderr);
    let lines: Vec<_> = table
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    assert_eq!(lines[0], ["ID", "OWNER", "ACCESS", "REASON", "ACCOUNT", "SESSIONS"]);
    assert_eq!(lines[2], ["AB123457", "-", "Denied", "Held", "corp_ab123457", "-"]);
    assert!(!table.stdout.contains('\u{1b}'), "a name must not drive the terminal");
    assert!(table.stderr.contains("--after ab123457"), "{}", table.stderr);
    let seen = fake.only();
    assert_eq!(seen.uri.to_string(), "/users?access=Denied&reason=Held&q=a%26b&limit=2");
    assert_eq!(seen.headers["x-vpn-operator-source"], "cli");
    assert_eq!(seen.headers["x-vpn-operator-actor"], "anna");

    let json = fake.run(&["user", "list", "--output", "json", "--as", "Zoë"]).await;
    let whole = document::whole("GET", "/users", 200, body);
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap(), whole);
    assert_eq!(
        fake.seen()[1].headers["x-vpn-operator-actor"].as_bytes(),
        "Zoë".as_bytes()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_strangers_cannot_turn_a_line_around() {
    let role = "left\u{202e}gnp.exe \u{200b}Анна";
    let answer = json!({ "users": [{ "corporate_id": "AB123456", "role": role, "owner": role }] });
    let fake = Fake::start(move |_, _| (200, answer.clone())).await;
    for form in ["table", "json"] {
        let outcome = fake.run(&["user", "list", "--output", form]).await;
        assert!(!outcome.stdout.contains(['\u{202e}', '\u{200b}']), "{}", outcome.stdout);
        assert!(outcome.stdout.contains("Анна"), "{}", outcome.stdout);
        if form == "json" {
            let same: Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert!(same.to_string().contains(role), "{same}");
        }
    }
    let refusal = Fake::start(move |_, _| (409, json!({ "detail": role }))).await;
    let outcome = refusal.run(&["user", "list"]).await;
    assert!(outcome.stderr.contains("left\\u{202e}gnp.exe"), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn show_is_readable_and_fetches_links_only_when_asked() {
    let fake = Fake::start(|seen, _| {
        if seen.uri.path().ends_with("/config") {
            (200, json!({ "hy2_url": "hysteria2://link", "qr_code": "iVBORw0KGgo" }))
        } else {
            (200, json!({ "corporate_id": "A.b-1", "access": "Denied", "usage": { "used": 5 }, "declared": true, "reason": "Held", "holds": [{ "name": "hr-x", "phase": "Live", "in_force": true, "until": null }], "none": null }))
        }
    })
    .await;
    let plain = fake.run(&["user", "show", "A.b-1"]).await;
    assert_eq!(plain.code, 0, "{}", plain.stderr);
    assert!(plain.stdout.starts_with("A.b-1\nDenied: Held\n"), "{}", plain.stdout);
    assert!(plain.stdout.contains("traffic   5 B used"), "{}", plain.stdout);
    assert!(
        plain
            .stdout
            .contains("\nHolds\nNAME  IN FORCE  BY WHOM  SINCE  ENDS  REASON\nhr-x  yes"),
        "{}",
        plain.stdout
    );
    assert!(!plain.stdout.contains("none"), "{}", plain.stdout);
    assert_eq!(fake.only().uri.path(), "/user/A.b-1");

    let links = fake.run(&["user", "show", "A.b-1", "--config"]).await;
    assert!(
        links.stdout.contains("hysteria2://link") && !links.stdout.contains("iVBOR"),
        "{}",
        links.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_not_usable_yet_exits_with_6() {
    for (status, code) in [(200, 0), (202, 6)] {
        let fake = Fake::answering(
            status,
            json!({ "corporate_id": "AB123456", "hy2_url": "hysteria2://link" }),
        )
        .await;
        let outcome = fake.run(&["user", "grant", "AB123456"]).await;
        assert_eq!(outcome.code, code, "{}", outcome.stderr);
        assert!(outcome.stdout.contains("hysteria2://link"));
        let seen = fake.only();
        assert_eq!((seen.method, seen.uri.path()), (Method::POST, "/access/grant"));
        assert_eq!(seen.body, json!({ "corporate_id": "AB123456" }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_says_whose_access_it_is_and_shows_the_link_to_a_camera() {
    let fake = Fake::answering(
        200,
        json!({ "corporate_id": "AB123456", "hy2_url": "hysteria2://link" }),
    )
    .await;
    let until = "2027-01-01T00:00:00Z";
    let outcome = fake
        .run(&[
            "user",
            "grant",
            "AB123456",
            "--owner",
            "Anna",
            "--email",
            "anna@example.com",
            "--role",
            "engineer",
            "--until",
            until,
            "--qr",
            "always",
        ])
        .await;
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains('█'), "{}", outcome.stdout);
    assert_eq!(
        fake.only().body,
        json!({ "corporate_id": "AB123456", "owner": "Anna", "email": "anna@example.com", "role": "engineer",
                "valid_until": until })
    );
    let piped = fake.run(&["user", "grant", "AB123456"]).await;
    assert!(
        !piped.stdout.contains('█'),
        "a program reads no picture: {}",
        piped.stdout
    );
    let json = fake
        .run(&["user", "grant", "AB123456", "--qr", "always", "-o", "json"])
        .await;
    assert!(serde_json::from_str::<Value>(&json.stdout).is_ok(), "{}", json.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_refusal_has_its_exit_code_and_shows_the_detail() {
    for (status, code) in [
        (400, 2),
        (422, 2),
        (403, 4),
        (404, 3),
        (409, 4),
        (429, 5),
        (503, 5),
        (500, 1),
    ] {
        let fake = Fake::answering(
            status,
            json!({ "title": "No", "detail": "granting does not lift a hold" }),
        )
        .await;
        let outcome = fake.run(&["user", "grant", "AB123456"]).await;
        assert_eq!(outcome.code, code, "{status}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("error: granting does not lift a hold"),
            "{status}: {}",
            outcome.stderr
        );
        assert_eq!(
            outcome.stderr.contains("corporate-secret"),
            status == 403,
            "{status}: {}",
            outcome.stderr
        );
        assert!(outcome.stdout.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_person_is_not_taken_for_a_wrong_secret() {
    let problem = json!({ "type": "urn:access-denied", "detail": "AB123456 is denied by hr-x", "reason": "Held" });
    let fake = Fake::start(move |seen, _| {
        if seen.uri.path().ends_with("/config") {
            (403, problem.clone())
        } else {
            (200, json!({}))
        }
    })
    .await;
    let outcome = fake.run(&["user", "show", "AB123456", "--config"]).await;
    assert_eq!(outcome.code, 4);
    assert!(
        outcome.stderr.contains("denied by hr-x") && !outcome.stderr.contains("corporate-secret"),
        "{}",
        outcome.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_exits_with_5_and_a_foreign_one_with_1() {
    let fake = Fake::answering(200, Value::Null).await;
    let outcome = fake.run(&["guard", "show", "--server", "http://127.0.0.1:1"]).await;
    assert_eq!(outcome.code, 5, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("vpn-operator run"), "{}", outcome.stderr);

    let moved = Fake::start(|_, _| (307, json!({}))).await;
    let outcome = moved.run(&["guard", "show"]).await;
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn deactivate_waits_until_containment_and_shows_the_three_times() {
    let fake = Fake::start(|seen, number| match (seen.method.as_str(), number) {
        ("POST", _) => (
            200,
            json!({ "status": "deactivated", "corporate_id": "AB123456", "hold": "cli-deactivated-ab123456", "denied_at": "2026-01-01T12:00:00Z", "contained_at": null, "waiting_for": [] }),
        ),
        // A moment in which the operator is busy does not end the waiting.
        (_, 2) => (503, json!({ "detail": "busy" })),
        (_, 3) => (
            200,
            json!({ "revocation": { "denied_at": "2026-01-01T12:00:00Z", "waiting_for": ["default/node-2"] } }),
        ),
        _ => (
            200,
            json!({ "revocation": { "denied_at": "2026-01-01T12:00:00Z", "contained_at": "2026-01-01T12:00:01.5Z", "sessions_zero_at": null } }),
        ),
    })
    .await;
    let outcome = fake
        .run(&["user", "deactivate", "AB123456", "--reason", "laptop stolen"])
        .await;
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let lines: Vec<_> = outcome
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert!(lines[0].starts_with("denied 2026-01-01 12:00:00 UTC, "), "{}", lines[0]);
    assert_eq!(
        lines[1..],
        [
            "contained 1.5 s later",
            "sessions zero -",
            "hold cli-deactivated-ab123456"
        ]
    );
    let seen = fake.seen();
    assert_eq!(seen[0].body, json!({ "reason": "laptop stolen" }));
    assert_eq!(seen.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_not_contained_in_time_exits_with_6() {
    let fake = Fake::answering(
        200,
        json!({ "revocation": { "denied_at": "2026-01-01T12:00:00Z", "contained_at": null, "waiting_for": ["default/node-2"] } }),
    )
    .await;
    let outcome = fake
        .run(&["user", "deactivate", "AB123456", "--wait", "300ms", "-o", "json"])
        .await;
    assert_eq!(outcome.code, 6, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("default/node-2") && outcome.stderr.contains("refused already"),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()["revocation"]["denied_at"],
        "2026-01-01T12:00:00Z"
    );

    let before = fake.seen().len();
    let outcome = fake.run(&["user", "deactivate", "AB123456", "--wait", "0s"]).await;
    assert_eq!(outcome.code, 0, "not waiting is not failing");
    assert_eq!(fake.seen().len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_the_guard_holds_back_is_not_called_a_denial() {
    let fake = Fake::answering(
        200,
        json!({ "status": "held_back", "denied_at": null, "detail": "waits" }),
    )
    .await;
    let outcome = fake.run(&["user", "deactivate", "AB123456"]).await;
    assert_eq!(outcome.code, 6);
    assert!(outcome.stderr.contains("guard confirm AB123456"), "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("denied         -\n"), "{}", outcome.stdout);
    assert_eq!(fake.seen().len(), 1, "there is nothing to wait for");
}

#[tokio::test(flavor = "multi_thread")]
async fn activate_exits_with_0_only_when_nothing_stands_against_access() {
    let held = json!({ "status": "denied", "access": "Denied", "reason": "Held", "released": ["cli-deactivated-ab123456"],
                       "remaining": ["hr-deactivated-ab123456"] });
    let expired =
        json!({ "status": "denied", "access": "Denied", "reason": "Expired", "released": [], "remaining": [] });
    let granted =
        json!({ "status": "activated", "access": "Granted", "reason": "Active", "released": [], "remaining": [] });
    for (status, body, code, said) in [
        (200, granted.clone(), 0, "Granted"),
        (
            200,
            held,
            4,
            "hr-deactivated-ab123456 of hr, ordered by bob (192.0.2.7), since 2026-01-01 12:00:00 UTC",
        ),
        (200, expired, 4, "stays denied: Expired"),
        (202, granted, 6, "do not follow that yet"),
    ] {
        let fake = Fake::start(move |seen, _| match seen.method.as_str() {
            "POST" => (status, body.clone()),
            _ => (
                200,
                json!({ "holds": [{ "name": "hr-deactivated-ab123456", "source": "hr", "since": "2026-01-01T12:00:00Z", "ordered_by": "bob (192.0.2.7)",
                                    "reason": "left the company" }] }),
            ),
        })
        .await;
        let outcome = fake.run(&["user", "activate", "AB123456"]).await;
        assert_eq!(outcome.code, code, "{}{}", outcome.stdout, outcome.stderr);
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(all.contains(said), "{said}: {all}");
        assert_eq!(
            all.contains("ago: left the company"),
            said.contains("ordered by"),
            "{all}"
        );
        assert_eq!(fake.seen()[0].uri.path(), "/user/AB123456/activate");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rotate_says_what_became_new() {
    let fake = Fake::answering(
        200,
        json!({ "status": "rotated", "credential_generation": 4, "subscription_generation": 2,
                "config": { "subscription_url": "https://vpn/sub/x", "links": [{ "name": "fra", "url": "hysteria2://link" }] } }),
    )
    .await;
    for (what, said, unsaid) in [
        ("password", "new password (generation 4)", "new subscription link"),
        ("subscription", "new subscription link (generation 2)", "new password"),
        ("both", "new password (generation 4)", "nothing"),
    ] {
        let outcome = fake.run(&["user", "rotate", "AB123456", "--what", what]).await;
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        assert!(
            outcome.stdout.contains(said) && !outcome.stdout.contains(unsaid),
            "{}",
            outcome.stdout
        );
        assert!(outcome.stdout.contains("fra  hysteria2://link"), "{}", outcome.stdout);
    }
    assert_eq!(fake.seen()[2].body, json!({ "what": "both" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_listed_created_and_released() {
    let fake = Fake::start(|seen, _| match seen.method.as_str() {
        "GET" => (
            200,
            json!({ "holds": [{ "name": "hr-x", "corporate_id": "AB123456", "source": "hr", "phase": "Live" }] }),
        ),
        "POST" => (201, json!({ "name": "cli-held-ab123456" })),
        _ => (
            200,
            json!({ "status": "released", "name": "odd/name", "remaining": ["hr-x"] }),
        ),
    })
    .await;
    let listed = fake.run(&["hold", "list", "AB123456"]).await;
    assert!(
        listed.stdout.contains("hr-x") && listed.stdout.contains("IN FORCE"),
        "{}",
        listed.stdout
    );
    let until = "2027-01-01T00:00:00Z";
    let created = fake
        .run(&["hold", "create", "AB123456", "--reason", "audit", "--until", until])
        .await;
    assert!(created.stdout.contains("cli-held-ab123456"), "{}", created.stderr);
    let released = fake.run(&["hold", "release", "odd/name", "--source", "helpdesk"]).await;
    assert_eq!(released.code, 0);
    assert!(
        released.stdout.contains("hr-x"),
        "what remains is shown: {}",
        released.stdout
    );
    let wrong = fake
        .run(&["hold", "create", "AB123456", "--from", until, "--until", until])
        .await;
    assert_eq!(wrong.code, 2);
    let seen = fake.seen();
    assert_eq!(seen[0].uri.to_string(), "/holds?corporate_id=AB123456");
    assert_eq!(
        seen[1].body,
        json!({ "corporate_id": "AB123456", "reason": "audit", "until": until })
    );
    assert_eq!(
        (seen[2].method.as_str(), seen[2].uri.path()),
        ("DELETE", "/holds/odd%2Fname")
    );
    assert_eq!(seen.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_show_exits_with_6_while_somebody_has_to_decide() {
    let pending = Fake::answering(
        200,
        json!({ "pending": [{ "corporate_id": "AB123456", "reason": "Deleted" }] }),
    )
    .await;
    let outcome = pending.run(&["guard", "show"]).await;
    assert_eq!(outcome.code, 6);
    assert!(outcome.stdout.contains("AB123456"), "{}", outcome.stdout);
    assert!(
        outcome.stderr.contains("guard confirm --all") && !outcome.stderr.contains("error"),
        "{}",
        outcome.stderr
    );

    let calm = Fake::answering(200, json!({ "pending": [] })).await;
    assert_eq!(calm.run(&["guard", "show"]).await.code, 0);
    for args in [&["confirm", "AB123456", "AB123457"][..], &["cancel", "--all"]] {
        let outcome = calm.run(&[&["guard"][..], args].concat()).await;
        assert_eq!(outcome.code, 3, "nothing waits: {}", outcome.stderr);
    }
    let seen = calm.seen();
    assert_eq!(
        (seen[1].uri.path(), &seen[1].body),
        ("/guard/confirm", &json!({ "ids": ["AB123456", "AB123457"] }))
    );
    assert_eq!(
        (seen[2].uri.path(), &seen[2].body),
        ("/guard/cancel", &json!({ "all": true }))
    );
}

// ── doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// An operator, its auth listener and a node's statistics API in one.
async fn house(good: bool) -> Fake {
    Fake::start(move |seen, _| match (seen.method.as_str(), seen.uri.path()) {
        ("GET", "/readyz") => (
            200,
            json!({ "status": "ready", "checks": [
                { "name": "documents", "ok": good, "result": if good { "ok" } else { "failed" },
                  "details": if good { vec![] } else { vec!["a.yaml:7:3: spec.activ: unknown field"] } },
            ] }),
        ),
        ("GET", "/users") => (
            if good && seen.headers["x-corporate-secret"] == SECRET {
                200
            } else {
                403
            },
            json!({}),
        ),
        ("GET", "/online") => (
            if good && seen.headers["authorization"] == "stats" {
                200
            } else {
                401
            },
            json!({ "a.b.0": 2 }),
        ),
        ("POST", "/auth/token") => (200, json!({ "ok": !good })),
        _ => (404, json!({})),
    })
    .await
}

fn doctor(fake: &Fake, args: &[&str]) -> Command {
    let mut command = fake.command(&[&["doctor", "--output", "json"], args].concat());
    command
        .env("HYSTERIA_AUTH_LISTEN", fake.address.to_string())
        .env("HYSTERIA_AUTH_TOKEN", "token")
        .env("HYSTERIA_STATS_URLS", format!("http://{}", fake.address))
        .env("HYSTERIA_STATS_SECRET", "stats")
        .env("DESIRED", format!("folder:{}", fake.data.path().display()));
    command
}

async fn findings(command: Command) -> (i32, Vec<(String, String, String)>) {
    let outcome = tokio::task::spawn_blocking(move || run(command)).await.unwrap();
    for secret in [SECRET, "token\"", "\"stats\""] {
        assert!(!outcome.stdout.contains(secret), "{}", outcome.stdout);
    }
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = answer["checks"].as_array().unwrap().iter();
    (
        outcome.code,
        checks
            .map(|c| (text(&c["name"]), text(&c["result"]), text(&c["message"])))
            .collect(),
    )
}

fn result_of<'a>(findings: &'a [(String, String, String)], name: &str) -> &'a str {
    &findings
        .iter()
        .find(|finding| finding.0 == name)
        .unwrap_or_else(|| panic!("{name}: {findings:?}"))
        .1
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_good_house_good_and_a_bad_one_bad() {
    for (good, verdict) in [(true, "ok"), (false, "failed")] {
        let fake = house(good).await;
        let (code, found) = findings(doctor(&fake, &[])).await;
        for name in ["operator API", "documents", "auth listener"] {
            assert_eq!(result_of(&found, name), verdict, "{found:?}");
        }
        // What the operator knows by itself is not looked at twice.
        for name in ["desired state", "statistics of default/node-1"] {
            assert!(found.iter().all(|finding| finding.0 != name), "{found:?}");
        }
        assert_eq!(result_of(&found, "clock"), "ok");
        assert!(good || code == 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_without_an_operator_asks_the_nodes_itself() {
    for (good, verdict) in [(true, "ok"), (false, "failed")] {
        let fake = house(good).await;
        let (code, found) = findings(doctor(&fake, &["--listen", "127.0.0.1:1"])).await;
        assert_eq!(code, 1);
        assert_eq!(result_of(&found, "operator API"), "failed", "{found:?}");
        assert_eq!(result_of(&found, "statistics of default/node-1"), verdict, "{found:?}");
        assert_eq!(result_of(&found, "desired state"), "ok", "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_cannot_be_reached() {
    let fake = house(true).await;
    let mut command = doctor(&fake, &["--listen", "127.0.0.1:1", "--auth-listen", "127.0.0.1:1"]);
    command.env("HYSTERIA_STATS_URLS", "http://127.0.0.1:1");
    let (code, found) = findings(command).await;
    assert_eq!(code, 1);
    for name in ["operator API", "auth listener", "statistics of default/node-1"] {
        assert_eq!(result_of(&found, name), "failed", "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_compares_a_certificate_with_the_pins() {
    use sha2::{Digest, Sha256};
    let fake = house(true).await;
    let made = rcgen::generate_simple_self_signed(vec!["vpn.example.com".to_owned()]).unwrap();
    let path = fake.data.path().join("server.crt");
    std::fs::write(&path, made.cert.pem()).unwrap();
    let right: Vec<String> = Sha256::digest(made.cert.der())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    for (pin, verdict) in [(right.join(":"), "ok"), ("00".repeat(32), "failed")] {
        let (_, found) = findings(doctor(
            &fake,
            &["--cert", path.to_str().unwrap(), "--hysteria-pin-sha256", &pin],
        ))
        .await;
        assert_eq!(
            result_of(&found, "certificate pin of default/node-1"),
            verdict,
            "{found:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_secrets_that_others_can_read() {
    let fake = house(true).await;
    let file = fake.data.path().join("corporate-secret");
    for (mode, verdict) in [(0o600, "ok"), (0o640, "failed")] {
        set_mode(&file, mode);
        let (_, found) = findings(doctor(&fake, &[])).await;
        assert_eq!(result_of(&found, "data folder"), verdict, "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_the_nodes_of_declared_gateways() {
    let fake = house(true).await;
    // Not in the data folder: no resource may name what is in there.
    let vpn = tempfile::tempdir().unwrap();
    let secret = vpn.path().join("secret");
    std::fs::write(&secret, "stats\n").unwrap();
    let document = format!(
        "kind: Other\n---\napiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: europe }}\nspec:\n  \
         hysteria:\n    nodes:\n      - {{ name: fra, address: a, statsUrl: 'http://{}', statsSecret: {{ file: {} }} }}\n      \
         - {{ name: ams, address: b }}\n      \
         - {{ name: par, address: c, statsUrl: 'http://127.0.0.1:1', statsSecret: {{ env: MASTER_KEY }} }}\n",
        fake.address,
        secret.display(),
    );
    std::fs::write(vpn.path().join("gateways.yaml"), document).unwrap();
    let (_, found) = findings(doctor(
        &fake,
        &[
            "--listen",
            "127.0.0.1:1",
            "--desired",
            &format!("folder:{}", vpn.path().display()),
        ],
    ))
    .await;
    assert_eq!(result_of(&found, "statistics of europe/fra"), "ok", "{found:?}");
    assert_eq!(result_of(&found, "statistics of europe/ams"), "warning", "{found:?}");
    assert_eq!(result_of(&found, "statistics of europe/par"), "failed", "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_key_and_database_without_changing_them() {
    use vpn_operator::{
        clock::SystemClock,
        config::HISTORY_FILE,
        credentials::MasterKey,
        history::History,
        registry::{REGISTRY_FILE, Registry},
    };
    let fake = house(true).await;
    let (_, found) = findings(doctor(&fake, &[])).await;
    for name in ["master key", "audit chain", "registry"] {
        assert_eq!(result_of(&found, name), "skipped", "{found:?}");
    }
    assert_eq!(
        std::fs::read_dir(fake.data.path()).unwrap().count(),
        1,
        "nothing was made"
    );

    let (key, _) = MasterKey::load_or_create(fake.data.path(), None).unwrap();
    // Owned by a running operator, and looked at all the same.
    let database = fake.data.path().join(HISTORY_FILE);
    let history = History::open(&database, crate::support::audit_keys(), Arc::new(SystemClock)).unwrap();
    let ids = fake.data.path().join(REGISTRY_FILE);
    let registry = Registry::open_or_retry(&ids, Arc::new(SystemClock)).unwrap();
    let (_, found) = findings(doctor(&fake, &[])).await;
    for name in ["audit chain", "registry"] {
        assert_eq!(result_of(&found, name), "ok", "{name}: {found:?}");
    }
    assert_eq!(result_of(&found, "master key"), "ok", "{found:?}");
    assert!(found.iter().any(|finding| finding.2.contains(key.id())), "{found:?}");

    drop((history, registry));
    for file in [&database, &ids] {
        std::fs::write(file, "no database at all").unwrap();
    }
    std::fs::write(fake.data.path().join("master.key"), "00".repeat(32)).unwrap();
    let (code, found) = findings(doctor(&fake, &[])).await;
    assert_eq!(code, 1);
    for name in ["master key", "audit chain", "registry"] {
        assert_eq!(result_of(&found, name), "failed", "{found:?}");
    }
}

// ── gateway render, check ────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_unknown_node_or_gateway_exits_with_3() {
    let data = tempfile::tempdir().unwrap();
    let desired = format!("folder:{}", data.path().display());
    let tls = ["--tls-cert", "a", "--tls-key", "b", "--desired", &desired];
    let node = with(&[&["gateway", "render", "node-9"], &tls[..]].concat());
    assert_eq!(node.code, 3, "{}", node.stderr);
    assert!(node.stderr.contains("node-1"), "{}", node.stderr);
    let gateway = with(&[&["gateway", "render", "node-1", "--gateway", "mars"], &tls[..]].concat());
    assert_eq!(gateway.code, 3, "{}", gateway.stderr);
    assert!(gateway.stderr.contains("default"), "{}", gateway.stderr);
}

/// `gateway render` in an environment with a data folder as a first run leaves it.
fn render(args: &[&str]) -> Outcome {
    let data = tempfile::tempdir().unwrap();
    for (name, secret) in [
        ("hysteria-auth-token", "to-ken_1"),
        ("hysteria-stats-secret", "stats-1"),
    ] {
        let path = data.path().join(name);
        std::fs::write(&path, secret).unwrap();
        set_mode(&path, 0o600);
    }
    let mut command = vpn_operator();
    command
        .args([&["gateway", "render", "node-1"], args].concat())
        .env("DATA_DIR", data.path())
        .env("DESIRED", format!("folder:{}", data.path().display()))
        .env("HYSTERIA_STATS_URLS", "http://127.0.0.1:9999")
        .env("HYSTERIA_OBFS_PASSWORD", "obfs-1");
    run(command)
}

#[test]
fn a_rendered_node_has_the_secrets_that_the_operator_uses() {
    let outcome = render(&[
        "--acme",
        "vpn.example.com",
        "--acme-email",
        "it@example.com",
        "--auth-url",
        "https://op:8081/",
    ]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let config: serde_yaml::Value = serde_yaml::from_str(&outcome.stdout).unwrap();
    assert_eq!(config["auth"]["http"]["url"], "https://op:8081/auth/to-ken_1");
    assert_eq!(config["trafficStats"]["secret"], "stats-1");
    assert_eq!(config["obfs"]["salamander"]["password"], "obfs-1");
    assert_eq!(config["acme"]["domains"][0], "vpn.example.com");
}

#[test]
fn clients_are_kept_from_the_operator_and_from_what_is_named_unless_the_acl_is_left_out() {
    let base = ["--tls-cert", "/c.pem", "--tls-key", "/k.pem"];
    let rules = |outcome: &Outcome| -> Vec<String> {
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let config: serde_yaml::Value = serde_yaml::from_str(&outcome.stdout).unwrap();
        let rules = config["acl"]["inline"].as_sequence().cloned().unwrap_or_default();
        rules.iter().map(|rule| rule.as_str().unwrap().to_owned()).collect()
    };
    let by_address = render(&[&base[..], &["--auth-url", "http://10.0.0.1:8081"]].concat());
    let found = rules(&by_address);
    for rule in [
        "reject(127.0.0.0/8)",
        "reject(169.254.0.0/16)",
        "reject(10.0.0.1, tcp/8081)",
    ] {
        assert!(found.iter().any(|found| found == rule), "{rule}: {found:?}");
    }
    assert!(by_address.stderr.is_empty(), "{}", by_address.stderr);
    // A rule for a name leaves its address open, which is said.
    let by_name = render(&[&base[..], &["--auth-url", "http://operator:8081"]].concat());
    assert!(rules(&by_name).contains(&"reject(operator, tcp/8081)".to_owned()));
    assert!(
        by_name.stderr.contains("operator by name") && by_name.stderr.contains("--reject"),
        "{}",
        by_name.stderr
    );
    let named = [
        "--auth-url",
        "http://operator:8081",
        "--reject",
        "192.0.2.0/28,192.0.2.16/28",
    ];
    let named = render(&[&base[..], &named].concat());
    let found = rules(&named);
    assert!(found.contains(&"reject(192.0.2.0/28)".to_owned()) && found.contains(&"reject(192.0.2.16/28)".to_owned()));
    assert!(named.stderr.is_empty(), "{}", named.stderr);

    assert_eq!(rules(&render(&[&base[..], &["--no-acl"]].concat())), [""; 0]);
    let wrong = render(&[&base[..], &["--reject", "192.0.2.0/28)"]].concat());
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("give a network like"), "{}", wrong.stderr);
}

#[test]
fn rendering_can_leave_secrets_out_and_says_when_links_lack_the_ports() {
    let tls = ["--tls-cert", "/c.pem", "--tls-key", "/k.pem"];
    let outcome = render(&[&tls[..], &["--redact", "--hop", "20000-50000"]].concat());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for secret in ["to-ken_1", "stats-1", "obfs-1"] {
        assert!(!outcome.stdout.contains(secret), "{}", outcome.stdout);
    }
    assert!(outcome.stdout.contains("20000-50000"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("443,20000-50000"), "{}", outcome.stderr);
}

#[test]
fn parts_that_cannot_be_combined_are_refused() {
    let pin = "00".repeat(32);
    let outcome = render(&[
        "--acme",
        "a.example.com",
        "--acme-email",
        "b@c.d",
        "--hysteria-pin-sha256",
        &pin,
    ]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("renewal"), "{}", outcome.stderr);
}

#[test]
fn definitions_are_printed_for_all_kinds_or_one() {
    let all = with(&["crd"]);
    let names: Vec<String> = serde_yaml::Deserializer::from_str(&all.stdout)
        .map(|document| {
            serde_yaml::Value::deserialize(document).unwrap()["spec"]["names"]["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["VpnUser", "VpnHold", "VpnGateway"]);
    let one = with(&["crd", "vpnhold"]);
    assert!(
        one.stdout.contains("kind: VpnHold") && !one.stdout.contains("kind: VpnUser"),
        "{}",
        one.stdout
    );
}

#[test]
fn the_description_of_the_api_has_every_path_that_the_commands_ask() {
    let outcome = with(&["openapi"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    for (path, method) in [
        ("/access/grant", "post"),
        ("/users", "get"),
        ("/user/{corporate_id}", "get"),
        ("/user/{corporate_id}/config", "get"),
        ("/user/{corporate_id}/deactivate", "post"),
        ("/user/{corporate_id}/activate", "post"),
        ("/user/{corporate_id}/rotate", "post"),
        ("/holds", "get"),
        ("/holds", "post"),
        ("/holds/release", "post"),
        ("/holds/{name}", "delete"),
        ("/guard", "get"),
        ("/guard/confirm", "post"),
        ("/guard/cancel", "post"),
    ] {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
}

#[test]
fn a_check_names_file_line_and_field_and_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let user = "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata: { name: ab123456 }\nspec:\n  corporateId: AB123456\n";
    std::fs::write(folder.path().join("people.yaml"), user).unwrap();
    let path = folder.path().to_str().unwrap();
    let good = with(&["check", path]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(good.stdout.contains("1 users"), "{}", good.stdout);

    std::fs::write(
        folder.path().join("people.yaml"),
        format!("{user}  validUntill: 2027-01-01T00:00:00Z\n"),
    )
    .unwrap();
    let bad = with(&["check", path]);
    assert_eq!(bad.code, 2, "{}", bad.stdout);
    assert!(
        bad.stdout.contains("people.yaml:6") && bad.stdout.contains("validUntill"),
        "{}",
        bad.stdout
    );
    let json = with(&["check", path, "--output", "json"]);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &report["problems"][0]["line"]), (2, &json!(6)), "{report}");
}

#[test]
fn checking_a_path_that_does_not_exist_exits_with_3() {
    assert_eq!(with(&["check", "/nowhere/at/all"]).code, 3);
}

// ── Interruption ─────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_interrupted_command_ends_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_vpn-operator"))
        .args(["user", "list"])
        .env_clear()
        .env("CORPORATE_SECRET", SECRET)
        .env("LISTEN_ADDR", listener.local_addr().unwrap().to_string())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Connected, and never answered.
    let (_connection, _) = listener.accept().unwrap();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
}
