//! What VPN clients fetch, and the page that browsers get at the same address.
//!
//! Clients such as Hiddify, `NekoBox` and v2rayN import the base64 of one URI a line, and show what the header
//! `Subscription-Userinfo` says. Some of them read it only with all four values, where 0 means no limit and no end.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState,
    client::ClientAddr,
    extract::{Params, Segment},
    page,
    problem::{Problem, ProblemBody},
    user_info::UserInfo,
};
use crate::access::{AccessError, Configuration, Denial, Subscription};

/// Hours between two fetches of a client.
const UPDATE_HOURS: &str = "12";

/// In which form to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// Base64 of one link a line.
    Base64,
    /// One link a line.
    Plain,
    /// A page with a QR code.
    Html,
}

/// In which form to answer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// `base64`, `plain` or `html`. Without it browsers get the page, and everybody else base64.
    format: Option<Format>,
}

/// A person's links, for VPN clients and browsers.
#[utoipa::path(
    get, path = "/sub/{token}", operation_id = "show_subscription", tag = "subscription", security(()),
    params(("token" = String, Path, description = "Token of the subscription link"), ShowQuery),
    responses(
        (status = 200, description = "Links, or a page; usage is in the header `Subscription-Userinfo`",
         content((String = "text/plain"), (String = "text/html"))),
        (status = 403, description = "The person is denied",
         content((ProblemBody = "application/problem+json"), (String = "text/html"))),
        (status = 404, description = "No such link, or it was rotated away",
         content((ProblemBody = "application/problem+json"), (String = "text/html"))),
        (status = 429, description = "Too many unknown links from this address", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(state): State<HttpState>,
    Segment(token): Segment,
    Params(query): Params<ShowQuery>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    let format = query.format.unwrap_or_else(|| preferred(headers));
    let title = state.settings.title.as_str();
    match state.use_cases.subscription(&token).await {
        Ok(Some(Subscription::Granted {
            configuration,
            used,
            limit,
            expires,
        })) => {
            let ClientAddr(address) = ClientAddr::of(request.extensions(), headers, &state.settings.trusted_proxies);
            let client = headers.get(header::USER_AGENT).and_then(|client| client.to_str().ok());
            let (id, client) = (&configuration.corporate_id, client.unwrap_or_default());
            state.use_cases.subscription_fetched(id, address, client);
            let info = UserInfo { used, limit, expires };
            match format {
                Format::Html => page::page(title, &configuration, &info),
                Format::Plain => Ok(list(title, &info, joined(&configuration))),
                Format::Base64 => Ok(list(title, &info, STANDARD.encode(joined(&configuration)))),
            }
        }
        Ok(Some(Subscription::Denied(denial))) => refuse(title, format, &denial),
        Ok(None) => {
            let ClientAddr(address) = ClientAddr::of(request.extensions(), headers, &state.settings.trusted_proxies);
            match state.token_failures.failed(address, state.clock.monotonic()) {
                Ok(()) => unknown(title, format),
                Err(seconds) => Err(Problem::too_many(seconds)),
            }
        }
        Err(error) => Err(outside(&error)),
    }
}

/// Browsers ask for HTML, VPN clients do not.
fn preferred(headers: &HeaderMap) -> Format {
    let accepts_html = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")));
    if accepts_html { Format::Html } else { Format::Base64 }
}

fn joined(configuration: &Configuration) -> String {
    let links: Vec<&str> = configuration
        .links
        .iter()
        .map(|link| link.url.expose_secret())
        .collect();
    links.join("\n")
}

fn list(title: &str, info: &UserInfo, body: String) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response();
    let title = format!("base64:{}", STANDARD.encode(title));
    let values = [
        ("subscription-userinfo", info.header()),
        ("profile-title", title),
        ("profile-update-interval", UPDATE_HOURS.to_owned()),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn refuse(title: &str, format: Format, denial: &Denial) -> Result<Response, Problem> {
    if format == Format::Html {
        return page::refused(title, denial);
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "access-denied",
        "No access",
        page::advice(denial),
    ))
}

fn unknown(title: &str, format: Format) -> Result<Response, Problem> {
    if format == Format::Html {
        return page::unknown(title);
    }
    Err(Problem::not_found(page::UNKNOWN))
}

/// The link is open to anybody: what is wrong inside is for the log.
fn outside(error: &AccessError) -> Problem {
    tracing::warn!(%error, "a subscription could not be answered");
    Problem::unavailable("there is no server to connect to at present: try again later")
}
