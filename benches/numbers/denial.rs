//! From a deactivation to the refusal and to the proof, at rest and while many others are being reconciled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    house::{House, STATS_SECRET},
    hysteria_node::{Auth, HysteriaNode, Session},
    people, proc,
    report::{Report, ms, note, percentile},
    wire::Conn,
};

const OTHERS: usize = 10_000;
/// Those who are denied, and enough others that the guard sees no mass denial.
const PEOPLE: usize = 2_000;
const SAMPLES: usize = 200;
const DEVICES: usize = 5;

pub fn measure(report: &mut Report) {
    note("denial: five devices on two nodes");
    let runtime = Runtime::new().unwrap();
    let idle = Duration::from_secs(30);
    let nodes = [
        runtime.block_on(HysteriaNode::start(STATS_SECRET, idle)),
        runtime.block_on(HysteriaNode::start(STATS_SECRET, idle)),
    ];
    let mut house = House::new();
    house.nodes = format!("{},{}", nodes[0].stats_url(), nodes[1].stats_url());
    let others = house.people().join("others.yaml");
    people::replace(&others, &people::documents(0..OTHERS, "Person"));
    people::replace(
        &house.people().join("people.yaml"),
        &people::documents(OTHERS..OTHERS + PEOPLE, "Person"),
    );
    let operator = house.start();
    house.wait_usable(OTHERS + PEOPLE - 1);
    proc::wait_idle(operator.pid());
    let bench = Bench { house, nodes, runtime };

    let rest: Vec<_> = (0..SAMPLES).map(|sample| bench.deny(OTHERS + sample)).collect();
    tell(report, "at rest", &rest);

    note("denial: while 10,000 others are being reconciled");
    let stop = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut versions = 0;
            while !stop.load(Ordering::Relaxed) {
                versions += 1;
                people::replace(
                    &others,
                    &people::documents(0..OTHERS, &format!("Version {versions} of")),
                );
                thread::sleep(Duration::from_millis(500));
            }
            versions
        }
    });
    let busy: Vec<_> = (0..SAMPLES)
        .map(|sample| bench.deny(OTHERS + SAMPLES + sample))
        .collect();
    stop.store(true, Ordering::Relaxed);
    note(&format!(
        "{} versions of the file were written meanwhile",
        writer.join().unwrap()
    ));
    tell(report, "10,000 others being reconciled", &busy);
    drop(operator);
}

struct Bench {
    house: House,
    nodes: [Arc<HysteriaNode>; 2],
    runtime: Runtime,
}

/// Times from the moment at which the deactivation was sent.
struct Denial {
    refused: Duration,
    contained: Duration,
    answered: Duration,
}

impl Bench {
    fn deny(&self, number: usize) -> Denial {
        let mut sessions = self.connect(number);
        let mut api = Conn::open(self.house.api).unwrap();
        let request = self.house.login_request(number, 40_000);
        let mut auth = Conn::open(self.house.auth).unwrap();
        let asking = thread::spawn(move || {
            while crate::house::is_yes(&auth.ask(&request).unwrap().body) {
                thread::sleep(Duration::from_micros(200));
            }
            Instant::now()
        });
        thread::sleep(Duration::from_millis(10));
        let (begin, wall) = (Instant::now(), Timestamp::now());
        let path = format!("/user/{}/deactivate", people::id(number));
        let (status, answer) = House::call(&mut api, &path, &json!({}));
        let answered = begin.elapsed();
        assert_eq!(status, 200, "{answer}");
        let contained: Timestamp = answer["contained_at"]
            .as_str()
            .unwrap_or_else(|| panic!("not contained in time: {answer}"))
            .parse()
            .unwrap();
        let refused = asking.join().unwrap().saturating_duration_since(begin);
        for session in &mut sessions {
            assert!(session.send(1, 1).is_err(), "a byte passed after the containment");
        }
        Denial {
            refused,
            contained: contained.duration_since(wall).try_into().unwrap_or_default(),
            answered,
        }
    }

    fn connect(&self, number: usize) -> Vec<Session> {
        let (url, credential) = (self.house.auth_url(), people::credential(&self.house.key, number));
        self.runtime.block_on(async {
            let mut sessions = Vec::new();
            for device in 0..DEVICES {
                let node = &self.nodes[device % 2];
                let address = format!("198.51.100.{device}:4433");
                sessions.push(node.connect(Auth::Url(&url), &credential, &address).await.unwrap());
            }
            sessions
        })
    }
}

fn tell(report: &mut Report, when: &str, denials: &[Denial]) {
    let mut row = |what: &str, of: fn(&Denial) -> Duration, reach: Option<u64>| {
        let times: Vec<_> = denials.iter().map(of).collect();
        let p99 = percentile(&times, 0.99);
        let shown = format!("p50 {}, p99 {}", ms(percentile(&times, 0.5)), ms(p99));
        let what = format!("Deactivation until {what}, {when}");
        match reach {
            Some(limit) => {
                let reach = format!("p99 ≤ {limit} ms");
                report.row(&what, &shown, "", &ms(p99), &reach, p99 <= Duration::from_millis(limit));
            }
            None => report.told(&what, &shown, "", &ms(p99)),
        }
    };
    row("auth refuses", |denial| denial.refused, Some(10));
    row(
        "containedAt, five devices on two nodes",
        |denial| denial.contained,
        Some(300),
    );
    row("the answer", |denial| denial.answered, None);
}
