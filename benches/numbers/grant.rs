//! From a grant to a client that could connect, against the same number of fsyncs done bare.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    house::{BINARY, House},
    people::{self, Layout},
    proc,
    report::{Report, median, note},
    wire::Conn,
};

const USERS: usize = 10_000;
const ROUNDS: usize = 9;
/// Grants of a round, of each of those that grant at the same time.
const EACH: usize = 20;

pub fn measure(report: &mut Report) {
    for concurrency in [1, 16] {
        note(&format!("grant: concurrency {concurrency}"));
        let fsyncs = count_fsyncs(concurrency);
        let house = House::with(Layout::Each, USERS);
        let operator = house.start();
        house.wait_usable(USERS - 1);
        proc::wait_idle(operator.pid());
        let next = AtomicUsize::new(USERS);
        let bare = house.root().join("bare");
        fs::create_dir(&bare).unwrap();
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let took = at_once(concurrency, |_| grant(&house, &next));
            let took_bare = at_once(concurrency, |at| write_bare(&bare, round, at, fsyncs));
            // The first round warms both up.
            if round > 0 {
                ours.push(took);
                peer.push(took_bare);
            }
            thread::sleep(Duration::from_millis(300));
        }
        let ratio = median(ours.iter().zip(&peer).map(|(ours, peer)| ours / peer).collect());
        let each = |times: &[f64]| median(times.to_vec()) / (EACH * concurrency) as f64 * 1e3;
        report.row(
            &format!("Grant until a client could connect, concurrency {concurrency} ({fsyncs:.1} fsyncs each)"),
            &format!("{:.2} ms a grant", each(&ours)),
            &format!("{:.2} ms bare", each(&peer)),
            &format!("{ratio:.2}"),
            "≤ 2",
            ratio <= 2.0,
        );
        drop(operator);
    }
}

/// Runs so many workers, and answers how long all of them took.
fn at_once(concurrency: usize, work: impl Fn(usize) + Sync) -> f64 {
    let begin = Instant::now();
    thread::scope(|scope| {
        for at in 0..concurrency {
            let work = &work;
            scope.spawn(move || work(at));
        }
    });
    begin.elapsed().as_secs_f64()
}

fn grant(house: &House, next: &AtomicUsize) {
    let (mut api, mut auth) = (Conn::open(house.api).unwrap(), Conn::open(house.auth).unwrap());
    for _ in 0..EACH {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "corporate_id": people::id(number).as_str() });
        let (status, answer) = House::call(&mut api, "/access/grant", &body);
        assert_eq!(status, 200, "{answer}");
        assert!(house.login(&mut auth, number), "the answer came too early");
    }
}

/// The writes of a grant and nothing else: a file in one step, and an entry in a log.
fn write_bare(folder: &Path, round: usize, worker: usize, fsyncs: f64) {
    let logged_share = fsyncs - 2.0;
    let mut log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut logged = 0.0;
    for number in 0..EACH {
        let document = people::document(number, true, "Person");
        let temporary = folder.join(format!(".{round}-{worker}-{number}"));
        let mut file = File::create_new(&temporary).unwrap();
        file.write_all(document.as_bytes()).unwrap();
        file.sync_all().unwrap();
        fs::rename(&temporary, folder.join(format!("{round}-{worker}-{number}.yaml"))).unwrap();
        File::open(folder).unwrap().sync_all().unwrap();
        while logged + 0.5 < logged_share * (number + 1) as f64 {
            log.write_all(document.as_bytes()).unwrap();
            log.sync_data().unwrap();
            logged += 1.0;
        }
    }
}

/// Fsyncs a grant, as the kernel sees them; three if it cannot be asked.
fn count_fsyncs(concurrency: usize) -> f64 {
    let house = House::with(Layout::Each, 100);
    let trace = house.root().join("trace");
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(BINARY);
    if Command::new("strace").arg("-V").output().is_err() {
        return 3.0;
    }
    let tracer = house.start_as(command);
    house.wait_usable(99);
    thread::sleep(Duration::from_secs(2));
    let count = || {
        fs::read_to_string(&trace)
            .unwrap()
            .lines()
            .filter(|line| line.contains("sync("))
            .count()
    };
    let before = count();
    let next = AtomicUsize::new(100);
    at_once(concurrency, |_| grant(&house, &next));
    let after = count();
    tracer.stop_traced();
    (after - before) as f64 / (EACH * concurrency) as f64
}
