//! `gateway status`: how the gateways are, through the API.

use jiff::SignedDuration;

use super::{
    ask::Ask,
    exit::CommandError,
    human::{Moments, coarse, known, listed, yes_or_no},
    output::{Form, Output, note},
    user::client,
};
use crate::api::gateways::{GatewayStatusBody, GatewaysBody, NodeBody};

/// Columns of a terminal that everything fits into.
const WIDTH: u16 = 80;

pub(super) async fn run(name: Option<&str>, ask: &Ask, output: &mut Output) -> Result<(), CommandError> {
    let path: Vec<&str> = ["gateways"].into_iter().chain(name).collect();
    let answer = client(ask)?.get(&path, &[]).await?;
    match (ask.output.output, name) {
        (Form::Json, _) => output.json(&answer.body),
        (Form::Table, None) => all(&answer.read()?, output),
        (Form::Table, Some(_)) => one(&answer.read()?, output),
    }
}

fn all(GatewaysBody { gateways }: &GatewaysBody, output: &mut Output) -> Result<(), CommandError> {
    if gateways.is_empty() {
        note("There is no gateway.");
        return Ok(());
    }
    let row = |gateway: &GatewayStatusBody| {
        [
            gateway.name.clone(),
            known(gateway.kind.as_ref()),
            nodes(gateway),
            gateway.sessions.to_string(),
            waiting(gateway),
            left(gateway),
        ]
    };
    output.table_within(
        WIDTH,
        ["GATEWAY", "KIND", "NODES", "SESSIONS", "WAITING", "TIME LEFT"],
        gateways.iter().map(row),
    )?;
    for (name, error) in gateways.iter().filter_map(|it| Some((&it.name, it.error.as_ref()?))) {
        output.line("")?;
        output.wrapped(WIDTH, &format!("{name}: {error}"))?;
    }
    Ok(())
}

fn one(gateway: &GatewayStatusBody, output: &mut Output) -> Result<(), CommandError> {
    let facts = [
        ("gateway", gateway.name.clone()),
        ("kind", known(gateway.kind.as_ref())),
        ("nodes", format!("{} reachable", nodes(gateway))),
        ("sessions", gateway.sessions.to_string()),
        ("waiting", waiting(gateway)),
        ("time left", left(gateway)),
        ("error", known(gateway.error.as_ref())),
    ];
    output.facts(WIDTH, facts)?;
    if gateway.nodes.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let moments = Moments::here();
    let row = |node: &NodeBody| {
        [
            node.name.clone(),
            known(node.reachable.map(yes_or_no)),
            node.sessions.to_string(),
            moments.ago(node.last_poll),
            known(node.error.as_ref()),
        ]
    };
    output.table_within(
        WIDTH,
        ["NODE", "REACHABLE", "SESSIONS", "LAST POLL", "ERROR"],
        gateway.nodes.iter().map(row),
    )
}

/// How many nodes answer, of how many: `1/2`.
fn nodes(gateway: &GatewayStatusBody) -> String {
    format!("{}/{}", gateway.reachable_nodes, gateway.nodes.len())
}

/// How many accounts wait for what.
fn waiting(gateway: &GatewayStatusBody) -> String {
    let counts = &gateway.waiting;
    let waits = [
        (counts.block, "block"),
        (counts.prove, "prove"),
        (counts.delete, "delete"),
        (counts.add, "add"),
        (counts.change, "change"),
        (counts.compare, "compare"),
    ];
    let waits = waits.into_iter().filter(|(count, _)| *count > 0);
    listed(&waits.map(|(count, name)| format!("{count} {name}")).collect::<Vec<_>>())
}

fn left(gateway: &GatewayStatusBody) -> String {
    let seconds = gateway.seconds_left.and_then(|seconds| i64::try_from(seconds).ok());
    known(seconds.map(|seconds| format!("about {}", coarse(SignedDuration::from_secs(seconds)))))
}
