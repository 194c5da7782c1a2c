//! The audit: walking along a million rows, against hashing the same bytes.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::Connection;
use secrecy::SecretBox;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use vpn_operator::{
    clock::SystemClock,
    credentials::MasterKey,
    history::{AuditEntry, History},
};

use crate::report::{Report, median, ms, note};

const ROWS: usize = 1_000_000;
/// Rows in one transaction.
const BATCH: usize = 5_000;
const ROUNDS: usize = 5;

pub fn measure(report: &mut Report) {
    note("audit: a million rows");
    let folder = tempfile::tempdir().unwrap();
    let keys = MasterKey::from_bytes(SecretBox::new(Box::new([7; 32]))).audit_keys();
    let history = History::open(&folder.path().join("history.db"), keys, Arc::new(SystemClock)).unwrap();
    let runtime = Runtime::new().unwrap();
    let begun = Instant::now();
    for batch in 0..ROWS / BATCH {
        let entries = (0..BATCH).map(|n| entry(batch * BATCH + n)).collect();
        runtime.block_on(history.audit(entries)).unwrap();
    }
    let each = begun.elapsed() / u32::try_from(ROWS).unwrap();
    report.told(
        "An audit row, in transactions of 5,000",
        &format!("{} µs", each.as_nanos() / 1000),
        "",
        "",
    );
    let (mut ours, mut hashed, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    let row = hashed_bytes(&folder.path().join("history.db"));
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let verified = runtime.block_on(history.verified()).unwrap();
        ours.push(begun.elapsed().as_secs_f64());
        assert!(verified.is_proved() && verified.rows == ROWS as u64);
        hashed.push(seconds(|| hash(row)));
        sealed.push(seconds(|| seal(row)));
    }
    let (ours, hashed, sealed) = (median(ours), median(hashed), median(sealed));
    let shown = |seconds: f64| ms(Duration::from_secs_f64(seconds));
    report.row(
        &format!("audit verify of 1,000,000 rows, against HMAC-SHA-256 of the same {row} bytes each"),
        &shown(ours),
        &shown(sealed),
        &format!("{:.2}", ours / sealed),
        "≤ 2",
        ours <= 2.0 * sealed,
    );
    report.told(
        "… against SHA-256 of the same bytes",
        &shown(ours),
        &shown(hashed),
        &format!("{:.2}", ours / hashed),
    );
}

/// Bytes of a row that are hashed: a text is framed by 9 bytes, an absent one is one byte; beside them there are the hash of the row
/// before, two numbers, the digest of the words and what frames these.
fn hashed_bytes(file: &Path) -> usize {
    let texts = [
        "actor",
        "source",
        "action",
        "corporate_id",
        "corporate_key",
        "state_before",
        "state_after",
        "reason",
        "request_id",
        "address",
        "event",
    ];
    let framed = texts
        .map(|text| format!("ifnull(9 + octet_length({text}), 1)"))
        .join(" + ");
    let sql = format!(
        "SELECT avg(90 + octet_length(key_id) + octet_length(salt) + {framed}) FROM audit WHERE salt IS NOT NULL"
    );
    let average: f64 = Connection::open(file)
        .unwrap()
        .query_row(&sql, [], |row| row.get(0))
        .unwrap();
    average as usize
}

fn entry(n: usize) -> AuditEntry {
    AuditEntry {
        actor: "Anna Ivanova (192.0.2.17)".into(),
        source: "api".into(),
        action: "hold.create".into(),
        corporate_id: Some(format!("AB{:06}", n % 10_000)),
        before: Some(r#"{"access":"Granted","reason":"Active"}"#.into()),
        after: Some(format!(r#"{{"access":"Denied","hold":"api-hold-{n}"}}"#)),
        reason: Some("left the company".into()),
        request_id: Some(format!("{n:032x}")),
        address: Some("192.0.2.17".into()),
        event: None,
    }
}

fn seconds(work: impl FnOnce() -> u8) -> f64 {
    let begun = Instant::now();
    std::hint::black_box(work());
    begun.elapsed().as_secs_f64()
}

fn hash(row: usize) -> u8 {
    let mut bytes = vec![7u8; row];
    let mut last = 0;
    for n in 0..ROWS {
        bytes[n % row] ^= last;
        last = Sha256::digest(&bytes)[0];
    }
    last
}

fn seal(row: usize) -> u8 {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&[7; 32]).unwrap();
    let mut bytes = vec![7u8; row];
    let mut last = 0;
    for n in 0..ROWS {
        bytes[n % row] ^= last;
        let mut mac = mac.clone();
        mac.update(&bytes);
        last = mac.finalize().into_bytes()[0];
    }
    last
}
