//! Client of a Blitz panel's users API, as the panel (2.5) behaves.
//!
//! What a caller must know: the panel works on one call at a time and takes most of a second for each, up to 70 s while its
//! database is away. A call that was given up on is worked on all the same. `PATCH` and `DELETE` kick the account first and write
//! then, whether anything changes or not. What the panel says about an error can quote passwords, so none of it is ever repeated:
//! it is sorted by the words that it is known to hold, and forgotten.

mod error;
mod wire;

use std::{collections::HashMap, fmt, time::Duration};

use reqwest::{
    Certificate, Method,
    header::{AUTHORIZATION, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

pub(super) use self::error::CALL_TIMEOUT;
use self::wire::{Accounts, Add, Linked, Listed, Refusal};
pub use self::{
    error::PanelError,
    wire::{Change, Entry, NewAccount, PanelLinks},
};
use crate::{
    fence::Fence,
    gateway::{redact, transport},
};

/// How long a connection to the panel may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
        let authorization = transport::header(&endpoint.token).ok_or(PanelError::BadToken)?;
        let mut builder = transport::client(CONNECT_TIMEOUT, CALL_TIMEOUT);
        if let Some(bundle) = &endpoint.ca_bundle {
            let certificates = Certificate::from_pem_bundle(bundle.as_bytes()).map_err(|_| PanelError::BadCaBundle)?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder
            .build()
            .map_err(|error| PanelError::Setup(redact::cause(error)))?;
        let mut users = redact::bare(&endpoint.url);
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
        let body = Add::new(name, account);
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

    /// Kicks accounts and then deletes them. Those that are not there are passed over.
    ///
    /// # Errors
    /// [`PanelError::NoSuchAccount`] when none of them is there. After [`PanelError::TrafficApiDown`] nothing was changed.
    pub async fn delete(&self, names: &[impl AsRef<str> + Sync]) -> Result<(), PanelError> {
        let answer = if let [name] = names {
            self.call::<()>(Method::DELETE, &[name.as_ref()], None).await?
        } else {
            let body = Accounts::of(names);
            self.call(Method::POST, &["bulk-delete"], Some(&body)).await?
        };
        self.good(answer).map(drop)
    }

    /// The links of accounts, on all of the panel's nodes. Accounts that are not there are left out.
    ///
    /// # Errors
    /// The panel cannot be reached or does not answer as it should.
    pub async fn links(&self, names: &[String]) -> Result<HashMap<String, PanelLinks>, PanelError> {
        let body = Accounts::of(names);
        let answer = self.call(Method::POST, &["uri", "bulk"], Some(&body)).await?;
        let linked: Vec<Linked> = self.good(answer)?.json(&self.shown)?;
        Ok(linked.into_iter().map(Linked::links).collect())
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
        let failed = |why| PanelError::no_answer(self.shown.clone(), why);
        let response = transport::send(request, &self.fence).await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = transport::body(response).await.map_err(failed)?;
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
                } else if (says("not found") || says("No matching users found")) && status != 404 {
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
        let refusal: Refusal = serde_json::from_slice(&self.body).ok()?;
        Some(refusal.detail)
    }

    fn json<T: DeserializeOwned>(self, panel: &str) -> Result<T, PanelError> {
        transport::json(&self.body).map_err(|cause| PanelError::Malformed {
            panel: panel.to_owned(),
            cause,
        })
    }
}
