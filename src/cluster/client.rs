//! The client of the API server.

use std::time::Duration;

use kube::{Client, Config, client::ClientBuilder};
use tower::timeout::TimeoutLayer;

/// A client whose requests fail when the server has not begun to answer for so long, the client's own retries included. How
/// long an answer then lasts is not bounded: that of a watch goes on.
///
/// Without it one request that a server takes and forgets would stop a watch for good, and with it every denial that it
/// would have told of.
///
/// # Errors
/// The configuration cannot be used.
pub fn bounded(config: Config, timeout: Duration) -> kube::Result<Client> {
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(timeout))
        .build())
}
