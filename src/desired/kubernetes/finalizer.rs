//! The finalizer: put on with server-side apply, taken off with a JSON patch.

use std::fmt::Debug;

use k8s_openapi::{NamespaceResourceScope, serde::de::DeserializeOwned};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::call::{Subject, apply, call};
use crate::{
    desired::{DesiredError, FieldManager, Result},
    model::{API_VERSION, FINALIZER},
};

/// How often taking off is tried again when the object changes at the same time.
const ATTEMPTS: usize = 5;

/// Puts the finalizer on. Of another object by the same name nothing is touched. What is answered is read as an `A`.
pub(super) async fn put_on<K, A>(api: &Api<A>, kind: &'static str, object: &K) -> Result<()>
where
    K: Resource,
    A: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let name = object.name_any();
    let body = json!({
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": { "name": name, "uid": object.uid(), "finalizers": [FINALIZER] },
    });
    let subject = Subject { kind, name: &name };
    apply(api, subject, &body, FieldManager::Operator, false)
        .await
        .map(drop)
}

/// Takes the finalizer off, whoever put it on. Not by server-side apply: that takes off only what the same manager put on,
/// and an object restored from a backup would stay for ever.
///
/// That the object, or its finalizer, is gone is success. An object that is not being deleted is left alone.
pub(super) async fn take_off<K>(api: &Api<K>, kind: &'static str, name: &str) -> Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let subject = Subject { kind, name };
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let Some(object) = call(subject, api.get_metadata_opt(name)).await? else {
            return Ok(());
        };
        let finalizers = object.metadata.finalizers.unwrap_or_default();
        let at = finalizers.iter().position(|finalizer| finalizer == FINALIZER);
        let (Some(at), Some(_)) = (at, &object.metadata.deletion_timestamp) else {
            return Ok(());
        };
        let path = format!("/metadata/finalizers/{at}");
        let patch = serde_json::from_value(json!([
            { "op": "test", "path": "/metadata/uid", "value": object.metadata.uid },
            { "op": "test", "path": path, "value": FINALIZER },
            { "op": "remove", "path": path },
        ]))
        .map_err(|error| DesiredError::Invalid(error.to_string()))?;
        let params = PatchParams {
            field_manager: Some(FieldManager::Operator.as_str().to_owned()),
            ..PatchParams::default()
        };
        match call(subject, api.patch_metadata(name, &params, &Patch::<()>::Json(patch))).await {
            Ok(_) | Err(DesiredError::NotFound { .. }) => return Ok(()),
            // Changed between reading and writing: look again.
            Err(error @ (DesiredError::Invalid(_) | DesiredError::Conflict { .. })) => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| DesiredError::Unavailable(format!("{kind} {name} changes all the time"))))
}
