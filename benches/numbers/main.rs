//! The numbers that the operator is built to reach, measured on the real binary over loopback.
//!
//! `cargo bench --bench numbers [-- WORD…]` with the words below; without a word, all of them. Each ratio comes from one
//! run, in rounds that alternate between the operator and its peer, and is the median of the rounds. See
//! `docs/performance.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a measurement fails by panicking, and counts fit into floats"
)]

mod audit;
mod auth;
mod bot;
mod change;
mod denial;
mod events;
mod forms;
mod grant;
mod growth;
mod guarded;
mod house;
mod linking;
mod load;
mod memory;
mod panel;
mod people;
mod proc;
mod quiet;
mod repair;
mod report;
mod restart;
mod who;
mod wire;

#[path = "../../tests/it/support/hysteria_node.rs"]
#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod hysteria_node;

#[path = "../../tests/it/support/blitz/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the scenarios, which use all of it")]
mod blitz;
#[path = "../../tests/it/support/gate.rs"]
#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod gate;
#[path = "../../tests/it/support/hr.rs"]
#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod hr;
#[path = "../../tests/it/support/net.rs"]
#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod net;
#[path = "../../tests/it/support/telegram.rs"]
#[allow(dead_code, reason = "shared with the scenarios, which use all of it")]
mod telegram;

use report::Report;

type Part = (&'static str, fn(&mut Report));

const PARTS: [Part; 17] = [
    ("auth", auth::measure),
    ("restart", restart::measure),
    ("repair", repair::measure),
    ("change", change::measure),
    ("grant", grant::measure),
    ("denial", denial::measure),
    ("guard", guarded::measure),
    ("events", events::measure),
    ("growth", growth::measure),
    ("memory", memory::measure),
    ("quiet", quiet::measure),
    ("panel", panel::measure),
    ("who", who::measure),
    ("audit", audit::measure),
    ("forms", forms::measure),
    ("bot", bot::measure),
    ("linking", linking::measure),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // The peers run as processes of their own, made of this same binary.
    match args.first().map(String::as_str) {
        Some("--peer-auth") => return auth::peer(),
        Some("--peer-forms") => return forms::peer(&args[1]),
        Some("--peer-parse") => return restart::peer(&args[1]),
        _ => {}
    }
    let words: Vec<&str> = args
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    for word in &words {
        assert!(PARTS.iter().any(|(name, _)| name == word), "no such part: {word}");
    }
    let mut report = Report::default();
    for (name, measure) in PARTS {
        if words.is_empty() || words.contains(&name) {
            measure(&mut report);
        }
    }
    report.print();
}
