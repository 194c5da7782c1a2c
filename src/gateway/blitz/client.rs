//! Client of a Blitz panel's users API, as the panel (2.5) behaves.
//!
//! What a caller must know: the panel works on one call at a time and takes most of a second for each, up to 70 s while its
//! database is away. A call that was given up on is worked on all the same. `PATCH` and `DELETE` kick the account first and write
//! then, whether anything changes or not. What the panel says about an error can quote passwords, so none of it is ever repeated:
//! it is sorted by the words that it is known to hold, and forgotten.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use jiff::civil::Date;
use reqwest::{
    Certificate, Method,
    header::{AUTHORIZATION, HeaderValue},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use url::Url;

use crate::{
    fence::{Fence, Fenced},
    gateway::{names::NodeNames, redact, retry},
};

/// How long a connection to the panel may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take: the longest that a panel without its database was seen to take is 70 s.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(90);
/// The largest answer that is read. A hundred thousand accounts take about 28 MiB.
const MAX_ANSWER: usize = 64 << 20;
/// All that a panel without accounts answers, with status 400. Whatever else is not a 200 says nothing about who is there.
const NO_ACCOUNTS: &str = "Error: 404: No users found.";

/// Where a panel is, and how it is asked.
#[derive(Clone)]
pub struct PanelEndpoint {
    /// Base URL with the panel's root path, like `https://panel.example:28260/rootpath`.
    pub url: Url,
    /// API token of the panel.
    pub token: SecretString,
    /// PEM certificates of the authority that signed the panel's certificate, beside those of this machine.
    pub ca_bundle: Option<String>,
}

impl fmt::Debug for PanelEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The root path keeps strangers from the panel's pages: it is not shown.
        f.debug_struct("PanelEndpoint").finish_non_exhaustive()
    }
}

impl PartialEq for PanelEndpoint {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
            && self.ca_bundle == other.ca_bundle
            && self.token.expose_secret() == other.token.expose_secret()
    }
}

/// Why a call to a panel failed. Holds nothing of what the panel said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PanelError {
    /// The client itself cannot be made.
    #[error("the HTTP client cannot be made: {0}; is there a bundle of CA certificates on this machine?")]
    Setup(String),
    /// This process does not act: the call was not made.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The token cannot stand in a header.
    #[error("the panel's token has characters that an HTTP header cannot carry: use printable ASCII")]
    BadToken,
    /// The certificates cannot be used.
    #[error("caBundle is not a list of PEM certificates")]
    BadCaBundle,
    /// No connection, or it broke. Whether the panel did what was asked is not known.
    #[error("the panel at {panel} cannot be reached, or the connection broke ({cause})")]
    Unreachable {
        /// Scheme, host and port.
        panel: String,
        /// What the network said.
        cause: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// No answer in time. Whether the panel did what was asked is not known.
    #[error("the panel at {panel} did not answer within {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// Scheme, host and port.
        panel: String,
    },
    /// The token is wrong.
    #[error(
        "the panel at {panel} refused the token: compare it with the API token in the panel's settings (no 'Bearer')"
    )]
    Unauthorized {
        /// Scheme, host and port.
        panel: String,
    },
    /// It is not there.
    #[error(
        "the panel at {panel} has nothing under this path: url must end in the panel's root path, and with nothing behind it"
    )]
    WrongPath {
        /// Scheme, host and port.
        panel: String,
    },
    /// The panel's database cannot be reached: nothing is known of its accounts.
    #[error("the panel at {panel} cannot reach its database: look at MongoDB on the panel's machine")]
    DatabaseDown {
        /// Scheme, host and port.
        panel: String,
    },
    /// The traffic API of the panel's Hysteria does not answer, so that the panel neither kicks nor writes. Nothing was changed.
    #[error(
        "the panel at {panel} cannot reach the traffic API of its Hysteria server: nothing can be blocked or deleted until it can"
    )]
    TrafficApiDown {
        /// Scheme, host and port.
        panel: String,
    },
    /// There is no account of this name.
    #[error("the panel has no such account")]
    NoSuchAccount,
    /// An account of this name exists, in whatever case.
    #[error("the panel has an account of this name already")]
    Exists,
    /// The panel does not accept what was sent.
    #[error("the panel at {panel} does not accept the account as it was sent (HTTP {status})")]
    Rejected {
        /// Scheme, host and port.
        panel: String,
        /// The status.
        status: u16,
    },
    /// Another HTTP status.
    #[error("the panel at {panel} answered HTTP {status}")]
    Status {
        /// Scheme, host and port.
        panel: String,
        /// The status.
        status: u16,
    },
    /// More than can be meant.
    #[error("the panel at {panel} answered more than {} MiB", MAX_ANSWER >> 20)]
    TooLarge {
        /// Scheme, host and port.
        panel: String,
    },
    /// Not the JSON that was expected.
    #[error("the panel at {panel} answered something that is not understood ({cause})")]
    Malformed {
        /// Scheme, host and port.
        panel: String,
        /// Where it goes wrong.
        cause: String,
    },
}

impl PanelError {
    /// Whether the same call may succeed later without anybody changing anything here.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Setup(_)
            | Self::BadToken
            | Self::BadCaBundle
            | Self::Unauthorized { .. }
            | Self::WrongPath { .. }
            | Self::Rejected { .. }
            | Self::NoSuchAccount
            | Self::Exists
            | Self::TooLarge { .. } => false,
            Self::Unreachable { retryable, .. } => *retryable,
            Self::Fenced(_)
            | Self::Timeout { .. }
            | Self::DatabaseDown { .. }
            | Self::TrafficApiDown { .. }
            | Self::Malformed { .. }
            // Whatever goes wrong in one of the panel's scripts is a 400.
            | Self::Status { .. } => true,
        }
    }

    /// Whether the panel may have done what was asked although this is no answer.
    #[must_use]
    pub const fn may_be_done(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::Malformed { .. }
                | Self::TooLarge { .. }
                | Self::Status { .. }
        )
    }

    /// A constant for metric labels and reasons.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Fenced(_) => "fenced",
            Self::BadToken => "bad_secret",
            Self::BadCaBundle => "bad_ca_bundle",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Unauthorized { .. } => "unauthorized",
            Self::WrongPath { .. } => "wrong_path",
            Self::DatabaseDown { .. } => "database_down",
            Self::TrafficApiDown { .. } => "traffic_api_down",
            Self::NoSuchAccount => "no_such_account",
            Self::Exists => "exists",
            Self::Rejected { .. } => "rejected",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
        }
    }
}

/// An account as the panel lists it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its password.
    pub password: SecretString,
    /// Bytes that it may move, up and down together; nothing means no limit.
    pub limit: Option<u64>,
    /// Days from `created` on after which it is over; nothing means for ever.
    pub days: Option<u32>,
    /// Since when the days count. Nothing until the panel has seen it move a byte.
    pub created: Option<Date>,
    /// Nobody is let in.
    pub blocked: bool,
    /// The auth service asks for neither limit nor days.
    pub unlimited: bool,
    /// What people, and the operator, noted.
    pub note: String,
    /// Bytes that the panel has counted: up and down.
    pub moved: (u64, u64),
    /// Devices online now.
    pub online: u32,
}

#[derive(Deserialize)]
struct Listed {
    username: String,
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    max_download_bytes: i64,
    expiration_days: i64,
    account_creation_date: Option<String>,
    blocked: bool,
    unlimited_user: bool,
    note: Option<String>,
    upload_bytes: Option<u64>,
    download_bytes: Option<u64>,
    #[serde(default)]
    online_count: u32,
}

impl Listed {
    fn entry(self) -> (String, Entry) {
        let positive = |it: i64| u64::try_from(it).ok().filter(|it| *it > 0);
        let entry = Entry {
            password: self.password,
            limit: positive(self.max_download_bytes),
            days: positive(self.expiration_days).map(|it| u32::try_from(it).unwrap_or(u32::MAX)),
            created: self.account_creation_date.and_then(|it| it.parse().ok()),
            blocked: self.blocked,
            unlimited: self.unlimited_user,
            note: self.note.unwrap_or_default(),
            moved: (self.upload_bytes.unwrap_or(0), self.download_bytes.unwrap_or(0)),
            online: self.online_count,
        };
        (self.username, entry)
    }
}

/// A new account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its password.
    pub password: SecretString,
    /// Whole GB (of 2^30 bytes); 0 means no limit.
    pub limit_gb: u32,
    /// Days; 0 means for ever.
    pub days: u32,
    /// What is noted.
    pub note: String,
}

/// What is to change of an account. What is `None` stays.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Change {
    /// Nobody is let in, or people are again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// The password.
    #[serde(
        rename = "new_password",
        skip_serializing_if = "Option::is_none",
        serialize_with = "exposed"
    )]
    pub password: Option<SecretString>,
    /// Whole GB (of 2^30 bytes); 0 means no limit.
    #[serde(rename = "new_traffic_limit", skip_serializing_if = "Option::is_none")]
    pub limit_gb: Option<u32>,
    /// Days; 0 means for ever.
    #[serde(rename = "new_expiration_days", skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Whether limit and days count.
    #[serde(rename = "unlimited_ip", skip_serializing_if = "Option::is_none")]
    pub unlimited: Option<bool>,
    /// What is noted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Change {
    /// Whether nothing is to change. Such a call would kick all the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocked.is_none()
            && self.password.is_none()
            && self.limit_gb.is_none()
            && self.days.is_none()
            && self.unlimited.is_none()
            && self.note.is_none()
    }
}

#[expect(clippy::ref_option, reason = "serde hands over the field as it is")]
fn exposed<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
}

#[derive(Deserialize)]
struct Linked {
    username: String,
    ipv4: Option<Uri>,
    ipv6: Option<Uri>,
    #[serde(default)]
    nodes: Vec<LinkedNode>,
}

#[derive(Deserialize)]
struct LinkedNode {
    name: String,
    uri: Uri,
}

/// An address with a password in it.
#[derive(Deserialize)]
struct Uri(#[serde(deserialize_with = "secret")] SecretString);

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}

/// An account's links, as the panel writes them: the name of the node, and the address with name and password as they are.
pub type PanelLinks = Vec<(String, SecretString)>;

/// Client of one panel. Cheap to clone. It begins no call while its fence is closed.
#[derive(Clone)]
pub struct PanelClient {
    http: reqwest::Client,
    users: Url,
    shown: String,
    authorization: HeaderValue,
    fence: Fence,
}

impl fmt::Debug for PanelClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PanelClient")
            .field("panel", &self.shown)
            .finish_non_exhaustive()
    }
}

impl PanelClient {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// The token cannot stand in a header, the certificates cannot be read, or the machine has none.
    pub fn new(endpoint: &PanelEndpoint, fence: Fence) -> Result<Self, PanelError> {
        let mut authorization =
            HeaderValue::from_str(endpoint.token.expose_secret()).map_err(|_| PanelError::BadToken)?;
        authorization.set_sensitive(true);
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // A redirect of the panel names its own host over plain HTTP, and would be given the token.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(NodeNames))
            .tcp_nodelay(true);
        if let Some(bundle) = &endpoint.ca_bundle {
            let certificates = Certificate::from_pem_bundle(bundle.as_bytes()).map_err(|_| PanelError::BadCaBundle)?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder
            .build()
            .map_err(|error| PanelError::Setup(redact::cause(error)))?;
        let mut users = endpoint.url.clone();
        let _ = users.set_username("");
        let _ = users.set_password(None);
        users.set_query(None);
        users.set_fragment(None);
        if let Ok(mut segments) = users.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1", "users"]);
        }
        let mut shown = users.clone();
        shown.set_path("");
        Ok(Self {
            http,
            users,
            shown: redact::url(&shown).trim_end_matches('/').to_owned(),
            authorization,
            fence,
        })
    }

    /// Every account, by name as the panel stores it.
    ///
    /// # Errors
    /// Whatever is not a list, or the one answer that an empty panel gives. Then nothing is known of who is there.
    pub async fn list(&self) -> Result<HashMap<String, Entry>, PanelError> {
        let answer = self.call::<()>(Method::GET, &[""], None).await?;
        if answer.status == 400 && answer.detail().as_deref() == Some(NO_ACCOUNTS) {
            return Ok(HashMap::new());
        }
        let listed: Vec<Listed> = self.good(answer)?.json(&self.shown)?;
        Ok(listed.into_iter().map(Listed::entry).collect())
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`PanelError::Exists`] also when the name differs in case only.
    pub async fn add(&self, name: &str, account: &NewAccount) -> Result<(), PanelError> {
        #[derive(Serialize)]
        struct Body<'a> {
            username: &'a str,
            password: &'a str,
            traffic_limit: u32,
            expiration_days: u32,
            unlimited: bool,
            note: &'a str,
        }
        let body = Body {
            username: name,
            password: account.password.expose_secret(),
            traffic_limit: account.limit_gb,
            expiration_days: account.days,
            unlimited: false,
            note: &account.note,
        };
        let answer = self.call(Method::POST, &[""], Some(&body)).await?;
        self.good(answer).map(drop)
    }

    /// Kicks an account and then changes it.
    ///
    /// # Errors
    /// After [`PanelError::TrafficApiDown`] nothing was changed.
    pub async fn change(&self, name: &str, change: &Change) -> Result<(), PanelError> {
        let answer = self.call(Method::PATCH, &[name], Some(change)).await?;
        self.good(answer).map(drop)
    }

    /// Kicks an account and then deletes it.
    ///
    /// # Errors
    /// After [`PanelError::TrafficApiDown`] nothing was changed.
    pub async fn delete(&self, name: &str) -> Result<(), PanelError> {
        let answer = self.call::<()>(Method::DELETE, &[name], None).await?;
        self.good(answer).map(drop)
    }

    /// The links of accounts, on all of the panel's nodes. Accounts that are not there are left out.
    ///
    /// # Errors
    /// The panel cannot be reached or does not answer as it should.
    pub async fn links(&self, names: &[String]) -> Result<HashMap<String, PanelLinks>, PanelError> {
        #[derive(Serialize)]
        struct Body<'a> {
            usernames: &'a [String],
        }
        let answer = self
            .call(Method::POST, &["uri", "bulk"], Some(&Body { usernames: names }))
            .await?;
        let linked: Vec<Linked> = self.good(answer)?.json(&self.shown)?;
        let links = |it: Linked| {
            let own = [("IPv4", it.ipv4), ("IPv6", it.ipv6)];
            let own = own
                .into_iter()
                .filter_map(|(name, uri)| Some((name.to_owned(), uri?.0)));
            let further = it.nodes.into_iter().map(|node| (node.name, node.uri.0));
            (it.username, own.chain(further).collect())
        };
        Ok(linked.into_iter().map(links).collect())
    }

    async fn call<B: Serialize + Sync>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&B>,
    ) -> Result<Answer, PanelError> {
        let mut url = self.users.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let mut request = self
            .http
            .request(method, url)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| {
            let panel = self.shown.clone();
            if error.is_timeout() && !error.is_connect() {
                PanelError::Timeout { panel }
            } else {
                PanelError::Unreachable {
                    panel,
                    retryable: retry::transport_is_retryable(&error),
                    cause: redact::cause(error),
                }
            }
        };
        // Last, so that nothing comes between the look at the fence and the call.
        self.fence.check()?;
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                let panel = self.shown.clone();
                return Err(PanelError::TooLarge { panel });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    /// Sorts an answer by its status, and by the words that the panel's errors are known to hold.
    fn good(&self, answer: Answer) -> Result<Answer, PanelError> {
        let panel = self.shown.clone();
        let status = answer.status;
        Err(match status {
            200 | 201 => return Ok(answer),
            401 | 403 => PanelError::Unauthorized { panel },
            300..=399 | 405 => PanelError::WrongPath { panel },
            409 => PanelError::Exists,
            422 => PanelError::Rejected { panel, status },
            _ => {
                let says = answer.detail().unwrap_or_default();
                let says = |words: &str| says.contains(words);
                if says("Database connection failed") || says("Expecting value: line 1") {
                    PanelError::DatabaseDown { panel }
                } else if says("Failed to execute kick user script") {
                    PanelError::TrafficApiDown { panel }
                } else if says("not found") && status != 404 {
                    PanelError::NoSuchAccount
                } else if status == 404 {
                    PanelError::WrongPath { panel }
                } else if says("expected one argument") || says("must be a non-negative") {
                    PanelError::Rejected { panel, status }
                } else {
                    PanelError::Status { panel, status }
                }
            }
        })
    }
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// What the panel says about an error. To be looked at and forgotten.
    fn detail(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Error {
            detail: String,
        }
        let error: Error = serde_json::from_slice(&self.body).ok()?;
        Some(error.detail)
    }

    fn json<T: DeserializeOwned>(self, panel: &str) -> Result<T, PanelError> {
        serde_json::from_slice(&self.body).map_err(|error| PanelError::Malformed {
            panel: panel.to_owned(),
            // Position and kind only: the message of a data error can quote the answer.
            cause: format!(
                "{:?} error at line {} column {}",
                error.classify(),
                error.line(),
                error.column()
            ),
        })
    }
}
