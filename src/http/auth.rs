//! `X-Corporate-Secret`: who may call, and in whose name.

use std::net::IpAddr;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use encoding_rs::WINDOWS_1252;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{HttpState, client::ClientAddr, context::RequestId, problem::Problem};
use crate::{access::Caller, desired::FieldManager, model::syntax::SOURCE};

/// Header with the secret.
pub(super) const SECRET_HEADER: &str = "x-corporate-secret";
/// Header with the source that the caller acts as; `api` when absent.
pub(super) const SOURCE_HEADER: &str = "x-vpn-operator-source";
/// Header with the name of the person who acts, for the audit.
pub(super) const ACTOR_HEADER: &str = "x-vpn-operator-actor";

/// Longest name of a person, in characters.
pub(super) const MAX_ACTOR: usize = 64;

/// Sources whose holds only parts of the operator place and lift. A feed (`hr`, `scim`) may also be a caller of this API: it
/// says so, and its denials are then consequences that the guard counts, and no orders.
const RESERVED: [&str; 3] = ["registry", "operator", "folder"];

/// Digests of the secrets that are valid at present. Digests, so that comparing takes the same time for every length.
pub(super) struct Secrets(Vec<[u8; 32]>);

impl Secrets {
    /// An empty secret is none: it never lets anybody in.
    pub(super) fn new(secrets: &[SecretString]) -> Self {
        Self(
            secrets
                .iter()
                .filter(|secret| !secret.expose_secret().is_empty())
                .map(|secret| Sha256::digest(secret.expose_secret().as_bytes()).into())
                .collect(),
        )
    }

    /// Whether the one secret in the headers is valid. Takes the same time for every secret.
    pub(super) fn accepts(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(SECRET_HEADER).iter();
        let (Some(secret), None) = (given.next(), given.next()) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let found = self
            .0
            .iter()
            .fold(Choice::from(0), |found, known| found | known.ct_eq(&digest));
        found.into()
    }
}

/// Lets in who knows a secret, always; counts the others by address.
pub(super) async fn require_secret(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    if state.secrets.accepts(request.headers()) {
        return next.run(request).await;
    }
    let ClientAddr(address) = ClientAddr::of(request.extensions(), request.headers(), &state.settings.trusted_proxies);
    wrong_secret(&state, address).into_response()
}

/// Counts a wrong or missing secret, and answers the refusal.
pub(super) fn wrong_secret(state: &HttpState, address: IpAddr) -> Problem {
    match state.secret_failures.failed(address, state.clock.monotonic()) {
        Ok(()) => Problem::new(
            StatusCode::FORBIDDEN,
            "wrong-secret",
            "Wrong or missing secret",
            "the header X-Corporate-Secret is missing or wrong",
        ),
        Err(seconds) => Problem::too_many(seconds),
    }
}

/// Who acts: source and name from the headers, address and request id from the connection.
pub(super) struct Who(pub(super) Caller);

impl FromRequestParts<HttpState> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        caller(parts, state, |headers| {
            Ok(text(headers, ACTOR_HEADER)?.map(str::to_owned))
        })
        .map(Self)
    }
}

/// Who acts, with the name of the person as `actor` reads it from the headers.
pub(super) fn caller(
    parts: &Parts,
    state: &HttpState,
    actor: impl FnOnce(&HeaderMap) -> Result<Option<String>, Problem>,
) -> Result<Caller, Problem> {
    let ClientAddr(address) = ClientAddr::of(&parts.extensions, &parts.headers, &state.settings.trusted_proxies);
    let source = text(&parts.headers, SOURCE_HEADER)?.unwrap_or("api");
    check_source(source)?;
    let actor = actor(&parts.headers)?;
    Ok(Caller {
        actor: actor.map_or_else(|| address.to_string(), |name| format!("{name} ({address})")),
        source: source.to_owned(),
        address: Some(address.to_string()),
        event: None,
        request_id: parts.extensions.get::<RequestId>().map(|id| id.0.to_string()),
        manager: if source == "bot" {
            FieldManager::Bot
        } else {
            FieldManager::Api
        },
    })
}

/// The name of the person who acts, however it is written: it is no reason to leave a denial undone.
pub(super) fn any_actor(headers: &HeaderMap, remarks: &mut Vec<String>) -> Option<String> {
    let bytes = headers.get(ACTOR_HEADER)?.as_bytes();
    let name = std::str::from_utf8(bytes).map_or_else(
        |_| WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
        str::to_owned,
    );
    let kept: String = name
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_ACTOR)
        .collect();
    if kept.as_bytes() != bytes && !kept.is_empty() {
        remarks.push(format!(
            "{ACTOR_HEADER} was taken as '{kept}': give at most {MAX_ACTOR} printable characters in UTF-8"
        ));
    }
    (!kept.is_empty()).then_some(kept)
}

/// A source that a caller may act as: a short word that is not kept for a part of the operator.
pub(super) fn check_source(source: &str) -> Result<(), Problem> {
    if !SOURCE.accepts(source) {
        return Err(Problem::invalid(format!(
            "source: must be {}, like 'helpdesk'",
            SOURCE.rule
        )));
    }
    if RESERVED.contains(&source) {
        return Err(Problem::invalid(format!(
            "source: '{source}' is kept for a part of the operator itself"
        )));
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    std::str::from_utf8(value.as_bytes())
        .ok()
        .filter(|text| !text.is_empty() && text.chars().count() <= MAX_ACTOR && !text.chars().any(char::is_control))
        .map(Some)
        .ok_or_else(|| Problem::invalid(format!("{name}: give at most {MAX_ACTOR} printable characters")))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(secrets: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for secret in secrets {
            headers.append(SECRET_HEADER, HeaderValue::from_static(secret));
        }
        headers
    }

    #[test]
    fn the_present_and_the_previous_secret_are_valid_and_nothing_else_is() {
        let secrets = Secrets::new(&["new".into(), "old".into(), "".into()]);
        assert!(secrets.accepts(&headers(&["new"])));
        assert!(secrets.accepts(&headers(&["old"])));
        assert!(!secrets.accepts(&headers(&["other"])));
        assert!(!secrets.accepts(&headers(&[""])));
        assert!(!secrets.accepts(&headers(&[])));
        assert!(!secrets.accepts(&headers(&["new", "new"])));
        assert!(!Secrets::new(&[]).accepts(&headers(&[""])));
    }

    #[test]
    fn nobody_acts_as_a_part_of_the_operator() {
        for good in ["helpdesk", "hr", "scim", "abcdefghijklmnop"] {
            assert!(check_source(good).is_ok(), "{good}");
        }
        for bad in ["registry", "operator", "folder", "", "Api", "a-b", "abcdefghijklmnopq"] {
            assert!(check_source(bad).is_err(), "{bad}");
        }
    }
}
