//! An export over a connection: what a receiver did not take comes again, and nothing is left out.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use vpn_operator::{
    clock::SystemClock,
    history::{AuditEntry, History},
};

use super::operator::{House, eventually};
use crate::support::audit_keys;

/// Adds rows to the audit of a house that no operator runs in.
async fn add(house: &House, rows: usize) {
    fs::create_dir_all(house.data()).unwrap();
    let path = house.data().join("history.db");
    let history = History::open(&path, audit_keys(), Arc::new(SystemClock)).unwrap();
    let entry = |n| AuditEntry {
        actor: "anna".into(),
        source: "api".into(),
        action: "grant".into(),
        corporate_id: Some(format!("AB{n:06}")),
        reason: Some("a \"reason\"]\nof two lines".into()),
        ..AuditEntry::default()
    };
    history.audit((0..rows).map(entry).collect()).await.unwrap();
}

/// The numbers of the rows in what a receiver read, which is whole messages behind their lengths.
fn numbers(mut read: &[u8]) -> Vec<i64> {
    let mut numbers = Vec::new();
    while !read.is_empty() {
        let space = read.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&read[..space]).unwrap().parse().unwrap();
        let message = std::str::from_utf8(&read[space + 1..space + 1 + length]).unwrap();
        assert!(message.starts_with("<109>1 ") && !message.contains('\n'), "{message}");
        let seq = message.split("seq=\"").nth(1).unwrap().split('"').next().unwrap();
        numbers.push(seq.parse().unwrap());
        read = &read[space + 1 + length..];
    }
    numbers
}

/// Reads to the end and closes.
async fn take(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Vec<u8> {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    stream.shutdown().await.unwrap();
    read
}

fn cursor(house: &House) -> PathBuf {
    house.path("siem.cursor")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_did_not_take_comes_again() {
    let house = House::new();
    add(&house, 2_500).await;
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("tcp://{}", receiver.local_addr().unwrap());
    let cursor_file = cursor(&house);
    let args = [
        "audit", "export", "--format", "syslog", "--follow", "--to", &to, "--cursor",
    ];
    let mut follower = house
        .command(&[&args[..], &[cursor_file.to_str().unwrap()]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first one reads a little, and dies.
    let (mut first, _) = receiver.accept().await.unwrap();
    let mut some = [0; 1000];
    first.read_exact(&mut some).await.unwrap();
    drop(first);
    let mut taken = Vec::new();
    while taken.len() < 2_500 {
        let (next, _) = receiver.accept().await.unwrap();
        taken.extend(numbers(&take(next).await));
    }
    assert_eq!(taken, (1..=2_500).collect::<Vec<_>>(), "from the beginning, in order");
    eventually("it is kept", async || {
        (fs::read_to_string(&cursor_file).ok()?.trim() == "2500").then_some(())
    })
    .await;
    // What comes while nobody listens comes later.
    let address = receiver.local_addr().unwrap();
    drop(receiver);
    add(&house, 10).await;
    tokio::time::timeout(Duration::from_secs(60), async {
        let receiver = TcpListener::bind(address).await.unwrap();
        let (next, _) = receiver.accept().await.unwrap();
        assert_eq!(numbers(&take(next).await), (2_501..=2_510).collect::<Vec<_>>());
    })
    .await
    .unwrap();
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_a_receiver_that_says_that_it_read_everything_counts() {
    let house = House::new();
    add(&house, 20).await;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let ca = house.path("ca.pem");
    fs::write(&ca, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("tls://localhost:{}", receiver.local_addr().unwrap().port());
    let served = tokio::spawn(async move {
        let mut seen = BTreeSet::new();
        // Reads everything, and ends without a word: it may have died before it kept what it read.
        let (stream, _) = receiver.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        drop(stream);
        let (stream, _) = receiver.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        seen.extend(numbers(&take(stream).await));
        seen
    });
    let export = |cert: &str| {
        let args = [
            "audit",
            "export",
            "--format",
            "syslog",
            "--to",
            &to,
            "--ca-cert",
            cert,
            "--cursor",
        ];
        let mut command = house.command(&[&args[..], &[cursor(&house).to_str().unwrap()]].concat());
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = export(ca.to_str().unwrap()).await.unwrap();
    assert_eq!(
        output.status.code(),
        Some(5),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!cursor(&house).exists());
    let output = export(ca.to_str().unwrap()).await.unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(served.await.unwrap(), (1..=20).collect());
    assert_eq!(fs::read_to_string(cursor(&house)).unwrap(), "20\n");
}
