//! Starts the real binary and talks to it.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretBox};
use serde_json::{Value, json};
use tempfile::TempDir;
use vpn_operator::{credentials::MasterKey, model::corporate_id::CorporateId};

use crate::support::hysteria_node::{Auth, HysteriaNode, Refused, Session};

pub const AUTH_TOKEN: &str = "the-path-secret-of-nodes";
pub const STATS_SECRET: &str = "the-secret-of-statistics";
pub const CORPORATE_SECRET: &str = "the-secret-of-callers";
pub const MASTER_KEY: &str = "6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f";
/// Longest time that anything here may take before a test fails.
pub const EVENTUALLY_TIMEOUT: Duration = Duration::from_secs(60);

/// What outlives a process: the folder that people write, the data folder, and the environment.
pub struct House {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl House {
    /// An empty house with known secrets and without nodes.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("vpn")).unwrap();
        let mut house = Self {
            dir,
            environment: Vec::new(),
        };
        for (name, value) in [
            ("MASTER_KEY", MASTER_KEY),
            ("HYSTERIA_AUTH_TOKEN", AUTH_TOKEN),
            ("HYSTERIA_STATS_SECRET", STATS_SECRET),
            ("CORPORATE_SECRET", CORPORATE_SECRET),
            ("PUBLIC_URL", "http://vpn.example.com"),
            ("HYSTERIA_POLL_INTERVAL", "100ms"),
        ] {
            house.set(name, value);
        }
        house
    }

    /// A house with doubles of nodes, known from the environment.
    pub async fn with_nodes<const COUNT: usize>() -> (Self, [Arc<HysteriaNode>; COUNT]) {
        let mut nodes = Vec::new();
        for _ in 0..COUNT {
            nodes.push(HysteriaNode::start(STATS_SECRET, Duration::from_millis(300)).await);
        }
        let mut house = Self::new();
        let urls: Vec<String> = nodes.iter().map(|node| node.stats_url()).collect();
        house.set("HYSTERIA_STATS_URLS", &urls.join(","));
        let nodes: [Arc<HysteriaNode>; COUNT] = nodes.try_into().unwrap_or_else(|_| unreachable!());
        (house, nodes)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub fn folder(&self) -> PathBuf {
        self.path("vpn")
    }
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file of the folder as an editor does: beside it, then in its place.
    pub fn write(&self, file: &str, text: &str) {
        let path = self.folder().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let draft = self.path("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, path).unwrap();
    }
    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder().join(file)).unwrap()
    }
    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder().join(file)).unwrap();
    }

    /// The binary with the environment of this house and nothing else.
    pub fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vpn-operator"));
        self.prepare(&mut command);
        command.args(args);
        command
    }

    fn prepare(&self, command: &mut std::process::Command) {
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("USER", "tester")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
    }

    /// Starts the operator and waits until it is ready.
    pub async fn start(&self) -> Operator {
        let operator = self.launch(&[]).await;
        operator.ready().await;
        operator
    }

    /// Starts the operator, with more arguments, and does not wait.
    pub async fn launch(&self, more: &[&str]) -> Operator {
        self.launch_in(env!("CARGO_BIN_EXE_vpn-operator"), &[], more).await
    }

    /// Starts the operator through another program, like a shell that sets limits.
    pub async fn launch_in(&self, program: &str, before: &[&str], more: &[&str]) -> Operator {
        for _ in 0..10 {
            let (api, auth) = (free_address(), free_address());
            let mut command = std::process::Command::new(program);
            self.prepare(&mut command);
            command.args(before).arg("run");
            command.args(["--listen", &api.to_string(), "--auth-listen", &auth.to_string()]);
            command.args(more);
            let operator = Operator::spawn(command, api, auth);
            // Somebody else may have taken the address meanwhile.
            if !operator.lost_its_address().await {
                return operator;
            }
        }
        panic!("no free address was found");
    }

    /// Starts the operator, expects it to end by itself, and answers its exit code and what it wrote to stderr.
    pub async fn refusal(&self, more: &[&str]) -> (i32, String) {
        let mut operator = self.launch(more).await;
        let status = operator.ended().await;
        (status.code().unwrap_or(-1), operator.log())
    }
}

/// Text of a user's document.
pub fn user(id: &str, rest: &str) -> String {
    let name = id.to_lowercase();
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata: {{ name: {name} }}\nspec:\n  corporateId: {id}\n{rest}"
    )
}

/// Text of a hold's document.
pub fn hold(name: &str, id: &str, rest: &str) -> String {
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnHold\nmetadata: {{ name: {name} }}\nspec:\n  corporateId: {id}\n  source: helpdesk\n{rest}"
    )
}

/// Text of a gateway's document with one node, whose token auth knows it by.
pub fn gateway(name: &str, node: &HysteriaNode, token: &Path) -> String {
    let (url, token) = (node.stats_url(), token.display());
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{ name: {name} }}\nspec:\n  hysteria:\n    nodes:\n    - {{ name: one, address: {name}.example.com, statsUrl: \"{url}\", authToken: {{ file: \"{token}\" }} }}\n"
    )
}

/// Below the range from which the system hands out ports to connections.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let offset = u32::from(NEXT.fetch_add(1, Ordering::Relaxed)) + std::process::id().wrapping_mul(97);
        let port = 12_000 + u16::try_from(offset % 19_000).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// Waits until `look` answers something.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    within(EVENTUALLY_TIMEOUT, what, look)
}

/// As [`eventually`], for at most so long.
#[track_caller]
pub fn within<T>(timeout: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < timeout, "{place}: not within {timeout:?}: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A running operator. Dropping it kills it.
pub struct Operator {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    pub api: SocketAddr,
    pub auth: SocketAddr,
    http: reqwest::Client,
}

impl Operator {
    /// Starts what this command says, at addresses that are free.
    pub fn launch(mut command: std::process::Command) -> Self {
        let (api, auth) = (free_address(), free_address());
        command.args(["--listen", &api.to_string(), "--auth-listen", &auth.to_string()]);
        Self::spawn(command, api, auth)
    }

    pub fn spawn(mut command: std::process::Command, api: SocketAddr, auth: SocketAddr) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut readers = Vec::new();
        let mut follow = |mut pipe: Box<dyn Read + Send>| {
            let text = Arc::new(Mutex::new(String::new()));
            let into = Arc::clone(&text);
            readers.push(std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    into.lock()
                        .unwrap()
                        .push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
            }));
            text
        };
        let stdout = follow(Box::new(child.stdout.take().unwrap()));
        let stderr = follow(Box::new(child.stderr.take().unwrap()));
        Self {
            child,
            readers,
            stdout,
            stderr,
            api,
            auth,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// Whether it ended because somebody else listens at its address. Waits until either is known.
    async fn lost_its_address(&self) -> bool {
        eventually("it listens, or ends", async || {
            let log = self.log();
            if log.contains("cannot listen at") {
                return Some(true);
            }
            // In a cluster it listens before it may act.
            let listens = log.contains("listening") || log.contains("holds the lease");
            (listens || log.contains("error: ") || !self.is_running()).then_some(false)
        })
        .await
    }

    fn is_running(&self) -> bool {
        // A process that has ended and was not waited for keeps its entry, as a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
    }

    /// Everything on stderr so far.
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }
    /// Everything on stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    pub async fn ready(&self) {
        let ready = eventually("it is ready", async || {
            assert!(self.is_running(), "the operator ended: {}", self.log());
            let answer = self.http.get(self.url("/readyz")).send().await.ok()?;
            Some(answer.status() == 200).filter(|ready| *ready)
        });
        ready.await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }
    pub fn auth_url(&self) -> String {
        format!("http://{}/auth/{AUTH_TOKEN}", self.auth)
    }

    /// Asks the API with the secret; answers status and body.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.try_call(method, path, body).await.unwrap()
    }

    pub async fn try_call(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<(u16, Value)> {
        let request = self
            .http
            .request(method, self.url(path))
            .header("X-Corporate-Secret", CORPORATE_SECRET);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }
    /// As [`Self::post`], by a caller that says which source it is.
    pub async fn post_as(&self, source: &str, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(self.url(path))
            .header("X-Corporate-Secret", CORPORATE_SECRET)
            .header("X-Vpn-Operator-Source", source);
        let answer = request.json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }
    /// Sends a CSV file with the secret; answers status and body.
    pub async fn csv(&self, path: &str, file: &str) -> (u16, Value) {
        let request = self
            .http
            .post(self.url(path))
            .header("X-Corporate-Secret", CORPORATE_SECRET)
            .header("Content-Type", "text/csv");
        let answer = request.body(file.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
    pub async fn text(&self, path: &str) -> String {
        self.http
            .get(self.url(path))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// What a person's page says of access: `Granted` or the reason of the denial.
    pub async fn verdict(&self, id: &str) -> String {
        let (_, page) = self.get(&format!("/user/{id}")).await;
        match page["access"].as_str() {
            Some("Granted") => "Granted".to_owned(),
            Some(_) => page["reason"].as_str().unwrap().to_owned(),
            None => format!("nobody: {page}"),
        }
    }

    /// Waits until a person's page says so.
    pub async fn becomes(&self, id: &str, verdict: &str) {
        let what = format!("{id} becomes {verdict}");
        eventually(&what, async || (self.verdict(id).await == verdict).then_some(())).await;
    }

    /// Waits until nobody is declared by this ID, or the person is denied.
    pub async fn becomes_nobody(&self, id: &str) {
        let what = format!("{id} is gone");
        eventually(&what, async || (self.verdict(id).await != "Granted").then_some(())).await;
    }

    /// The details of one check of `/readyz?verbose`.
    pub async fn check(&self, name: &str) -> Vec<String> {
        let (_, body) = self.get("/readyz?verbose").await;
        let checks = body["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        let details = check["details"].as_array().unwrap();
        assert_eq!(check["ok"] == true, details.is_empty(), "{check}");
        details.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// The sum of all samples of a metric.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.text("/metrics").await;
        let samples = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        samples
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// `account:password` out of a person's link.
    pub async fn credential(&self, id: &str) -> String {
        let (status, body) = self.get(&format!("/user/{id}/config")).await;
        assert_eq!(status, 200, "{body}");
        credential(body["hy2_url"].as_str().unwrap())
    }

    /// What auth answers to this credential from this address.
    pub async fn login(&self, credential: &str, addr: &str) -> bool {
        let body = json!({ "addr": addr, "auth": credential, "tx": 0 });
        let ask = || self.http.post(self.auth_url()).json(&body).send();
        // A connection on which nothing came for a while, on a busy machine, is closed just when something comes.
        let answer = match ask().await {
            Ok(answer) => answer,
            Err(_) => ask().await.unwrap(),
        };
        answer.json::<Value>().await.unwrap()["ok"] == true
    }

    /// A device connects to a node.
    pub async fn connect(&self, node: &Arc<HysteriaNode>, credential: &str, addr: &str) -> Result<Session, Refused> {
        node.connect(Auth::Url(&self.auth_url()), credential, addr).await
    }

    /// Runs a client command against this operator; answers exit code, stdout and stderr.
    pub async fn cli(&self, house: &House, args: &[&str]) -> (i32, String, String) {
        let mut command = house.command(args);
        command.env("LISTEN_ADDR", self.api.to_string()).env("DATA_DIR", "data");
        run(command).await
    }

    /// `kill -9`.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.finish()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            std::process::Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits until so many objects are recorded: a file that is removed in the moment after it was read for the first time
    /// leaves no trace.
    pub async fn recorded(&self, house: &House, objects: i64) {
        self.recorded_with(house, "", objects).await;
    }

    /// As [`Self::recorded`], with this text in the status.
    pub async fn recorded_with(&self, house: &House, status: &str, objects: i64) {
        let database = rusqlite::Connection::open(house.data().join("desired.db")).unwrap();
        let query = "SELECT count(*) FROM objects WHERE instr(status, ?1)";
        eventually("the objects are recorded", async || {
            let count = database.query_row(query, [status], |row| row.get(0));
            (count == Ok(objects)).then_some(())
        })
        .await;
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = eventually("the operator ends", async || self.child.try_wait().unwrap()).await;
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        status
    }

    /// SIGTERM, and the end in order. Answers everything on stderr.
    pub async fn stop(mut self) -> String {
        self.terminate();
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log()
    }

    fn finish(&mut self) -> String {
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        self.log()
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("── the operator said ──\n{}", self.log());
        }
    }
}

/// `account:password` out of a link.
pub fn credential(link: &str) -> String {
    let rest = link.strip_prefix("hysteria2://").unwrap();
    rest.split('@').next().unwrap().to_owned()
}

/// `account:password` of the first generation, which [`MASTER_KEY`] gives a person.
pub fn derived(id: &str) -> String {
    let key = MasterKey::from_bytes(SecretBox::new(Box::new([0x6f; 32])));
    let id: CorporateId = id.parse().unwrap();
    format!("{}:{}", id.account(), key.password(&id, 1).expose_secret())
}

/// Runs a command to its end; answers exit code, stdout and stderr.
pub async fn run(mut command: std::process::Command) -> (i32, String, String) {
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap())
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Copies a folder with its files.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
