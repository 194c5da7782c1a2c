//! What calls to nodes and panels have in common: a client that follows nobody, and answers that are bounded.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, header::HeaderValue, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{names::NodeNames, redact, retry};
use crate::fence::{Fence, Fenced};

/// The largest answer that is read. A hundred thousand sessions take about 8 MiB, as many accounts about 28 MiB.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// This process does not act: the call was not made.
    Fenced(Fenced),
    /// None came in time. Whether what was asked for was done is not known.
    Timeout,
    /// No connection, or it broke. Whether what was asked for was done is not known.
    Unreachable {
        /// What the network said.
        cause: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// It is larger than [`MAX_ANSWER`].
    TooLarge,
}

impl From<reqwest::Error> for NoAnswer {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() && !error.is_connect() {
            Self::Timeout
        } else {
            Self::Unreachable {
                retryable: retry::transport_is_retryable(&error),
                cause: redact::cause(error),
            }
        }
    }
}

/// A client for addresses that somebody declared.
pub(super) fn client(connect: Duration, whole_call: Duration) -> ClientBuilder {
    Client::builder()
        .connect_timeout(connect)
        .timeout(whole_call)
        // Whoever is redirected to would be given the secret: a panel names its own host, over plain HTTP.
        .redirect(redirect::Policy::none())
        // A proxy of the environment would be given it as well.
        .no_proxy()
        .dns_resolver(Arc::new(NodeNames))
        .tcp_nodelay(true)
}

/// A secret as the value of a header, which is not shown. `None`: no header can carry it.
pub(super) fn header(secret: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Makes a call, unless the fence is closed.
pub(super) async fn send(request: RequestBuilder, fence: &Fence) -> Result<Response, NoAnswer> {
    // Nothing comes between the look at the fence and the call.
    fence.check().map_err(NoAnswer::Fenced)?;
    Ok(request.send().await?)
}

/// Reads an answer to its end.
pub(super) async fn body(mut response: Response) -> Result<Vec<u8>, NoAnswer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Understands an answer. The error says where it goes wrong, and quotes nothing of it.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| {
        // Position and kind only: the message of a data error can quote the answer.
        format!(
            "{:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        )
    })
}
