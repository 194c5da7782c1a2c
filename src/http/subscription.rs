//! What VPN clients fetch, and the page that browsers get at the same address.
//!
//! Clients such as Hiddify, `NekoBox` and v2rayN import the base64 of one URI a line, and show what the header
//! `Subscription-Userinfo` says. Some of them read it only with all four values, where 0 means no limit and no end.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState,
    client::ClientAddr,
    extract::{Params, Segment},
    problem::{Problem, ProblemBody},
    qr,
};
use crate::{
    access::{AccessError, Configuration, Denial, Subscription},
    model::quantity::Bytes,
};

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

#[derive(Template)]
#[template(path = "subscription.html")]
struct Page<'a> {
    title: &'a str,
    nonce: &'a str,
    corporate_id: &'a str,
    links: Vec<PageLink<'a>>,
    subscription_url: &'a str,
    used: String,
    limit: Option<String>,
    percent: u64,
    expires: Option<String>,
}

struct PageLink<'a> {
    name: &'a str,
    url: &'a str,
    width: usize,
    path: String,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    nonce: &'a str,
    heading: &'a str,
    text: &'a str,
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
                Format::Html => page(title, &configuration, &info),
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

struct UserInfo {
    used: (u64, u64),
    limit: Option<u64>,
    expires: Option<jiff::Timestamp>,
}

impl UserInfo {
    fn header(&self) -> String {
        let (upload, download) = self.used;
        let total = self.limit.unwrap_or_default();
        let expire = self.expires.map(jiff::Timestamp::as_second).unwrap_or_default();
        format!("upload={upload}; download={download}; total={total}; expire={expire}")
    }
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

fn page(title: &str, configuration: &Configuration, info: &UserInfo) -> Result<Response, Problem> {
    let links = configuration.links.iter().map(|link| {
        let url = link.url.expose_secret();
        let (width, path) = qr::svg_path(url)?;
        Some(PageLink {
            name: &link.name,
            url,
            width,
            path,
        })
    });
    let used = info.used.0.saturating_add(info.used.1);
    let limit = info.limit.filter(|limit| *limit > 0);
    let nonce = nonce()?;
    let page = Page {
        title,
        nonce: &nonce,
        corporate_id: configuration.corporate_id.as_str(),
        links: links.collect::<Option<_>>().ok_or_else(Problem::internal)?,
        subscription_url: configuration.subscription_url.expose_secret(),
        used: amount(used),
        percent: limit.map_or(0, |limit| (u128::from(used) * 100 / u128::from(limit)).min(100) as u64),
        limit: limit.map(amount),
        expires: info.expires.map(|at| at.strftime("%-d %B %Y, %H:%M UTC").to_string()),
    };
    html(StatusCode::OK, &nonce, page.render())
}

fn refuse(title: &str, format: Format, denial: &Denial) -> Result<Response, Problem> {
    let words = Subscription::plain_words(denial.reason);
    let advice = format!("{words} Ask whoever gave you this link.");
    if format == Format::Html {
        return message(StatusCode::FORBIDDEN, title, "No access", &advice);
    }
    // Without the names of holds: whoever has the link need not know who placed them.
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "access-denied",
        "No access",
        advice,
    ))
}

fn unknown(title: &str, format: Format) -> Result<Response, Problem> {
    let text = "This link is not known, or was replaced by a new one. Ask whoever gave it to you.";
    if format == Format::Html {
        return message(StatusCode::NOT_FOUND, title, "Unknown link", text);
    }
    Err(Problem::not_found(text))
}

/// The link is open to anybody: what is wrong inside is for the log.
fn outside(error: &AccessError) -> Problem {
    tracing::warn!(%error, "a subscription could not be answered");
    Problem::unavailable("there is no server to connect to at present: try again later")
}

fn message(status: StatusCode, title: &str, heading: &str, text: &str) -> Result<Response, Problem> {
    let nonce = nonce()?;
    let page = Message {
        title,
        nonce: &nonce,
        heading,
        text,
    };
    html(status, &nonce, page.render())
}

fn html(status: StatusCode, nonce: &str, page: askama::Result<String>) -> Result<Response, Problem> {
    let page = page.map_err(|_| Problem::internal())?;
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    Ok((status, [(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response())
}

fn nonce() -> Result<String, Problem> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::internal())?;
    Ok(STANDARD.encode(bytes))
}

/// `82 GiB`
fn amount(bytes: u64) -> String {
    let coarse = Bytes::coarse(bytes).to_string();
    let split = coarse.find(|c: char| !c.is_ascii_digit()).unwrap_or(coarse.len());
    let (number, unit) = coarse.split_at(split);
    format!("{number} {unit}B")
}
