//! The webhook under requests that nobody thought of: seeds that are cut, spliced, bent and signed anew, through the real router,
//! the check of signatures and the inbox.
//!
//! `cargo test` runs a few hundred, always the same. `WEBHOOK_FUZZ_SECONDS=60` runs others for a minute; `WEBHOOK_FUZZ_SEED` of a
//! run that failed brings them back. A request that was found goes into `seeds/`.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, Request},
};
use proptest::{
    prelude::*,
    sample::Index,
    strategy::ValueTree as _,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tower::ServiceExt as _;
use vpn_operator::{
    clock::Clock as _,
    http::{self, HttpState},
    metrics::Metrics,
};

use super::world::{Crash, Operator, Place, live};
use crate::support::hr::{hub, standard};

/// Requests without a budget of time.
const CASES: u64 = 300;
/// Requests to one operator, before another one begins with nothing.
const A_LIFE: u64 = 2000;

/// What a seed says, and how it is signed.
#[derive(Debug, Clone)]
struct Seed {
    sign: Vec<&'static str>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Seed {
    /// `sign:` and a scheme, headers, an empty line, the body.
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines().map(|line| line.split_once(": ").unwrap());
        let (_, scheme) = lines.next().unwrap();
        Self {
            sign: match scheme {
                "hub" => vec!["hub"],
                "standard" => vec!["standard"],
                "both" => vec!["hub", "standard"],
                _ => Vec::new(),
            },
            headers: lines
                .map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()))
                .collect(),
            body: bytes[end + 2..].to_vec(),
        }
    }

    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hr/seeds");
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        paths.sort_unstable();
        paths.iter().map(|path| Self::parse(&fs::read(path).unwrap())).collect()
    }
}

/// Something that is done to a request.
#[derive(Debug, Clone)]
enum Bend {
    Flip(Index, u8),
    Cut(Index, u8),
    Repeat(Index, u8),
    Insert(Index, Vec<u8>),
    Word(Index, &'static str),
    Splice(Index, Index),
}

impl Bend {
    fn apply(&self, bytes: &mut Vec<u8>, others: &[Seed]) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        match self {
            Self::Flip(at, with) => {
                let at = place(at);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= with;
                }
            }
            Self::Cut(at, many) => {
                let at = place(at);
                bytes.drain(at..(at + usize::from(*many)).min(bytes.len()));
            }
            Self::Repeat(at, many) => {
                let at = place(at);
                let part = bytes[at..(at + usize::from(*many)).min(bytes.len())].to_vec();
                bytes.splice(at..at, part);
            }
            Self::Insert(at, what) => {
                let at = place(at);
                bytes.splice(at..at, what.iter().copied());
            }
            Self::Word(at, word) => {
                let at = place(at);
                bytes.splice(at..at, word.bytes());
            }
            Self::Splice(at, other) => {
                let at = place(at);
                let other = &others[other.index(others.len())].body;
                bytes.truncate(at);
                bytes.extend(other.iter().skip(at));
            }
        }
    }
}

fn bend() -> impl Strategy<Value = Bend> {
    let words = prop::sample::select(vec![
        "\"corporate_id\":\"AB999999\",",
        "\"event_type\":\"user_activated\",",
        "{\"event_data\":",
        "[[[[[[[[",
        "\\u0000",
        "\\ud800",
        "-1e9999",
        "\u{feff}",
        "null",
        "\r\n\r\n",
        "\u{202e}",
        "9999-12-31T23:59:60Z",
    ]);
    let at = || any::<Index>();
    prop_oneof![
        (at(), 1..=255u8).prop_map(|(at, with)| Bend::Flip(at, with)),
        (at(), any::<u8>()).prop_map(|(at, many)| Bend::Cut(at, many)),
        (at(), any::<u8>()).prop_map(|(at, many)| Bend::Repeat(at, many)),
        (at(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(at, what)| Bend::Insert(at, what)),
        (at(), words).prop_map(|(at, word)| Bend::Word(at, word)),
        (at(), any::<Index>()).prop_map(|(at, other)| Bend::Splice(at, other)),
    ]
}

/// How a request comes from a seed.
#[derive(Debug, Clone)]
struct Plan {
    seed: Index,
    /// To the body, before it is signed.
    before: Vec<Bend>,
    /// To the body, behind the back of who signed it.
    after: Vec<Bend>,
    /// To values of headers, signatures among them.
    values: Vec<(Index, Bend)>,
    /// Headers that are sent twice.
    twice: Vec<Index>,
    /// Headers that nobody sent.
    more: Vec<(&'static str, Vec<u8>)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let names = prop::sample::select(vec![
        "x-hub-signature-256",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-type",
        "content-encoding",
        "content-length",
        "transfer-encoding",
        "expect",
        "x-request-id",
        "x-forwarded-for",
    ]);
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::sample::select(vec![
            &b"gzip"[..],
            b"gzip, gzip",
            b"br",
            b"application/json; charset=utf-16",
            b"text/plain; charset=\"",
            b"sha256=",
            b"v1,AAAA v1a,BBBB",
            b"0",
            b"-1",
        ])
        .prop_map(<[u8]>::to_vec),
    ];
    let rarely = |most| prop_oneof![3 => Just(0..=0usize), 1 => Just(1..=most)];
    (
        any::<Index>(),
        prop::collection::vec(bend(), 0..5),
        rarely(2).prop_flat_map(|many| prop::collection::vec(bend(), many)),
        rarely(2).prop_flat_map(|many| prop::collection::vec((any::<Index>(), bend()), many)),
        rarely(1).prop_flat_map(|many| prop::collection::vec(any::<Index>(), many)),
        rarely(2).prop_flat_map(move |many| prop::collection::vec((names.clone(), value.clone()), many)),
    )
        .prop_map(|(seed, before, after, values, twice, more)| Plan {
            seed,
            before,
            after,
            values,
            twice,
            more,
        })
}

/// A request as it goes out.
#[derive(Debug, Clone)]
struct Sent {
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    /// Signed as the seed says, and nothing was done to it since.
    clean: bool,
}

impl Plan {
    fn carry_out(&self, seeds: &[Seed], now: i64, number: u64) -> Sent {
        let seed = &seeds[self.seed.index(seeds.len())];
        let mut body = seed.body.clone();
        for bend in &self.before {
            bend.apply(&mut body, seeds);
        }
        let mut headers = seed.headers.clone();
        let mut id = format!("msg_{number}");
        for (name, value) in &mut headers {
            if name == "webhook-id" {
                id = format!("{}_{number}", String::from_utf8_lossy(value));
            }
        }
        headers.retain(|(name, _)| name != "webhook-id");
        for scheme in &seed.sign {
            match *scheme {
                "hub" => headers.push(("x-hub-signature-256".to_owned(), hub(&body).into_bytes())),
                _ => {
                    headers
                        .extend(standard(&id, now, &body).map(|(name, value)| (name.to_owned(), value.into_bytes())));
                }
            }
        }
        let as_signed = (headers.clone(), body.clone());
        for bend in &self.after {
            bend.apply(&mut body, seeds);
        }
        for (at, bend) in &self.values {
            if !headers.is_empty() {
                let at = at.index(headers.len());
                bend.apply(&mut headers[at].1, seeds);
            }
        }
        for at in &self.twice {
            if !headers.is_empty() {
                let again = headers[at.index(headers.len())].clone();
                headers.push(again);
            }
        }
        headers.extend(
            self.more
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        // What no server hands on.
        headers.retain(|(_, value)| HeaderValue::from_bytes(value).is_ok());
        let clean = !seed.sign.is_empty() && (&headers, &body) == (&as_signed.0, &as_signed.1);
        Sent { headers, body, clean }
    }
}

impl Sent {
    /// Whether some header of it is a good signature of its body, checked without the code under test.
    fn has_a_good_signature(&self) -> bool {
        let values = |wanted: &str| -> Vec<String> {
            let of_name = self.headers.iter().filter(|(name, _)| name == wanted);
            of_name
                .map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned())
                .collect()
        };
        let good = hub(&self.body);
        if values("x-hub-signature-256")
            .iter()
            .any(|value| value.eq_ignore_ascii_case(&good))
        {
            return true;
        }
        let signatures = values("webhook-signature");
        values("webhook-id").iter().any(|id| {
            values("webhook-timestamp").iter().any(|at| {
                let Ok(at) = at.parse() else { return false };
                let [_, _, (_, good)] = standard(id, at, &self.body);
                signatures.iter().any(|value| value.split(' ').any(|one| one == good))
            })
        })
    }
}

async fn post(router: &axum::Router, sent: &Sent) -> (u16, Value) {
    let mut request = Request::post("/webhooks/hr-events");
    for (name, value) in &sent.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request = request.header(name, HeaderValue::from_bytes(value).unwrap());
    }
    let request = request.body(Body::from(sent.body.clone())).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

/// What stands in the inbox.
struct Kept(Connection);

impl Kept {
    fn of(place: &Place) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Self(Connection::open_with_flags(place.inbox(), flags).unwrap())
    }

    fn count(&self) -> u64 {
        let count: i64 = self
            .0
            .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
            .unwrap();
        count.unsigned_abs()
    }

    fn body(&self, id: i64) -> Vec<u8> {
        self.0
            .query_row("SELECT body FROM events WHERE id = ?1", [id], |row| row.get(0))
            .unwrap()
    }
}

/// One operator, and requests to it until `goes_on` says no.
fn life(runner: &mut TestRunner, seeds: &[Seed], mut goes_on: impl FnMut() -> bool) -> u64 {
    let place = Place::new();
    live(&place, Crash::never(), async |operator| {
        let router = router(&place, operator);
        let (plans, kept) = (plan(), Kept::of(&place));
        let mut stored = 0;
        let mut number = 0;
        while goes_on() {
            number += 1;
            let plan = plans.new_tree(runner).unwrap().current();
            let sent = plan.carry_out(seeds, place.clock.now().as_second(), number);
            let (status, answer) = post(&router, &sent).await;
            assert!(status < 500, "{sent:?}: {status} {answer}");
            if status == 200 {
                assert!(
                    sent.has_a_good_signature(),
                    "taken without a signature: {sent:?}: {answer}"
                );
                let id = answer["event_id"].as_i64().unwrap();
                stored += u64::from(answer["repeated"] == false);
                assert_eq!(kept.body(id), sent.body, "kept otherwise than it was sent: {sent:?}");
                let (again, same) = post(&router, &sent).await;
                assert_eq!(again, 200, "{sent:?}: {same}");
                assert_eq!(
                    (&same["event_id"], &same["repeated"]),
                    (&answer["event_id"], &Value::Bool(true)),
                    "{sent:?}"
                );
            } else {
                assert!(
                    answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
                    "{sent:?}: {answer}"
                );
                assert!(
                    status != 401 || !sent.clean,
                    "refused although it is signed: {sent:?}: {answer}"
                );
            }
            assert_eq!(kept.count(), stored, "{sent:?}: {answer}");
        }
        stored
    })
}

fn router(place: &Place, operator: &Operator) -> axum::Router {
    http::router(HttpState::new(
        operator.use_cases.clone(),
        Arc::new(Metrics::new()),
        place.clock.clone(),
        http::Settings::default(),
    ))
}

#[test]
fn whatever_is_sent_only_what_is_signed_is_kept_and_as_it_was_sent() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let budget = number("WEBHOOK_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("WEBHOOK_FUZZ_SEED").unwrap_or_else(|| match budget {
        Some(_) => u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap(),
        None => 1,
    });
    println!("WEBHOOK_FUZZ_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let (seeds, began) = (Seed::all(), Instant::now());
    let (mut all, mut stored) = (0, 0);
    let goes_on = |all: u64| match budget {
        Some(budget) => began.elapsed() < budget,
        None => all < CASES,
    };
    while goes_on(all) {
        let mut of_life = 0;
        stored += life(&mut runner, &seeds, || {
            let more = of_life < A_LIFE && goes_on(all);
            of_life += u64::from(more);
            all += u64::from(more);
            more
        });
    }
    println!("{all} requests, {stored} events kept");
    assert!(
        stored > all / 20 && stored < all,
        "{stored} of {all} were kept: nothing is shown by that"
    );
}
