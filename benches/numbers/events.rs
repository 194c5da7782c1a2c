//! Events of the HR system: how many are durable in a second, how soon one denies, and what a burst does to others.

use std::{
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vpn_operator::inbox;

use crate::{
    house::House,
    hr::{HUB_SECRET, event, hub},
    people::{self, Layout},
    proc,
    report::{Report, median, ms, note, percentile},
    wire::{Conn, post},
};

const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
/// Events of a round.
const ACCEPTED: usize = 4_000;
const DENIALS: usize = 200;
const BURST: usize = 5_000;
/// Whom others deny during the burst.
const OTHERS: usize = 100;

pub fn measure(report: &mut Report) {
    let count = BURST + DENIALS + OTHERS;
    note(&format!("events: {count} users, one file each"));
    let mut house = House::with(Layout::Each, count);
    house.environment = vec![
        ("WEBHOOK_SECRET", HUB_SECRET.to_owned()),
        ("GUARD_LIMIT", "off".to_owned()),
    ];
    let operator = house.start();
    house.wait_usable(count - 1);
    proc::wait_idle(operator.pid());
    denials(report, &house);
    accepted(report, &house);
    proc::wait_idle(operator.pid());
    burst(report, &house);
}

fn request(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let header = format!("X-Hub-Signature-256: {}\r\n", hub(body.as_bytes()));
    post("/webhooks/hr-events", &header, &body)
}

/// A leaver, by number.
fn left(number: usize) -> Value {
    let at = Timestamp::now().to_string();
    event(
        "user_deactivated",
        people::id(number).as_str(),
        &at,
        json!({ "deactivation_reason": "left" }),
    )
}

/// What is announced for later: it is kept, and nothing else is done about it now.
fn announced(number: usize) -> Value {
    let data = json!({ "new_role": "engineer", "effective_date": "2099-01-01", "number": number });
    event(
        "user_role_changed",
        people::id(number % 1000).as_str(),
        "2026-01-01T00:00:00Z",
        data,
    )
}

/// Takes numbers in turn until all are taken, on so many threads. Answers how long it took.
fn on_all_connections(total: usize, work: impl Fn(&AtomicUsize) + Sync) -> Duration {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| work(&next));
        }
    });
    assert!(next.load(Ordering::Relaxed) >= total);
    begun.elapsed()
}

fn send_all(house: &House, requests: &[Vec<u8>]) -> Duration {
    on_all_connections(requests.len(), |next| {
        let mut conn = Conn::open(house.api).unwrap();
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = conn.ask(request).unwrap();
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        }
    })
}

fn accepted(report: &mut Report, house: &House) {
    note("events: 32 connections, in rounds with SQLite alone");
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let numbers = round * ACCEPTED..(round + 1) * ACCEPTED;
        let requests: Vec<Vec<u8>> = numbers.map(|number| request(&announced(number))).collect();
        ours.push(ACCEPTED as f64 / send_all(house, &requests).as_secs_f64());
        peers.push(ACCEPTED as f64 / alone(house.root(), round).as_secs_f64());
    }
    let (ours, peer) = (median(ours), median(peers));
    report.row(
        "HR events accepted and durable, 32 connections, against SQLite alone with grouped commits",
        &format!("{ours:.0}/s"),
        &format!("{peer:.0}/s"),
        &format!("{:.2}", ours / peer),
        "≥ 0.7",
        ours >= peer * 0.7,
    );
}

/// A row that is to be written, and who waits for it.
type Row = (usize, String, mpsc::Sender<()>);

/// What the inbox writes for an event.
const INSERT: &str = "INSERT INTO events (received_at, scheme, digest, body, event_type, corporate_id, corporate_key, said_at, ordered_at, \
                      request_id, state, reason, due_at, scheduled, changed_at) \
                      VALUES (?1, 'hub', ?2, ?3, 'user_role_changed', 'AB000001', 'ab000001', ?1, ?1, ?4, 'pending', \
                      'it takes effect at 2099-01-01T00:00:00Z', ?5, 1, ?1)";

/// The same rows by SQLite alone, into the same tables: as many threads hand them to one writer, which commits what waits together.
fn alone(folder: &Path, round: usize) -> Duration {
    let conn = Connection::open(folder.join(format!("alone-{round}.db"))).unwrap();
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
        .unwrap();
    for step in inbox::schema().steps {
        conn.execute_batch(step).unwrap();
    }
    let (sender, receiver) = mpsc::channel::<Row>();
    let writer = thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let group: Vec<Row> = std::iter::once(first).chain(receiver.try_iter()).collect();
            let transaction = conn.unchecked_transaction().unwrap();
            for (_, body, _) in &group {
                let now = Timestamp::now().as_microsecond();
                let digest: [u8; 32] = Sha256::digest(body).into();
                let request = format!("{:032x}", u128::from_be_bytes(*digest.first_chunk().unwrap()));
                transaction
                    .prepare_cached(INSERT)
                    .unwrap()
                    .execute(params![now, digest, body.as_bytes(), request, now + 1])
                    .unwrap();
            }
            transaction.commit().unwrap();
            for (_, _, done) in group {
                let _ = done.send(());
            }
        }
    });
    let bodies: Vec<String> = (0..ACCEPTED).map(|number| announced(number).to_string()).collect();
    let took = on_all_connections(ACCEPTED, |next| {
        let sender = sender.clone();
        let (done, durable) = mpsc::channel();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = bodies.get(number) else { return };
            sender.send((number, body.clone(), done.clone())).unwrap();
            durable.recv().unwrap();
        }
    });
    drop(sender);
    writer.join().unwrap();
    took
}

fn denials(report: &mut Report, house: &House) {
    note("events: one after the other, until auth refuses");
    let times: Vec<Duration> = (BURST..BURST + DENIALS)
        .map(|number| {
            let mut conn = Conn::open(house.api).unwrap();
            until_refused(house, number, move || {
                let answer = conn.ask(&request(&left(number))).unwrap();
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            })
        })
        .collect();
    let (middle, tail) = (percentile(&times, 0.5), percentile(&times, 0.99));
    report.row(
        "An HR event sent, until auth refuses",
        &format!("p50 {}, p99 {}", ms(middle), ms(tail)),
        "",
        &ms(tail),
        "p99 ≤ 50 ms",
        tail <= Duration::from_millis(50),
    );
}

/// Until auth refuses a person, from the moment at which `order` begins.
fn until_refused(house: &House, number: usize, order: impl FnOnce() + Send) -> Duration {
    let mut auth = Conn::open(house.auth).unwrap();
    assert!(house.login(&mut auth, number), "{number} has no access to lose");
    thread::scope(|scope| {
        let begun = Instant::now();
        scope.spawn(order);
        while house.login(&mut auth, number) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{number} is still let in");
            thread::sleep(Duration::from_micros(200));
        }
        begun.elapsed()
    })
}

fn burst(report: &mut Report, house: &House) {
    note(&format!("events: {BURST} in one burst"));
    let requests: Vec<Vec<u8>> = (0..BURST).map(|number| request(&left(number))).collect();
    let begun = Instant::now();
    let (answered, others) = thread::scope(|scope| {
        let sending = scope.spawn(|| send_all(house, &requests));
        let mut others = Vec::new();
        for number in BURST + DENIALS..BURST + DENIALS + OTHERS {
            if sending.is_finished() {
                break;
            }
            let mut conn = Conn::open(house.api).unwrap();
            others.push(until_refused(house, number, move || {
                let path = format!("/user/{}/deactivate", people::id(number));
                assert_eq!(House::call(&mut conn, &path, &json!({})).0, 200);
            }));
        }
        (sending.join().unwrap(), others)
    });
    let mut auth = Conn::open(house.auth).unwrap();
    for number in 0..BURST {
        while house.login(&mut auth, number) {
            assert!(begun.elapsed() < Duration::from_secs(600), "{number} is still let in");
            thread::sleep(Duration::from_millis(5));
        }
    }
    let refused = begun.elapsed();
    report.told(
        "5,000 HR events in one burst, 32 connections",
        &format!("all answered after {}", ms(answered)),
        "",
        &format!("all out after {}", ms(refused)),
    );
    let tail = percentile(&others, 0.99);
    report.row(
        "… denials of others meanwhile, until auth refuses",
        &format!(
            "p50 {}, p99 {} ({} of them)",
            ms(percentile(&others, 0.5)),
            ms(tail),
            others.len()
        ),
        "",
        &ms(tail),
        "p99 ≤ 300 ms",
        tail <= Duration::from_millis(300),
    );
}
