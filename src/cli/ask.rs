//! Arguments that every client command has.

use clap::Args;

use super::{client::ClientArgs, output::OutputArgs};

/// Arguments that every client command has.
#[derive(Debug, Args)]
pub struct Ask {
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Client.
    #[command(flatten)]
    pub client: ClientArgs,
}
