//! 1,000 accounts at a panel, against the time that the panel takes for 1,000 adds one after the other, and a denial among them. The
//! double takes for each call what was measured at a real panel, scaled down; so does the operator's cycle.

use std::{
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::runtime::Runtime;
use vpn_operator::{
    fence::Fence,
    gateway::blitz::client::{NewAccount, PanelClient, PanelEndpoint},
};

use crate::{
    blitz::{BlitzPanel, Op, PanelCall},
    house::{BINARY, House, Operator},
    hysteria_node::Session,
    people::{self, Layout},
    report::{Report, median, note},
    wire::Conn,
};

const TOKEN: &str = "token-of-the-panel-of-the-benchmark";
const USERS: usize = 1_000;
const ROUNDS: usize = 3;
const DEVICES: usize = 5;
/// Of the time that a call takes at a real panel.
const PACE: f64 = 0.02;
/// The operator's poll interval, scaled down from five seconds.
const POLL: &str = "100ms";
/// What a list is to a real panel, a call of any kind on the average of adds and blocks.
const ADD: Duration = Duration::from_millis(1415);

pub fn measure(report: &mut Report) {
    note(&format!("panel: {USERS} adds, calls at {PACE} of their time"));
    let runtime = Runtime::new().unwrap();
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let mut denials = Vec::new();
    for _ in 0..ROUNDS {
        peer.push(runtime.block_on(serially()));
        let (took, denial) = roll_out(&runtime);
        ours.push(took);
        denials.push(denial);
    }
    let ratio = median(ours.iter().zip(&peer).map(|(ours, peer)| ours / peer).collect());
    report.row(
        &format!("{USERS} accounts made at a panel, with a denial among them"),
        &format!("{:.1} s", median(ours)),
        &format!("{:.1} s for {USERS} adds alone", median(peer)),
        &format!("{ratio:.3}"),
        "≤ 1.1",
        ratio <= 1.1,
    );
    let before = denials.iter().map(|denial| denial.between).max().unwrap_or_default();
    report.row(
        "A denial among them, one add in flight: calls of others before its two blocks",
        &before.to_string(),
        "",
        &before.to_string(),
        "≤ 1",
        before <= 1,
    );
    let after = median(denials.iter().map(|denial| denial.until_zero).collect());
    report.told(
        &format!("Its {DEVICES} busy devices gone after the two blocks"),
        &format!(
            "{} more blocks at most",
            denials.iter().map(|it| it.blocks).max().unwrap_or_default() - 2
        ),
        "an add",
        &format!("{after:.2} adds' time"),
    );
}

/// What the panel takes for the adds alone.
async fn serially() -> f64 {
    let panel = BlitzPanel::start(TOKEN).await;
    panel.set_pace(PACE);
    let endpoint = PanelEndpoint {
        url: panel.url().parse().unwrap(),
        token: TOKEN.into(),
        ca_bundle: None,
    };
    let client = PanelClient::new(&endpoint, Fence::always_open()).unwrap();
    let account = NewAccount {
        password: "a-password-of-thirty-two-letters".into(),
        limit_gb: 0,
        days: 0,
        note: "[vpn-operator]".to_owned(),
    };
    let begin = Instant::now();
    for number in 0..USERS {
        client.add(&people::account(number), &account).await.unwrap();
    }
    begin.elapsed().as_secs_f64()
}

struct Denial {
    /// Calls that the panel took up between the denial and its first block.
    between: usize,
    blocks: usize,
    /// From the end of the second block until the last device was out, in the time of an add.
    until_zero: f64,
}

fn roll_out(runtime: &Runtime) -> (f64, Denial) {
    let panel = runtime.block_on(BlitzPanel::start(TOKEN));
    let house = House::new();
    let operator = start(&house, &panel);
    // Somebody who is there before, and is to go.
    let leaver = USERS;
    let grant = |number: usize| {
        let mut api = Conn::open(house.api).unwrap();
        let (status, answer) = House::call(
            &mut api,
            "/access/grant",
            &json!({ "corporate_id": people::id(number).as_str() }),
        );
        assert!(matches!(status, 200 | 202), "{answer}");
    };
    wait("the operator", || Conn::open(house.api).is_ok());
    grant(leaver);
    let name = people::account(leaver);
    wait("the first account", || panel.account(&name).is_some());
    let password = house.key.password(&people::id(leaver), 1);
    let credential = format!("{name}:{}", password.expose_secret());
    let devices: Vec<thread::JoinHandle<Instant>> = (0..DEVICES)
        .map(|_| {
            let session = runtime.block_on(panel.connect(&credential, "192.0.2.1:1000")).unwrap();
            busy(runtime, &panel, &credential, session)
        })
        .collect();
    panel.set_pace(PACE);
    panel.set_gap(0.5);
    people::write(&house.people(), Layout::Each, USERS);
    wait("the roll-out", || panel.count(Op::Add) > USERS / 4);
    let before = panel.calls().len();
    let mut api = Conn::open(house.api).unwrap();
    let path = format!("/user/{}/deactivate", people::id(leaver));
    let (status, answer) = House::call(&mut api, &path, &json!({}));
    assert!(matches!(status, 200 | 202), "{answer}");
    let out = devices.into_iter().map(|device| device.join().unwrap()).max().unwrap();
    let denial = denial(&panel.calls(), before, out);
    wait("everybody", || panel.database().accounts.len() == USERS + 1);
    let end = Instant::now();
    let first = panel
        .calls()
        .iter()
        .filter(|call| call.op == Op::Add)
        .map(|call| call.at)
        .nth(1)
        .unwrap();
    drop(operator);
    (end.duration_since(first).as_secs_f64(), denial)
}

fn denial(calls: &[PanelCall], before: usize, out: Instant) -> Denial {
    let blocks: Vec<usize> = (before..calls.len()).filter(|at| calls[*at].op == Op::Patch).collect();
    assert!(blocks[1] == blocks[0] + 1, "the two blocks are not one after the other");
    let second_ends = calls[blocks[1]].at + Duration::from_millis(934).mul_f64(PACE);
    let add = ADD.mul_f64(PACE);
    Denial {
        between: blocks[0] - before,
        blocks: blocks.iter().filter(|at| calls[**at].at <= out).count(),
        until_zero: out.saturating_duration_since(second_ends).as_secs_f64() / add.as_secs_f64(),
    }
}

fn start(house: &House, panel: &Arc<BlitzPanel>) -> Operator {
    let mut command = Command::new(BINARY);
    command
        .env("BLITZ_API_URL", panel.url())
        .env("BLITZ_API_TOKEN", TOKEN)
        .env("HYSTERIA_POLL_INTERVAL", POLL);
    house.start_as(command)
}

/// A device that moves a byte every few milliseconds until it is refused, and answers when that was.
fn busy(runtime: &Runtime, panel: &Arc<BlitzPanel>, credential: &str, first: Session) -> thread::JoinHandle<Instant> {
    let (panel, credential, runtime) = (panel.clone(), credential.to_owned(), runtime.handle().clone());
    thread::spawn(move || {
        let mut session = first;
        loop {
            if session.send(10, 10).is_err() {
                match runtime.block_on(panel.connect(&credential, "192.0.2.1:1000")) {
                    Ok(again) => session = again,
                    Err(_) => return Instant::now(),
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
    })
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
