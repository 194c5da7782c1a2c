//! What VPN clients fetch, and the page that browsers get at the same address.
//!
//! Which form somebody gets is said by the address, otherwise by what the client calls itself: several ask for HTML like a
//! browser, and would import the page. What clients do with each header is in `docs/clients.md`.

use std::net::IpAddr;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState, Settings,
    client::ClientAddr,
    extract::{Params, Segment},
    own_page::Shown,
    page::{self, Teller},
    problem::Problem,
    user_info::UserInfo,
    visitor::Visitor,
};
use crate::{
    access::{AccessError, Configuration, Denial, Subscription},
    api::problem::ProblemBody,
    config::SelfService,
    forms::{
        self, Form,
        clients::{self, Client},
    },
};

/// Hours between two fetches of a client.
const UPDATE_HOURS: &str = "12";

/// In which form to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    /// Base64 of one link a line.
    Base64,
    /// One link a line.
    #[serde(alias = "plain")]
    Uri,
    /// A configuration of the official client, for the first server.
    Hysteria,
    /// A profile of sing-box.
    SingBox,
    /// A profile of mihomo.
    #[serde(alias = "clash")]
    Mihomo,
    /// A page.
    Html,
}

impl Format {
    /// The form of a document; `None` for the page.
    const fn form(self) -> Option<Form> {
        match self {
            Self::Base64 => Some(Form::Base64),
            Self::Uri => Some(Form::Uri),
            Self::Hysteria => Some(Form::Hysteria),
            Self::SingBox => Some(Form::SingBox),
            Self::Mihomo => Some(Form::Mihomo),
            Self::Html => None,
        }
    }
}

/// What people renew themselves.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RenewWhat {
    /// The address of the subscription.
    Link,
    /// The password.
    Password,
}

impl From<RenewWhat> for SelfService {
    fn from(what: RenewWhat) -> Self {
        match what {
            RenewWhat::Link => Self::Link,
            RenewWhat::Password => Self::Password,
        }
    }
}

/// In which form to answer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// `uri` (or `plain`), `base64`, `hysteria`, `sing-box`, `mihomo` (or `clash`) or `html`. Without it a known client gets what it
    /// reads, a browser the page, and everybody else base64.
    format: Option<Format>,
    /// Name of the one node that is wanted, as it stands in the other forms. For `hysteria`, which has one server only; the first
    /// without it.
    node: Option<String>,
    /// Language of the page: `en` or `ru`. Without it, the one that the browser asks for.
    lang: Option<String>,
    /// What was renewed just now, for the page to say so.
    done: Option<RenewWhat>,
}

/// A person's servers, for VPN clients and browsers.
#[utoipa::path(
    get, path = "/sub/{token}", operation_id = "show_subscription", tag = "subscription", security(()),
    params(("token" = String, Path, description = "Token of the subscription link"), ShowQuery),
    responses(
        (status = 200, description = "Servers, or a page; usage is in the header `Subscription-Userinfo`. A known client of a person \
          who is denied gets a profile without servers, and the reason as its title",
         content((String = "text/plain"), (String = "application/yaml"), (String = "application/json"), (String = "text/html"))),
        (status = 304, description = "The same as the one whose `ETag` is in `If-None-Match`"),
        (status = 403, description = "The person is denied",
         content((ProblemBody = "application/problem+json"), (String = "text/html"))),
        (status = 404, description = "No such link, it was rotated away, or there is no such node",
         content((ProblemBody = "application/problem+json"), (String = "text/html"))),
        (status = 406, description = "Clients of this kind can use none of the servers", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 429, description = "Too many unknown links from this address",
         content((ProblemBody = "application/problem+json"), (String = "text/html"))),
        (status = 503, description = "There is no server to connect to at present",
         content((ProblemBody = "application/problem+json"), (String = "text/html"))),
    )
)]
pub(super) async fn show(
    State(state): State<HttpState>,
    Segment(token): Segment,
    Params(query): Params<ShowQuery>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default();
    let client = clients::of(agent);
    let format = query.format.unwrap_or_else(|| preferred(client, headers));
    let teller = || Teller {
        settings: &state.settings,
        visitor: Visitor::of(headers, query.lang.as_deref()),
    };
    let address = || ClientAddr::of(extensions, headers, &state.settings.trusted_proxies).0;
    match state.use_cases.subscription(&token).await {
        Ok(Some(Subscription::Granted {
            mut configuration,
            used,
            limit,
            expires,
        })) => {
            if let Some(node) = &query.node {
                configuration.links.retain(|link| link.name() == node);
                if configuration.links.is_empty() {
                    return Err(Problem::not_found("there is no node of this name in the subscription"));
                }
            }
            // Who only asks what there is was handed nothing.
            if request.method() != Method::HEAD {
                let id = &configuration.corporate_id;
                state.use_cases.subscription_fetched(id, address(), agent);
            }
            let info = UserInfo { used, limit, expires };
            match format.form() {
                None => own_page(&state, &teller(), &configuration, &info, query.done).await,
                Some(form) => document(&state, form, client, &configuration, &info, headers),
            }
        }
        Ok(Some(Subscription::Denied(denial))) => match (format.form(), client) {
            (None, _) => teller().refused(&denial),
            (Some(form), Some(_)) => Ok(emptied(form, &denial)),
            (Some(_), None) => Err(denied(&denial)),
        },
        Ok(None) if format == Format::Html => nobody(&state, &teller(), address()),
        Ok(None) => match state.token_failures.failed(address(), state.clock.monotonic()) {
            Ok(()) => Err(Problem::not_found(page::UNKNOWN)),
            Err(seconds) => Err(Problem::too_many(seconds)),
        },
        Err(error) => {
            let problem = outside(&error);
            if format == Format::Html {
                teller().not_now()
            } else {
                Err(problem)
            }
        }
    }
}

/// A page for somebody who opened a link that nobody has.
pub(super) fn nobody(state: &HttpState, teller: &Teller<'_>, address: IpAddr) -> Result<Response, Problem> {
    match state.token_failures.failed(address, state.clock.monotonic()) {
        Ok(()) => teller.unknown(),
        Err(seconds) => teller.too_many(seconds),
    }
}

async fn own_page(
    state: &HttpState,
    teller: &Teller<'_>,
    configuration: &Configuration,
    info: &UserInfo,
    done: Option<RenewWhat>,
) -> Result<Response, Problem> {
    // As they stand in the subscription: the one spelling that every app reads.
    let links = state.use_cases.document(Form::Uri, configuration);
    let links = links.map_err(|_| Problem::internal())?;
    teller.page(&Shown {
        configuration,
        links: links.body.expose_secret(),
        info,
        overview: &state.use_cases.overview(&configuration.corporate_id).await,
        done: done.map(SelfService::from),
        now: state.clock.now(),
    })
}

/// What a known client reads; for others, browsers ask for HTML, and VPN clients do not.
fn preferred(client: Option<&Client>, headers: &HeaderMap) -> Format {
    if let Some(client) = client {
        return match client.form {
            Form::Uri => Format::Uri,
            Form::Base64 => Format::Base64,
            Form::Hysteria => Format::Hysteria,
            Form::SingBox => Format::SingBox,
            Form::Mihomo => Format::Mihomo,
        };
    }
    let accepts_html = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")));
    if accepts_html { Format::Html } else { Format::Base64 }
}

fn document(
    state: &HttpState,
    form: Form,
    client: Option<&Client>,
    configuration: &Configuration,
    info: &UserInfo,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let made = state.use_cases.document(form, configuration).map_err(|error| {
        let status = StatusCode::NOT_ACCEPTABLE;
        Problem::new(
            status,
            "no-server-for-client",
            "No server for this client",
            error.to_string(),
        )
    })?;
    let tag = format!("\"{}\"", made.tag);
    let mut response = if unchanged(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let body = made.body.expose_secret().to_owned();
        ([(header::CONTENT_TYPE, form.media_type())], body).into_response()
    };
    let all_four = client.is_some_and(|client| client.wants_expire);
    set(&mut response, "etag", &tag);
    set(&mut response, "subscription-userinfo", &info.header(all_four));
    set(
        &mut response,
        "profile-web-page-url",
        configuration.subscription_url.expose_secret(),
    );
    response.headers_mut().extend(state.profile_headers.of(form));
    Ok(response)
}

/// Headers of a document that are the same for everybody.
pub(super) struct ProfileHeaders {
    common: HeaderMap,
    file_names: [(Form, Option<HeaderValue>); 5],
}

impl ProfileHeaders {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut common = Response::default();
        set(&mut common, "profile-title", &in_base64(&settings.title));
        set(&mut common, "profile-update-interval", UPDATE_HOURS);
        if let Some(url) = &settings.support_url {
            set(&mut common, "support-url", url);
        }
        if let Some(text) = &settings.announce {
            set(&mut common, "announce", &in_base64(text));
        }
        Self {
            common: common.into_parts().0.headers,
            file_names: Form::ALL.map(|form| (form, HeaderValue::from_str(&file_name(&settings.title, form)).ok())),
        }
    }

    fn of(&self, form: Form) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let common = self.common.iter().map(|(name, value)| (name.clone(), value.clone()));
        let named = self.file_names.iter().find(|(named, _)| *named == form);
        let file_name = named.and_then(|(_, value)| value.clone());
        common.chain(file_name.map(|value| (header::CONTENT_DISPOSITION, value)))
    }
}

/// For a client that would otherwise keep the servers that it has for ever.
fn emptied(form: Form, denial: &Denial) -> Response {
    let reason = page::advice(denial);
    let mut response = ([(header::CONTENT_TYPE, form.media_type())], forms::empty(form, &reason)).into_response();
    set(&mut response, "profile-title", &in_base64(&reason));
    set(&mut response, "profile-update-interval", UPDATE_HOURS);
    set(&mut response, "announce", &in_base64(&reason));
    response
}

/// Without the names of holds: whoever has the link need not know who placed them.
fn denied(denial: &Denial) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "access-denied",
        "No access",
        page::advice(denial),
    )
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Any text, as clients read it in a header.
fn in_base64(text: &str) -> String {
    format!("base64:{}", STANDARD.encode(text))
}

/// Several clients show it as the name of the profile.
fn file_name(title: &str, form: Form) -> String {
    let name = format!("{title}{}", form.extension());
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.') {
            c
        } else {
            '_'
        }
    };
    let ascii: String = name.chars().map(plain).collect();
    let encoded = utf8_percent_encode(&name, NON_ALPHANUMERIC);
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Whether the client has this version already.
fn unchanged(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|given| {
        let given = given.trim();
        given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag
    })
}

/// The link is open to anybody: what is wrong inside is for the log.
fn outside(error: &AccessError) -> Problem {
    tracing::warn!(%error, "a subscription could not be answered");
    Problem::unavailable("there is no server to connect to at present: try again later")
}
