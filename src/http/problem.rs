//! Problem documents (RFC 9457). `detail` is always there: clients of earlier installations read nothing else.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    access::{AccessError, Denial, Former},
    api::{
        health::CheckBody,
        problem::{BadLineBody, ProblemBody},
    },
    desired::DesiredError,
    model::corporate_id::CorporateIdError,
    registry::{BadLine, FindError},
};

/// Lines of a file that one answer names.
const MOST_LINES: usize = 10_000;

impl From<BadLine> for BadLineBody {
    fn from(BadLine { line, message }: BadLine) -> Self {
        Self { line, message }
    }
}

/// Why a request was not carried out. Boxed, because every handler may return one.
#[derive(Debug, Clone)]
pub(super) struct Problem(Box<ProblemBody>);

impl Problem {
    /// A problem of a kind.
    pub(super) fn new(status: StatusCode, kind: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(ProblemBody {
            type_: format!("urn:vpn-operator:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            reason: None,
            holds: None,
            deleted_at: None,
            revocation: None,
            checks: None,
            lines: None,
            more_lines: None,
            request_id: None,
            retry_after: None,
        }))
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "A value is not accepted",
            detail,
        )
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Unavailable at present",
            detail,
        );
        problem.retry_after(5)
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "something failed inside; the log has more under this request id",
        )
    }

    pub(super) fn too_many(seconds: u64) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-failures",
            "Too many failed attempts",
            format!("too many failed attempts from this address: wait {seconds} seconds"),
        );
        problem.retry_after(seconds)
    }

    fn conflict(kind: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            kind,
            "The present state does not allow it",
            detail,
        )
    }

    fn desired(error: &DesiredError, detail: String) -> Self {
        match error {
            DesiredError::NotFound { .. } => Self::not_found(detail),
            DesiredError::AlreadyExists { .. } => Self::conflict("exists", detail),
            DesiredError::Conflict { .. } => Self::conflict("changed-meanwhile", detail),
            DesiredError::NotEditable { .. } => Self::conflict("not-editable", detail),
            DesiredError::Invalid(_) => Self::invalid(detail),
            DesiredError::Unavailable(_) => Self::unavailable(detail),
        }
    }

    /// Why a person has no access of whom there is no decision.
    fn reason(mut self, reason: &'static str) -> Self {
        self.0.reason = Some(reason.to_owned());
        self
    }

    fn denied(mut self, denial: Denial) -> Self {
        self.0.reason = Some(denial.reason.as_str().to_owned());
        self.0.holds = Some(denial.holds);
        self
    }

    fn former(mut self, former: Former) -> Self {
        self.0.deleted_at = former.deleted_at;
        self.0.revocation = former.revocation.map(Into::into);
        self
    }

    pub(super) fn checks(mut self, checks: Vec<CheckBody>) -> Self {
        self.0.checks = Some(checks);
        self
    }

    fn lines(mut self, bad: Vec<BadLine>) -> Self {
        let more = bad.len().saturating_sub(MOST_LINES);
        self.0.more_lines = (more > 0).then_some(more);
        self.0.lines = Some(bad.into_iter().take(MOST_LINES).map(Into::into).collect());
        self
    }

    pub(super) fn request_id(mut self, id: &str) -> Self {
        self.0.request_id = Some(id.to_owned());
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// What is wrong here.
    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The response with the document in it.
    pub(super) fn render(&self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, content_type, body).into_response();
        if let Some(seconds) = self.0.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The document travels beside the response until the outermost layer knows the request id and writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<CorporateIdError> for Problem {
    fn from(error: CorporateIdError) -> Self {
        Self::invalid(format!("corporate_id: {error}"))
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let detail = error.to_string();
        match error {
            AccessError::Invalid { .. } => Self::invalid(detail),
            AccessError::Former(former) => Self::not_found(detail).former(*former),
            AccessError::UnknownPerson(_)
            | AccessError::UnknownHold(_)
            | AccessError::UnknownGateway(_)
            | AccessError::UnknownId(_)
            | AccessError::NoIdToRevoke { .. }
            | AccessError::UnknownEvent(_)
            | AccessError::UnknownHandover { .. }
            | AccessError::NobodyToDeny { .. } => Self::not_found(detail),
            AccessError::DeclaredOtherwise { .. } => Self::conflict("declared-otherwise", detail),
            AccessError::Conflict(denial) => Self::conflict("access-denied", detail).denied(denial),
            AccessError::Denied(denial) => Self::new(
                StatusCode::FORBIDDEN,
                "access-denied",
                "The person has no access",
                detail,
            )
            .denied(denial),
            AccessError::ForeignHold { .. } => Self::conflict("foreign-hold", detail),
            AccessError::ImportedPassword(_) => Self::conflict("imported-password", detail),
            AccessError::NoLink { .. }
            | AccessError::Store(_)
            | AccessError::IdTaken
            | AccessError::NoWebhookSecret
            | AccessError::NoLinks
            | AccessError::RevokedUnrecorded { .. } => Self::unavailable(detail),
            AccessError::Find(error) => match error {
                FindError::Claims(error) => Self::desired(&error, detail),
                FindError::Random(_) => Self::internal(),
                FindError::Store(_) | FindError::NoneFree => Self::unavailable(detail),
            },
            AccessError::IdStep(_) | AccessError::RevokedId { .. } | AccessError::Overtaken(_) => {
                Self::conflict("id-status", detail)
            }
            AccessError::RequestKeyUsed => Self::conflict("key-used", detail),
            AccessError::BadLines(bad) => Self::invalid(detail).lines(bad),
            AccessError::Desired(error) | AccessError::NotHeld { error, .. } => Self::desired(&error, detail),
            AccessError::EventState { .. } => Self::conflict("event-state", detail),
            AccessError::WebhookRefused(_) => Self::new(
                StatusCode::UNAUTHORIZED,
                "signature",
                "The event is not signed well",
                detail,
            ),
            AccessError::LinkLocked { seconds } => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                Self::new(status, "locked", "Too many tries", detail).retry_after(seconds)
            }
            AccessError::WrongLinkCode => {
                Self::new(StatusCode::FORBIDDEN, "wrong-code", "The code is not right", detail)
            }
            AccessError::NotLinked => Self::new(StatusCode::NOT_FOUND, "not-linked", "There is no link", detail),
            AccessError::Undeclared(_) => Self::new(
                StatusCode::FORBIDDEN,
                "access-denied",
                "The person has no access",
                detail,
            )
            .reason("Undeclared"),
            AccessError::Interrupted => Self::internal(),
        }
    }
}
