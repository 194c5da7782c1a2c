//! What requests bring, with a problem document for everything that is wrong with it.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::IntoResponse as _,
};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::problem::Problem;
use crate::model::corporate_id::CorporateId;

/// A JSON object.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let bytes = read(request, state).await?;
        if !json {
            return Err(wrong_media_type());
        }
        object(&bytes).map(Self)
    }
}

/// A JSON object that may be absent.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let bytes = read(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !json {
            return Err(wrong_media_type());
        }
        object(&bytes).map(Self)
    }
}

/// Fields of a form, in their order.
pub(super) struct Fields(pub(super) Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = essence(request.headers()) == "application/x-www-form-urlencoded";
        let bytes = read(request, state).await?;
        if !form {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "The body is no form",
                "send a form, with the header Content-Type: application/x-www-form-urlencoded",
            ));
        }
        Ok(Self(url::form_urlencoded::parse(&bytes).into_owned().collect()))
    }
}

async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
                "the body is larger than this service accepts",
            )
        } else {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "unreadable",
                "The body cannot be read",
                "the body broke off",
            )
        }
    })
}

/// The content type without its parameters, in small letters.
pub(super) fn essence(headers: &HeaderMap) -> String {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default()
}

/// Whether the content type says that the body is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let essence = essence(headers);
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

pub(super) fn wrong_media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type",
        "The body is no JSON",
        "send JSON, with the header Content-Type: application/json",
    )
}

/// Reads a JSON object. Anything else is refused: a list of values in the order of the fields is no object.
pub(super) fn object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |error: &serde_json::Error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            "The body is no JSON",
            format!("the body is not well-formed JSON: {error}"),
        )
    };
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(match serde_json::from_slice::<IgnoredAny>(bytes) {
            Err(error) => malformed(&error),
            Ok(_) => {
                Problem::invalid("the body must be a JSON object: fields in braces, as the API's /docs lists them")
            }
        });
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut json);
    let read = read.map_err(|error| {
        if error.inner().is_data() {
            let message = error.inner().to_string();
            // Where the field stands is no help to who has no file.
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message);
            Problem::invalid(about_field(&error.path().to_string(), message))
        } else {
            malformed(error.inner())
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(read)
}

/// What is wrong with which field, without naming it twice.
fn about_field(path: &str, message: &str) -> String {
    let names_it = ["unknown field", "missing field", "duplicate field"];
    if path.is_empty() || path == "." || names_it.iter().any(|words| message.starts_with(words)) {
        message.to_owned()
    } else {
        format!("{path}: {message}")
    }
}

/// The query.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let cause = std::error::Error::source(&rejection).map(ToString::to_string);
                let message = cause.unwrap_or_else(|| "it cannot be read".to_owned());
                let (path, message) = message.split_once(": ").unwrap_or(("", &message));
                Err(Problem::invalid(format!("query: {}", about_field(path, message))))
            }
        }
    }
}

/// The one text in the path.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(_) => Err(Problem::invalid("the path is not valid UTF-8")),
        }
    }
}

/// Header with the caller's own name of a request.
const REQUEST_KEY_HEADER: &str = "idempotency-key";

/// The caller's own name of a request, if it has one. The use case knows which ones are good.
pub(super) struct RequestKey(pub(super) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for RequestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let key = parts.headers.get(REQUEST_KEY_HEADER).map(|key| key.to_str());
        let key = key.transpose().map_err(|_| {
            Problem::invalid("Idempotency-Key: give printable ASCII characters without spaces, like a UUID")
        })?;
        Ok(Self(key.map(str::to_owned)))
    }
}

/// The corporate ID in the path. Case does not matter.
pub(super) struct PathId(pub(super) CorporateId);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segment(text) = Segment::from_request_parts(parts, state).await?;
        Ok(Self(CorporateId::parse(&text)?))
    }
}
