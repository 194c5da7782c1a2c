//! How much work is let in at a time, and how long it may take.

use axum::{
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{HttpState, problem::Problem};

/// Turns away what is too much, rather than letting it queue, and ends what takes too long. A change that has begun goes
/// on to its end all the same. Until what is declared is in force all is turned away: an answer about anybody would be wrong.
pub(super) async fn bounded(state: &HttpState, request: Request, next: Next) -> Response {
    let Ok(_permit) = state.slots.try_acquire() else {
        return Problem::unavailable("too many requests are being worked on: try again in a moment").into_response();
    };
    if !state.use_cases.is_loaded() {
        let starts = "the operator is starting and has not loaded desired state yet: try again in a moment";
        return Problem::unavailable(starts).into_response();
    }
    tokio::time::timeout(state.settings.request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "The request took too long",
                "the request was not finished in time; a change that had begun goes on: look at the state",
            )
            .into_response()
        })
}
