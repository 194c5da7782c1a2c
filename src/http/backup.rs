//! A backup on order.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{HttpState, auth::Who, problem::Problem};
use crate::{
    access::OrderedBackup,
    api::{backup::BackupBody, problem::ProblemBody},
};

/// Take a backup now, into the folder in which the operator keeps its backups (`BACKUP_DIR`).
#[utoipa::path(
    post, path = "/history/backup", operation_id = "take_backup", tag = "audit",
    responses(
        (status = 200, description = "It was taken and checked", body = BackupBody),
        (status = 202, description = "It is being taken", body = BackupBody),
        (status = 422, description = "The operator keeps no backups: `BACKUP_DIR` is not set", body = ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "It could not be taken", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn take(State(state): State<HttpState>, Who(caller): Who) -> Result<Response, Problem> {
    let (status, body) = match state.use_cases.back_up(&caller).await? {
        OrderedBackup::Taken { folder, manifest } => {
            let body = BackupBody {
                status: "taken".to_owned(),
                folder: folder.display().to_string(),
                files: Some(manifest.files.len()),
                size: Some(manifest.size()),
                audit_row: manifest.audit.as_ref().map(|end| end.seq),
                audit_hash: manifest.audit.map(|end| end.hash),
            };
            (StatusCode::OK, body)
        }
        OrderedBackup::Begun(folder) => {
            let body = BackupBody {
                status: "accepted".to_owned(),
                folder: folder.display().to_string(),
                files: None,
                size: None,
                audit_row: None,
                audit_hash: None,
            };
            (StatusCode::ACCEPTED, body)
        }
    };
    Ok((status, Json(body)).into_response())
}
