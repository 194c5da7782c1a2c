//! One file changes among many: until auth answers differently, and what it costs.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use crate::{
    house::{House, Operator},
    people::{self, Layout},
    proc::{self, Cpu},
    report::{Report, median, ms, note},
    wire::Conn,
};

const SAMPLES: usize = 20;

pub fn measure(report: &mut Report) {
    let mut costs = Vec::new();
    for count in [1_000, 10_000, 100_000] {
        note(&format!("change: {count} users, one file each"));
        let house = House::with(Layout::Each, count);
        let operator = settled(&house, count);
        let times: Vec<_> = (0..SAMPLES)
            .map(|sample| one_file(&house, count / 2 + sample % 4))
            .collect();
        proc::wait_idle(operator.pid());
        costs.push(median(
            (0..SAMPLES).map(|sample| cost(&house, &operator, sample % 4)).collect(),
        ));
        if count == 100_000 {
            tell(
                report,
                "One file changes among 100,000 users, until auth answers differently",
                &times,
            );
        }
    }
    let shown = |cost: &f64| format!("{:.2} ms", cost * 1e3);
    report.row(
        "CPU of one change, 100,000 users against 1,000",
        &shown(&costs[2]),
        &format!("{} (10,000: {})", shown(&costs[0]), shown(&costs[1])),
        &format!("{:.2}", costs[2] / costs[0]),
        "in proportion to the file",
        costs[2] <= costs[0] * 2.0,
    );
    note("change: 100,000 users, all in one file");
    let house = House::with(Layout::One, 100_000);
    let operator = settled(&house, 100_000);
    let times: Vec<_> = (0..SAMPLES / 2).map(|sample| one_document(&house, sample)).collect();
    tell(
        report,
        "One document changes in a file of 100,000, until auth answers differently",
        &times,
    );
    drop(operator);
}

fn settled(house: &House, count: usize) -> Operator {
    let operator = house.start();
    house.wait_usable(count - 1);
    proc::wait_idle(operator.pid());
    operator
}

fn tell(report: &mut Report, what: &str, times: &[Duration]) {
    let (middle, worst) = (crate::report::percentile(times, 0.5), times.iter().max().unwrap());
    let shown = format!("median {}, worst {}", ms(middle), ms(*worst));
    report.row(what, &shown, "", &ms(*worst), "≤ 1 s", *worst <= Duration::from_secs(1));
}

/// Flips one person, and waits until auth says so.
fn one_file(house: &House, number: usize) -> Duration {
    let path = people::path(&house.people(), Layout::Each, number);
    let mut conn = Conn::open(house.auth).unwrap();
    let was = house.login(&mut conn, number);
    let text = people::document(number, !was, "Person");
    let begin = Instant::now();
    people::replace(&path, &text);
    until(house, &mut conn, number, !was, begin)
}

fn one_document(house: &House, number: usize) -> Duration {
    let path = people::path(&house.people(), Layout::One, number);
    let mut conn = Conn::open(house.auth).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let was = house.login(&mut conn, number);
    let (old, new) = (
        people::document(number, was, "Person"),
        people::document(number, !was, "Person"),
    );
    let text = text.replacen(&old, &new, 1);
    let begin = Instant::now();
    people::replace(&path, &text);
    until(house, &mut conn, number, !was, begin)
}

fn until(house: &House, conn: &mut Conn, number: usize, expected: bool, begin: Instant) -> Duration {
    while house.login(conn, number) != expected {
        assert!(begin.elapsed() < Duration::from_secs(60), "the change is not seen");
        thread::sleep(Duration::from_micros(200));
    }
    let took = begin.elapsed();
    thread::sleep(Duration::from_millis(500));
    took
}

/// CPU seconds of a change and everything that follows from it, while nobody asks.
fn cost(house: &House, operator: &Operator, number: usize) -> f64 {
    let path = people::path(&house.people(), Layout::Each, number);
    let text = fs::read_to_string(&path).unwrap();
    let flipped = people::document(number, text.contains("active: false"), "Person");
    let before = Cpu::of(operator.pid());
    people::replace(&path, &flipped);
    thread::sleep(Duration::from_millis(600));
    before.until(&Cpu::of(operator.pid())).as_secs_f64()
}
