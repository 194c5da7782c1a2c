//! Client of one node's traffic statistics API.
//!
//! The contract is Hysteria's `trafficStats` handler (2.6 to 2.13): the secret stands in `Authorization` without a
//! scheme; `GET /online` answers `{id: connections}`, `GET /traffic` `{id: {tx, rx}}`, `POST /kick` takes `[id, …]` and
//! answers 200 whether anybody is cut or not.

use std::{collections::HashMap, fmt, time::Duration};

use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::{
    fence::{Fence, Fenced},
    gateway::{
        redact, retry,
        transport::{self, MAX_ANSWER, NoAnswer},
    },
};

/// How long a connection to a node may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a whole call to a node may take.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// Where a node's statistics API is, and its secret.
#[derive(Clone)]
pub struct StatsEndpoint {
    /// Base URL, like `http://127.0.0.1:9999`.
    pub url: Url,
    /// Value of the `Authorization` header.
    pub secret: SecretString,
}

impl StatsEndpoint {
    /// # Errors
    /// The secret cannot stand in a header.
    pub fn check(&self) -> Result<(), StatsError> {
        transport::header(&self.secret).map(drop).ok_or(StatsError::BadSecret)
    }
}

impl fmt::Debug for StatsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsEndpoint")
            .field("url", &redact::url(&self.url))
            .finish_non_exhaustive()
    }
}

impl PartialEq for StatsEndpoint {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// Why a call to a node failed. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// The client itself cannot be made.
    #[error("the HTTP client cannot be made: {0}; is there a bundle of CA certificates on this machine?")]
    Setup(String),
    /// This process does not act: the call was not made.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The secret cannot stand in a header.
    #[error("the statistics secret has characters that an HTTP header cannot carry: use printable ASCII")]
    BadSecret,
    /// No connection.
    #[error("{url} cannot be reached: check the address, the firewall and trafficStats.listen of the node ({cause})")]
    Unreachable {
        /// The address.
        url: String,
        /// What the network said.
        cause: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// No answer in time.
    #[error("{url} did not answer within {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// The address.
        url: String,
    },
    /// The secret is wrong.
    #[error("{url} refused the statistics secret: compare it with trafficStats.secret of the node")]
    Unauthorized {
        /// The address.
        url: String,
    },
    /// Another HTTP status than 200.
    #[error("{url} answered HTTP {status}: is it the statistics API of a Hysteria2 node?")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// More than can be meant.
    #[error("{url} answered more than {} MiB", MAX_ANSWER >> 20)]
    TooLarge {
        /// The address.
        url: String,
    },
    /// Not the JSON that was expected.
    #[error("{url} answered something that is not understood: is it the statistics API of a Hysteria2 node? ({cause})")]
    Malformed {
        /// The address.
        url: String,
        /// Where it goes wrong.
        cause: String,
    },
}

impl StatsError {
    /// There is no answer from `url`.
    fn no_answer(url: String, why: NoAnswer) -> Self {
        match why {
            NoAnswer::Fenced(fenced) => Self::Fenced(fenced),
            NoAnswer::Timeout => Self::Timeout { url },
            NoAnswer::Unreachable { cause, retryable } => Self::Unreachable { url, cause, retryable },
            NoAnswer::TooLarge => Self::TooLarge { url },
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Setup(_) | Self::BadSecret | Self::Unauthorized { .. } | Self::TooLarge { .. } => false,
            Self::Unreachable { retryable, .. } => *retryable,
            Self::Fenced(_) | Self::Timeout { .. } | Self::Malformed { .. } => true,
            Self::Status { status, .. } => retry::status_is_retryable(*status),
        }
    }

    /// A constant for metric labels and reasons.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Fenced(_) => "fenced",
            Self::BadSecret => "bad_secret",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
        }
    }
}

/// Bytes of one session id since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
struct Moved {
    #[serde(default)]
    tx: u64,
    #[serde(default)]
    rx: u64,
}

/// Client of one node. Cheap to clone. It begins no call while its fence is closed; one that was begun before ends within
/// four seconds.
#[derive(Clone)]
pub struct StatsClient {
    http: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    fence: Fence,
}

impl fmt::Debug for StatsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsClient")
            .field("base", &redact::url(&self.base))
            .finish_non_exhaustive()
    }
}

impl StatsClient {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// The secret cannot stand in a header, or the machine has no CA certificates.
    pub fn new(endpoint: &StatsEndpoint, fence: Fence) -> Result<Self, StatsError> {
        let authorization = transport::header(&endpoint.secret).ok_or(StatsError::BadSecret)?;
        let http = transport::client(CONNECT_TIMEOUT, CALL_TIMEOUT)
            .build()
            .map_err(|error| StatsError::Setup(redact::cause(error)))?;
        let base = redact::bare(&endpoint.url);
        Ok(Self {
            http,
            base,
            authorization,
            fence,
        })
    }

    /// Connections by id, those above zero.
    ///
    /// # Errors
    /// The node cannot be reached or does not answer as it should.
    pub async fn online(&self) -> Result<HashMap<String, u32>, StatsError> {
        self.call(Method::GET, "online", None).await.and_then(Answer::json)
    }

    /// (tx, rx) by id since the node started. Reads without zeroing, so that a reader that dies loses nothing.
    ///
    /// # Errors
    /// The node cannot be reached or does not answer as it should.
    pub async fn traffic(&self) -> Result<HashMap<String, (u64, u64)>, StatsError> {
        let answer = self.call(Method::GET, "traffic", None).await?;
        let moved: HashMap<String, Moved> = answer.json()?;
        Ok(moved
            .into_iter()
            .map(|(id, moved)| (id, (moved.tx, moved.rx)))
            .collect())
    }

    /// Adds ids to the node's kick set. That this succeeds does not mean that anybody was disconnected.
    ///
    /// # Errors
    /// The node cannot be reached or does not answer as it should; then nothing may be concluded.
    pub async fn kick(&self, ids: &[String]) -> Result<(), StatsError> {
        self.call(Method::POST, "kick", Some(ids)).await.map(|_| ())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&[String]>) -> Result<Answer, StatsError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        let shown = redact::url(&url);
        let mut request = self
            .http
            .request(method, url)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(ids) = body {
            request = request.json(ids);
        }
        let failed = |why| StatsError::no_answer(shown.clone(), why);
        let response = transport::send(request, &self.fence).await.map_err(failed)?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 => return Err(StatsError::Unauthorized { url: shown }),
            status => return Err(StatsError::Status { url: shown, status }),
        }
        let body = transport::body(response).await.map_err(failed)?;
        Ok(Answer { url: shown, body })
    }
}

struct Answer {
    url: String,
    body: Vec<u8>,
}

impl Answer {
    fn json<T: DeserializeOwned>(self) -> Result<T, StatsError> {
        transport::json(&self.body).map_err(|cause| StatsError::Malformed { url: self.url, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, secret: &str) -> StatsEndpoint {
        StatsEndpoint {
            url: Url::parse(url).unwrap(),
            secret: secret.into(),
        }
    }

    #[test]
    fn neither_the_secret_nor_user_info_is_shown() {
        let endpoint = endpoint("http://who:hunter2@127.0.0.1:9/?token=abc", "s3cret-value");
        let client = StatsClient::new(&endpoint, Fence::always_open()).unwrap();
        let shown = format!("{endpoint:?} {client:?}");
        for secret in ["hunter2", "abc", "s3cret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_secret_that_no_header_can_carry_is_refused_at_once() {
        assert_eq!(
            StatsClient::new(&endpoint("http://127.0.0.1:9", "line\nbreak"), Fence::always_open()).unwrap_err(),
            StatsError::BadSecret
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable_and_worth_trying_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = StatsClient::new(
            &endpoint(&format!("http://user:hunter2@{address}"), "s"),
            Fence::always_open(),
        )
        .unwrap();
        let error = client.online().await.unwrap_err();
        assert_eq!(error.category(), "unreachable");
        assert!(error.is_retryable());
        assert!(
            error.to_string().contains(&format!("http://{address}/online")),
            "{error}"
        );
        assert!(!error.to_string().contains("hunter2"));
    }
}
