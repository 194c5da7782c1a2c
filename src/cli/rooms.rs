//! What the commands ask of other rooms, in the commands' words.

use std::path::Path;

use secrecy::SecretString;
use serde::Serialize;

use super::{exit::CommandError, render::Options};
use crate::model::gateway::HysteriaNode;

/// Something wrong in a folder of desired state.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Problem {
    /// One line that names file, line, column and field where there are any, and says what to do.
    pub message: String,
}

/// A node to render, with its secrets.
#[derive(Debug)]
pub(super) struct RenderedNode<'a> {
    pub node: &'a HysteriaNode,
    /// URL that the node asks, with the path secret in it.
    pub auth_url: SecretString,
    pub stats_secret: Option<SecretString>,
    pub obfs_password: Option<SecretString>,
}

fn missing<T>(what: &str) -> Result<T, CommandError> {
    Err(CommandError::failed(format!("this build has no {what}")))
}

/// Reads a folder, or one file, and answers every problem in it.
pub(super) fn check_folder(path: &Path) -> Result<Vec<Problem>, CommandError> {
    let _ = path;
    missing("folder source")
}

/// The definitions of all kinds, or of one, as YAML.
pub(super) fn crds(kind: Option<&str>) -> Result<String, CommandError> {
    let _ = kind;
    missing("definitions")
}

/// The OpenAPI description of the HTTP API, as JSON.
pub(super) fn openapi() -> Result<String, CommandError> {
    missing("HTTP API")
}

/// A commented server configuration.
pub(super) fn render_node(node: &RenderedNode<'_>, options: &Options) -> Result<String, CommandError> {
    let _ = (
        node.node,
        &node.auth_url,
        &node.stats_secret,
        &node.obfs_password,
        options,
    );
    missing("Hysteria gateway")
}

/// Looks at the database without writing to it and without getting in the way of an operator that has it open.
/// Answers one line on what is in it; `None` when there is none yet.
pub(super) fn check_history(data_dir: &Path) -> Result<Option<String>, String> {
    let _ = data_dir;
    Err("this build has no history".to_owned())
}

/// Looks at the master key in the data folder. Answers its public fingerprint; `None` when there is none yet.
pub(super) fn check_master_key(data_dir: &Path) -> Result<Option<String>, String> {
    let _ = data_dir;
    Err("this build has no credentials".to_owned())
}
