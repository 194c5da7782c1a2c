//! Where links are opened that were handed over.
//!
//! Messengers and mail scanners fetch whatever they see, so that looking uses nothing up: the first page has one button, and the
//! button opens. It leads on to the address of the subscription, where reloading, going to another browser and everything else that
//! the page offers works as ever.

use std::net::IpAddr;

use askama::Template;
use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState,
    client::ClientAddr,
    context::RequestId,
    extract::{Params, Segment},
    page::{Teller, nonce},
    problem::Problem,
    subscription::nobody,
    visitor::Visitor,
};
use crate::{
    access::{AccessError, Caller, Opening},
    api::problem::ProblemBody,
    desired::FieldManager,
    handover::{Handover, Standing},
    history::OWN_SOURCE,
    texts::{self, Language},
};

/// Most characters of what the first page gives a browser; one that sends more was given it by somebody else.
const MAX_VISIT: usize = 64;

/// How to answer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OpenQuery {
    /// Language of the page: `en` or `ru`. Without it, the one that the browser asks for.
    lang: Option<String>,
}

/// The form of the first page.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the document of the API says what the form has")]
pub(super) struct OpenForm {
    /// What the first page gave the browser: sent again within ten minutes, it uses nothing up.
    visit: Option<String>,
}

#[derive(Template)]
#[template(path = "open.html")]
struct First<'a> {
    told: &'a Teller<'a>,
    nonce: &'a str,
    visit: &'a str,
    left: String,
}

/// The first page of a handed-over link.
///
/// It says how often the link can be opened, until when, and has the button that opens it. Fetching it uses nothing up.
#[utoipa::path(
    get, path = "/sub/open/{code}", operation_id = "show_handover", tag = "subscription", security(()),
    params(("code" = String, Path, description = "Code of the link"), OpenQuery),
    responses(
        (status = 200, description = "A page with a button", body = String, content_type = "text/html"),
        (status = 404, description = "No such link", body = String, content_type = "text/html"),
        (status = 410, description = "It was opened as often as it could be, its time is over, or it was withdrawn", body = String,
         content_type = "text/html"),
        (status = 429, description = "Too many unknown links from this address", body = String, content_type = "text/html"),
        (status = 503, description = "The links cannot be read at present", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn show(
    State(state): State<HttpState>,
    Segment(code): Segment,
    Params(query): Params<OpenQuery>,
    parts: Parts,
) -> Result<Response, Problem> {
    let desk = Desk::of(&state, &parts, &query);
    let page = match state.use_cases.handed_over(&code).await {
        Ok(Some((link, Standing::Open))) => desk.first(&link),
        Ok(Some((_, standing))) => desk.ended(standing),
        Ok(None) => desk.unknown(),
        Err(error) => desk.not_now(&error),
    };
    page.map(not_indexed)
}

/// Open a handed-over link.
///
/// One use is counted, and stands in the audit, before this answers. Then the page is where `Location` says: at the address of the
/// subscription.
#[utoipa::path(
    post, path = "/sub/open/{code}", operation_id = "open_handover", tag = "subscription", security(()),
    params(("code" = String, Path, description = "Code of the link"), OpenQuery),
    request_body(content = OpenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "It is opened; the page is where `Location` says"),
        (status = 403, description = "The person is denied. Nothing was used up", body = String, content_type = "text/html"),
        (status = 404, description = "No such link", body = String, content_type = "text/html"),
        (status = 410, description = "It was opened as often as it could be, its time is over, or it was withdrawn", body = String,
         content_type = "text/html"),
        (status = 429, description = "Too many unknown links from this address", body = String, content_type = "text/html"),
        (status = 503, description = "There is no server to connect to at present, or it cannot be recorded. Nothing was used up",
         content((String = "text/html"), (ProblemBody = "application/problem+json"))),
    )
)]
pub(super) async fn open(
    State(state): State<HttpState>,
    Segment(code): Segment,
    Params(query): Params<OpenQuery>,
    parts: Parts,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let desk = Desk::of(&state, &parts, &query);
    let visit = body.ok().and_then(|body| visit(&body));
    let agent = parts.headers.get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let page = match state
        .use_cases
        .open_handover(desk.visitor(&parts), code, visit, agent)
        .await
    {
        Ok(Opening::Page { subscription_url }) => {
            Ok(desk.on_to(subscription_url.expose_secret(), query.lang.as_deref()))
        }
        Ok(Opening::Denied(denial)) => desk.teller.refused(&denial),
        Ok(Opening::Ended(standing)) => desk.ended(standing),
        Ok(Opening::Unknown) => desk.unknown(),
        Err(error) => desk.not_now(&error),
    };
    page.map(not_indexed)
}

/// What the form says that the first page gave the browser.
fn visit(body: &[u8]) -> Option<String> {
    let mut fields = url::form_urlencoded::parse(body);
    let (_, visit) = fields.find(|(name, _)| name == "visit")?;
    (!visit.is_empty() && visit.len() <= MAX_VISIT).then(|| visit.into_owned())
}

fn not_indexed(mut response: Response) -> Response {
    let name = HeaderName::from_static("x-robots-tag");
    response.headers_mut().insert(name, HeaderValue::from_static("noindex"));
    response
}

/// Who asks, and how they are spoken to.
struct Desk<'a> {
    state: &'a HttpState,
    teller: Teller<'a>,
    address: IpAddr,
}

impl<'a> Desk<'a> {
    fn of(state: &'a HttpState, parts: &Parts, query: &OpenQuery) -> Self {
        let ClientAddr(address) = ClientAddr::of(&parts.extensions, &parts.headers, &state.settings.trusted_proxies);
        Self {
            state,
            teller: Teller {
                settings: &state.settings,
                visitor: Visitor::of(&parts.headers, query.lang.as_deref()),
            },
            address,
        }
    }

    /// Nobody says who they are here: the audit has where they ask from.
    fn visitor(&self, parts: &Parts) -> Caller {
        Caller {
            actor: self.address.to_string(),
            source: OWN_SOURCE.to_owned(),
            address: Some(self.address.to_string()),
            request_id: parts.extensions.get::<RequestId>().map(|id| id.0.to_string()),
            event: None,
            manager: FieldManager::Api,
        }
    }

    fn language(&self) -> Language {
        self.teller.visitor.language
    }

    fn first(&self, link: &Handover) -> Result<Response, Problem> {
        let (nonce, visit) = (nonce()?, nonce()?);
        let left = [
            ("count", u64::from(link.uses_left()).into()),
            ("date", texts::date(self.language(), link.valid_until).into()),
        ];
        let page = First {
            told: &self.teller,
            nonce: &nonce,
            visit: &visit,
            left: texts::plain(self.language(), "open-left", &left),
        };
        self.teller.html(StatusCode::OK, &nonce, true, page.render())
    }

    fn ended(&self, standing: Standing) -> Result<Response, Problem> {
        let why = match standing {
            Standing::UsedUp => "open-used-up",
            Standing::Withdrawn => "open-withdrawn",
            Standing::Expired | Standing::Open => "open-expired",
        };
        let why = self.teller.say(why);
        self.teller.message(StatusCode::GONE, "open-ended", &why, None)
    }

    /// Guesses are counted together with those of subscription links.
    fn unknown(&self) -> Result<Response, Problem> {
        nobody(self.state, &self.teller, self.address)
    }

    /// The link is open to anybody: what is wrong inside is for the log.
    fn not_now(&self, error: &AccessError) -> Result<Response, Problem> {
        tracing::warn!(%error, "a handed-over link could not be opened");
        self.teller.message(
            StatusCode::SERVICE_UNAVAILABLE,
            "page-not-now",
            &self.teller.say("open-not-now"),
            None,
        )
    }

    /// A path without a host: right under every name of the host, as the page is.
    fn on_to(&self, subscription_url: &str, language: Option<&str>) -> Response {
        let public_url = self.state.use_cases.public_url();
        let path = subscription_url.strip_prefix(&public_url.to_string());
        let mut to = path.map_or_else(|| subscription_url.to_owned(), |path| public_url.path(path));
        to.push_str("?format=html");
        if let Some(language) = language {
            to.push_str("&lang=");
            to.extend(utf8_percent_encode(language, NON_ALPHANUMERIC));
        }
        (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_page_gave_a_browser_is_read_back_and_nothing_longer() {
        assert_eq!(visit(b"a=1&visit=x%2By%3D%3D"), Some("x+y==".to_owned()));
        for none in [
            b"".as_slice(),
            b"visit=",
            b"other=x",
            b"{\"visit\":1}",
            &[b"visit=".as_slice(), &[b'x'; MAX_VISIT + 1]].concat(),
        ] {
            assert_eq!(visit(none), None, "{none:?}");
        }
    }
}
