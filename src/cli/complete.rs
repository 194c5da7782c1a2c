//! What a shell is offered for IDs and names of holds: what a running operator has.

use std::{ffi::OsStr, time::Duration};

use clap::{Args, Command, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde_json::Value;

use super::{
    client::{Client, ClientArgs},
    json::{cell, field, list},
};
use crate::config::secrets::process_environment;

/// A person waits with a finger on the tab key.
const PATIENCE: Duration = Duration::from_millis(1500);

/// More than these help nobody.
const MOST: &str = "100";

/// Completes corporate IDs.
pub(super) fn people() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let query = [("q", typed.to_string()), ("limit", MOST.to_owned())];
        candidates(&["users"], "users", &query, &typed, |user| {
            let owner = field(user, "owner").map(|_| cell(user, "owner"));
            let access = cell(user, "access");
            let help = owner.map_or_else(|| access.clone(), |owner| format!("{owner}, {access}"));
            (cell(user, "corporate_id"), help)
        })
    })
}

/// Completes corporate IDs of the registry.
pub(super) fn ids() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let query = [("id", typed.to_string()), ("limit", MOST.to_owned())];
        candidates(&["id", "search"], "ids", &query, &typed, |id| {
            let status = cell(id, "status");
            let owner = field(id, "owner").map(|_| cell(id, "owner"));
            (
                cell(id, "id"),
                owner.map_or_else(|| status.clone(), |owner| format!("{owner}, {status}")),
            )
        })
    })
}

/// Completes names of holds.
pub(super) fn holds() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(&["holds"], "holds", &[], &typed.to_string_lossy(), |hold| {
            (
                cell(hold, "name"),
                format!("{} {}", cell(hold, "phase"), cell(hold, "reason")),
            )
        })
    })
}

fn candidates(
    path: &[&str],
    what: &str,
    query: &[(&str, String)],
    typed: &str,
    read: impl Fn(&Value) -> (String, String),
) -> Vec<CompletionCandidate> {
    // No operator within reach: nothing is offered, and nothing is said in the middle of somebody's typing.
    let answer = ask(path, query).unwrap_or_default();
    let typed = typed.to_lowercase();
    list(&answer, what)
        .iter()
        .map(read)
        .filter(|(value, _)| value.to_lowercase().starts_with(&typed))
        .map(|(value, help)| CompletionCandidate::new(value).help(Some(super::output::printable(&help).into())))
        .collect()
}

fn ask(path: &[&str], query: &[(&str, String)]) -> Option<Value> {
    // As in a command without flags: the environment says which operator.
    let command = ClientArgs::augment_args(Command::new("complete").no_binary_name(true));
    let args = ClientArgs::from_arg_matches(&command.try_get_matches_from::<_, &str>([]).ok()?).ok()?;
    let client = Client::new(&args, &process_environment).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.get(path, query)).await });
    Some(answer.ok()?.ok()?.body)
}
