//! The one binary. Everything it does is in the library; see [`vpn_operator::cli`].

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use vpn_operator::cli::{self, Cli, Exit};

fn main() -> ExitCode {
    // One TLS provider in the process. That one is installed already is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli::complete() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => return cli::report(&error.to_string(), Exit::Failed).into(),
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::report(&format!("cannot start the runtime: {error}"), Exit::Failed).into(),
    };
    let exit = runtime.block_on(cli::main(cli));
    // What still blocks has been given up: a command that was interrupted ends.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit.into()
}
