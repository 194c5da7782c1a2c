use std::sync::{Arc, Mutex};

use axum::http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;

/// Tokio's time, which the tests let pass.
struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }
    fn monotonic(&self) -> std::time::Instant {
        Instant::now().into_std()
    }
    fn since_boot(&self) -> Duration {
        Duration::from_secs(1_000) + self.0.elapsed()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// Takes requests and never answers.
    Hangs,
    /// Answers 503.
    Overloaded,
    /// Answers 403.
    Forbids,
    /// Writes, and never answers.
    WritesInSilence,
}

/// The endpoints of one lease.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Value>>,
    version: Mutex<u64>,
    mood: Mutex<Mood>,
    requests: Mutex<Vec<(Method, String)>>,
}

impl Server {
    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move { Ok::<_, std::convert::Infallible>(server.answer(request).await) }
        });
        Client::new(service, "vpn")
    }

    fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let path = parts.uri.path().to_owned();
        self.requests.lock().unwrap().push((parts.method.clone(), path));
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Hangs => std::future::pending().await,
            Mood::Overloaded => failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Mood::Forbids => failure(StatusCode::FORBIDDEN, "Forbidden"),
            Mood::Well => self.serve(&parts.method, &body),
            Mood::WritesInSilence => {
                let answer = self.serve(&parts.method, &body);
                if parts.method == Method::GET {
                    return answer;
                }
                std::future::pending().await
            }
        }
    }

    fn serve(&self, method: &Method, body: &[u8]) -> Response<Body> {
        let present = self.lease();
        if *method == Method::GET {
            return present.map_or_else(|| failure(StatusCode::NOT_FOUND, "NotFound"), |lease| reply(&lease));
        }
        let wanted: Value = serde_json::from_slice(body).unwrap();
        match (method, present) {
            (&Method::POST, None) => {}
            (&Method::POST, Some(_)) => return failure(StatusCode::CONFLICT, "AlreadyExists"),
            (_, None) => return failure(StatusCode::NOT_FOUND, "NotFound"),
            (_, Some(lease)) if lease["metadata"]["resourceVersion"] == wanted["metadata"]["resourceVersion"] => {}
            _ => return failure(StatusCode::CONFLICT, "Conflict"),
        }
        reply(&self.store(wanted))
    }

    fn store(&self, mut lease: Value) -> Value {
        let mut version = self.version.lock().unwrap();
        *version += 1;
        lease["metadata"]["resourceVersion"] = json!(version.to_string());
        *self.lease.lock().unwrap() = Some(lease.clone());
        lease
    }

    fn lease(&self) -> Option<Value> {
        self.lease.lock().unwrap().clone()
    }

    fn spec(&self) -> Value {
        self.lease().unwrap()["spec"].clone()
    }

    fn held_by(&self, holder: &str) {
        self.store(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": "vpn-operator", "namespace": "vpn", "labels": { "team": "net" } },
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": 15,
                "acquireTime": "2030-01-01T00:00:00.000000Z",
                "renewTime": "2030-01-01T00:00:00.000000Z",
                "leaseTransitions": 4,
            },
        }));
    }
}

fn reply(body: &Value) -> Response<Body> {
    Response::new(Body::from(serde_json::to_vec(body).unwrap()))
}

fn failure(status: StatusCode, reason: &str) -> Response<Body> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": reason, "reason": reason, "code": status.as_u16(),
    });
    let mut response = reply(&body);
    *response.status_mut() = status;
    response
}

fn election(server: &Arc<Server>, identity: &str) -> Election {
    let clock = Arc::new(TokioClock(Instant::now()));
    let identity = identity.to_owned();
    Election::new(
        server.client(),
        "vpn",
        "vpn-operator",
        identity,
        Times::default(),
        clock,
    )
}

async fn leader(server: &Arc<Server>) -> Leadership {
    let never = CancellationToken::new();
    let acquired = election(server, "me").acquire(&never);
    let acquired = timeout(Duration::from_secs(60), acquired).await;
    acquired.expect("it acquires the lease").expect("it is not cancelled")
}

async fn seconds_until_lost(leadership: &Leadership) -> f64 {
    let begun = Instant::now();
    let lost = timeout(Duration::from_secs(60), leadership.lost()).await;
    lost.expect("it is lost");
    assert!(!leadership.is_held() && leadership.fence().check().is_err());
    begun.elapsed().as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_acquired_and_renewed_for_as_long_as_it_is_wanted() {
    let server = Arc::new(Server::default());
    let leadership = leader(&server).await;
    let first = server.spec();
    assert_eq!(first["holderIdentity"], "me");
    assert_eq!(
        (&first["leaseDurationSeconds"], &first["leaseTransitions"]),
        (&json!(15), &json!(0))
    );
    let fence = leadership.fence();
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        assert!(fence.is_open() && leadership.is_held());
    }
    let renewed = server.spec();
    assert_eq!(renewed["acquireTime"], first["acquireTime"]);
    assert_ne!(renewed["renewTime"], first["renewTime"]);
    // One call a renewal: reading is for when something is in doubt.
    let requests = server.requests.lock().unwrap().clone();
    let reads = requests.iter().filter(|(method, _)| method == Method::GET).count();
    assert_eq!(reads, 1, "{requests:?}");
    assert!(
        (22..=41).contains(&requests.len()),
        "every 1.6 to 2.4 s: {}",
        requests.len()
    );
    let path = "/apis/coordination.k8s.io/v1/namespaces/vpn/leases";
    assert!(requests.iter().all(|(_, asked)| asked.starts_with(path)));
}

#[tokio::test(start_paused = true)]
async fn who_waits_takes_over_when_the_holder_is_silent_and_keeps_what_others_wrote() {
    let server = Arc::new(Server::default());
    server.held_by("other");
    let begun = Instant::now();
    let leadership = leader(&server).await;
    let waited = begun.elapsed().as_secs_f64();
    assert!((15.0..18.0).contains(&waited), "{waited}");
    let lease = server.lease().unwrap();
    assert_eq!(
        (&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]),
        (&json!("me"), &json!(5))
    );
    assert_eq!(lease["metadata"]["labels"]["team"], "net");
    assert!(leadership.is_held());
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_until_the_server_is_well() {
    let server = Arc::new(Server::default());
    server.mood(Mood::Overloaded);
    let healing = async {
        for mood in [Mood::Overloaded, Mood::Forbids, Mood::Hangs, Mood::Well] {
            server.mood(mood);
            sleep(Duration::from_secs(7)).await;
        }
    };
    let (leadership, ()) = tokio::join!(leader(&server), healing);
    assert!(leadership.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_lease_was_taken_stops_at_its_next_renewal() {
    let server = Arc::new(Server::default());
    let leadership = leader(&server).await;
    sleep(Duration::from_secs(5)).await;
    server.held_by("other");
    let took = seconds_until_lost(&leadership).await;
    assert!(took <= 2.5, "{took}");
    leadership.release().await;
    assert_eq!(
        server.spec()["holderIdentity"],
        "other",
        "what another holds is not given back"
    );
}

#[tokio::test(start_paused = true)]
async fn a_holder_whom_the_server_does_not_answer_stops_at_the_deadline() {
    for mood in [Mood::Hangs, Mood::Overloaded] {
        let server = Arc::new(Server::default());
        let leadership = leader(&server).await;
        server.mood(mood);
        let took = seconds_until_lost(&leadership).await;
        assert!((9.9..10.6).contains(&took), "{mood:?}: {took}");
        let begun = Instant::now();
        leadership.release().await;
        assert!(
            begun.elapsed() < Duration::from_secs(7),
            "a server that is down delays the end a little only"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_short_outage_costs_nothing() {
    let server = Arc::new(Server::default());
    let leadership = leader(&server).await;
    for mood in [Mood::Hangs, Mood::Overloaded, Mood::WritesInSilence] {
        server.mood(mood);
        sleep(Duration::from_secs(5)).await;
        server.mood(Mood::Well);
        sleep(Duration::from_secs(20)).await;
        assert!(leadership.is_held(), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn releasing_closes_the_fence_and_lets_a_successor_in_at_once() {
    let server = Arc::new(Server::default());
    let leadership = leader(&server).await;
    let fence = leadership.fence();
    let waiting = tokio::spawn({
        let election = election(&server, "next");
        async move { election.acquire(&CancellationToken::new()).await }
    });
    sleep(Duration::from_secs(20)).await;
    assert!(fence.is_open() && !waiting.is_finished());
    leadership.release().await;
    assert!(!fence.is_open());
    assert_eq!(
        (&server.spec()["holderIdentity"], &server.spec()["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    let next = timeout(Duration::from_secs(3), waiting).await;
    assert!(next.expect("at its next look").unwrap().unwrap().is_held());
    assert_eq!(server.spec()["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_leadership_that_is_dropped_ends() {
    let server = Arc::new(Server::default());
    let leadership = leader(&server).await;
    let (fence, lost) = (leadership.fence(), leadership.lost());
    drop(leadership);
    timeout(Duration::from_secs(1), lost).await.expect("it is lost");
    assert!(!fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_while_it_acquires_leaves_no_lease_behind() {
    let server = Arc::new(Server::default());
    server.mood(Mood::WritesInSilence);
    let cancel = CancellationToken::new();
    let stopping = async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.spec()["holderIdentity"], "me", "the answer is what is missing");
        server.mood(Mood::Well);
        cancel.cancel();
    };
    let (acquired, ()) = tokio::join!(election(&server, "me").acquire(&cancel), stopping);
    assert!(acquired.is_none());
    assert_eq!(server.spec()["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cancelled_while_it_waits_makes_no_call_more() {
    let server = Arc::new(Server::default());
    server.held_by("other");
    let cancel = CancellationToken::new();
    let stopping = async {
        sleep(Duration::from_secs(5)).await;
        cancel.cancel();
        server.requests.lock().unwrap().len()
    };
    let (acquired, asked) = tokio::join!(election(&server, "me").acquire(&cancel), stopping);
    assert!(acquired.is_none());
    assert_eq!(server.requests.lock().unwrap().len(), asked);
}
