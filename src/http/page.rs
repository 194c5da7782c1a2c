//! The page that browsers get at the address of a subscription, and what is said there instead of it.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;

use super::{problem::Problem, qr, user_info::UserInfo};
use crate::{
    access::{Configuration, Denial, Subscription},
    model::quantity::Bytes,
};

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

/// A person's links, with a QR code of each.
pub(super) fn page(title: &str, configuration: &Configuration, info: &UserInfo) -> Result<Response, Problem> {
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

/// Why there are no links for somebody who is denied. Without the names of holds: whoever has the link need not know who placed them.
pub(super) fn refused(title: &str, denial: &Denial) -> Result<Response, Problem> {
    message(StatusCode::FORBIDDEN, title, "No access", &advice(denial))
}

/// What somebody who is denied is told.
pub(super) fn advice(denial: &Denial) -> String {
    let words = Subscription::plain_words(denial.reason);
    format!("{words} Ask whoever gave you this link.")
}

/// What whoever has such a link is told.
pub(super) const UNKNOWN: &str = "This link is not known, or was replaced by a new one. Ask whoever gave it to you.";

/// For a link that nobody has.
pub(super) fn unknown(title: &str) -> Result<Response, Problem> {
    message(StatusCode::NOT_FOUND, title, "Unknown link", UNKNOWN)
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
