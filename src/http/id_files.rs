//! Files of corporate IDs, in and out.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest as _, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, post},
};
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    HttpState,
    auth::Who,
    denial::checked_reason,
    extract::{Params, essence},
    problem::Problem,
};
use crate::{
    access::{AccessError, UseCases},
    api::{ids::ImportedIdsBody, problem::ProblemBody, schemas::ReasonText},
    registry::{Entry, table},
};

/// Largest file that is taken, in bytes.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// The registry as CSV.
///
/// In UTF-8, with CR LF, in the order of the IDs; it is sent while it is read. What a spreadsheet would take for a formula is written
/// with `'` before it. If the registry becomes unreadable on the way, the answer breaks off.
#[utoipa::path(
    get, path = "/id/export.csv", operation_id = "export_ids", tag = "ids",
    responses((status = 200, description = "id, owner, email, department, status, issued_at, updated_at",
               content((String = "text/csv"))))
)]
pub(super) async fn export(State(state): State<HttpState>) -> Result<Response, Problem> {
    // The first page before the answer begins: a registry that cannot be read is a problem document.
    let first = state.use_cases.export_ids(None).await?;
    let pages = stream::unfold(Next::Begin(state.use_cases.clone(), first), Next::advance);
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"corporate-ids.csv\""),
    );
    Ok(response)
}

/// What an export writes next.
enum Next {
    Begin(UseCases, Vec<Entry>),
    After(UseCases, String),
    End,
}

impl Next {
    async fn advance(self) -> Option<(Result<String, AccessError>, Self)> {
        let (use_cases, begin, page) = match self {
            Self::Begin(use_cases, page) => (use_cases, table::header(), page),
            Self::After(use_cases, after) => match use_cases.export_ids(Some(after)).await {
                Ok(page) => (use_cases, String::new(), page),
                Err(error) => {
                    tracing::warn!(%error, "an export of corporate IDs broke off");
                    return Some((Err(error), Self::End));
                }
            },
            Self::End => return None,
        };
        let text = begin + &table::lines(&page);
        let next = match page.last() {
            Some(last) => Self::After(use_cases, last.id.to_string()),
            None => Self::End,
        };
        (!text.is_empty()).then_some((Ok(text), next))
    }
}

/// How to take a file in.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// Only say what it would do.
    #[serde(default)]
    dry_run: bool,
    /// Why, for people; stands in the audit.
    #[param(value_type = Option<ReasonText>)]
    reason: Option<String>,
}

/// Takes a CSV file of IDs in.
///
/// All of it or nothing: with one line that cannot be taken, nothing is changed, and every such line is named in `lines`. The first
/// line names the columns; only `id` has to be there. IDs that are new are entered, with `status` (`issued` when empty). Of the others
/// `owner`, `email` and `department` are changed where the file has the column. A file changes no status, denies nobody and lets
/// nobody in. At most 16 MiB.
#[utoipa::path(
    post, path = "/id/import", operation_id = "import_ids", tag = "ids", params(ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses(
        (status = 200, description = "What it came to", body = ImportedIdsBody),
        (status = 422, description = "Lines that cannot be taken: `lines` names each; nothing was changed", body = ProblemBody,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn import(
    State(state): State<HttpState>,
    Who(caller): Who,
    Params(query): Params<ImportQuery>,
    request: Request,
) -> Result<Json<ImportedIdsBody>, Problem> {
    if !matches!(
        essence(request.headers()).as_str(),
        "" | "text/csv" | "text/plain" | "application/octet-stream"
    ) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "The body is no CSV",
            "send CSV in UTF-8, with the header Content-Type: text/csv",
        ));
    }
    let reason = checked_reason(query.reason)?;
    let file = Bytes::from_request(request, &()).await.map_err(|rejection| {
        let (status, kind, why) = if rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE {
            let why = format!("the file is larger than {MAX_FILE} bytes: send it in parts, each with the first line");
            (StatusCode::PAYLOAD_TOO_LARGE, "too-large", why)
        } else {
            (
                StatusCode::BAD_REQUEST,
                "unreadable",
                "the file broke off: nothing was changed".to_owned(),
            )
        };
        Problem::new(status, kind, "The file cannot be read", why)
    })?;
    let done = state
        .use_cases
        .import_ids(caller, file.to_vec(), reason, query.dry_run)
        .await?;
    Ok(Json(done.into()))
}

/// The route of [`import`], which takes more than others.
pub(super) fn import_route() -> MethodRouter<HttpState> {
    post(import).layer(DefaultBodyLimit::max(MAX_FILE))
}
