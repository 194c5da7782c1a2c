//! From an HTTP request to its answer.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json,
    body::to_bytes,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    super::net::Peer,
    faults::Fault,
    listing,
    recorder::Call,
    refusal::{Cause, Refusal},
    resource::{self, Resource},
    select::Selector,
    shared::Shared,
    watching::{self, Options, Scope, metadata_only},
    write::{Done, Write},
};

/// Largest body that is read.
const MAX_BODY: usize = 3 << 20;
/// How long a watch lasts when the client does not say.
const WATCH: Duration = Duration::from_secs(1800);

pub type Query = HashMap<String, String>;

/// A request for a resource.
struct Asked {
    resource: &'static Resource,
    call: Call,
    query: Query,
    headers: HeaderMap,
}

pub async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    if let Some(answer) = unlisted(request.uri().path()) {
        return answer;
    }
    let (parts, body) = request.into_parts();
    let query: Query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let asked = match route(&parts.method, parts.uri.path(), query, parts.headers) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Refusal::new(413, "RequestEntityTooLarge", "the body is too large").into_response();
    };
    let fault = shared.faults.strike(&asked.call);
    let fault = match fault {
        Some(Fault::Beside(run)) => {
            run();
            None
        }
        Some(Fault::CrashBefore(crash)) => {
            crash();
            Some(Fault::Dropped)
        }
        other => other,
    };
    let mut call = asked.call.clone();
    let not_sent = match &fault {
        Some(Fault::Dropped) => Some(None),
        Some(Fault::Hang) => Some(Some(0)),
        Some(Fault::Status(code)) => Some(Some(*code)),
        _ => None,
    };
    if let Some(code) = not_sent {
        call.code = code.unwrap_or_default();
        shared.recorder.add(call);
        return match code {
            None => broken(&peer),
            Some(0) => std::future::pending().await,
            Some(code) => failure(&asked, code).into_response(),
        };
    }
    let answer = perform(&shared, &asked, &body, &mut call).unwrap_or_else(IntoResponse::into_response);
    call.code = answer.status().as_u16();
    if fault.is_some() {
        call.code = 0;
    }
    shared.recorder.add(call);
    match fault {
        Some(Fault::Crash(crash)) => {
            crash();
            broken(&peer)
        }
        Some(Fault::HangAfter) => std::future::pending().await,
        Some(_) => broken(&peer),
        None => answer,
    }
}

/// What is answered to everybody.
fn unlisted(path: &str) -> Option<Response> {
    match path {
        "/version" => {
            let version = json!({
                "major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "clean",
                "buildDate": "", "goVersion": "", "compiler": "gc", "platform": "",
            });
            Some(Json(version).into_response())
        }
        "/readyz" | "/livez" | "/healthz" => Some("ok".into_response()),
        _ => None,
    }
}

fn broken(peer: &Peer) -> Response {
    peer.cut();
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn failure(asked: &Asked, code: u16) -> Refusal {
    match code {
        409 => Refusal::stale(asked.resource, &asked.call.name),
        429 => Refusal::new(429, "TooManyRequests", "Too many requests, please try again later."),
        503 => Refusal::new(503, "ServiceUnavailable", "apiserver is shutting down"),
        504 => Refusal::new(
            504,
            "Timeout",
            "Timeout: request did not complete within requested timeout",
        ),
        500 => Refusal::new(
            500,
            "InternalError",
            "Internal error occurred: etcdserver: request timed out",
        ),
        other => Refusal::new(other, "", "a fault"),
    }
}

fn route(method: &Method, path: &str, query: Query, headers: HeaderMap) -> Result<Asked, Refusal> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(Refusal::no_such_path()),
    };
    let (namespace, plural, rest) = match rest {
        ["namespaces", namespace, plural, rest @ ..] => (*namespace, *plural, rest),
        [plural, rest @ ..] => ("", *plural, rest),
        [] => return Err(Refusal::no_such_path()),
    };
    let (name, subresource) = match rest {
        [] => ("", ""),
        [name] => (*name, ""),
        [name, "status"] => (*name, "status"),
        _ => return Err(Refusal::no_such_path()),
    };
    let resource = resource::find(group, version, plural).ok_or_else(Refusal::no_such_path)?;
    if (subresource == "status" && !resource.custom)
        || (namespace.is_empty() && resource.namespaced && !name.is_empty())
    {
        return Err(Refusal::no_such_path());
    }
    let watch = matches!(query.get("watch").map(String::as_str), Some("true" | "1"));
    let verb = match (method.as_str(), name.is_empty()) {
        ("GET", true) if watch => "watch",
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("POST", true) => "create",
        ("PUT", false) => "update",
        ("PATCH", false) => "patch",
        ("DELETE", false) => "delete",
        ("DELETE", true) => "deletecollection",
        _ => {
            return Err(Refusal::new(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            ));
        }
    };
    let header = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let Some(user) = header(header::AUTHORIZATION).strip_prefix("Bearer ").map(str::to_owned) else {
        return Err(Refusal::new(401, "Unauthorized", "Unauthorized"));
    };
    let agent = header(header::USER_AGENT).split('/').next().unwrap_or_default();
    let manager = query.get("fieldManager").filter(|manager| !manager.is_empty()).cloned();
    let manager = manager.unwrap_or_else(|| if agent.is_empty() { "unknown" } else { agent }.to_owned());
    let call = Call {
        user,
        verb,
        group: group.to_owned(),
        resource: plural.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        manager,
        created: false,
        changed: false,
        code: 0,
    };
    Ok(Asked {
        resource,
        call,
        query,
        headers,
    })
}

impl Asked {
    fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    fn is(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    fn partial(&self) -> bool {
        let accept = self.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(|accept| accept.contains("as=PartialObjectMetadata"))
    }

    fn shown(&self, object: &Value) -> Value {
        if self.partial() && object["kind"] != "Status" {
            metadata_only(object)
        } else {
            object.clone()
        }
    }

    fn scope(&self) -> Result<Scope, Refusal> {
        Ok(Scope {
            resource: self.resource,
            namespace: self.call.namespace.clone(),
            selector: Selector::parse(self.resource, self.param("labelSelector"), self.param("fieldSelector"))?,
            partial: self.partial(),
        })
    }
}

fn perform(shared: &Arc<Shared>, asked: &Asked, body: &[u8], call: &mut Call) -> Result<Response, Refusal> {
    shared.rbac(|rbac| rbac.check(asked.resource, call, call.verb))?;
    if !asked.resource.namespaced {
        return namespace(shared, asked);
    }
    match call.verb {
        "get" => {
            let key = (
                asked.resource.plural.as_str(),
                call.namespace.clone(),
                call.name.clone(),
            );
            let held = shared.gate().held.filter(|_| asked.param("resourceVersion") == "0");
            let object = shared.read(|store| match held.and_then(|held| store.at(held)) {
                Some(then) => then.get(&key).cloned(),
                None => store.get(&key).cloned(),
            });
            let object = object.ok_or_else(|| Refusal::not_found(asked.resource, &call.name))?;
            Ok(Json(asked.shown(&object)).into_response())
        }
        "list" => {
            let scope = asked.scope()?;
            let gate = shared.gate();
            let list = shared.read(|store| listing::list(store, &scope, &asked.query, gate.held, gate.page))?;
            Ok(Json(list).into_response())
        }
        "watch" => watch(shared, asked),
        "deletecollection" => {
            let scope = asked.scope()?;
            let options = read_json(body).unwrap_or_default();
            shared.change(|store| {
                let list = listing::list(store, &scope, &Query::new(), None, None)?;
                for item in list["items"].as_array().into_iter().flatten() {
                    let mut write = write(shared, asked, call);
                    let name = item["metadata"]["name"].as_str().unwrap_or_default();
                    name.clone_into(&mut write.name);
                    call.changed |= write.delete(store, &options)?.changed;
                }
                Ok(Json(list).into_response())
            })
        }
        _ => {
            let write = write(shared, asked, call);
            let done = shared.change(|store| dispatch(store, asked, write, body))?;
            call.created = done.created && call.verb != "create";
            call.changed = done.changed;
            let code = StatusCode::from_u16(done.code).unwrap();
            Ok((code, Json(asked.shown(&done.body))).into_response())
        }
    }
}

fn dispatch(store: &mut super::store::Store, asked: &Asked, write: Write, body: &[u8]) -> Result<Done, Refusal> {
    let media = asked
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    match asked.call.verb {
        "create" => write.create(store, read_json(body)?),
        "update" => write.replace(store, read_json(body)?),
        "delete" => write.delete(store, &if body.is_empty() { Value::Null } else { read_json(body)? }),
        _ => match media.unwrap_or_default().split(';').next().unwrap_or_default() {
            "application/merge-patch+json" => write.merge_patch(store, &read_json(body)?),
            "application/json-patch+json" => write.json_patch(store, &read_json(body)?),
            "application/apply-patch+yaml" => {
                if asked.param("fieldManager").is_empty() {
                    let resource = Resource {
                        group: "meta.k8s.io".to_owned(),
                        kind: "PatchOptions".to_owned(),
                        schema: Value::Null,
                        rules: None,
                        version: String::new(),
                        plural: String::new(),
                        selectable: Vec::new(),
                        ..*asked.resource
                    };
                    let mut cause = Cause::required("fieldManager");
                    cause.message.push_str(": is required for apply patch");
                    return Err(Refusal::invalid(&resource, "", &[cause]));
                }
                let config = serde_yaml::from_slice(body)
                    .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))?;
                write.apply(store, config)
            }
            other => Err(Refusal::new(
                415,
                "UnsupportedMediaType",
                format!("the body of the request was in an unknown format: {other}"),
            )),
        },
    }
}

fn write(shared: &Shared, asked: &Asked, call: &Call) -> Write {
    Write {
        resource: asked.resource,
        namespace: call.namespace.clone(),
        name: call.name.clone(),
        status: call.subresource == "status",
        manager: call.manager.clone(),
        force: asked.is("force"),
        strict: asked.param("fieldValidation") == "Strict",
        dry_run: asked.param("dryRun") == "All",
        may_create: shared.rbac(|rbac| rbac.check(asked.resource, call, "create")),
    }
}

fn read_json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))
}

fn watch(shared: &Arc<Shared>, asked: &Asked) -> Result<Response, Refusal> {
    let initial_events = asked.is("sendInitialEvents");
    if initial_events && (asked.param("resourceVersionMatch") != "NotOlderThan" || !asked.is("allowWatchBookmarks")) {
        return Err(Refusal::bad_request(
            "sendInitialEvents needs resourceVersionMatch=NotOlderThan and allowWatchBookmarks=true",
        ));
    }
    let options = Options {
        version: asked.param("resourceVersion").to_owned(),
        bookmarks: asked.is("allowWatchBookmarks"),
        initial_events,
        timeout: asked.param("timeoutSeconds").parse().map_or(WATCH, Duration::from_secs),
    };
    let body = watching::body(shared, asked.scope()?, &options);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Every namespace exists until it is deleted.
fn namespace(shared: &Shared, asked: &Asked) -> Result<Response, Refusal> {
    let name = &asked.call.name;
    if asked.call.verb != "get" {
        return Err(Refusal::no_such_path());
    }
    let (gone, terminating) = shared.read(|store| (store.is_gone(name), store.is_terminating(name)));
    if gone {
        return Err(Refusal::not_found(asked.resource, name));
    }
    let phase = if terminating { "Terminating" } else { "Active" };
    let mut namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "uid": name, "resourceVersion": "1" },
        "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": phase },
    });
    if terminating {
        namespace["metadata"]["deletionTimestamp"] = json!(super::write::now());
    }
    Ok(Json(asked.shown(&namespace)).into_response())
}
