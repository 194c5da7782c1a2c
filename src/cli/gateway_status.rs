//! `gateway status`: how the gateways are, through the API.

use jiff::SignedDuration;
use serde_json::Value;

use super::{
    ask::Ask,
    exit::CommandError,
    human::{Moments, coarse},
    json::{cell, field, list, text},
    output::{Form, Output, note},
    user::client,
};

/// Columns of a terminal that everything fits into.
const WIDTH: u16 = 80;

/// What accounts wait for, as the API names it.
const WORKS: [&str; 6] = ["block", "prove", "delete", "add", "change", "compare"];

pub(super) async fn run(name: Option<&str>, ask: &Ask, output: &mut Output) -> Result<(), CommandError> {
    let path: Vec<&str> = ["gateways"].into_iter().chain(name).collect();
    let answer = client(ask)?.get(&path, &[]).await?.body;
    match (ask.output.output, name) {
        (Form::Json, _) => output.json(&answer),
        (Form::Table, None) => all(&answer, output),
        (Form::Table, Some(_)) => one(&answer, output),
    }
}

fn all(answer: &Value, output: &mut Output) -> Result<(), CommandError> {
    let gateways = list(answer, "gateways");
    if gateways.is_empty() {
        note("There is no gateway.");
        return Ok(());
    }
    let row = |gateway: &Value| {
        [
            cell(gateway, "name"),
            cell(gateway, "kind"),
            nodes(gateway),
            cell(gateway, "sessions"),
            waiting(gateway),
            left(gateway),
        ]
    };
    output.table_within(
        WIDTH,
        ["GATEWAY", "KIND", "NODES", "SESSIONS", "WAITING", "TIME LEFT"],
        gateways.iter().map(row),
    )?;
    for gateway in gateways.iter().filter(|it| field(it, "error").is_some()) {
        output.line("")?;
        output.wrapped(WIDTH, &format!("{}: {}", cell(gateway, "name"), cell(gateway, "error")))?;
    }
    Ok(())
}

fn one(gateway: &Value, output: &mut Output) -> Result<(), CommandError> {
    let facts = [
        ("gateway", cell(gateway, "name")),
        ("kind", cell(gateway, "kind")),
        ("nodes", format!("{} reachable", nodes(gateway))),
        ("sessions", cell(gateway, "sessions")),
        ("waiting", waiting(gateway)),
        ("time left", left(gateway)),
        ("error", cell(gateway, "error")),
    ];
    output.facts(WIDTH, facts)?;
    let nodes = list(gateway, "nodes");
    if nodes.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let moments = Moments::here();
    let row = |node: &Value| {
        [
            cell(node, "name"),
            cell(node, "reachable"),
            cell(node, "sessions"),
            moments.ago(node, "last_poll"),
            cell(node, "error"),
        ]
    };
    output.table_within(
        WIDTH,
        ["NODE", "REACHABLE", "SESSIONS", "LAST POLL", "ERROR"],
        nodes.iter().map(row),
    )
}

/// How many nodes answer, of how many: `1/2`.
fn nodes(gateway: &Value) -> String {
    format!("{}/{}", cell(gateway, "reachable_nodes"), list(gateway, "nodes").len())
}

/// How many accounts wait for what.
fn waiting(gateway: &Value) -> String {
    let counts = field(gateway, "waiting");
    let count = |name| counts.and_then(|counts| field(counts, name));
    let waits = WORKS.into_iter().filter_map(|name| {
        let count = count(name).filter(|count| count.as_u64() != Some(0))?;
        Some(format!("{} {name}", text(count)))
    });
    let waiting: Vec<String> = waits.collect();
    if waiting.is_empty() {
        "-".to_owned()
    } else {
        waiting.join(", ")
    }
}

fn left(gateway: &Value) -> String {
    let seconds = field(gateway, "seconds_left").and_then(Value::as_i64);
    seconds.map_or_else(
        || "-".to_owned(),
        |seconds| format!("about {}", coarse(SignedDuration::from_secs(seconds))),
    )
}
