//! What strangers can do with connections: hold them open, and say the length of a request twice.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::operator::{AUTH_TOKEN, House, Operator, eventually, hold, user};

const ANNA: &str = "AB123456";
/// After so long a node gives up a login.
const NODE_WAITS: Duration = Duration::from_secs(10);

/// An operator that may have so many files open, and no more.
async fn limited(house: &House, limit: &str) -> Operator {
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    let binary = env!("CARGO_BIN_EXE_vpn-operator");
    let operator = house.launch_in("sh", &["-c", &script, binary], &[]).await;
    operator.ready().await;
    operator
}

/// What readiness says of the connections.
async fn said(operator: &Operator) -> Value {
    let (_, ready) = operator.get("/readyz?verbose").await;
    let checks = ready["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["name"] == "connections")
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_stop_neither_logins_nor_the_api_nor_holds() {
    let house = House::new();
    house.write("anna.yaml", &user(ANNA, ""));
    let operator = limited(&house, "-n 256").await;
    let secret = operator.credential(ANNA).await;
    let check = said(&operator).await;
    assert_eq!(check["result"], "warning", "{check}");
    assert!(
        check["note"]
            .as_str()
            .unwrap()
            .starts_with("64 to the auth listener and 32"),
        "{check}"
    );
    for listener in [operator.auth, operator.api] {
        let mut idle = Vec::new();
        for number in 0..400 {
            let mut connection = TcpStream::connect(listener).await.unwrap();
            // Bytes that are no request make nobody busy.
            if number % 2 == 0 {
                let _ = connection.write_all(b"POST / HT").await;
            }
            idle.push(connection);
        }
        // A client of its own, so that its connection is a new one.
        let node = reqwest::Client::builder()
            .no_proxy()
            .timeout(NODE_WAITS)
            .build()
            .unwrap();
        let login = json!({ "addr": "192.0.2.1:1", "auth": secret, "tx": 0 });
        let answer = node.post(operator.auth_url()).json(&login).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["ok"], true);
        let page = node.get(operator.url("/livez")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let mut rest = Vec::new();
        let ended = idle[0].read_to_end(&mut rest).await;
        assert!(
            ended.is_err() || rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"),
            "the idlest is closed"
        );
    }
    assert!(operator.metric("vpn_operator_connections_evicted_total").await > 0.0);
    house.write("hold.yaml", &hold("helpdesk-out-anna", ANNA, ""));
    operator.becomes(ANNA, "Held").await;
    assert!(!operator.log().contains("Too many open files"), "{}", operator.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connections_waits_in_order_while_the_process_does_not_run() {
    const STORM: usize = 300;
    let kept = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let storm = STORM.min(kept.trim().parse().unwrap());
    let operator = House::new().start().await;
    operator.signal("STOP");
    let mut waiting = Vec::new();
    for listener in [operator.auth, operator.api] {
        for number in 0..storm {
            let connected = tokio::time::timeout(Duration::from_millis(900), TcpStream::connect(listener)).await;
            waiting.push(
                connected
                    .unwrap_or_else(|_| panic!("connection {number} finds no room"))
                    .unwrap(),
            );
        }
    }
    operator.signal("CONT");
    operator.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_of_open_files_is_raised_at_the_start() {
    let operator = limited(&House::new(), "-S -n 256").await;
    let check = said(&operator).await;
    assert!(
        !check["note"].as_str().unwrap().contains("of 256 open files"),
        "{check}"
    );
}

/// What is answered to these bytes until the connection ends.
async fn answered(operator: std::net::SocketAddr, sent: &str) -> String {
    let mut connection = TcpStream::connect(operator).await.unwrap();
    connection.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset behind the answer is an end as well.
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_says_its_length_twice_is_refused_and_what_it_hides_is_not_read() {
    let operator = House::new().start().await;
    for (listener, path, probe) in [
        (operator.api, "/access/grant".to_owned(), "/livez"),
        (operator.auth, format!("/auth/{AUTH_TOKEN}"), "/healthz"),
    ] {
        let hidden = format!("GET {probe} HTTP/1.1\r\nHost: a\r\n\r\n");
        for lengths in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "transfer-encoding: chunked\r\nHost: a\r\nCONTENT-LENGTH: 0\r\n",
        ] {
            let smuggled = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{lengths}\r\n0\r\n\r\n{hidden}");
            let answer = answered(listener, &smuggled).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{lengths}: {answer}");
            for rest in ["", "{}", "5\r\n"] {
                let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\n{lengths}\r\n{rest}");
                let answer = tokio::time::timeout(Duration::from_secs(5), answered(listener, &head)).await;
                let answer = answer.expect("no more bytes are waited for");
                assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths}{rest}: {answer}");
            }
            let behind = answered(listener, &format!("{hidden}{smuggled}")).await;
            assert!(
                behind.starts_with("HTTP/1.1 200 ") && behind.contains("HTTP/1.1 400 "),
                "{behind}"
            );
        }
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n\
             GET {probe} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        let answer = answered(listener, &chunked).await;
        assert!(
            answer.contains("HTTP/1.1 200 ") && !answer.contains("HTTP/1.1 400 Bad Request\r\ncontent-length: 0"),
            "{answer}"
        );
    }
    eventually("the operator works on", async || {
        operator.get("/livez").await.0.eq(&200).then_some(())
    })
    .await;
}
