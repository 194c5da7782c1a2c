//! The auth service of a panel, which is asked beside the index: one client, which keeps its connections.
//!
//! The service sleeps for five seconds on a wrong password, so any number of questions may be under way at once, and none waits for
//! another. What it answers is never repeated in a log or an error: it may quote what it was asked.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{body::Bytes, http::StatusCode};
use reqwest::{
    header::{CONTENT_TYPE, HeaderValue},
    redirect,
};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::gateway::{NodeName, names::NodeNames, redact};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection is kept that nobody uses: less than servers keep theirs, so that none is used that is being closed.
const IDLE: Duration = Duration::from_secs(4);
/// The service has answered by then, also to a wrong password. With less time, as for a login that waited for the first load, no
/// answer says nothing of it.
const ENOUGH: Duration = Duration::from_secs(6);
/// The largest answer that is read.
const MAX_ANSWER: usize = 4 * 1024;

/// Why there is no answer that counts. Nobody is let in then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UpstreamError {
    #[error("the HTTP client cannot be made: {0}; is there a bundle of CA certificates on this machine?")]
    Setup(String),
    #[error("cannot be reached, or the connection broke ({0})")]
    Unreachable(String),
    #[error("did not answer in time")]
    Timeout,
    #[error("answered HTTP {0}")]
    Status(u16),
    #[error("answered something that is not the answer of an auth service")]
    Malformed,
}

/// What the service said.
#[derive(Debug, Clone)]
pub(super) enum Said {
    /// Yes, under this id; and the answer as it came.
    Yes(String, Bytes),
    /// No; the answer as it came.
    No(StatusCode, Bytes),
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    id: String,
}

/// What is known of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamHealth {
    /// A login came that it had to be asked about.
    pub asked: bool,
    /// Why its last answer did not count; without secrets.
    pub error: Option<String>,
}

/// The auth service of one panel.
pub(super) struct Upstream {
    node: NodeName,
    url: Url,
    client: Result<reqwest::Client, UpstreamError>,
    asked: AtomicBool,
    failing: AtomicBool,
    error: Mutex<Option<UpstreamError>>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("url", &redact::url(&self.url))
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// The service at this URL, beside which the servers of `node` are answered. Nothing is sent yet.
    pub(super) fn new(node: NodeName, url: Url) -> Self {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::none())
            // A proxy of the environment would be given passwords.
            .no_proxy()
            .dns_resolver(Arc::new(NodeNames))
            .tcp_nodelay(true)
            .build();
        Self {
            node,
            url,
            client: client.map_err(|error| UpstreamError::Setup(redact::cause(error))),
            asked: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            error: Mutex::default(),
        }
    }

    pub(super) fn is_of(&self, node: &NodeName, url: &Url) -> bool {
        self.node == *node && self.url == *url
    }

    /// Asks, with what the panel's server sent, until `deadline`.
    pub(super) async fn ask(&self, body: Bytes, deadline: Instant) -> Result<Said, UpstreamError> {
        let begun = Instant::now();
        let said = timeout_at(deadline, self.ask_once_more(body)).await;
        let said = said.unwrap_or(Err(UpstreamError::Timeout));
        let in_time = begun.elapsed() >= ENOUGH || !matches!(said, Err(UpstreamError::Timeout));
        if in_time {
            self.note(said.as_ref().err());
        }
        said
    }

    /// A connection that was kept may be closed in the moment in which it is used again.
    async fn ask_once_more(&self, body: Bytes) -> Result<Said, UpstreamError> {
        match self.ask_once(body.clone()).await {
            Err(UpstreamError::Unreachable(_)) => self.ask_once(body).await,
            said => said,
        }
    }

    async fn ask_once(&self, body: Bytes) -> Result<Said, UpstreamError> {
        let unreachable = |error: reqwest::Error| UpstreamError::Unreachable(redact::cause(error));
        let request = self.client.as_ref().map_err(Clone::clone)?.post(self.url.clone());
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut response = request.body(body).send().await.map_err(unreachable)?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(UpstreamError::Malformed);
            }
            answer.extend_from_slice(&chunk);
        }
        let body = Bytes::from(answer);
        match status {
            StatusCode::OK => {
                let answer: Answer = serde_json::from_slice(&body).map_err(|_| UpstreamError::Malformed)?;
                Ok(match answer {
                    Answer { ok: true, id } => Said::Yes(id, body),
                    Answer { ok: false, .. } => Said::No(status, body),
                })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(Said::No(status, body)),
            status => Err(UpstreamError::Status(status.as_u16())),
        }
    }

    /// Remembers how it went, and says it when that is another than before.
    fn note(&self, error: Option<&UpstreamError>) {
        self.asked.store(true, Ordering::Relaxed);
        if error.is_none() && !self.failing.load(Ordering::Acquire) {
            return;
        }
        let mut known = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, error) {
            (None, Some(error)) => tracing::warn!(
                guard = %self.node,
                upstream = redact::url(&self.url),
                %error,
                "the panel's auth service does not answer as it should: nobody new gets in there"
            ),
            (Some(_), None) => tracing::info!(guard = %self.node, "the panel's auth service answers again"),
            _ => {}
        }
        self.failing.store(error.is_some(), Ordering::Release);
        *known = error.cloned();
    }

    pub(super) fn health(&self) -> UpstreamHealth {
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        UpstreamHealth {
            asked: self.asked.load(Ordering::Relaxed),
            error: error.map(|error| format!("{} {error}", redact::url(&self.url))),
        }
    }
}
