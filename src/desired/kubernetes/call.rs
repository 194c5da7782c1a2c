//! Calls to the API server: bounded in time, with errors that say what to do.

use std::time::Duration;

use k8s_openapi::serde::{Serialize, de::DeserializeOwned};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams, PostParams, ValidationDirective},
};

use crate::{
    desired::{DesiredError, FieldManager, Result},
    fence::Fence,
};

/// Longest time for one call, the client's own retries included. A client without a bound of its own waits for a server that
/// hangs until the connection breaks.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a call is about, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub kind: &'static str,
    pub name: &'a str,
}

/// Longest time for a write that only the process that holds the lease may make. It lies below the time between the closing
/// of the fence and the end of the lease: what was begun in time must not land after a successor acts.
const FENCED_TIMEOUT: Duration = Duration::from_secs(4);

/// Makes a write that only the process that holds the lease may make.
pub(super) async fn fenced<T>(fence: &Fence, write: impl Future<Output = Result<T>>) -> Result<T> {
    fence
        .check()
        .map_err(|error| DesiredError::Unavailable(error.to_string()))?;
    let late = |_| DesiredError::Unavailable(format!("a write took more than {} s", FENCED_TIMEOUT.as_secs()));
    tokio::time::timeout(FENCED_TIMEOUT, write).await.map_err(late)?
}

/// Bounds a call and translates its error.
pub(super) async fn call<T>(subject: Subject<'_>, work: impl Future<Output = kube::Result<T>>) -> Result<T> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(done) => done.map_err(|error| translate(subject, &error)),
        Err(_) => Err(DesiredError::Unavailable(format!(
            "the API server did not answer about {} {} within {} s",
            subject.kind,
            subject.name,
            TIMEOUT.as_secs()
        ))),
    }
}

/// Creates an object. One that is there already, whoever made it, is left as it is.
pub(super) async fn create<K>(api: &Api<K>, subject: Subject<'_>, object: &K, manager: FieldManager) -> Result<K>
where
    K: Resource + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let params = PostParams {
        field_manager: Some(manager.as_str().to_owned()),
        ..PostParams::default()
    };
    call(subject, api.create(&params, object)).await
}

/// Server-side apply onto an object that is known to be the right one: the body names its `uid`. `force` takes fields over from other managers.
pub(super) async fn apply<K, B>(
    api: &Api<K>,
    subject: Subject<'_>,
    body: &B,
    manager: FieldManager,
    force: bool,
) -> Result<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    B: Serialize + std::fmt::Debug,
{
    call(
        subject,
        api.patch(subject.name, &params(manager, force), &Patch::Apply(body)),
    )
    .await
}

/// As [`apply`], for the status, of which nobody else has a say.
pub(super) async fn apply_status<K, B>(api: &Api<K>, subject: Subject<'_>, body: &B) -> Result<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    B: Serialize + std::fmt::Debug,
{
    let params = params(FieldManager::Operator, true);
    call(subject, api.patch_status(subject.name, &params, &Patch::Apply(body))).await
}

fn params(manager: FieldManager, force: bool) -> PatchParams {
    PatchParams {
        force,
        field_manager: Some(manager.as_str().to_owned()),
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    }
}

fn translate(Subject { kind, name }: Subject<'_>, error: &kube::Error) -> DesiredError {
    let name = name.to_owned();
    let kube::Error::Api(status) = error else {
        return DesiredError::Unavailable(format!("{kind} {name}: {}", plain(error)));
    };
    let message = status.message.clone();
    match status.code {
        404 => DesiredError::NotFound { kind, name },
        409 if status.reason == "AlreadyExists" => DesiredError::AlreadyExists { kind, name },
        409 if is_field_conflict(status) => DesiredError::NotEditable {
            name,
            message: format!("another field manager owns what should be changed: {message}"),
        },
        // An apply that names the uid of an object that is gone answers one or the other, as there is a new one or none.
        409 => DesiredError::Conflict { kind, name, message },
        422 if message.contains("metadata.uid") => DesiredError::Conflict { kind, name, message },
        400 | 422 => DesiredError::Invalid(message),
        403 => DesiredError::Unavailable(format!("{message}: the operator's Role must allow it")),
        _ => DesiredError::Unavailable(format!("{kind} {name}: {message}")),
    }
}

fn is_field_conflict(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "FieldManagerConflict")
}

/// An error with what caused it. Requests to the API server carry no secrets in their addresses.
pub(super) fn plain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
