//! Lists, whole or in chunks.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    refusal::Refusal,
    serve::Query,
    store::{Key, Store},
    watching::Scope,
};

/// Lists what a scope covers. `held` is what a stale cache knows: it answers those who accept any version. An answer has no
/// more than a `page` of those who accept pages at all.
pub fn list(
    store: &Store,
    scope: &Scope,
    query: &Query,
    held: Option<u64>,
    page: Option<usize>,
) -> Result<Value, Refusal> {
    let param = |name: &str| query.get(name).map_or("", String::as_str);
    let (mut version, mut after) = (store.version(), None);
    let wanted = param("resourceVersion");
    if let Some(text) = query.get("continue").filter(|text| !text.is_empty()) {
        let (from, key) = read_token(text)?;
        version = from;
        after = Some(key);
    } else if wanted == "0" {
        version = held.unwrap_or(version);
    } else if !wanted.is_empty() {
        let wanted: u64 = wanted
            .parse()
            .map_err(|_| Refusal::bad_request(format!("resourceVersion: Invalid value: {wanted:?}")))?;
        if wanted > version {
            let message = format!("Timeout: Too large resource version: {wanted}, current: {version}");
            return Err(Refusal::new(504, "Timeout", message));
        }
        if param("resourceVersionMatch") == "Exact" {
            version = wanted;
        }
    }
    let objects = store.at(version).ok_or_else(|| {
        Refusal::expired(if after.is_some() {
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
        } else {
            "The resourceVersion for the provided list is too old."
        })
    })?;
    let mut found: Vec<(Key, Arc<Value>)> = objects
        .into_iter()
        .filter(|(key, object)| scope.covers(key) && scope.selector.accepts(object))
        .filter(|((_, namespace, name), _)| {
            let here = (namespace.clone(), name.clone());
            after.as_ref().is_none_or(|after| here > *after)
        })
        .collect();
    let limit: usize = param("limit").parse().unwrap_or_default();
    let limit = limit.min(page.unwrap_or(limit));
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if limit > 0 && found.len() > limit {
        let left = found.split_off(limit);
        let (_, namespace, name) = &found[limit - 1].0;
        metadata["continue"] = json!(token(version, namespace, name));
        metadata["remainingItemCount"] = json!(left.len());
    }
    let items: Vec<Value> = found.iter().map(|(_, object)| scope.shown(object)).collect();
    let resource = scope.resource;
    Ok(if scope.partial {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items,
        })
    } else {
        json!({
            "apiVersion": resource.api_version(), "kind": format!("{}List", resource.kind),
            "metadata": metadata, "items": items,
        })
    })
}

fn token(version: u64, namespace: &str, name: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(json!([version, namespace, name]).to_string())
}

fn read_token(token: &str) -> Result<(u64, (String, String)), Refusal> {
    BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<(u64, String, String)>(&bytes).ok())
        .map(|(version, namespace, name)| (version, (namespace, name)))
        .ok_or_else(|| Refusal::bad_request("continue key is not valid"))
}
