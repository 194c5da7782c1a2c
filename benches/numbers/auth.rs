//! Auth decisions a second against a bare handler, and the latency at half of the maximum.

use std::{
    borrow::Cow,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::to_bytes, extract::Request, response::Response};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use vpn_operator::{
    metrics::Listener,
    serve::{Connections, serve},
};

use crate::{
    house::{BINARY, House, login_request},
    load::{self, Pace, Random},
    people::{self, Layout},
    proc::{self, Cpu},
    report::{Report, median, ms, note, percentile},
};

const USERS: usize = 100_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
const ANSWER: &str = r#"{"ok":true,"id":"corp_ab000001.1790000000000.17"}"#;

pub fn measure(report: &mut Report) {
    note("auth: 100,000 users");
    let house = House::with(Layout::One, USERS);
    let operator = house.start_as(proc::on_server_cpus(BINARY));
    let (peer, peer_address) = start_peer();
    house.wait_usable(USERS - 1);
    let requests: Vec<_> = (0..USERS)
        .map(|number| login_request(&people::credential(&house.key, number), 40_000))
        .collect();
    proc::wait_idle(operator.pid());
    std::thread::spawn(move || {
        proc::move_to_load_cpus();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut run = |address: SocketAddr, pid: u32, pace| {
            let before = Cpu::of(pid);
            let outcome = load::run(address, &requests, pace, ROUND, &mut random);
            assert_eq!(outcome.refused, 0, "a login was refused");
            let cpu = before.until(&Cpu::of(pid)).as_secs_f64() / outcome.done as f64;
            (outcome, cpu * 1e6)
        };
        let (mut ours, mut bare) = (Side::default(), Side::default());
        for _ in 0..ROUNDS {
            ours.add(run(house.auth, operator.pid(), Pace::Closed));
            bare.add(run(peer_address, peer.id(), Pace::Closed));
        }
        let rate = median(ours.rates.clone()) / 2.0;
        for _ in 0..ROUNDS {
            ours.add_tail(&run(house.auth, operator.pid(), Pace::Open(rate)).0.latencies);
            bare.add_tail(&run(peer_address, peer.id(), Pace::Open(rate)).0.latencies);
        }
        drop((operator, Peer(peer)));
        (ours, bare, rate)
    })
    .join()
    .map(|(ours, bare, rate)| ours.tell(&bare, rate, report))
    .unwrap();
}

/// What was measured of one server.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    /// Microseconds of CPU a decision.
    cpu: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Side {
    fn add(&mut self, (outcome, cpu): (load::Outcome, f64)) {
        self.rates.push(outcome.per_second);
        self.cpu.push(cpu);
    }

    fn add_tail(&mut self, latencies: &[Duration]) {
        self.p50.push(percentile(latencies, 0.5).as_secs_f64());
        self.p99.push(percentile(latencies, 0.99).as_secs_f64());
    }

    fn tell(&self, bare: &Self, rate: f64, report: &mut Report) {
        let ratios = self
            .rates
            .iter()
            .zip(&bare.rates)
            .map(|(ours, bare)| ours / bare)
            .collect();
        let ratio = median(ratios);
        let per_second = |side: &Self| format!("{:.0}/s", median(side.rates.clone()));
        report.row(
            "Auth decisions, 100,000 users, against a bare handler",
            &per_second(self),
            &per_second(bare),
            &format!("{ratio:.2}"),
            "≥ 0.85",
            ratio >= 0.85,
        );
        let cpu = |side: &Self| median(side.cpu.clone());
        report.told(
            "CPU a decision",
            &format!("{:.1} µs", cpu(self)),
            &format!("{:.1} µs", cpu(bare)),
            &format!("{:.2}", cpu(bare) / cpu(self)),
        );
        let time = |values: &[f64]| Duration::from_secs_f64(median(values.to_vec()));
        let shown = |side: &Self| format!("p50 {}, p99 {}", ms(time(&side.p50)), ms(time(&side.p99)));
        report.row(
            &format!("Latency of a decision, open load of {rate:.0}/s (half of the maximum)"),
            &shown(self),
            &shown(bare),
            &ms(time(&self.p99)),
            "p99 < 1 ms",
            time(&self.p99) < Duration::from_millis(1),
        );
    }
}

/// Ends the peer.
pub struct Peer(pub Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_peer() -> (Child, SocketAddr) {
    start_as_peer(&["--peer-auth"])
}

/// Starts this program as a peer, which says where it listens.
pub fn start_as_peer(arguments: &[&str]) -> (Child, SocketAddr) {
    let this = std::env::current_exe().unwrap();
    let mut child = proc::on_server_cpus(this.to_str().unwrap())
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().parse().unwrap())
}

#[derive(Deserialize)]
struct Login<'a> {
    #[serde(borrow)]
    addr: Cow<'a, str>,
    #[serde(borrow)]
    auth: Cow<'a, str>,
}

/// Reads and parses the body that a node sends, and says yes. Served exactly as the auth listener is.
pub fn peer() {
    serve_as_peer(Router::new().fallback(bare).with_state(Arc::new(())), Listener::Auth);
}

/// Serves as the operator does, says where, and never ends.
pub fn serve_as_peer(router: Router, name: Listener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    println!("{}", listener.local_addr().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let connections = Connections::new(name, 10_000, Arc::default());
    runtime
        .block_on(serve(listener, router, None, connections, CancellationToken::new()))
        .unwrap();
}

async fn bare(request: Request) -> Response {
    let body = to_bytes(request.into_body(), 4096).await.unwrap();
    let login: Login<'_> = serde_json::from_slice(&body).unwrap();
    std::hint::black_box((&login.addr, &login.auth));
    let mut response = Response::new(ANSWER.into());
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    response
}
