//! The OpenAPI document, and Swagger UI to read it and try calls with. Everything is served from this binary.

use std::sync::{Arc, LazyLock};

use axum::{
    Extension,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_swagger_ui::Config;

use super::{extract::Segment, problem::Problem};

/// Policy of the page: its own files, and calls to where it came from. The reader sets styles on elements by script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The OpenAPI document and the settings of the reader.
pub(super) struct Documentation {
    document: String,
    config: Arc<Config<'static>>,
}

impl Documentation {
    /// Renders the document.
    pub(super) fn of(document: &utoipa::openapi::OpenApi) -> Self {
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

/// Rendered when it is first asked for.
pub(super) type Rendered = Extension<&'static LazyLock<Documentation>>;

/// The OpenAPI document.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "show_openapi", tag = "documentation", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn document(Extension(documentation): Rendered) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, documentation.document.as_str()).into_response()
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
pub(super) async fn index(documentation: Rendered) -> Response {
    file(documentation, Segment("index.html".to_owned())).await
}

/// A file of the page.
pub(super) async fn file(Extension(documentation): Rendered, Segment(name): Segment) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(&name, Arc::clone(&documentation.config)) else {
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
