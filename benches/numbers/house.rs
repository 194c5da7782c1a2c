//! An operator with its folders, all temporary.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use vpn_operator::credentials::MasterKey;

use crate::{
    people::{self, Layout},
    wire::{Conn, post},
};

pub const BINARY: &str = env!("CARGO_BIN_EXE_vpn-operator");
pub const STATS_SECRET: &str = "statistics-secret-of-the-benchmark";
const TOKEN: &str = "auth-token-of-the-benchmark";
const SECRET: &str = "corporate-secret-of-the-benchmark";

/// Folders, a key, and addresses.
pub struct House {
    folder: tempfile::TempDir,
    pub key: MasterKey,
    pub api: SocketAddr,
    pub auth: SocketAddr,
    /// Statistics APIs, comma-separated.
    pub nodes: String,
    /// More of the environment.
    pub environment: Vec<(&'static str, String)>,
}

impl House {
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("vpn-numbers-").tempdir().unwrap();
        std::fs::create_dir(folder.path().join("people")).unwrap();
        let (key, _) = MasterKey::load_or_rotate(&folder.path().join("data"), None, None).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self {
            folder,
            key,
            api: free(),
            auth: free(),
            nodes: String::new(),
            environment: Vec::new(),
        }
    }

    pub fn with(layout: Layout, count: usize) -> Self {
        let house = Self::new();
        people::write(&house.people(), layout, count);
        house
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn people(&self) -> PathBuf {
        self.root().join("people")
    }

    /// Starts the operator.
    pub fn start(&self) -> Operator {
        self.start_as(Command::new(BINARY))
    }

    /// Starts the operator by this command, which has the program in it already.
    pub fn start_as(&self, mut command: Command) -> Operator {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.root().join("log"))
            .unwrap();
        command
            .args(["run", "--log-format", "json"])
            .env("DESIRED", format!("folder:{}", self.people().display()))
            .env("DATA_DIR", self.root().join("data"))
            .env("LISTEN_ADDR", self.api.to_string())
            .env("HYSTERIA_AUTH_LISTEN", self.auth.to_string())
            .env("HYSTERIA_AUTH_TOKEN", TOKEN)
            .env("HYSTERIA_STATS_SECRET", STATS_SECRET)
            .env("HYSTERIA_STATS_URLS", &self.nodes)
            .env("CORPORATE_SECRET", SECRET)
            .env("DOMAIN", "vpn.example.com")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        Operator { child }
    }

    pub fn login_request(&self, number: usize, port: u16) -> Vec<u8> {
        login_request(&people::credential(&self.key, number), port)
    }

    /// Whether this person's client would be let in.
    pub fn login(&self, conn: &mut Conn, number: usize) -> bool {
        is_yes(&conn.ask(&self.login_request(number, 40_000)).unwrap().body)
    }

    /// URL that nodes ask.
    pub fn auth_url(&self) -> String {
        format!("http://{}/auth/{TOKEN}", self.auth)
    }

    /// Waits until this person is let in, connections refused included.
    pub fn wait_usable(&self, number: usize) {
        let request = self.login_request(number, 40_000);
        let deadline = Instant::now() + Duration::from_secs(300);
        loop {
            let answer = Conn::open(self.auth).and_then(|mut conn| conn.ask(&request));
            if answer.is_ok_and(|answer| is_yes(&answer.body)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "person {number} cannot log in; see {}",
                self.root().display()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Calls the HTTP API.
    pub fn call(conn: &mut Conn, path: &str, body: &Value) -> (u16, Value) {
        let header = format!("X-Corporate-Secret: {SECRET}\r\n");
        let answer = conn.ask(&post(path, &header, &body.to_string())).unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }
}

/// What a node asks. The port has five digits.
pub fn login_request(credential: &str, port: u16) -> Vec<u8> {
    let body = json!({ "addr": format!("192.0.2.7:{port}"), "auth": credential, "tx": 0 });
    post(&format!("/auth/{TOKEN}"), "", &body.to_string())
}

pub fn is_yes(body: &[u8]) -> bool {
    // The panel's own service has its fields in another order.
    body.windows(br#""ok":true"#.len()).any(|part| part == br#""ok":true"#)
}

/// A running operator; it is killed when dropped.
pub struct Operator {
    child: Child,
}

impl Operator {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it in good order.
    pub fn stop(self) {
        let pid = self.pid();
        self.end(pid);
    }

    /// Ends the operator that this process, a tracer, has started.
    pub fn stop_traced(self) {
        let tracer = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap();
        self.end(children.trim().parse().unwrap());
    }

    fn end(mut self, pid: u32) {
        let asked = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
        assert!(asked.is_ok_and(|asked| asked.success()));
        self.child.wait().unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // That it ended already is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
