//! Subscriptions a second in each form, against a bare handler that sends the same bytes.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, HeaderName},
    response::Response,
};
use secrecy::ExposeSecret;
use vpn_operator::metrics::Listener;

use crate::{
    auth::{Peer, serve_as_peer, start_as_peer},
    house::{BINARY, House},
    load::{self, Pace, Random},
    people::{self, Layout},
    proc,
    report::{Report, median, note},
    wire::{Conn, frame},
};

const USERS: usize = 100_000;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const NODES: usize = 5;
/// Each form with what is to be reached.
const FORMS: [(&str, f64); 5] = [
    ("uri", 0.5),
    ("base64", 0.5),
    ("hysteria", 0.5),
    ("sing-box", 0.3),
    ("mihomo", 0.3),
];

pub fn measure(report: &mut Report) {
    note("forms: 100,000 users, five nodes");
    let mut house = House::with(Layout::One, USERS);
    house.environment = vec![("HYSTERIA_OBFS_PASSWORD", "between us".to_owned())];
    // Nobody listens there: only links are asked for.
    let nodes = (1..=NODES).map(|number| format!("http://127.0.0.1:{number}"));
    house.nodes = nodes.collect::<Vec<_>>().join(",");
    let operator = house.start_as(proc::on_server_cpus(BINARY));
    house.wait_usable(USERS - 1);
    proc::wait_idle(operator.pid());
    let path = |number: usize| {
        let id = people::id(number);
        let token = house.key.subscription_token(&id, 1);
        format!("/sub/{}.{}", id.key(), token.expose_secret())
    };
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    let recorded = house.root().join("recorded");
    std::fs::create_dir(&recorded).unwrap();
    for (form, _) in FORMS {
        let answer = raw(house.api, &request(&format!("{}?format={form}", path(0))));
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{form}");
        std::fs::write(recorded.join(form), answer).unwrap();
    }
    // The first fetch of each person has a row in the audit, once a month.
    let mut conn = Conn::open(house.api).unwrap();
    for number in 0..USERS {
        assert_eq!(
            conn.ask(&request(&format!("{}?format=uri", path(number))))
                .unwrap()
                .status,
            200
        );
    }
    proc::wait_idle(operator.pid());
    let (peer, peer_address) = start_as_peer(&["--peer-forms", recorded.to_str().unwrap()]);
    let peer = Peer(peer);
    for (form, reach) in FORMS {
        let requests: Vec<_> = (0..USERS)
            .map(|n| request(&format!("{}?format={form}", path(n))))
            .collect();
        let api = house.api;
        let load = std::thread::spawn(move || {
            proc::move_to_load_cpus();
            let mut random = Random(0x9E37_79B9_7F4A_7C15);
            let mut run = |address: SocketAddr| {
                let outcome = load::run_as(address, &requests, Pace::Closed, ROUND, &mut random, |body| {
                    body.len() > 100
                });
                assert_eq!(outcome.refused, 0, "somebody got nothing");
                outcome.per_second
            };
            let rounds = (0..ROUNDS).map(|_| (run(api), run(peer_address)));
            rounds.collect::<Vec<_>>()
        });
        let rounds = load.join().unwrap();
        let ratio = median(rounds.iter().map(|(ours, bare)| ours / bare).collect());
        let rate = |side: fn(&(f64, f64)) -> f64| format!("{:.0}/s", median(rounds.iter().map(side).collect()));
        report.row(
            &format!("Subscriptions as {form}, 100,000 users, five nodes, against a bare handler"),
            &rate(|it| it.0),
            &rate(|it| it.1),
            &format!("{ratio:.2}"),
            &format!("≥ {reach}"),
            ratio >= reach,
        );
    }
    drop((operator, peer));
}

/// A whole answer as it comes over the wire.
fn raw(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
    while frame(&answer).is_none_or(|(head, length)| answer.len() < head + length) {
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the operator closed the connection");
        answer.extend_from_slice(&chunk[..read]);
    }
    answer
}

/// An answer: its headers and its body.
type Recorded = (HeaderMap, Bytes);

/// Sends what was recorded in this folder, headers included.
pub fn peer(folder: &str) {
    let read = |(form, _): &(&'static str, f64)| {
        let answer = std::fs::read(Path::new(folder).join(form)).unwrap();
        let (head, _) = frame(&answer).unwrap();
        let lines = std::str::from_utf8(&answer[..head]).unwrap().lines().skip(1);
        let headers = lines.filter_map(|line| line.split_once(": "));
        // These two are written by the server itself.
        let headers = headers.filter(|(name, _)| !matches!(*name, "content-length" | "date"));
        let headers = headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        (*form, (headers.collect(), answer[head..].to_vec().into()))
    };
    let recorded: Arc<BTreeMap<&str, Recorded>> = Arc::new(FORMS.iter().map(read).collect());
    let bare = move |request: Request| {
        let recorded = Arc::clone(&recorded);
        async move {
            let form = request
                .uri()
                .query()
                .and_then(|query| query.strip_prefix("format="))
                .unwrap();
            let (headers, body) = &recorded[form];
            let mut response = Response::new(axum::body::Body::from(body.clone()));
            response.headers_mut().clone_from(headers);
            response
        }
    };
    serve_as_peer(Router::new().fallback(bare), Listener::Api);
}
