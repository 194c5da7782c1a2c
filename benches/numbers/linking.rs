//! Whether the time of an answer tells which corporate IDs exist: codes asked for and wrong codes tried, for people with a mail address,
//! without one, and for IDs of nobody, while the mail server hangs.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    house::House,
    people::{self, Layout},
    proc,
    report::{Report, ms, note, percentile},
    wire::Conn,
};

/// Samples of each kind.
const SAMPLES: usize = 400;
/// The kinds, with what is said of each.
const KINDS: [&str; 3] = ["with a mail address", "without one", "unknown"];
/// In which order they come, so that none is always behind the same one.
const TURNS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
pub fn measure(report: &mut Report) {
    note("linking: known and unknown IDs");
    // It is connected to, and never says a word.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut house = House::with(Layout::Each, 2 * SAMPLES);
    for number in SAMPLES..2 * SAMPLES {
        let document = people::document(number, true, "Person");
        let mail = format!("  email: p{number}@example.com\n");
        assert!(document.contains(&mail));
        let path = people::path(&house.people(), Layout::Each, number);
        people::replace(&path, &document.replace(&mail, ""));
    }
    house.environment = vec![
        ("SMTP_HOST", "127.0.0.1".to_owned()),
        ("SMTP_PORT", hangs.local_addr().unwrap().port().to_string()),
        ("SMTP_FROM", "VPN <vpn@example.com>".to_owned()),
    ];
    let operator = house.start();
    house.wait_usable(2 * SAMPLES - 1);
    proc::wait_idle(operator.pid());
    let mut asked: [Vec<Duration>; 3] = Default::default();
    let mut tried: [Vec<Duration>; 3] = Default::default();
    let mut api = Conn::open(house.api).unwrap();
    for sample in 0..SAMPLES {
        for kind in TURNS[sample % TURNS.len()] {
            let number = sample + kind * SAMPLES;
            let account = 10_000 + number;
            let body = json!({ "corporate_id": people::id(number), "chat": account, "language": "en" });
            let path = format!("/telegram/accounts/{account}");
            asked[kind].push(timed(&mut api, &format!("{path}/code"), &body, 202));
            let wrong = json!({ "chat": account, "code": "00000000" });
            tried[kind].push(timed(&mut api, &format!("{path}/link"), &wrong, 403));
        }
    }
    tell(report, "A code is asked for, the mail server hanging", &asked);
    tell(report, "A wrong code is tried", &tried);
    operator.stop();
}

fn timed(api: &mut Conn, path: &str, body: &serde_json::Value, expected: u16) -> Duration {
    let begin = Instant::now();
    let (status, answer) = House::call(api, path, body);
    let time = begin.elapsed();
    assert_eq!(status, expected, "{answer}");
    time
}

fn tell(report: &mut Report, what: &str, times: &[Vec<Duration>; 3]) {
    let middle = times.each_ref().map(|times| percentile(times, 0.5));
    for ((kind, times), middle) in KINDS.iter().zip(times).zip(middle) {
        let shown = format!("p50 {}, p99 {}", ms(middle), ms(percentile(times, 0.99)));
        report.told(&format!("{what}: an ID {kind}"), &shown, "", "");
    }
    let (least, most) = (middle.iter().min().unwrap(), middle.iter().max().unwrap());
    let apart = most.as_secs_f64() / least.as_secs_f64() - 1.0;
    let value = format!("{:.1} %", apart * 100.0);
    report.told("… and how far the middle ones are apart", "", "", &value);
}
