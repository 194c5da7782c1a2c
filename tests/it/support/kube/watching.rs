//! Watches.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::{Body, Bytes};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    refusal::Refusal,
    resource::Resource,
    select::Selector,
    shared::Shared,
    store::{Change, Key, Store},
};

/// How long a watch is quiet before a bookmark says how far it got.
const BOOKMARK: Duration = Duration::from_millis(500);

/// What a watch is about.
pub struct Scope {
    pub resource: &'static Resource,
    /// Empty: every namespace.
    pub namespace: String,
    pub selector: Selector,
    /// Only metadata is sent.
    pub partial: bool,
}

impl Scope {
    pub fn covers(&self, key: &Key) -> bool {
        key.0 == self.resource.plural && (self.namespace.is_empty() || self.namespace == key.1)
    }

    pub fn shown(&self, object: &Value) -> Value {
        if self.partial {
            metadata_only(object)
        } else {
            object.clone()
        }
    }
}

/// An object as a client that asked for metadata only gets it.
pub fn metadata_only(object: &Value) -> Value {
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
    })
}

/// How a watch begins and ends.
pub struct Options {
    pub version: String,
    pub bookmarks: bool,
    pub initial_events: bool,
    pub timeout: Duration,
}

struct Stream {
    shared: Arc<Shared>,
    scope: Scope,
    bookmarks: bool,
    ends: Instant,
    cut: CancellationToken,
    tick: watch::Receiver<u64>,
    /// Everything up to here was looked at.
    cursor: u64,
    /// The last version that the client was told.
    told: u64,
    quiet_since: Instant,
    queue: VecDeque<Value>,
    over: bool,
}

/// The body of a watch.
pub fn body(shared: &Arc<Shared>, scope: Scope, options: &Options) -> Body {
    let mut stream = Stream {
        tick: shared.subscribe(),
        cut: shared.stream_token(),
        shared: Arc::clone(shared),
        scope,
        bookmarks: options.bookmarks,
        ends: Instant::now() + options.timeout,
        cursor: 0,
        told: 0,
        quiet_since: Instant::now(),
        queue: VecDeque::new(),
        over: false,
    };
    stream.begin(options);
    Body::from_stream(futures::stream::unfold(stream, async |mut stream| {
        let next = stream.next().await?;
        Some((next, stream))
    }))
}

impl Stream {
    fn begin(&mut self, options: &Options) {
        let shared = Arc::clone(&self.shared);
        let held = shared.gate().held;
        shared.read(|store| {
            let from_state = options.initial_events || matches!(options.version.as_str(), "" | "0");
            if !from_state {
                let version = options.version.parse().unwrap_or_default();
                self.cursor = version;
                self.told = version;
                if version < store.oldest() {
                    let oldest = store.oldest();
                    let refusal = Refusal::expired(format!("too old resource version: {version} ({oldest})"));
                    self.queue.push_back(event("ERROR", &refusal.status()));
                    self.over = true;
                }
                return;
            }
            let at = held.unwrap_or_else(|| store.version());
            for (key, object) in store.at(at).unwrap_or_default() {
                if self.scope.covers(&key) && self.scope.selector.accepts(&object) {
                    self.queue.push_back(event("ADDED", &self.scope.shown(&object)));
                }
            }
            self.cursor = at;
            self.told = at;
            if options.initial_events {
                let mut mark = self.bookmark();
                mark["object"]["metadata"]["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
                self.queue.push_back(mark);
            }
        });
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.cut.is_cancelled() {
                self.over = true;
                self.queue.clear();
                self.cut = CancellationToken::new();
                return Some(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if let Some(event) = self.queue.pop_front() {
                self.quiet_since = Instant::now();
                return Some(Ok(line(&event)));
            }
            if self.over {
                return None;
            }
            self.tick.borrow_and_update();
            let wait = self.refill();
            if !self.queue.is_empty() {
                continue;
            }
            let now = Instant::now();
            let ending = now >= self.ends;
            let due = now >= self.quiet_since + BOOKMARK;
            if self.bookmarks && self.cursor > self.told && (due || ending) {
                self.told = self.cursor;
                return Some(Ok(line(&self.bookmark())));
            }
            if ending {
                return None;
            }
            let mut until = self.ends;
            if self.bookmarks && self.cursor > self.told {
                until = until.min(self.quiet_since + BOOKMARK);
            }
            if let Some(wait) = wait {
                until = until.min(wait);
            }
            tokio::select! {
                _ = self.tick.changed() => {}
                () = self.cut.cancelled() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    /// Queues what may be seen by now; says when more may be.
    fn refill(&mut self) -> Option<Instant> {
        let gate = self.shared.gate();
        let shared = Arc::clone(&self.shared);
        shared.read(|store: &Store| {
            let now = Instant::now();
            let mut later = None;
            let mut seen = self.cursor;
            let mut found: Vec<(u64, Value)> = Vec::new();
            for change in store.since(self.cursor) {
                if gate.held.is_some_and(|held| change.version > held) {
                    break;
                }
                if change.at + gate.delay > now {
                    later = Some(change.at + gate.delay);
                    break;
                }
                if let Some(event) = self.event(change) {
                    if gate.lagging
                        && let Some((version, event)) = found.pop()
                    {
                        self.queue.push_back(event);
                        seen = version;
                    }
                    found.push((change.version, event));
                }
                if !gate.lagging || found.is_empty() {
                    seen = change.version;
                }
            }
            if !gate.lagging {
                self.queue.extend(found.into_iter().map(|(_, event)| event));
            }
            if !self.queue.is_empty() {
                self.told = seen;
            }
            self.cursor = seen;
            later
        })
    }

    fn event(&self, change: &Change) -> Option<Value> {
        if !self.scope.covers(&change.key) {
            return None;
        }
        let passes = |object: &Option<Arc<Value>>| object.as_deref().is_some_and(|o| self.scope.selector.accepts(o));
        let object = match (passes(&change.old), passes(&change.new)) {
            (false, false) => return None,
            (false, true) => ("ADDED", change.new.as_deref().cloned()?),
            (true, true) => ("MODIFIED", change.new.as_deref().cloned()?),
            (true, false) => {
                let mut last = change.old.as_deref().cloned()?;
                last["metadata"]["resourceVersion"] = json!(change.version.to_string());
                ("DELETED", last)
            }
        };
        Some(event(object.0, &self.scope.shown(&object.1)))
    }

    fn bookmark(&self) -> Value {
        let resource = self.scope.resource;
        let object = json!({
            "apiVersion": resource.api_version(), "kind": resource.kind,
            "metadata": { "resourceVersion": self.cursor.to_string(), "creationTimestamp": null },
        });
        event("BOOKMARK", &self.scope.shown(&object))
    }
}

fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

fn line(event: &Value) -> Bytes {
    Bytes::from(format!("{event}\n"))
}
