//! The auth guard of a panel: what it costs an allowed login, and how fast a denial is while the panel hangs.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::runtime::Runtime;

use crate::{
    blitz::{BlitzPanel, Fault, Op},
    house::{House, STATS_SECRET, is_yes, login_request},
    hysteria_node::Session,
    people, proc,
    report::{Report, median, ms, note, percentile},
    wire::{Conn, post},
};

const TOKEN: &str = "api-token-of-the-benchmark";
const PEOPLE: usize = 300;
const ROUNDS: usize = 9;
/// Logins of a round.
const LOGINS: usize = 500;
const DENIALS: usize = 200;
const DEVICES: usize = 5;
/// Who asks at the same time whether somebody is refused.
const PROBES: usize = 2;

pub fn measure(report: &mut Report) {
    note("guard: 300 people at a panel");
    let runtime = Runtime::new().unwrap();
    let panel = runtime.block_on(BlitzPanel::start_with_stats_secret(TOKEN, STATS_SECRET));
    panel.set_penalty(Duration::ZERO);
    let mut house = House::new();
    house.environment = vec![
        ("BLITZ_API_URL", panel.url()),
        ("BLITZ_API_TOKEN", TOKEN.to_owned()),
        ("BLITZ_STATS_URL", panel.node().stats_url()),
        ("BLITZ_AUTH_UPSTREAM", panel.auth_url()),
    ];
    people::replace(
        &house.people().join("people.yaml"),
        &people::documents(0..PEOPLE, "Person"),
    );
    let operator = house.start();
    for number in 0..PEOPLE {
        house.wait_usable(number);
    }
    proc::wait_idle(operator.pid());
    logins(report, &house, &panel);
    denials(report, &house, &panel, &runtime);
    drop(operator);
}

/// Allowed logins in rounds that alternate between the guard and the panel's service alone.
fn logins(report: &mut Report, house: &House, panel: &BlitzPanel) {
    let credential = |number| people::credential(&house.key, number);
    let guarded: Vec<_> = (0..PEOPLE).map(|n| login_request(&credential(n), 40_000)).collect();
    let alone = |n| json!({ "addr": "192.0.2.7:40000", "auth": credential(n), "tx": 0 }).to_string();
    let alone: Vec<_> = (0..PEOPLE).map(|n| post("/auth", "", &alone(n))).collect();
    let service: SocketAddr = panel.auth_url()["http://".len()..]
        .trim_end_matches("/auth")
        .parse()
        .unwrap();
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(round(house.auth, &guarded));
        peers.push(round(service, &alone));
    }
    let (ours, peer) = (median(ours), median(peers));
    let more = Duration::from_secs_f64((ours - peer).max(0.0));
    report.row(
        "An allowed login through the auth guard, beside the panel's service alone",
        &format!("p50 {}", ms(Duration::from_secs_f64(ours))),
        &format!("p50 {}", ms(Duration::from_secs_f64(peer))),
        &format!("{} more", ms(more)),
        "≤ 1 ms more",
        more <= Duration::from_millis(1),
    );
}

/// The median of a round of logins, one after the other, in seconds.
fn round(address: SocketAddr, requests: &[Vec<u8>]) -> f64 {
    let mut conn = Conn::open(address).unwrap();
    let took = (0..LOGINS).map(|at| {
        let begun = Instant::now();
        let answer = conn.ask(&requests[at % requests.len()]).unwrap();
        assert!(is_yes(&answer.body), "{at}: {}", String::from_utf8_lossy(&answer.body));
        begun.elapsed().as_secs_f64()
    });
    median(took.collect())
}

/// Denials of people with five busy devices each, while the panel answers nobody.
fn denials(report: &mut Report, house: &House, panel: &Arc<BlitzPanel>, runtime: &Runtime) {
    note("guard: denials while the panel hangs");
    panel.fail_next(Op::List, Fault::Hang);
    let before = panel.count(Op::List);
    while panel.count(Op::List) == before {
        thread::sleep(Duration::from_millis(5));
    }
    let (mut refused, mut gone) = (Vec::new(), Vec::new());
    for number in 0..DENIALS {
        let credential = people::credential(&house.key, number);
        let devices: Vec<_> = (0..DEVICES)
            .map(|_| runtime.spawn(busy(panel.clone(), house.auth_url(), credential.clone())))
            .collect();
        let account = people::account(number);
        let online = |panel: &BlitzPanel| panel.node().online().get(&account).copied().unwrap_or(0);
        while online(panel) < DEVICES as u32 {
            thread::sleep(Duration::from_millis(1));
        }
        // One that is let in waits for the panel's service, and cannot see meanwhile that others are refused.
        let asking = [(); PROBES].map(|()| {
            let (request, mut auth) = (login_request(&credential, 40_000), Conn::open(house.auth).unwrap());
            thread::spawn(move || {
                while is_yes(&auth.ask(&request).unwrap().body) {
                    thread::sleep(Duration::from_micros(200));
                }
                Instant::now()
            })
        });
        let path = format!("/user/{}/deactivate", people::id(number));
        let api = house.api;
        let begun = Instant::now();
        let order = thread::spawn(move || House::call(&mut Conn::open(api).unwrap(), &path, &json!({})).0);
        while online(panel) > 0 {
            thread::sleep(Duration::from_micros(500));
        }
        gone.push(begun.elapsed());
        let first = asking.into_iter().map(|it| it.join().unwrap()).min().unwrap();
        refused.push(first.saturating_duration_since(begun));
        assert!(matches!(order.join().unwrap(), 200 | 202));
        for device in devices {
            runtime.block_on(device).unwrap();
        }
    }
    let mut row = |what: &str, times: &[Duration], limit: Duration| {
        let p99 = percentile(times, 0.99);
        report.row(
            &format!("Deactivation until {what}, while the panel hangs"),
            &format!("p50 {}, p99 {}", ms(percentile(times, 0.5)), ms(p99)),
            "",
            &ms(p99),
            &format!("≤ {}", ms(limit)),
            p99 <= limit,
        );
    };
    row("the auth guard refuses", &refused, Duration::from_millis(10));
    row("five busy devices are gone", &gone, Duration::from_secs(1));
}

/// A device that moves a byte every few milliseconds, and comes back when it is cut. Ends when it is refused.
async fn busy(panel: Arc<BlitzPanel>, url: String, credential: String) {
    let connect = async || panel.connect_through(&url, &credential, "192.0.2.1:1000").await;
    let mut device: Session = connect().await.unwrap();
    loop {
        if device.send(10, 10).is_err() {
            match connect().await {
                Ok(again) => device = again,
                Err(_) => return,
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
