//! The OpenAPI document, and Swagger UI to read it and try calls with. Everything is served from this binary.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa::openapi::Server;
use utoipa_swagger_ui::Config;

use super::{HttpState, extract::Segment, problem::Problem};
use crate::config::PublicUrl;

/// Policy of the page: its own files, and calls to where it came from. The reader sets styles on elements by script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The OpenAPI document and the settings of the reader.
pub(super) struct Documentation {
    document: String,
    config: Arc<Config<'static>>,
}

impl Documentation {
    /// Renders the document for an installation that is reached there.
    pub(super) fn of(mut document: utoipa::openapi::OpenApi, public_url: &PublicUrl) -> Self {
        // A path, which whoever reads the document takes to be on the host that it came from.
        let prefix = public_url.path("");
        document.servers = Some(vec![Server::new(if prefix.is_empty() { "/" } else { &prefix })]);
        // Relative, so that a reverse proxy may serve all of this under a path of its own.
        let config = Config::from("../openapi.json")
            .use_base_layout()
            .validator_url("none")
            .try_it_out_enabled(true)
            .display_request_duration(true)
            .default_models_expand_depth(0)
            .filter(true);
        Self {
            document: document.to_pretty_json().unwrap_or_default(),
            config: Arc::new(config),
        }
    }
}

/// The OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "show_openapi", tag = "documentation", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn document(State(state): State<HttpState>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, state.documentation().document.clone()).into_response()
}

/// A page to read it and to try calls with: Swagger UI. Give the secret once, under "Authorize".
#[utoipa::path(
    get, path = "/docs", operation_id = "show_docs", tag = "documentation", security(()),
    responses((status = 307, description = "The page is at `docs/`, relative to this"))
)]
pub(super) async fn page() -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "docs/")]).into_response()
}

/// The page itself.
pub(super) async fn index(state: State<HttpState>) -> Response {
    file(state, Segment("index.html".to_owned())).await
}

/// A file of the page.
pub(super) async fn file(State(state): State<HttpState>, Segment(name): Segment) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(&name, Arc::clone(&state.documentation().config)) else {
        return Problem::not_found("the page at /docs/ has no such file").into_response();
    };
    let Ok(content_type) = HeaderValue::from_str(&file.content_type) else {
        return Problem::internal().into_response();
    };
    let mut response = file.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if file.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
