//! `health`, as a container engine runs it.

use serde_json::json;

use super::{Fake, vpn_operator, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_operator_is_healthy_and_is_told_no_secret() {
    let fake = Fake::answering(200, json!({ "status": "ready", "checks": [] })).await;
    let outcome = fake.run(&["health"]).await;
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (0, "ready\n"),
        "{}",
        outcome.stderr
    );
    let asked = fake.only();
    assert_eq!(asked.uri.to_string(), "/readyz?verbose");
    assert!(asked.headers.get("X-Corporate-Secret").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_not_ready_is_unhealthy_and_says_what_failed() {
    let problem = json!({
        "detail": "the first full load of desired state is not over",
        "checks": [{ "name": "history", "result": "ok" }, { "name": "desired state", "result": "failed" }],
    });
    let outcome = Fake::answering(503, problem).await.run(&["health"]).await;
    assert_eq!(outcome.code, 5);
    assert_eq!(
        outcome.stderr,
        "error: not ready: the first full load of desired state is not over (failed: desired state)\n"
    );
    assert!(outcome.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_at_the_address_is_unhealthy() {
    let outcome = Fake::answering(404, json!(null)).await.run(&["health"]).await;
    assert_eq!(outcome.code, 5);
    assert!(outcome.stderr.contains("answered 404"), "{}", outcome.stderr);
}

#[test]
fn nobody_at_the_address_is_unhealthy_and_an_empty_certificate_is_none() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = with(&["health", "--listen", &free.to_string(), "--tls-cert", ""]);
    assert_eq!(outcome.code, 5);
    let said = format!("cannot reach the operator at http://{free}");
    assert!(outcome.stderr.contains(&said), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_the_listeners_own_certificate_is_trusted_under_any_name_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(folder.path().join("vpn")).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        super::set_mode(&path, 0o600);
        path
    };
    let of = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (own, other) = (of("vpn.example.com"), of("vpn.example.com"));
    let cert = file("tls.crt", own.cert.pem());
    let key = file("tls.key", own.signing_key.serialize_pem());
    let other = file("other.crt", other.cert.pem());
    let listen = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut operator = std::process::Command::new(env!("CARGO_BIN_EXE_vpn-operator"))
        .env_clear()
        .args(["run", "--auth-listen", "127.0.0.1:0", "--listen", &listen.to_string()])
        .env("DATA_DIR", &data)
        .env("DESIRED", format!("folder:{}", folder.path().join("vpn").display()))
        .env("TLS_CERT_FILE", &cert)
        .env("TLS_KEY_FILE", &key)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asked = |cert: std::path::PathBuf| {
        let mut command = vpn_operator();
        command
            .args(["health", "--listen", &listen.to_string()])
            .env("TLS_CERT_FILE", cert);
        tokio::task::spawn_blocking(move || super::run(command))
    };
    let mut outcome = asked(cert.clone()).await.unwrap();
    for _ in 0..200 {
        if outcome.code == 0 || operator.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        outcome = asked(cert.clone()).await.unwrap();
    }
    let stranger = asked(other).await.unwrap();
    operator.kill().unwrap();
    operator.wait().unwrap();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(stranger.code, 5, "{}", stranger.stderr);
}
