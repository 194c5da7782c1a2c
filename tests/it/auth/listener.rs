use std::{
    collections::HashMap,
    net::TcpListener,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, StatusCode};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vpn_operator::{
    auth::{index::AuthIndex, listener::AuthEndpoint},
    gateway::{NodeName, SessionLedger as _},
    metrics::{Listener, Metrics},
    model::user::VpnUser,
    roster::Roster,
    serve::{Connections, ServeError, TlsFiles, serve},
};

use crate::roster::{House, edited, held, hold, in_real_time, said, user};

struct Running {
    url: String,
    endpoint: Arc<AuthEndpoint>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServeError>>,
}

fn start(house: &House, tls: Option<TlsFiles>) -> Running {
    start_with(house.roster.index(), tls)
}

fn start_with(index: Arc<AuthIndex>, tls: Option<TlsFiles>) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let metrics = Arc::new(Metrics::new());
    let endpoint = AuthEndpoint::new(index, metrics.clone());
    endpoint.set_tokens([(&SecretString::from("t0ken"), &NodeName("default/a".into()))]);
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(
        listener,
        endpoint.router(),
        tls,
        Connections::new(Listener::Auth, 100, Arc::default()),
        stop.clone(),
    ));
    Running {
        url,
        endpoint,
        metrics,
        stop,
        task,
    }
}

impl Running {
    async fn post(&self, path: &str, body: &str) -> (StatusCode, String) {
        let request = Client::new().post(format!("{}{path}", self.url)).body(body.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn ok(&self, path: &str, body: &str) -> bool {
        let (status, body) = self.post(path, body).await;
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer.as_object().unwrap().len(), 2);
        assert_eq!(
            answer["ok"].as_bool().unwrap(),
            !answer["id"].as_str().unwrap().is_empty()
        );
        answer["ok"].as_bool().unwrap()
    }
}

const GOOD: &str = r#"{"addr":"198.51.100.7:4000","auth":"corp_ab123456:pw-ab123456-1","tx":125000}"#;

#[tokio::test]
async fn a_good_token_gets_yes_and_no_as_hysteria_reads_them() {
    let house = House::with(vec![said(&user("AB123456"))]);
    let running = start(&house, None);
    assert!(running.ok("/auth/t0ken", GOOD).await);
    assert!(
        running.ok("/auth/t%30ken", GOOD).await,
        "a client may escape more than it has to"
    );
    assert!(
        running
            .ok("/auth/t0ken", &GOOD.replace("\"tx\"", "\"more\":{},\"tx\""))
            .await
    );
    assert!(running.ok("/auth/t0ken", &GOOD.replace("_ab1", "\\u005fab1")).await);
    assert!(!running.ok("/auth/t0ken", &GOOD.replace("-1\"", "-2\"")).await);
    house.roster.apply(vec![held(&hold("hr-x", "AB123456"))]);
    assert!(!running.ok("/auth/t0ken", GOOD).await);
    let text = running.metrics.encode();
    for line in [
        "Granted\"} 4\n",
        "BadPassword\"} 1\n",
        "Held\"} 1\n",
        "WrongToken\"} 0\n",
    ] {
        assert!(
            text.contains(&format!("auth_decisions_total{{outcome=\"{line}")),
            "{line} in {text}"
        );
    }
}

#[tokio::test]
async fn anything_odd_is_refused() {
    let house = House::with(vec![said(&user("AB123456"))]);
    let running = start(&house, None);
    for path in [
        "/auth/wrong",
        "/auth/",
        "/auth",
        "/auth/t0ken/",
        "/auth/t0ken%00",
        "/auth/%ff",
        "/",
        "/AUTH/t0ken",
    ] {
        assert_eq!(running.post(path, GOOD).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let got = reqwest::get(format!("{}/auth/t0ken", running.url)).await.unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    let not_utf8 = GOOD.replace("ab123456-1", "\u{fffd}");
    let odd = [
        "",
        "[]",
        "null",
        "{}",
        r#"{"auth":5}"#,
        r#"{"auth":null}"#,
        "{\"auth\":\"corp_ab123456:pw",
        &not_utf8,
    ];
    for body in odd {
        assert!(!running.ok("/auth/t0ken", body).await, "{body}");
    }
    let twice = GOOD.replace("\"tx\"", "\"auth\":\"x:y\",\"tx\"");
    assert!(!running.ok("/auth/t0ken", &twice).await);
    let long = format!("{}{}", GOOD, " ".repeat(5000));
    assert_eq!(
        running.post("/auth/t0ken", &long).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(
        reqwest::get(format!("{}/healthz", running.url)).await.unwrap().status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn tokens_can_be_replaced_while_it_runs_and_an_empty_one_opens_nothing() {
    let house = House::with(vec![said(&user("AB123456"))]);
    let running = start(&house, None);
    let (empty, new) = (SecretString::from(""), SecretString::from("new"));
    let node = NodeName("default/a".into());
    running.endpoint.set_tokens([(&empty, &node), (&new, &node)]);
    assert_eq!(running.post("/auth/t0ken", GOOD).await.0, StatusCode::NOT_FOUND);
    assert_eq!(running.post("/auth/", GOOD).await.0, StatusCode::NOT_FOUND);
    assert!(running.ok("/auth/new", GOOD).await);
}

#[tokio::test]
async fn a_login_during_the_first_load_waits_for_it() {
    let house = House::empty();
    house.roster.apply(vec![said(&user("AB123456"))]);
    let running = start(&house, None);
    let mut login = Box::pin(running.ok("/auth/t0ken", GOOD));
    tokio::select! {
        _ = &mut login => panic!("answered before the load"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    house.roster.loaded();
    assert!(login.await);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_does_not_end_is_waited_for_only_once() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    let house = House::empty();
    house.roster.apply(vec![said(&user("AB123456"))]);
    let endpoint = AuthEndpoint::new(house.roster.index(), Arc::new(Metrics::new()));
    endpoint.set_tokens([(&SecretString::from("t0ken"), &NodeName("default/a".into()))]);
    let began = tokio::time::Instant::now();
    for _ in 0..3 {
        let request = Request::post("/auth/t0ken").body(Body::from(GOOD)).unwrap();
        let answer = endpoint.router().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
        assert_eq!(body, r#"{"ok":false,"id":""}"#);
        assert_eq!(began.elapsed().as_secs(), 8);
    }
}

/// A person with one device, whose node is polled. Nodes that are asked show what is in `online`.
fn one_device(online: &Arc<Mutex<HashMap<String, u32>>>) -> (Roster, Arc<AtomicUsize>) {
    let roster = in_real_time(vec![said(&with_devices(1))]);
    let index = roster.index();
    let name = NodeName("default/a".into());
    index.expect_polls_of(&[name.clone()].into());
    let asked = Arc::new(AtomicUsize::new(0));
    let (node, count, online) = (Arc::downgrade(&index), asked.clone(), online.clone());
    index.inquiry().ask_with(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let (node, name, online) = (node.clone(), name.clone(), online.clone());
        tokio::spawn(async move {
            // A node takes a moment to answer.
            tokio::task::yield_now().await;
            if let Some(index) = node.upgrade() {
                let shown = online.lock().unwrap().clone();
                index.observed(&name, Instant::now(), &shown);
            }
        });
    });
    (roster, asked)
}

fn with_devices(max: u32) -> VpnUser {
    edited(&user("AB123456"), |user| user.spec.max_devices = Some(max))
}

#[tokio::test]
async fn an_app_that_restarts_again_and_again_is_let_in_because_the_nodes_are_asked() {
    let online = Arc::default();
    let (roster, asked) = one_device(&online);
    let running = start_with(roster.index(), None);
    for round in 0..6 {
        assert!(running.ok("/auth/t0ken", GOOD).await, "round {round}");
    }
    assert!(asked.load(Ordering::SeqCst) > 0, "or the test shows nothing");
}

#[tokio::test]
async fn who_has_too_many_devices_is_refused_once_the_nodes_say_so_and_a_node_is_asked_once_for_all() {
    let online: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let (roster, asked) = one_device(&online);
    let running = start_with(roster.index(), None);
    for _ in 0..2 {
        let (_, body) = running.post("/auth/t0ken", GOOD).await;
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        online
            .lock()
            .unwrap()
            .insert(answer["id"].as_str().unwrap().to_owned(), 1);
    }
    assert_eq!(
        asked.load(Ordering::SeqCst),
        0,
        "nobody is asked about a login that is let in"
    );
    let all = futures::future::join_all((0..40).map(|_| running.ok("/auth/t0ken", GOOD))).await;
    assert!(all.iter().all(|granted| !granted));
    assert!(asked.load(Ordering::SeqCst) <= 10, "{asked:?}");
    // A wrong password asks nobody.
    let before = asked.load(Ordering::SeqCst);
    assert!(!running.ok("/auth/t0ken", &GOOD.replace("-1\"", "-2\"")).await);
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_answer_holds_a_refusal_up_for_two_seconds_at_most() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    let house = House::with(vec![said(&with_devices(0))]);
    let index = house.roster.index();
    index.expect_polls_of(&[NodeName("default/a".into())].into());
    index.inquiry().ask_with(|| {});
    let endpoint = AuthEndpoint::new(index, Arc::new(Metrics::new()));
    endpoint.set_tokens([(&SecretString::from("t0ken"), &NodeName("default/a".into()))]);
    let login = || async {
        let request = Request::post("/auth/t0ken").body(Body::from(GOOD)).unwrap();
        let answer = endpoint.router().oneshot(request).await.unwrap();
        axum::body::to_bytes(answer.into_body(), 1000).await.unwrap()
    };
    let begun = tokio::time::Instant::now();
    assert_eq!(login().await, r#"{"ok":false,"id":""}"#);
    assert!(begun.elapsed().is_zero(), "no answer of a node could change this");
    let wider = edited(&with_devices(0), |user| user.spec.max_devices = Some(1));
    house.roster.apply(vec![said(&wider)]);
    for granted in [true, true, false] {
        assert_eq!(login().await.starts_with(br#"{"ok":true"#), granted);
    }
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn it_stops_when_it_is_told_to() {
    let house = House::with(vec![]);
    let running = start(&house, None);
    let client = Client::new();
    client.get(format!("{}/healthz", running.url)).send().await.unwrap();
    running.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running.task)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(client.get(format!("{}/healthz", running.url)).send().await.is_err());
}

fn certify(files: &TlsFiles) -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
}

async fn trusts(url: &str, certificate: &Certificate) -> bool {
    let client = Client::builder().tls_certs_only([certificate.clone()]).build().unwrap();
    client.get(format!("{url}/healthz")).send().await.is_ok()
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| Path::new(folder.path()).join(name);
    let files = TlsFiles {
        cert: at("tls.crt"),
        key: at("tls.key"),
    };
    let first = certify(&files);
    let house = House::with(vec![]);
    let running = start(&house, Some(files.clone()));
    assert!(trusts(&running.url, &first).await);

    let second = certify(&files);
    let deadline = std::time::Instant::now() + Duration::from_secs(15);
    while !trusts(&running.url, &second).await {
        assert!(
            std::time::Instant::now() < deadline,
            "the new certificate is not taken up"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!trusts(&running.url, &first).await);
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_at_the_start_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        cert: folder.path().join("tls.crt"),
        key: folder.path().join("tls.key"),
    };
    let missing = files.load().unwrap_err().to_string();
    assert!(
        missing.contains("tls.crt") && missing.contains("a certificate"),
        "{missing}"
    );
    certify(&files);
    let other = TlsFiles {
        cert: folder.path().join("b.crt"),
        key: folder.path().join("b.key"),
    };
    certify(&other);
    let mixed = TlsFiles {
        cert: files.cert,
        key: other.key,
    };
    let error = mixed.load().unwrap_err().to_string();
    assert!(error.contains("tls.crt") && error.contains("b.key"), "{error}");
}
