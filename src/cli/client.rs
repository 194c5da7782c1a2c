//! A client of a running operator's HTTP API.

mod files;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Once},
    time::Duration,
};

use clap::Args;
use reqwest::{Method, StatusCode, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Host, Url};

use super::{
    exit::{CommandError, Exit},
    json,
    output::{note, printable},
};
use crate::{
    api::client::{self as api, ApiError, OverHttp},
    config::{
        self,
        secrets::{self, Lookup, Secret},
    },
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Above the API's own limit on how long a grant may wait.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What is said of everything that an operator answers whose node is simulated.
const SIMULATED: &str = "SIMULATED: this operator runs with --simulate, and no session or proof that it shows is real.";

/// Which operator to ask, and in whose name.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which operator, and who asks")]
pub struct ClientArgs {
    /// URL of the operator's API; the address that it listens at when absent
    #[arg(long, env = "VPN_OPERATOR_URL", value_name = "URL")]
    pub server: Option<String>,
    /// Address that the operator on this machine listens at
    #[arg(long, env = "LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// PEM certificate that is trusted besides the system's; `https` is spoken to `--listen` when it is set
    #[arg(long, env = "TLS_CERT_FILE", value_name = "PATH", value_parser = config::optional_path())]
    pub ca_cert: Option<PathBuf>,
    /// The operator's data folder, where the secret is read from when `CORPORATE_SECRET` and its `_FILE` are unset
    #[arg(long = "data", env = "DATA_DIR", value_name = "PATH", default_value = "./data")]
    pub data_dir: PathBuf,
    /// In whose name; stands in the audit
    #[arg(long = "as", env = "USER", value_name = "NAME", hide_env_values = true)]
    pub actor: Option<String>,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// Status of a success: 200, 201, 202 or 204.
    pub status: StatusCode,
    /// Body; null when there is none.
    pub body: Value,
}

impl Answer {
    /// Reads the body.
    ///
    /// # Errors
    /// It is something else than the API answers.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CommandError> {
        read(&self.body)
    }
}

/// Reads the body of an answer.
///
/// # Errors
/// It is something else than the API answers.
pub(super) fn read<T: DeserializeOwned>(body: &Value) -> Result<T, CommandError> {
    api::read(body).map_err(|error| {
        CommandError::failed(error.to_string())
            .hint("is it of a much older version? --output json shows an answer as it is")
    })
}

/// What was asked for, or the record of it.
#[derive(Debug)]
pub enum Found {
    /// The answer.
    There(Value),
    /// It is gone. The problem document says what was recorded of it.
    Gone(Value),
}

/// A client of one operator.
pub struct Client {
    api: api::Client,
    over: Arc<OverHttp>,
    base: Url,
    secret_origin: String,
    simulated: Once,
}

impl Client {
    /// Makes a client; asks nobody yet.
    ///
    /// # Errors
    /// The URL, the certificate or the secret cannot be used.
    pub fn new(args: &ClientArgs, environment: Lookup<'_>) -> Result<Self, CommandError> {
        let ca_cert = args.ca_cert.as_ref().filter(|path| !path.as_os_str().is_empty());
        let server = match args.server.as_ref().filter(|server| !server.is_empty()) {
            Some(server) => server.clone(),
            None => config::local_url(args.listen, ca_cert.is_some()),
        };
        let base = base_url(&server)?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            // A redirect would carry the secret to somewhere else.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        } else if base.scheme() == "http" {
            tracing::warn!(server = %base, "the secret travels unencrypted: use https, or a tunnel to the operator's machine");
        }
        if let Some(path) = ca_cert {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let (secret, secret_origin) = corporate_secret(&args.data_dir, environment)?;
        if HeaderValue::from_str(secret.expose_secret()).is_err() {
            return Err(CommandError::invalid(format!(
                "{secret_origin}: holds characters that no HTTP header can carry"
            )));
        }
        let actor = args.actor.as_deref().filter(|actor| !actor.is_empty());
        let actor = actor.unwrap_or("unknown");
        if HeaderValue::from_bytes(actor.as_bytes()).is_err() {
            return Err(CommandError::invalid(
                "--as: give a name without line breaks and control characters",
            ));
        }
        let http = builder
            .build()
            .map_err(|error| CommandError::failed(format!("cannot make an HTTP client: {error}")))?;
        let over = Arc::new(OverHttp::new(http, base.clone()));
        Ok(Self {
            api: api::Client::new(Arc::clone(&over), secret, "cli").acting(actor, None),
            over,
            base,
            secret_origin,
            simulated: Once::new(),
        })
    }

    /// Asks.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Answer, CommandError> {
        self.send(Method::GET, path, query, None::<&()>).await
    }

    /// Asks for something that may be gone.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn find(&self, path: &[&str]) -> Result<Found, CommandError> {
        match self.exchange(Method::GET, path, &[], None::<&()>).await? {
            (StatusCode::NOT_FOUND, problem) if is_record(&problem) => Ok(Found::Gone(problem)),
            (status, body) => self.answer(status, body).map(|answer| Found::There(answer.body)),
        }
    }

    /// Orders.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn post(&self, path: &[&str], body: &(impl Serialize + Sync)) -> Result<Answer, CommandError> {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// Removes.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn delete(&self, path: &[&str], query: &[(&str, String)]) -> Result<Answer, CommandError> {
        self.send(Method::DELETE, path, query, None::<&()>).await
    }

    /// Sends one request. Each part of `path` is escaped, whatever is in it.
    ///
    /// # Errors
    /// The operator cannot be reached, refused, or answered something that is no JSON.
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Answer, CommandError> {
        let (status, body) = self.exchange(method, path, query, body).await?;
        self.answer(status, body)
    }

    fn answer(&self, status: StatusCode, body: Value) -> Result<Answer, CommandError> {
        if status.is_success() {
            Ok(Answer { status, body })
        } else {
            Err(self.refusal(status, &body))
        }
    }

    /// Sends one request, and answers whatever was said to it.
    async fn exchange(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<(StatusCode, Value), CommandError> {
        self.said(self.api.send(method, path, query, body).await)
    }

    /// What was said to a request, be it a refusal.
    fn said(&self, answer: Result<api::Answer, ApiError>) -> Result<(StatusCode, Value), CommandError> {
        let (status, body, simulated) = match answer {
            Ok(answer) => (answer.status, answer.body, answer.simulated),
            Err(ApiError::Refused(refusal)) => (refusal.status, refusal.problem, refusal.simulated),
            Err(ApiError::Unreachable(why)) => return Err(self.unreachable(&why)),
            Err(ApiError::Unsendable(why)) => return Err(CommandError::invalid(why)),
            Err(ApiError::Unreadable(_)) => {
                let what = format!("{} answered something that is no JSON", self.base);
                return Err(CommandError::failed(what).hint("is this URL a vpn-operator?"));
            }
        };
        self.tell_simulated(simulated);
        Ok((status, body))
    }

    /// Whatever the command prints: what it says of sessions and proofs is not real.
    fn tell_simulated(&self, simulated: bool) {
        if simulated {
            self.simulated.call_once(|| note(SIMULATED));
        }
    }

    fn unreachable(&self, why: &str) -> CommandError {
        CommandError::new(
            Exit::Unavailable,
            format!("cannot reach the operator at {}: {why}", self.base),
        )
        .hint("is `vpn-operator run` running there? Name another one with --server or VPN_OPERATOR_URL")
    }

    fn refusal(&self, status: StatusCode, problem: &Value) -> CommandError {
        let said = ["detail", "title"]
            .into_iter()
            .find_map(|name| json::field(problem, name));
        let message = said.map_or_else(
            || format!("{} answered {status}", self.base),
            |said| printable(&json::text(said)),
        );
        let error = |exit| CommandError::new(exit, message);
        match status {
            // A person who is denied is refused too; then the problem says the reason of the denial.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if json::field(problem, "reason").is_none() => {
                error(Exit::Refused).hint(format!("the secret was read from {}", self.secret_origin))
            }
            StatusCode::NOT_FOUND => error(Exit::NotFound),
            StatusCode::FORBIDDEN | StatusCode::CONFLICT | StatusCode::GONE | StatusCode::PRECONDITION_FAILED => {
                error(Exit::Refused)
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => error(Exit::Unavailable),
            status if status.is_client_error() => error(Exit::Invalid),
            _ => error(Exit::Failed),
        }
    }
}

/// Whether a problem document has more to show than its words.
fn is_record(problem: &Value) -> bool {
    ["deleted_at", "revocation"]
        .iter()
        .any(|name| json::field(problem, name).is_some())
}

/// The certificates in a PEM file.
pub(super) fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, CommandError> {
    let wrong = |why: String| CommandError::invalid(format!("certificate {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(format!("is no PEM certificate: {error}")))
}

/// A client for probes, which carry no secret of callers. It trusts the certificate in `cert`, a listener's own, under any
/// name: it asks this machine by address.
pub(super) fn probe(cert: Option<&Path>, timeout: Duration) -> Result<reqwest::Client, CommandError> {
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(cert) = cert {
        builder = builder
            .tls_certs_only(certificates(cert)?)
            .tls_danger_accept_invalid_hostnames(true);
    }
    builder
        .build()
        .map_err(|error| CommandError::failed(format!("cannot make an HTTP client: {error}")))
}

fn base_url(server: &str) -> Result<Url, CommandError> {
    let wrong = || CommandError::invalid("--server (VPN_OPERATOR_URL): give a URL like https://vpn.example.com");
    let url = Url::parse(server).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if matches!(url.scheme(), "http" | "https") && plain {
        Ok(url)
    } else {
        Err(wrong())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn corporate_secret(data_dir: &Path, environment: Lookup<'_>) -> Result<(SecretString, String), CommandError> {
    if let Some(secret) = Secret::load("CORPORATE_SECRET", environment)? {
        let origin = secret.origin();
        return Ok((secret.value, origin));
    }
    let path = data_dir.join(config::CORPORATE_SECRET_FILE);
    match secrets::read_kept(&path)? {
        Some(secret) => Ok((secret, path.display().to_string())),
        None => Err(CommandError::invalid(format!(
            "there is no secret to ask the operator with: {} does not exist",
            path.display()
        ))
        .hint("name the operator's data folder with --data, or set CORPORATE_SECRET_FILE or CORPORATE_SECRET")),
    }
}
