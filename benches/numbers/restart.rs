//! From a restart to the last user usable, against merely reading and parsing the same files.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde::Deserialize;
use vpn_operator::model::user::VpnUser;

use crate::{
    house::House,
    people::Layout,
    proc,
    report::{Report, median, ms, note},
};

const ROUNDS: usize = 5;

pub fn measure(report: &mut Report) {
    for count in [10_000, 100_000] {
        for layout in [Layout::Each, Layout::One] {
            note(&format!("restart: {count} users, {}", layout.name()));
            let house = House::with(layout, count);
            let first = timed(|| start(&house, count));
            let (mut operator, first) = (first.0, first.1);
            let (mut ours, mut peer) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                proc::wait_idle(operator.pid());
                operator.stop();
                let (next, took) = timed(|| start(&house, count));
                operator = next;
                ours.push(took);
                proc::wait_idle(operator.pid());
                peer.push(timed(|| parse_elsewhere(&house.people(), count)).1);
            }
            let ratios = ours
                .iter()
                .zip(&peer)
                .map(|(ours, peer)| ours.as_secs_f64() / peer.as_secs_f64());
            let ratio = median(ratios.collect());
            let middle =
                |times: &[Duration]| Duration::from_secs_f64(median(times.iter().map(Duration::as_secs_f64).collect()));
            report.row(
                &format!("Restart, {count} users, {}, to the last one usable", layout.name()),
                &ms(middle(&ours)),
                &format!("{} (parsing)", ms(middle(&peer))),
                &format!("{ratio:.2}"),
                "≤ 2",
                ratio <= 2.0,
            );
            let first_ratio = first.as_secs_f64() / middle(&peer).as_secs_f64();
            report.told(
                &format!("The very first start, {count} users, {}", layout.name()),
                &ms(first),
                &format!("{} (parsing)", ms(middle(&peer))),
                &format!("{first_ratio:.2}"),
            );
        }
    }
}

/// Starts the operator, and waits until the last person can log in.
pub fn start(house: &House, count: usize) -> crate::house::Operator {
    let operator = house.start();
    house.wait_usable(count - 1);
    operator
}

/// Does it, and says how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let done = work();
    (done, begin.elapsed())
}

fn parse_elsewhere(folder: &Path, count: usize) {
    let this = std::env::current_exe().unwrap();
    let done = Command::new(this).arg("--peer-parse").arg(folder).output().unwrap();
    let parsed: usize = String::from_utf8_lossy(&done.stdout).trim().parse().unwrap();
    assert_eq!(parsed, count);
}

/// Reads every file of a folder, and parses every document of it. Keeps what it parsed, as any use of it would.
pub fn peer(folder: &str) {
    let mut users: Vec<VpnUser> = Vec::new();
    let mut folders = vec![Path::new(folder).to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap();
            for document in serde_yaml::Deserializer::from_str(&text) {
                users.push(VpnUser::deserialize(document).unwrap());
            }
        }
    }
    println!("{}", users.len());
    // Giving the memory back is no part of reading.
    std::mem::forget(users);
}
