//! The HTTP endpoint that Hysteria nodes ask: `POST /auth/{token}` with `{"addr", "auth", "tx"}`, answered with 200 and
//! `{"ok", "id"}`.
//!
//! Hysteria sends no header of its own, so the node proves itself by a token in the path. Nothing here logs a path, and
//! everything odd is a refusal. A node waits 10 s for an answer; while desired state is loaded for the first time logins
//! wait for at most [`LOAD_TIMEOUT`] of them, and a login that would be refused for too many devices waits for at most two
//! seconds until the nodes have said who is online now. At a server of a panel the panel's own auth service is asked as well.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::{
    guarded::{self, Answer},
    index::{AuthIndex, Verdict},
    inquiry,
    node::Node,
    notices::Notices,
    password::Digest,
    upstream::{Upstream, UpstreamHealth},
};
use crate::{
    gateway::NodeName,
    metrics::{AuthOutcome, Metrics},
};

/// How long after the start logins wait for the first load of desired state, before they are refused at once.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest accepted body.
const MAX_BODY: usize = 4 * 1024;
/// How long a body may take to arrive: no longer than the node waits for the answer.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a login may take of which a panel's own auth service has to be asked: less than the 10 s that the panel's server waits,
/// and more than the 5 s that the service sleeps on a wrong password.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(9);
const REFUSED: &str = r#"{"ok":false,"id":""}"#;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What a node sends. `addr`, `tx` and whatever later versions add are of no interest: behind a relay many devices have one address.
#[derive(Deserialize)]
struct Login<'a> {
    #[serde(borrow)]
    auth: Cow<'a, str>,
}

/// Who asks with a path secret.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The path secret.
    pub token: &'a SecretString,
    /// The node that it stands for.
    pub node: &'a NodeName,
    /// The panel's own auth service, which has to say yes as well; `None` where the operator alone decides.
    pub upstream: Option<&'a Url>,
}

impl<'a> From<(&'a SecretString, &'a NodeName)> for Asker<'a> {
    fn from((token, node): (&'a SecretString, &'a NodeName)) -> Self {
        Self {
            token,
            node,
            upstream: None,
        }
    }
}

struct Token {
    digest: Digest,
    server: Arc<Server>,
}

/// The servers that a token stands for.
struct Server {
    node: Arc<Node>,
    upstream: Option<Arc<Upstream>>,
}

/// What is known of an auth guard.
#[derive(Debug, Clone)]
pub struct GuardHealth {
    /// The panel.
    pub panel: NodeName,
    /// The panel's own auth service.
    pub upstream: UpstreamHealth,
    /// The panel let devices in of which this process knows nothing.
    pub bypassed: bool,
}

/// Answers nodes out of the index.
pub struct AuthEndpoint {
    index: Arc<AuthIndex>,
    metrics: Arc<Metrics>,
    tokens: ArcSwap<Vec<Token>>,
    load_deadline: Instant,
    notices: Notices,
}

impl AuthEndpoint {
    /// An endpoint without tokens: once desired state is loaded it answers 404 to everybody. The wait for the first load
    /// begins now.
    pub fn new(index: Arc<AuthIndex>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            index,
            metrics,
            tokens: ArcSwap::default(),
            load_deadline: Instant::now() + LOAD_TIMEOUT,
            notices: Notices::default(),
        })
    }

    /// Replaces the tokens, and the nodes that they stand for, from the next request on. Several tokens may stand for one
    /// node. A token that several nodes share should stand for a name that is not polled
    /// (see [`AuthIndex::expect_polls_of`]). Empty tokens are left out.
    pub fn set_tokens<'a, A: Into<Asker<'a>>>(&self, askers: impl IntoIterator<Item = A>) {
        let before = self.tokens.load_full();
        let upstream = |node: &NodeName, url: &Url| {
            let mut known = before.iter().filter_map(|token| token.server.upstream.as_ref());
            let same = known.find(|known| known.is_of(node, url));
            same.map_or_else(|| Arc::new(Upstream::new(node.clone(), url.clone())), Arc::clone)
        };
        let askers = askers.into_iter().map(Into::into);
        let tokens = askers.filter(|asker| !asker.token.expose_secret().is_empty());
        let tokens = tokens.map(|asker| Token {
            digest: Digest::of(asker.token.expose_secret()),
            server: Arc::new(Server {
                node: self.index.node(asker.node),
                upstream: asker.upstream.map(|url| upstream(asker.node, url)),
            }),
        });
        self.tokens.store(Arc::new(tokens.collect()));
    }

    /// What is known of each auth guard.
    pub fn guards(&self) -> Vec<GuardHealth> {
        let tokens = self.tokens.load();
        let guarded = tokens.iter().filter_map(|token| {
            let server = &token.server;
            Some(GuardHealth {
                panel: server.node.name().clone(),
                upstream: server.upstream.as_ref()?.health(),
                bypassed: server.node.is_bypassed(),
            })
        });
        guarded.collect()
    }

    /// The routes: `POST /auth/{token}` and `GET /healthz`.
    pub fn router(self: &Arc<Self>) -> Router {
        // One handler for every path: matching a path and taking a parameter out of it would cost as much as the answer.
        Router::new().fallback(handle).with_state(self.clone())
    }

    /// Compares with every token, always, so that the time it takes says nothing of any of them.
    fn server(&self, token: &str) -> Option<Arc<Server>> {
        let decoded = percent_decode_str(token).decode_utf8().ok()?;
        let digest = Digest::of(&decoded);
        let mut found = None;
        for token in self.tokens.load().iter() {
            if digest.matches(Some(&token.digest)) {
                found = Some(token.server.clone());
            }
        }
        found
    }

    /// Waits for the first load of desired state, which brings the tokens of declared nodes with it.
    async fn load(&self) {
        if !self.index.is_loaded() {
            // Elapsed or not: the index itself says whether it is loaded.
            let _ = timeout_at(self.load_deadline, self.index.wait_loaded()).await;
        }
    }

    /// Decides a login. Before one is refused for too many devices the nodes are asked who is online now.
    async fn decide(&self, node: &Arc<Node>, auth: &str) -> Verdict {
        let verdict = self.index.login(node, auth);
        let Verdict::TooManyDevices { ask_after: Some(after) } = verdict else {
            return verdict;
        };
        let inquiry = self.index.inquiry();
        let Some(_place) = inquiry.place() else {
            return verdict;
        };
        let answered = async {
            let mut polls = inquiry.polls();
            let asked = inquiry.ask(after, &*self.index.clock).await;
            while polls.changed().await.is_ok() {
                let all = self.index.all_polled_since(asked);
                let verdict = self.index.login(node, auth);
                if all || !matches!(verdict, Verdict::TooManyDevices { .. }) {
                    return verdict;
                }
            }
            Verdict::TooManyDevices { ask_after: None }
        };
        timeout(inquiry::TIMEOUT, answered).await.unwrap_or(verdict)
    }

    async fn answer(&self, server: &Server, body: Body) -> Response {
        let begun = Instant::now();
        let Ok(Ok(body)) = timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await else {
            self.metrics.auth(AuthOutcome::Malformed);
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let Ok(login) = serde_json::from_slice::<Login<'_>>(&body) else {
            self.metrics.auth(AuthOutcome::Malformed);
            return json(REFUSED.into());
        };
        self.load().await;
        if let Some(upstream) = &server.upstream {
            let asked = (&*login.auth, body.clone());
            let answer = guarded::decide(&self.index, &server.node, upstream, asked, begun + ANSWER_TIMEOUT).await;
            return self.guarded(&server.node, answer);
        }
        match self.decide(&server.node, &login.auth).await {
            Verdict::Granted(session) => {
                self.metrics.auth(AuthOutcome::Granted);
                yes(session.id())
            }
            refusal => self.refuse(&server.node, &refusal),
        }
    }

    fn guarded(&self, node: &Node, answer: Answer) -> Response {
        match answer {
            Answer::Yes(account) => {
                self.metrics.auth(AuthOutcome::Granted);
                yes(account)
            }
            Answer::Refused(verdict) => self.refuse(node, &verdict),
            Answer::No(outcome) => {
                self.metrics.auth(outcome);
                json(REFUSED.into())
            }
            Answer::AsItIs(status, body) => {
                self.metrics.auth(AuthOutcome::Stranger);
                let mut response = json(body.into());
                *response.status_mut() = status;
                response
            }
        }
    }

    fn refuse(&self, node: &Node, verdict: &Verdict) -> Response {
        self.metrics.auth(verdict.outcome());
        if let Verdict::WrongForm(wrong) = verdict
            && self.notices.may(&wrong.account, Instant::now().into_std())
        {
            tracing::warn!(
                account = &*wrong.account,
                node = %node.name(),
                "a client sends the right password in the wrong form: {}. It has to be username:password; the link has both",
                wrong.form.as_str()
            );
        }
        json(REFUSED.into())
    }
}

/// Account names hold nothing that JSON escapes.
fn yes(id: impl fmt::Display) -> Response {
    let mut answer = String::with_capacity(160);
    // Writing into a `String` cannot fail.
    let _ = write!(answer, r#"{{"ok":true,"id":"{id}"}}"#);
    json(answer.into())
}

async fn handle(State(endpoint): State<Arc<AuthEndpoint>>, request: Request) -> Response {
    let Some(token) = request.uri().path().strip_prefix("/auth/") else {
        return match request.uri().path() {
            "/healthz" if request.method() == Method::GET => "ok\n".into_response(),
            "/healthz" => not_allowed("GET"),
            _ => StatusCode::NOT_FOUND.into_response(),
        };
    };
    if request.method() != Method::POST {
        return not_allowed("POST");
    }
    let mut server = endpoint.server(token);
    if server.is_none() && !endpoint.index.is_loaded() {
        endpoint.load().await;
        server = endpoint.server(token);
    }
    let Some(server) = server else {
        endpoint.metrics.auth(AuthOutcome::WrongToken);
        return StatusCode::NOT_FOUND.into_response();
    };
    endpoint.answer(&server, request.into_body()).await
}

fn not_allowed(allowed: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, allowed)]).into_response()
}

fn json(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
