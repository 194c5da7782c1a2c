//! Forms of the page by which a person renews their own link or password.
//!
//! The first one asks and changes nothing; what it answers has a second one, which names the generation that it was shown for. So
//! whoever sends a form twice renews once.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    HttpState,
    client::ClientAddr,
    context::RequestId,
    extract::{Fields, Params, Segment},
    page::{Back, Teller, after, nonce},
    problem::Problem,
    subscription::{RenewWhat, nobody},
    visitor::Visitor,
};
use crate::{
    access::{Renewal, Visit},
    api::problem::ProblemBody,
    config::{PublicUrl, SelfService},
    texts::Language,
};

/// How to answer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RenewQuery {
    /// Language of the answer: `en` or `ru`. Without it, the one that the browser asks for.
    lang: Option<String>,
}

/// What is to be renewed.
#[derive(ToSchema)]
pub(super) struct RenewBody {
    /// `link` or `password`.
    #[schema(value_type = RenewWhat)]
    renew: SelfService,
    /// The generation for which it was confirmed, as the question has it. Without it, only the question is answered.
    #[schema(value_type = i64, required = false)]
    confirmed: Option<i64>,
}

impl RenewBody {
    fn read(fields: &[(String, String)]) -> Result<Self, Problem> {
        let field = |name: &str| {
            fields
                .iter()
                .find(|(field, _)| field == name)
                .map(|(_, value)| value.as_str())
        };
        let what = |word: &str| SelfService::ALL.into_iter().find(|what| what.word() == word);
        let renew = field("renew").and_then(what);
        let confirmed = field("confirmed").map(str::parse).transpose();
        Ok(Self {
            renew: renew.ok_or_else(|| Problem::invalid("renew: give link or password"))?,
            confirmed: confirmed.map_err(|_| Problem::invalid("confirmed: give the number that stands in the form"))?,
        })
    }
}

#[derive(Template)]
#[template(path = "renewal.html")]
struct Question<'a> {
    told: &'a Teller<'a>,
    nonce: &'a str,
    what: SelfService,
    generation: i64,
}

impl Question<'_> {
    /// A text about what is renewed.
    fn words(&self, which: &str) -> String {
        self.told.say(&format!("page-renew-{}{which}", self.what.word()))
    }
}

/// Renew one's own link or password.
///
/// The forms of the page. Only where `SELF_SERVICE` allows it; at most five times a day for each person.
#[utoipa::path(
    post, path = "/sub/{token}", operation_id = "renew_subscription", tag = "subscription", security(()),
    params(("token" = String, Path, description = "Token of the subscription link"), RenewQuery),
    request_body(content = RenewBody, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Asks for a confirmation. Nothing was changed", body = String, content_type = "text/html"),
        (status = 202, description = "It is declared, but auth has not taken it in yet", body = String, content_type = "text/html"),
        (status = 303, description = "It is renewed. The page is where `Location` says"),
        (status = 403, description = "The person is denied, this is not offered, or the form is another site's", body = String,
         content_type = "text/html"),
        (status = 404, description = "No such link, or it was rotated away", body = String, content_type = "text/html"),
        (status = 409, description = "It was renewed since the question was asked, or the password is declared elsewhere",
         body = String, content_type = "text/html"),
        (status = 415, description = "The body is no form", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Renewed too often, or too many unknown links from this address", body = String,
         content_type = "text/html"),
        (status = 503, description = "It cannot be renewed at present", body = String, content_type = "text/html"),
    )
)]
pub(super) async fn renew(
    State(state): State<HttpState>,
    Segment(token): Segment,
    Params(query): Params<RenewQuery>,
    parts: Parts,
    Fields(fields): Fields,
) -> Result<Response, Problem> {
    let RenewBody { renew: what, confirmed } = RenewBody::read(&fields)?;
    let teller = Teller {
        settings: &state.settings,
        visitor: Visitor::of(&parts.headers, query.lang.as_deref()),
    };
    if is_of_another_site(&parts.headers, state.use_cases.public_url()) {
        return teller.sorry(StatusCode::FORBIDDEN, "page-renew-foreign");
    }
    if !state.settings.self_service.contains(&what) {
        return teller.sorry(StatusCode::FORBIDDEN, "page-renew-not-offered");
    }
    let ClientAddr(address) = ClientAddr::of(&parts.extensions, &parts.headers, &state.settings.trusted_proxies);
    let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.to_string());
    let visit = Visit { address, request_id };
    let renewal = state.use_cases.renew(visit, &token, what, confirmed).await;
    match renewal {
        Ok(Renewal::Unknown) => nobody(&state, &teller, address),
        Ok(Renewal::Denied(denial)) => teller.refused(&denial),
        Ok(Renewal::DeclaredElsewhere) => teller.sorry(StatusCode::CONFLICT, "page-renew-elsewhere"),
        Ok(Renewal::Outdated) => teller.sorry(StatusCode::CONFLICT, "page-renew-outdated"),
        Ok(Renewal::TooOften { seconds }) => {
            let text = teller.say_with("page-renew-too-often", "hours", seconds.div_ceil(3600).into());
            let back = Some(teller.back());
            let response = teller.message(StatusCode::TOO_MANY_REQUESTS, "page-renew-refused", &text, back)?;
            Ok(after(response, seconds))
        }
        Ok(Renewal::Possible { generation }) => {
            let nonce = nonce()?;
            let question = Question {
                told: &teller,
                nonce: &nonce,
                what,
                generation,
            };
            teller.html(StatusCode::OK, &nonce, true, question.render())
        }
        Ok(Renewal::Done {
            address,
            in_force: true,
        }) => {
            let slash = parts.uri.path().ends_with('/');
            Ok(teller.on_to(address.expose_secret(), slash, what))
        }
        Ok(Renewal::Done { address, .. }) => {
            let back = Back {
                address: address.expose_secret().to_owned(),
                label: teller.say("page-back"),
            };
            let text = teller.say("page-renew-soon-text");
            teller.message(StatusCode::ACCEPTED, "page-renew-soon", &text, Some(back))
        }
        Err(error) => {
            // The link is open to anybody: what is wrong inside is for the log.
            tracing::warn!(%error, what = what.word(), "somebody could not renew their own");
            teller.sorry(StatusCode::SERVICE_UNAVAILABLE, "page-renew-not-now")
        }
    }
}

impl Teller<'_> {
    /// Why nothing was renewed.
    fn sorry(&self, status: StatusCode, text: &str) -> Result<Response, Problem> {
        let back = Some(self.back());
        self.message(status, "page-renew-refused", &self.say(text), back)
    }

    fn back(&self) -> Back {
        Back {
            address: self.own_page(),
            label: self.say("page-back"),
        }
    }
}

/// Whether a browser says that another site's page sends the form. Whoever has no link can do nothing here in any case; this is for
/// links that are known to others.
///
/// `Origin` is `null` for a page that sends no referrer, as the operator's own do: then `Sec-Fetch-Site` says it, which browsers send to
/// addresses with TLS.
fn is_of_another_site(headers: &HeaderMap, public_url: &PublicUrl) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    match text(header::ORIGIN) {
        None | Some("null") => false,
        Some(origin) => {
            let (_, host) = origin.split_once("://").unwrap_or_default();
            let public = public_url.address("/");
            let by_public_name = public.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/'));
            !by_public_name && text(header::HOST) != Some(host)
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_of_another_site_is_known_by_what_the_browser_says() {
        let url = PublicUrl::parse("https://vpn.example.com/access").unwrap();
        let cases: [(&[(&'static str, &'static str)], bool); 11] = [
            (&[], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], false),
            (&[("sec-fetch-site", "none")], false),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "https://vpn.example.com")],
                true,
            ),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("origin", "null")], false),
            (&[("origin", "https://vpn.example.com")], false),
            (&[("origin", "https://vpn.example.com.evil.example")], true),
            (&[("origin", "https://evil.example"), ("host", "10.0.0.1:8080")], true),
            (&[("origin", "http://10.0.0.1:8080"), ("host", "10.0.0.1:8080")], false),
            (&[("origin", "nonsense")], true),
        ];
        for (given, expected) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(is_of_another_site(&headers, &url), expected, "{given:?}");
        }
    }

    #[test]
    fn a_form_says_what_to_renew_and_for_which_generation() {
        let read = |text: &str| {
            let fields: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            RenewBody::read(&fields).map(|body| (body.renew, body.confirmed))
        };
        assert_eq!(read("renew=link").unwrap(), (SelfService::Link, None));
        assert_eq!(
            read("renew=password&confirmed=7").unwrap(),
            (SelfService::Password, Some(7))
        );
        for wrong in ["", "renew=both", "renew=link&confirmed=", "renew=link&confirmed=1.5"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
