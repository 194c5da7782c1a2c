//! Who had access at a moment of a year of 10,000 users, asked through the API's own question of the database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretBox;
use vpn_operator::{
    clock::SystemClock,
    credentials::MasterKey,
    history::{ACCESS_DENIED, ACCESS_GRANTED, AuditEntry, History, WhoQuestion},
};

use crate::report::{Report, median, ms, note};

const USERS: usize = 10_000;
/// Changes of each in the year: a suspension or a limit every month, there and back.
const CHANGES: usize = 24;
const BATCH: usize = 5_000;
const ROUNDS: usize = 21;

pub fn measure(report: &mut Report) {
    note(&format!("who: {USERS} users, {CHANGES} changes each in a year"));
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let keys = MasterKey::from_bytes(SecretBox::new(Box::new([7; 32]))).audit_keys();
        let history = History::open(&folder.path().join("history.db"), keys, Arc::new(SystemClock)).unwrap();
        let end = Timestamp::now();
        let start = end - SignedDuration::from_hours(365 * 24);
        fill(&history, start).await;
        history.access_is_complete().await.unwrap();
        let mut took = Vec::new();
        for round in 0..ROUNDS {
            let share = i64::try_from(round).unwrap();
            let at = start + SignedDuration::from_hours(share * 365 * 24 / i64::try_from(ROUNDS).unwrap());
            let begun = Instant::now();
            let question = WhoQuestion {
                at,
                denied: true,
                after: None,
                limit: u32::try_from(USERS).unwrap(),
            };
            let who = history.who(question).await.unwrap();
            took.push(begun.elapsed());
            assert!(round == 0 || who.people.len() == USERS, "{}", who.people.len());
        }
        let middle = Duration::from_secs_f64(median(took.iter().map(Duration::as_secs_f64).collect()));
        let worst = took.iter().max().copied().unwrap_or_default();
        report.row(
            &format!(
                "`audit who --at` over a year of {USERS} users, {} changes",
                USERS * CHANGES
            ),
            &format!("{} (worst {})", ms(middle), ms(worst)),
            "-",
            "-",
            "≤ 200 ms",
            worst <= Duration::from_millis(200),
        );
    });
}

async fn fill(history: &History, start: Timestamp) {
    let step = 365 * 86_400 / i64::try_from(CHANGES).unwrap();
    let mut rows = Vec::with_capacity(BATCH);
    for change in 0..CHANGES {
        for user in 0..USERS {
            let offset = i64::try_from(change).unwrap() * step + i64::try_from(user).unwrap() % step.min(3600);
            let granted = change % 2 == 0;
            let entry = AuditEntry {
                actor: "vpn-operator".to_owned(),
                source: "folder".to_owned(),
                action: if granted { ACCESS_GRANTED } else { ACCESS_DENIED }.to_owned(),
                corporate_id: Some(format!("AB{user:06}")),
                after: Some(if granted { "Granted: Active" } else { "Denied: Held" }.to_owned()),
                reason: Some(
                    if granted {
                        "logins are accepted"
                    } else {
                        "held by hr-suspended"
                    }
                    .to_owned(),
                ),
                ..AuditEntry::default()
            };
            rows.push((start + SignedDuration::from_secs(offset), entry));
            if rows.len() == BATCH {
                assert!(history.record_access(std::mem::take(&mut rows)).await);
            }
        }
    }
    assert!(history.record_access(rows).await);
}
