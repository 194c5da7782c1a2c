//! The outermost layer: request id, access log, caught panics, and the headers that every answer has.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use tracing::Instrument as _;

use super::{HttpState, client::ClientAddr, limits, problem::Problem};

/// Header with the id of the request, taken and given.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header of every answer of an operator whose node is simulated.
const SIMULATED: HeaderName = HeaderName::from_static("x-vpn-operator-simulated");
/// Longest id that is taken.
const MAX_ID: usize = 64;
/// Paths that are asked every few seconds by machines.
const PROBES: [&str; 4] = ["/livez", "/readyz", "/health", "/metrics"];

/// Id of a request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

impl RequestId {
    /// The client's own id if it is harmless, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let harmless = |id: &&str| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(good)
        };
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        Self(given.filter(harmless).map_or_else(fresh, Into::into))
    }
}

/// Random, from the operating system; when it has none, from the time: the id only tells requests apart.
fn fresh() -> Arc<str> {
    let mut bytes = [0u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes = jiff::Timestamp::now().as_nanosecond().to_le_bytes();
    }
    format!("{:032x}", u128::from_be_bytes(bytes)).into()
}

/// See the module.
pub(super) async fn wrap(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let begun = state.clock.monotonic();
    let id = RequestId::of(request.headers());
    let ClientAddr(client) = ClientAddr::of(request.extensions(), request.headers(), &state.settings.trusted_proxies);
    let method = request.method().clone();
    // The template, never the path itself: a path may hold a token.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let is_probe = PROBES.contains(&route);
    let is_work = matched.is_some() && !is_probe;
    request.extensions_mut().insert(id.clone());

    // What is logged while the request is worked on names it. The line about its end says the rest.
    let span = tracing::info_span!("request", request_id = &*id.0);
    let work = async {
        if is_work {
            limits::bounded(&state, request, next).await
        } else {
            next.run(request).await
        }
    };
    let answered = AssertUnwindSafe(work).catch_unwind().instrument(span).await;
    let request_id = &*id.0;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(request_id, %method, route, "a handler panicked");
        Problem::internal().into_response()
    });
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = problem {
        // A probe that finds the operator starting is no news.
        if response.status().is_server_error() && !is_probe {
            tracing::warn!(request_id, %method, route, detail = problem.detail(), "request failed");
        }
        let body = problem.request_id(&id.0).render().into_body();
        let (mut parts, _) = std::mem::replace(&mut response, Response::new(Body::empty())).into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        response = Response::from_parts(parts, body);
    }
    complete(response.headers_mut(), &id);
    if state.settings.simulated {
        response
            .headers_mut()
            .insert(SIMULATED, HeaderValue::from_static("true"));
    }

    let status = response.status().as_u16();
    state.metrics.http_request(route, status);
    let elapsed = state.clock.monotonic().saturating_duration_since(begun);
    let elapsed_ms = elapsed.as_secs_f64() * 1000.0;
    if response.status().is_success() && is_probe {
        tracing::debug!(request_id, %method, route, status, elapsed_ms, %client, "answered");
    } else {
        tracing::info!(request_id, %method, route, status, elapsed_ms, %client, "answered");
    }
    response
}

fn complete(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(header::REFERRER_POLICY)
        .or_insert(HeaderValue::from_static("no-referrer"));
}
