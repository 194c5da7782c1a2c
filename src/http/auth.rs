//! Who may call, and in whose name: `X-Corporate-Secret`, or the token of a client.

use std::net::IpAddr;

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use encoding_rs::WINDOWS_1252;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use super::{HttpState, client::ClientAddr, context::RequestId, problem::Problem, rights};
use crate::{
    access::Caller,
    api::{
        principal::{ApiClient, Principal},
        role::Role,
    },
    desired::FieldManager,
    model::syntax::SOURCE,
};

/// Header with the secret.
pub(super) const SECRET_HEADER: &str = "x-corporate-secret";
/// Header with the source that the caller acts as; `api` when absent.
pub(super) const SOURCE_HEADER: &str = "x-vpn-operator-source";
/// Header with the name of the person who acts, for the audit.
pub(super) const ACTOR_HEADER: &str = "x-vpn-operator-actor";

/// Header with the role of the person who acts, where it is a lower one than the caller's.
const ROLE: &str = "x-vpn-operator-role";

/// How a token is announced that stands in `Authorization`.
const BEARER: &[u8] = b"Bearer ";

/// Longest name of a person, in characters.
pub(super) const MAX_ACTOR: usize = 64;

/// Sources whose holds only parts of the operator place and lift. A feed (`hr`, `scim`) may also be a caller of this API: it
/// says so, and its denials are then consequences that the guard counts, and no orders.
const RESERVED: [&str; 4] = ["registry", "operator", "folder", "subscription"];

/// Digests of the secrets and tokens that are valid at present, and whose each is. Digests, so that comparing takes the same time
/// for every length.
pub(super) struct Principals(Vec<([u8; 32], Principal)>);

impl Principals {
    /// An empty secret is none: it never lets anybody in.
    pub(super) fn new(secrets: &[SecretString], clients: &[ApiClient]) -> Self {
        let shared = secrets.iter().map(|secret| (secret, Principal::SHARED));
        let own = clients.iter().map(|client| (&client.token, client.principal()));
        Self(
            shared
                .chain(own)
                .filter(|(secret, _)| !secret.expose_secret().is_empty())
                .map(|(secret, principal)| (Sha256::digest(secret.expose_secret().as_bytes()).into(), principal))
                .collect(),
        )
    }

    /// Whose the one secret in the headers is. Takes the same time for every secret.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<&Principal> {
        let digest: [u8; 32] = Sha256::digest(secret(headers)?).into();
        let all = self.0.iter().zip(0_u32..);
        let found = all.fold(u32::MAX, |found, ((known, _), number)| {
            u32::conditional_select(&found, &number, known.ct_eq(&digest))
        });
        self.0.get(usize::try_from(found).ok()?).map(|(_, principal)| principal)
    }
}

/// The secret in the headers: the one `X-Corporate-Secret`, or, where there is none, the one bearer's token. What else stands in
/// `Authorization` is between the caller and a proxy.
fn secret(headers: &HeaderMap) -> Option<&[u8]> {
    let mut own = headers.get_all(SECRET_HEADER).iter().map(HeaderValue::as_bytes);
    let tokens = headers.get_all(header::AUTHORIZATION).iter();
    let mut tokens = tokens.filter_map(|value| bearer(value.as_bytes()));
    let (first, second) = match own.next() {
        Some(secret) => (Some(secret), own.next()),
        None => (tokens.next(), tokens.next()),
    };
    first.filter(|_| second.is_none())
}

/// Whether whoever asks means to be let in by a secret, be it a good one or not.
pub(super) fn names_secret(headers: &HeaderMap) -> bool {
    let mut tokens = headers.get_all(header::AUTHORIZATION).iter();
    headers.contains_key(SECRET_HEADER) || tokens.any(|value| bearer(value.as_bytes()).is_some())
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii())
}

/// Who asks, and in which role.
#[derive(Debug, Clone)]
pub(super) struct Acting {
    principal: Principal,
    role: Role,
}

impl Acting {
    /// # Errors
    /// The role in the headers does not exist, or is none that this caller may act in.
    fn of(principal: &Principal, headers: &HeaderMap) -> Result<Self, Problem> {
        let principal = principal.clone();
        let Some(word) = text(headers, ROLE)? else {
            let role = principal.role;
            return Ok(Self { principal, role });
        };
        let role =
            Role::from_word(word).ok_or_else(|| Problem::invalid(format!("{ROLE}: there is no role '{word}'")))?;
        if principal.role.may_act_as(role) {
            Ok(Self { principal, role })
        } else {
            Err(not_permitted(format!(
                "a caller of role {} cannot act as one of role {word}",
                principal.role.word()
            )))
        }
    }

    /// Takes another source than the caller's own, where the caller may.
    ///
    /// # Errors
    /// The source breaks the rule, or is another than the one that this caller always acts as.
    pub(super) fn choose(&self, caller: &mut Caller, source: Option<String>) -> Result<(), Problem> {
        let Some(source) = source else { return Ok(()) };
        check_source(&source)?;
        match self.principal.source(self.role) {
            Some(own) if own != source => Err(not_permitted(format!(
                "source: this caller acts as '{own}' and cannot act as '{source}'"
            ))),
            _ => {
                caller.source = source;
                Ok(())
            }
        }
    }
}

impl FromRequestParts<HttpState> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &HttpState) -> Result<Self, Problem> {
        Ok(acting(parts))
    }
}

/// Who asks. What nobody let in is on a path that needs no secret, and may do there what anybody may.
fn acting(parts: &Parts) -> Acting {
    let known = parts.extensions.get::<Acting>().cloned();
    known.unwrap_or(Acting {
        principal: Principal::SHARED,
        role: Role::Auditor,
    })
}

fn not_permitted(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "not-permitted", "Not permitted", detail)
}

/// Lets in who knows a secret and may ask this, always; counts those without a secret by address.
pub(super) async fn require_secret(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let Some(principal) = state.principals.find(request.headers()) else {
        let ClientAddr(address) =
            ClientAddr::of(request.extensions(), request.headers(), &state.settings.trusted_proxies);
        return wrong_secret(&state, address).into_response();
    };
    let acting = match Acting::of(principal, request.headers()) {
        Ok(acting) => acting,
        Err(problem) => return problem.into_response(),
    };
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if !rights::allows(acting.role, request.method(), route.unwrap_or_default()) {
        let role = acting.role.word();
        return not_permitted(format!(
            "a caller of role {role} may not ask this: docs/api.md says what each role may"
        ))
        .into_response();
    }
    request.extensions_mut().insert(acting);
    next.run(request).await
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
    let Acting { principal, role } = acting(parts);
    let said = text(&parts.headers, SOURCE_HEADER)?;
    said.map(check_source).transpose()?;
    // Who always acts as the same is not asked.
    let source = principal.source(role).or(said).unwrap_or("api");
    let name = [
        actor(&parts.headers)?,
        principal.name.as_deref().map(|name| format!("by {name}")),
    ];
    let name = name.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Ok(Caller {
        actor: if name.is_empty() {
            address.to_string()
        } else {
            format!("{name} ({address})")
        },
        source: source.to_owned(),
        address: Some(address.to_string()),
        event: None,
        request_id: parts.extensions.get::<RequestId>().map(|id| id.0.to_string()),
        manager: if source == "bot" || principal.role == Role::Bot {
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
        let principals = Principals::new(&["new".into(), "old".into(), "".into()], &[]);
        let accepts = |secrets: &[&'static str]| principals.find(&headers(secrets)).is_some();
        assert!(accepts(&["new"]));
        assert!(accepts(&["old"]));
        assert!(!accepts(&["other"]));
        assert!(!accepts(&[""]));
        assert!(!accepts(&[]));
        assert!(!accepts(&["new", "new"]));
        assert!(Principals::new(&[], &[]).find(&headers(&[""])).is_none());
    }

    #[test]
    fn a_token_is_its_clients_alone_in_either_header() {
        let client = |name: &str, role, token: &str| ApiClient {
            name: name.into(),
            role,
            token: token.into(),
        };
        let clients = [
            client("siem", Role::Auditor, "a-token"),
            client("portal", Role::Helpdesk, "b-token"),
        ];
        let principals = Principals::new(&["shared".into()], &clients);
        let name = |headers: &HeaderMap| principals.find(headers).map(|found| (found.name.clone(), found.role));
        assert_eq!(name(&headers(&["shared"])), Some((None, Role::Admin)));
        assert_eq!(
            name(&headers(&["b-token"])),
            Some((Some("portal".into()), Role::Helpdesk))
        );
        for (value, role) in [
            ("Bearer a-token", Some(Role::Auditor)),
            ("bearer  b-token", Some(Role::Helpdesk)),
            ("Bearer shared", Some(Role::Admin)),
            ("Basic a-token", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("a-token", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(name(&headers).map(|found| found.1), role, "{value}");
            // What a proxy says there does not shut out those who send the secret in its own header, nor lets others in.
            headers.insert(SECRET_HEADER, HeaderValue::from_static("shared"));
            assert_eq!(name(&headers), Some((None, Role::Admin)), "{value}");
            headers.insert(SECRET_HEADER, HeaderValue::from_static("wrong"));
            assert_eq!(name(&headers), None, "{value}");
        }
        let mut two = HeaderMap::new();
        for token in ["Bearer a-token", "Bearer b-token"] {
            two.append(header::AUTHORIZATION, HeaderValue::from_static(token));
        }
        assert_eq!(name(&two), None);
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
