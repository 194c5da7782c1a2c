//! A client of the API, over HTTP or in memory.

use std::{convert::Infallible, fmt, sync::Arc};

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use url::Url;

use super::role::Role;

/// Header with the secret of the caller.
pub const SECRET_HEADER: HeaderName = HeaderName::from_static("x-corporate-secret");
/// Header with the way in that the caller acts by.
pub const SOURCE_HEADER: HeaderName = HeaderName::from_static("x-vpn-operator-source");
/// Header with the name of the person who acts, for the audit.
pub const ACTOR_HEADER: HeaderName = HeaderName::from_static("x-vpn-operator-actor");
/// Header with the role that the person who acts has, where it is a lower one than the caller's.
pub const ROLE_HEADER: HeaderName = HeaderName::from_static("x-vpn-operator-role");

/// Header of every answer of an operator whose node is simulated.
pub const SIMULATED_HEADER: HeaderName = HeaderName::from_static("x-vpn-operator-simulated");

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Why a request has no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request cannot be made.
    #[error("no request can be made: {0}")]
    Unsendable(String),
    /// Nobody answered.
    #[error("the operator cannot be reached: {0}")]
    Unreachable(String),
    /// The operator refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The answer is not what this API answers.
    #[error("the operator answered something else than its API says: {0}")]
    Unreadable(String),
}

impl ApiError {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unsendable(_) | Self::Unreachable(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether the operator refused with a problem of this kind, such as `not-linked`.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.kind == kind)
    }
}

/// A refusal: what its problem document says.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Status.
    pub status: StatusCode,
    /// Last word of the problem's type, such as `not-linked`; empty for an answer that is no problem document.
    pub kind: String,
    /// What is wrong, and what to do.
    pub detail: String,
    /// Why the person is denied, where that is why: `Held`, `Expired`, …
    pub reason: Option<String>,
    /// Seconds after which the same request may be let in.
    pub retry_after: Option<u64>,
    /// The whole document.
    pub problem: Value,
    /// The operator's node is a simulated one.
    pub simulated: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            write!(f, "the operator answered {}", self.status)
        } else {
            f.write_str(&self.detail)
        }
    }
}

/// Carries one request to the API, and its answer back.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Carries. The request's URI is a path with a query.
    ///
    /// # Errors
    /// Nobody answered: why, without a URL or a secret.
    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String>;
}

/// Over HTTP.
pub struct OverHttp {
    http: reqwest::Client,
    base: Url,
}

impl OverHttp {
    /// To the API at `base`, which may have a path of its own. `http` has the timeouts, the certificates and no redirects.
    #[must_use]
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base }
    }
}

impl OverHttp {
    /// Sends a request, and answers when the head of the answer is there: for what is read while it comes.
    ///
    /// # Errors
    /// As [`Carrier::carry`].
    pub async fn open(&self, request: Request<Vec<u8>>) -> Result<reqwest::Response, String> {
        let (parts, body) = request.into_parts();
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            parts.uri.path()
        ));
        url.set_query(parts.uri.query());
        let sent = self.http.request(parts.method, url).headers(parts.headers).body(body);
        sent.send().await.map_err(innermost)
    }
}

#[async_trait]
impl Carrier for OverHttp {
    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        let answer = self.open(request).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.extend(answer.headers().clone());
        }
        let body = answer.bytes().await.map_err(innermost)?;
        response.body(body.into()).map_err(|error| error.to_string())
    }
}

/// The innermost cause, which names no URL.
#[must_use]
pub fn innermost(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[async_trait]
impl<T: Carrier> Carrier for Arc<T> {
    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        self.as_ref().carry(request).await
    }
}

/// In the same process: the router that the listener serves.
pub struct InMemory(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

impl InMemory {
    /// To this router.
    pub fn new<S>(router: S) -> Self
    where
        S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        Self(BoxCloneSyncService::new(router))
    }
}

#[async_trait]
impl Carrier for InMemory {
    async fn carry(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, String> {
        let service = self.0.clone();
        let Ok(answer) = service.oneshot(request.map(Body::from)).await;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, MAX_ANSWER).await.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(parts, body.into()))
    }
}

/// In whose name a request is made.
#[derive(Debug, Clone)]
pub struct Acting {
    /// The name, for the audit: at most 64 printable characters are kept.
    pub name: String,
    /// The role of that person, where it is a lower one than the client's own.
    pub role: Option<Role>,
}

/// A client of one operator. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    carrier: Arc<dyn Carrier>,
    secret: Arc<SecretString>,
    source: &'static str,
    acting: Acting,
    /// Under which one request is done once.
    key: Option<Arc<str>>,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status of a success.
    pub status: StatusCode,
    /// Body; null when there is none.
    pub body: Value,
    /// The operator's node is a simulated one: no session and no proof in the answer is real.
    pub simulated: bool,
}

impl Client {
    /// A client that knows `secret` and acts by the way in `source`, such as `bot`, in its own name.
    pub fn new(carrier: impl Carrier, secret: SecretString, source: &'static str) -> Self {
        Self {
            carrier: Arc::new(carrier),
            secret: Arc::new(secret),
            source,
            acting: Acting {
                name: source.to_owned(),
                role: None,
            },
            key: None,
        }
    }

    /// The same client in somebody's name.
    #[must_use]
    pub fn acting(&self, name: &str, role: Option<Role>) -> Self {
        let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Self {
            acting: Acting { name, role },
            ..self.clone()
        }
    }

    /// Asks for `path`, each part of which is escaped, whatever is in it.
    ///
    /// # Errors
    /// Nobody answered, the operator refused, or the answer is not a `T`.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> Result<T, ApiError> {
        let answer = self.send(Method::GET, path, query, None::<&()>).await?;
        read(&answer.body)
    }

    /// Sends `body`, and reads the answer.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
    ) -> Result<T, ApiError> {
        let answer = self.send(Method::POST, path, &[], Some(body)).await?;
        read(&answer.body)
    }

    /// As [`Self::post`], with a key under which it is done once, however often it is sent.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post_once<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &(impl Serialize + Sync),
        key: &str,
    ) -> Result<T, ApiError> {
        let once = Self {
            key: Some(Arc::from(key)),
            ..self.clone()
        };
        once.post(path, body).await
    }

    /// Sends one request, and answers what was said to it.
    ///
    /// # Errors
    /// Nobody answered, the operator refused, or the answer is no JSON.
    pub async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Answer, ApiError> {
        let mut request = self.request(method, path, query)?;
        if let Some(body) = body {
            *request.body_mut() = serde_json::to_vec(body).map_err(|_| cannot("its body"))?;
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        self.exchange(request).await
    }

    /// Sends a request that was made by [`Self::request`].
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Answer, ApiError> {
        let answer = self.carrier.carry(request).await;
        let (parts, body) = answer.map_err(ApiError::Unreachable)?.into_parts();
        let simulated = parts.headers.contains_key(SIMULATED_HEADER);
        let read = if body.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_slice(&body)
        };
        if !parts.status.is_success() {
            let retry = parts.headers.get(header::RETRY_AFTER);
            let retry = retry.and_then(|value| value.to_str().ok()?.parse().ok());
            let problem = read.unwrap_or_default();
            return Err(refused(parts.status, retry, problem, simulated));
        }
        // The error may show what it stumbled over, which may be a secret: only its place is told.
        let body = read.map_err(|error| ApiError::Unreadable(format!("no JSON at byte {}", error.column())))?;
        Ok(Answer {
            status: parts.status,
            body,
            simulated,
        })
    }

    /// A request without a body, in the name of who acts.
    ///
    /// # Errors
    /// The secret, the name or the path cannot be sent.
    pub fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Request<Vec<u8>>, ApiError> {
        let mut url = Url::parse("http://operator/").map_err(|_| cannot("its path"))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let uri = url
            .query()
            .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut secret = HeaderValue::from_str(self.secret.expose_secret())
            .map_err(|_| cannot("the secret holds characters that no HTTP header can carry"))?;
        secret.set_sensitive(true);
        let name = HeaderValue::from_bytes(self.acting.name.as_bytes()).map_err(|_| cannot("the name of who acts"))?;
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(SECRET_HEADER, secret)
            .header(SOURCE_HEADER, self.source)
            .header(ACTOR_HEADER, name);
        if let Some(role) = self.acting.role {
            request = request.header(ROLE_HEADER, role.word());
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", &**key);
        }
        request.body(Vec::new()).map_err(|_| cannot("its headers"))
    }
}

fn cannot(what: &str) -> ApiError {
    ApiError::Unsendable(what.to_owned())
}

/// Reads the body of an answer.
///
/// # Errors
/// It is no `T`: [`ApiError::Unreadable`].
pub fn read<T: DeserializeOwned>(body: &Value) -> Result<T, ApiError> {
    // As above: what it stumbled over is not told.
    T::deserialize(body).map_err(|_| ApiError::Unreadable(format!("no {}", short_name::<T>())))
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

fn refused(status: StatusCode, retry_after: Option<u64>, problem: Value, simulated: bool) -> ApiError {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = text("type").and_then(|kind| kind.rsplit(':').next().map(str::to_owned));
    ApiError::Refused(Box::new(Refusal {
        status,
        kind: kind.unwrap_or_default(),
        detail: text("detail").or_else(|| text("title")).unwrap_or_default(),
        reason: text("reason"),
        retry_after,
        problem,
        simulated,
    }))
}

#[cfg(test)]
mod tests {
    use axum::{
        Json, Router,
        http::HeaderMap,
        routing::{get, post},
    };
    use serde_json::json;

    use super::*;

    fn router() -> Router {
        Router::new()
            .route(
                "/user/{id}",
                get(async |axum::extract::Path(id): axum::extract::Path<String>, headers: HeaderMap| {
                    let said = |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                    Json(json!({ "id": id, "actor": said(&ACTOR_HEADER), "role": said(&ROLE_HEADER), "secret": said(&SECRET_HEADER) }))
                }),
            )
            .route(
                "/refused",
                post(async || {
                    let body = json!({ "type": "urn:vpn-operator:problem:locked", "detail": "too many tries", "title": "Locked" });
                    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "90")], Json(body))
                }),
            )
            .route("/page", get(async || "token=very-secret"))
    }

    fn client() -> Client {
        Client::new(InMemory::new(router()), "the-secret".into(), "bot")
    }

    #[tokio::test]
    async fn a_part_of_a_path_is_one_part_whatever_is_in_it() {
        let answer: Value = client().get(&["user", "a/../b?c#d"], &[]).await.unwrap();
        assert_eq!(answer["id"], "a/../b?c#d");
        assert_eq!(answer["secret"], "the-secret");
    }

    #[tokio::test]
    async fn a_request_is_made_in_the_name_and_role_of_who_acts() {
        let client = client().acting("telegram:42 (Иван\n)", Some(Role::Helpdesk));
        let answer: Value = client.get(&["user", "AB123456"], &[]).await.unwrap();
        assert_eq!(
            (answer["actor"].as_str(), answer["role"].as_str()),
            (Some("telegram:42 (Иван)"), Some("helpdesk"))
        );
    }

    #[tokio::test]
    async fn a_refusal_says_its_kind_and_when_to_come_again() {
        let error = client().post::<Value>(&["refused"], &json!({})).await.unwrap_err();
        assert!(error.is("locked"), "{error:?}");
        assert_eq!(error.refusal().unwrap().retry_after, Some(90));
        assert_eq!(error.to_string(), "too many tries");
    }

    #[tokio::test]
    async fn an_answer_that_is_none_of_the_api_is_not_shown() {
        let error = client().get::<Value>(&["page"], &[]).await.unwrap_err();
        assert!(
            matches!(error, ApiError::Unreadable(_)) && !error.to_string().contains("secret"),
            "{error}"
        );
    }
}
