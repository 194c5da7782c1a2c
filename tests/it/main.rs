//! Tests across rooms. One binary, so that they link once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod api;
mod architecture;
mod auth;
mod blitz;
mod cli;
mod crds;
mod end_to_end;
mod folder;
mod history;
mod hr;
mod http;
mod hysteria;
mod kubernetes;
mod mail;
mod packaging;
mod reconcile;
mod roster;
mod support;
