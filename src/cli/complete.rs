//! What a shell is offered for IDs and names of holds: what a running operator has.

use std::{ffi::OsStr, time::Duration};

use clap::{Args, Command, FromArgMatches};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use serde::de::DeserializeOwned;

use super::{
    client::{Client, ClientArgs},
    human::known,
};
use crate::{
    api::{holds::HoldsBody, ids::IdsBody, users::UsersBody},
    config::secrets::process_environment,
};

/// A person waits with a finger on the tab key.
const PATIENCE: Duration = Duration::from_millis(1500);

/// More than these help nobody.
const MOST: &str = "100";

/// Completes corporate IDs.
pub(super) fn people() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let query = [("q", typed.to_string()), ("limit", MOST.to_owned())];
        let users = ask(&["users"], &query).map_or_else(Vec::new, |UsersBody { users, .. }| users);
        let offered = users.into_iter().map(|user| {
            let owner = user.owner.map(|owner| format!("{owner}, "));
            (user.corporate_id, owner.unwrap_or_default() + &user.access)
        });
        candidates(&typed, offered)
    })
}

/// Completes corporate IDs of the registry.
pub(super) fn ids() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let typed = typed.to_string_lossy();
        let query = [("id", typed.to_string()), ("limit", MOST.to_owned())];
        let ids = ask(&["id", "search"], &query).map_or_else(Vec::new, |IdsBody { ids, .. }| ids);
        let offered = ids.into_iter().map(|id| {
            let owner = id.owner.map(|owner| format!("{owner}, "));
            (id.id, owner.unwrap_or_default() + &id.status)
        });
        candidates(&typed, offered)
    })
}

/// Completes names of holds.
pub(super) fn holds() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let holds = ask(&["holds"], &[]).map_or_else(Vec::new, |HoldsBody { holds }| holds);
        let offered = holds
            .into_iter()
            .map(|hold| (hold.name, format!("{} {}", hold.phase, known(hold.reason))));
        candidates(&typed.to_string_lossy(), offered)
    })
}

fn candidates(typed: &str, offered: impl Iterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let typed = typed.to_lowercase();
    offered
        .filter(|(value, _)| value.to_lowercase().starts_with(&typed))
        .map(|(value, help)| CompletionCandidate::new(value).help(Some(super::output::printable(&help).into())))
        .collect()
}

/// Nothing without an operator within reach: nothing is offered then, and nothing is said in the middle of somebody's typing.
fn ask<T: DeserializeOwned>(path: &[&str], query: &[(&str, String)]) -> Option<T> {
    // As in a command without flags: the environment says which operator.
    let command = ClientArgs::augment_args(Command::new("complete").no_binary_name(true));
    let args = ClientArgs::from_arg_matches(&command.try_get_matches_from::<_, &str>([]).ok()?).ok()?;
    let client = Client::new(&args, &process_environment).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let answer = runtime.block_on(async { tokio::time::timeout(PATIENCE, client.get(path, query)).await });
    answer.ok()?.ok()?.read().ok()
}
