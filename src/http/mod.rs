//! The HTTP API: thin handlers that parse, call [`crate::access`], and answer.
//!
//! Every error is a problem document; nothing with a secret in it is logged or cached. It decides nothing about access and
//! never touches desired state, history or a gateway itself.

mod access;
mod activation;
mod apps;
mod audit;
mod auth;
mod backup;
mod body;
mod chart;
mod client;
mod context;
mod denial;
mod docs;
mod event_bodies;
mod events;
mod extract;
mod forget;
mod gateways;
mod guard;
mod handover;
mod health;
mod health_bodies;
mod hold_bodies;
mod holds;
mod id_bodies;
mod id_files;
mod ids;
mod limiter;
mod limits;
mod logo;
mod open;
mod openapi;
mod order;
mod own_page;
mod page;
mod problem;
mod proof_body;
mod qr;
mod records;
mod release_many;
mod renewal;
mod rights;
mod schemas;
mod subscription;
mod telegram;
mod theme;
mod user_bodies;
mod user_info;
mod users;
mod value;
mod visitor;
mod waiting;
mod webhooks;

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, Uri},
    middleware::from_fn_with_state,
    routing::{MethodRouter, delete, get, post, put},
};
use ipnet::IpNet;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;

pub use health::{Probes, probes};
pub use logo::{Logo, LogoError};
pub use openapi::openapi;
pub use waiting::waiting;

use self::{
    auth::Principals, docs::Documentation, limiter::FailureLimiter, problem::Problem, subscription::ProfileHeaders,
};
use crate::{
    access::UseCases,
    api::principal::ApiClient,
    clock::SharedClock,
    config::{Color, PublicUrl, SelfService},
    metrics::Metrics,
};

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Secrets that are valid: the present one, and the previous one during a rotation. None lets nobody in.
    pub secrets: Vec<SecretString>,
    /// Clients that have tokens of their own.
    pub clients: Vec<ApiClient>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Largest body in bytes.
    pub max_body: usize,
    /// Longest time for a request; must lie above the waits of [`crate::access::Settings`].
    pub request_timeout: Duration,
    /// Requests that are worked on at a time; probes do not count.
    pub max_concurrent: usize,
    /// Failed attempts that an address has in a minute.
    pub failures_per_minute: u32,
    /// Name of the profile in VPN clients and on the subscription page.
    pub title: String,
    /// What clients that show announcements show beside the profile.
    pub announce: Option<String>,
    /// The company's logo on the page.
    pub logo: Option<Logo>,
    /// The company's colour on the page.
    pub color: Option<Color>,
    /// What people may renew on their own page.
    pub self_service: Vec<SelfService>,
    /// Where people find help: an address that clients and the page link to.
    pub support_url: Option<String>,
    /// Whom people may ask, as the page names it.
    pub support_contact: Option<String>,
    /// The node is a simulated one (`run --simulate`): every answer says so in the header `X-Vpn-Operator-Simulated`.
    pub simulated: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secrets: Vec::new(),
            clients: Vec::new(),
            trusted_proxies: Vec::new(),
            max_body: 64 * 1024,
            request_timeout: Duration::from_secs(30),
            max_concurrent: 256,
            failures_per_minute: 10,
            title: "Corporate VPN".to_owned(),
            announce: None,
            logo: None,
            color: None,
            self_service: Vec::new(),
            support_url: None,
            support_contact: None,
            simulated: false,
        }
    }
}

/// What the handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct HttpState(Arc<Inner>);

/// See [`HttpState`].
pub struct Inner {
    use_cases: UseCases,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    principals: Principals,
    secret_failures: FailureLimiter,
    token_failures: FailureLimiter,
    /// Questions about an ID without the secret.
    id_questions: FailureLimiter,
    slots: Semaphore,
    profile_headers: ProfileHeaders,
    /// Rendered when it is first asked for.
    documentation: OnceLock<Documentation>,
    settings: Settings,
}

impl Inner {
    fn documentation(&self) -> &Documentation {
        let public_url = self.use_cases.public_url();
        self.documentation
            .get_or_init(|| Documentation::of(openapi(), public_url))
    }
}

impl HttpState {
    /// State for one router.
    #[must_use]
    pub fn new(use_cases: UseCases, metrics: Arc<Metrics>, clock: SharedClock, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            use_cases,
            metrics,
            clock,
            principals: Principals::new(&settings.secrets, &settings.clients),
            secret_failures: FailureLimiter::new(settings.failures_per_minute),
            token_failures: FailureLimiter::new(settings.failures_per_minute),
            id_questions: FailureLimiter::new(settings.failures_per_minute),
            slots: Semaphore::new(settings.max_concurrent),
            profile_headers: ProfileHeaders::new(&settings),
            documentation: OnceLock::new(),
            settings,
        }))
    }
}

impl Deref for HttpState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

type Routes<S = HttpState> = Vec<(&'static str, MethodRouter<S>)>;

/// Routes that need the secret.
fn protected() -> Routes {
    vec![
        ("/access/grant", post(access::grant)),
        ("/user/{corporate_id}/config", get(access::config)),
        ("/user/{corporate_id}/deactivate", post(activation::deactivate)),
        ("/user/{corporate_id}/activate", post(activation::activate)),
        ("/user/{corporate_id}/rotate", post(access::rotate)),
        ("/user/{corporate_id}", get(users::show)),
        ("/users", get(users::list)),
        ("/holds", get(holds::list).post(holds::create)),
        ("/holds/release", post(release_many::release_many)),
        ("/holds/{name}", delete(holds::release)),
        ("/gateways", get(gateways::list)),
        ("/gateways/{name}", get(gateways::show)),
        ("/guard", get(guard::show)),
        ("/guard/confirm", post(guard::confirm)),
        ("/guard/cancel", post(guard::cancel)),
        ("/audit", get(audit::list)),
        ("/webhooks/events", get(events::list)),
        ("/webhooks/events/pending", get(events::pending)),
        ("/webhooks/events/{id}", get(events::show)),
        ("/webhooks/events/{id}/process", post(events::process)),
        ("/webhooks/events/{id}/discard", post(events::discard)),
        ("/id/issue", post(ids::issue)),
        ("/id/activate", post(ids::activate)),
        ("/id/revoke", post(ids::revoke)),
        ("/id/archive", post(ids::archive)),
        ("/id/search", get(ids::search)),
        ("/id/show", get(ids::show)),
        ("/id/export.csv", get(id_files::export)),
        ("/id/import", id_files::import_route()),
        ("/audit/who", get(records::who)),
        ("/audit/user/{corporate_id}", get(records::story)),
        ("/audit/acknowledge", post(audit::acknowledge)),
        ("/telegram/accounts/{account}/code", post(telegram::ask)),
        (
            "/telegram/accounts/{account}/link",
            post(telegram::link).delete(telegram::unlink),
        ),
        ("/telegram/accounts/{account}", get(telegram::show)),
        ("/telegram/accounts/{account}/language", put(telegram::language)),
        ("/telegram/accounts/{account}/config", get(telegram::config)),
        ("/telegram/accounts/{account}/rotate", post(telegram::rotate)),
        ("/telegram/notices", get(telegram::notices)),
        ("/telegram/notices/{id}/done", post(telegram::done)),
        ("/user/{corporate_id}/link-codes", post(telegram::give_out)),
        ("/user/{corporate_id}/links", get(handover::list).post(handover::make)),
        ("/user/{corporate_id}/links/{link}", delete(handover::withdraw)),
        (
            "/user/{corporate_id}/telegram",
            get(telegram::of_person).delete(telegram::unlink_person),
        ),
        ("/audit/forget", post(forget::forget)),
        ("/history/backup", post(backup::take)),
    ]
}

/// Routes that anybody may ask.
fn open() -> Routes {
    vec![
        ("/sub/{token}", get(subscription::show).post(renewal::renew)),
        ("/sub/open/{code}", get(open::show).post(open::open)),
        ("/webhooks/hr-events", post(webhooks::receive)),
        ("/webhooks/health", get(webhooks::health)),
        ("/id/validate", get(ids::validate)),
        ("/openapi.json", get(docs::document)),
        ("/docs", get(docs::page)),
    ]
}

/// Files of the page at `/docs`, and a spelling of links that clients and people make of them.
fn undocumented() -> Routes {
    vec![
        ("/docs/", get(docs::index)),
        ("/docs/{file}", get(docs::file)),
        ("/sub/{token}/", get(subscription::show).post(renewal::renew)),
        ("/sub/open/{code}/", get(open::show).post(open::open)),
    ]
}

fn with_routes<S: Clone + Send + Sync + 'static>(routes: Routes<S>) -> Router<S> {
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

/// The API. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`, so that addresses are known; a request
/// without one counts as coming from this process.
pub fn router(state: HttpState) -> Router {
    let work = with_routes(protected())
        .route_layer(from_fn_with_state(state.clone(), auth::require_secret))
        .merge(with_routes(open()))
        .merge(with_routes(undocumented()));
    // One layer for all of it: each layer of its own costs every request several allocations.
    let around = ServiceBuilder::new()
        .layer(from_fn_with_state(state.clone(), context::wrap))
        .layer(DefaultBodyLimit::max(state.settings.max_body));
    Router::new()
        .merge(work)
        .merge(with_routes(health::routes()))
        .fallback(async |State(state): State<HttpState>, uri: Uri| {
            Problem::not_found(no_such_path(&uri, state.use_cases.public_url()))
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "Method not allowed",
                "this path exists, but not with this method: the header Allow names those that do",
            )
        })
        .layer(around)
        .with_state(state)
}

fn no_such_path(uri: &Uri, public_url: &PublicUrl) -> String {
    let docs = public_url.path("/docs");
    // A mistyped subscription link is a secret too.
    let mut parts = uri.path().split('/').skip(1);
    let first: String = parts.next().unwrap_or_default().chars().take(20).collect();
    match parts.next() {
        None => format!("there is no path /{first}: {docs} lists what there is"),
        Some("") => {
            format!("there is no path /{first}/: no path of the API ends with '/', and {docs} lists what there is")
        }
        Some(_) => format!("there is no such path under /{first}: {docs} lists what there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_documented_and_only_those() {
        let document = openapi();
        let mut documented: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        let mut routed: Vec<&str> = [protected(), open(), health::routes()]
            .iter()
            .flatten()
            .map(|route| route.0)
            .collect();
        documented.sort_unstable();
        routed.sort_unstable();
        assert_eq!(routed, documented);
    }
}
