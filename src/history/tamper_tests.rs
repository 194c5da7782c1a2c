//! Whoever writes the file without the key is noticed: chains of every kind, and every way to change them.

use std::{fs, path::PathBuf, time::Duration};

use proptest::{prelude::*, sample::Index};
use rusqlite::{Connection, params, types::Value};
use secrecy::SecretBox;
use tempfile::TempDir;

use super::{
    chain::{self, Content, Head},
    *,
};
use crate::{clock::ManualClock, credentials::MasterKey};

const NOON: &str = "2026-03-15T12:00:00Z";
const DAY: Duration = Duration::from_secs(86_400);

fn key(byte: u8) -> SecretBox<[u8; 32]> {
    SecretBox::new(Box::new([byte; 32]))
}

/// The keys after so many rotations: the last one seals, all of them check.
fn keys(rotations: u8) -> AuditKeys {
    let hex = |byte: u8| format!("{byte:02x}").repeat(32);
    let previous: Vec<String> = (0..rotations).map(hex).collect();
    let previous = (!previous.is_empty()).then(|| previous.join(",").into());
    let key = MasterKey::given(Some(hex(rotations).into()), previous).unwrap();
    key.audit_keys()
}

#[derive(Debug, Clone)]
enum Step {
    Rows(u8),
    Revocation { account: u8, epoch: i64, contained: bool },
    Rotation,
    Days(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..6u8).prop_map(Step::Rows),
        3 => (0..3u8, 1..3i64, any::<bool>())
            .prop_map(|(account, epoch, contained)| Step::Revocation { account, epoch, contained }),
        1 => Just(Step::Rotation),
        1 => (1..500u16).prop_map(Step::Days),
    ]
}

/// A chain, closed, with what is published of it.
struct Chain {
    folder: TempDir,
    keys: AuditKeys,
    clock: Arc<ManualClock>,
    published: String,
}

fn entry(n: u8) -> AuditEntry {
    AuditEntry {
        actor: format!("person{n}"),
        source: "api".into(),
        action: "grant".into(),
        corporate_id: Some(format!("AB{n:06}")),
        reason: (n.is_multiple_of(2)).then(|| "because".into()),
        address: Some("192.0.2.1".into()),
        ..AuditEntry::default()
    }
}

fn revocation(account: u8, epoch: i64, contained: bool) -> RevocationRow {
    let noon: Timestamp = NOON.parse().unwrap();
    RevocationRow {
        corporate_id: format!("AB{account:06}"),
        account: format!("corp_ab{account:06}"),
        epoch,
        reason: "Held".into(),
        denied_at: noon,
        contained_at: contained.then_some(noon),
        sessions_zero_at: None,
        left_out: Vec::new(),
        withdrawn_at: None,
        deleted_at: None,
    }
}

/// A database as the versions before the key wrote it.
fn before_the_key(path: &std::path::Path, rows: u8, revocations: u8) {
    let conn = Connection::open(path).unwrap();
    for step in &SCHEMA.steps[..4] {
        conn.execute_batch(step).unwrap();
    }
    conn.pragma_update(None, "application_id", SCHEMA.application_id)
        .unwrap();
    conn.pragma_update(None, "user_version", 4).unwrap();
    let at = NOON.parse::<Timestamp>().unwrap().as_microsecond();
    let mut last = Head { seq: 0, hash: [0; 32] };
    for seq in 1..=i64::from(rows) {
        let mut texts = [None; chain::TEXTS];
        for (slot, text) in texts.iter_mut().zip(["anna", "api", "grant", "AB123456", "ab123456"]) {
            *slot = Some(text.as_bytes());
        }
        let content = Content {
            seq,
            at,
            texts,
            sealed_with: None,
        };
        let hash = content.hash(&last.hash, &mut Vec::new());
        conn.execute(
            "INSERT INTO audit (seq, at, actor, source, action, corporate_id, corporate_key, hash) \
             VALUES (?1, ?2, 'anna', 'api', 'grant', 'AB123456', 'ab123456', ?3)",
            params![seq, at, hash],
        )
        .unwrap();
        last = Head { seq, hash };
    }
    for epoch in 1..=i64::from(revocations) {
        conn.execute(
            "INSERT INTO revocations (account, epoch, corporate_id, corporate_key, reason, denied_at) \
             VALUES ('corp_ab000000', ?1, 'AB000000', 'ab000000', 'Held', ?2)",
            params![epoch + 10, at],
        )
        .unwrap();
    }
}

impl Chain {
    async fn of(old: Option<(u8, u8)>, steps: &[Step]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("history.db");
        if let Some((rows, revocations)) = old {
            before_the_key(&path, rows, revocations);
        }
        let clock = ManualClock::at(NOON.parse().unwrap());
        let mut rotations = 0;
        let mut history = History::open(&path, keys(0), clock.clone()).unwrap();
        history.audit(vec![entry(0)]).await.unwrap();
        for step in steps {
            match step {
                Step::Rows(count) => history.audit((0..*count).map(entry).collect()).await.unwrap(),
                Step::Revocation {
                    account,
                    epoch,
                    contained,
                } => {
                    let row = revocation(*account, *epoch, *contained);
                    history.record_revocation(row).await.unwrap();
                }
                Step::Rotation => {
                    rotations += 1;
                    drop(history);
                    history = History::open(&path, keys(rotations), clock.clone()).unwrap();
                }
                Step::Days(days) => clock.advance(DAY * u32::from(*days)),
            }
        }
        // Retention, and something behind it.
        history.audit(vec![entry(200), entry(201)]).await.unwrap();
        let published = history.head().await.unwrap().unwrap().text();
        drop(history);
        Self {
            folder,
            keys: keys(rotations),
            clock,
            published,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("history.db")
    }

    /// The file, for somebody who has no key and no respect.
    fn tamper(&self) -> Connection {
        let conn = Connection::open(self.path()).unwrap();
        let triggers: Vec<String> = conn
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for trigger in triggers {
            conn.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        conn
    }

    /// What a start would find.
    async fn findings(&self) -> Vec<String> {
        let history = History::open_read_only(&self.path(), self.keys.clone(), self.clock.clone());
        let verified = match history.verified().await {
            Ok(verified) => verified,
            Err(error) => return vec![error.to_string()],
        };
        let conn = Connection::open(self.path()).unwrap();
        let in_one_go = parts::verify(&conn, &self.keys, &|| None).unwrap();
        assert_eq!(verified, in_one_go, "in parts the same is found");
        let head = history.compare_head("there".into(), self.published.clone()).await;
        let head = match head {
            Ok(head) => head,
            Err(error) => return vec![error.to_string()],
        };
        let mut findings: Vec<String> = verified
            .findings
            .iter()
            .chain(&head)
            .map(|it| it.what.clone())
            .collect();
        if verified.unproven > 0 {
            findings.push(format!("{} rows are not proved", verified.unproven));
        }
        findings
    }
}

#[derive(Debug, Clone)]
enum Attack {
    Flip {
        table: Index,
        row: Index,
        column: Index,
        bit: Index,
    },
    FlipPublished {
        byte: Index,
        bit: u8,
    },
    Remove {
        from: Index,
        count: u8,
    },
    Swap {
        one: Index,
        other: Index,
    },
    Cut {
        rows: Index,
    },
    RewriteWithoutSeal {
        from: Index,
    },
    RewriteWithAnotherKey {
        from: Index,
    },
    MoveTheBeginning {
        to: Index,
    },
    Empty,
    RemoveRevocation {
        row: Index,
    },
    ContainRevocation {
        row: Index,
    },
    AddRevocation,
}

fn attack() -> impl Strategy<Value = Attack> {
    use proptest::arbitrary::any as some;
    prop_oneof![
        8 => (some::<Index>(), some::<Index>(), some::<Index>(), some::<Index>())
            .prop_map(|(table, row, column, bit)| Attack::Flip { table, row, column, bit }),
        1 => (some::<Index>(), 0..8u8).prop_map(|(byte, bit)| Attack::FlipPublished { byte, bit }),
        2 => (some::<Index>(), 1..4u8).prop_map(|(from, count)| Attack::Remove { from, count }),
        2 => (some::<Index>(), some::<Index>()).prop_map(|(one, other)| Attack::Swap { one, other }),
        2 => some::<Index>().prop_map(|rows| Attack::Cut { rows }),
        2 => some::<Index>().prop_map(|from| Attack::RewriteWithoutSeal { from }),
        2 => some::<Index>().prop_map(|from| Attack::RewriteWithAnotherKey { from }),
        2 => some::<Index>().prop_map(|to| Attack::MoveTheBeginning { to }),
        1 => Just(Attack::Empty),
        2 => some::<Index>().prop_map(|row| Attack::RemoveRevocation { row }),
        2 => some::<Index>().prop_map(|row| Attack::ContainRevocation { row }),
        1 => Just(Attack::AddRevocation),
    ]
}

fn numbers(conn: &Connection) -> Vec<i64> {
    let mut statement = conn.prepare("SELECT seq FROM audit ORDER BY seq").unwrap();
    let numbers = statement.query_map([], |row| row.get(0)).unwrap();
    numbers.map(Result::unwrap).collect()
}

fn rowids(conn: &Connection) -> Vec<(String, i64)> {
    let mut statement = conn
        .prepare("SELECT account, epoch FROM revocations ORDER BY account, epoch")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Flips one bit of one value; `None` where there is no bit to flip.
fn flip(conn: &Connection, table: &str, place: &str, column: &str, bit: Index) -> Option<()> {
    let value: Value = conn
        .query_row(&format!("SELECT {column} FROM {table} {place}"), [], |row| row.get(0))
        .ok()?;
    let flipped = |mut bytes: Vec<u8>| {
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        bytes
    };
    let done = match value {
        Value::Integer(number) => {
            let number = number ^ (1 << bit.index(63));
            conn.execute(&format!("UPDATE {table} SET {column} = ?1 {place}"), [number])
        }
        Value::Text(text) if !text.is_empty() => {
            let bytes = flipped(text.into_bytes());
            conn.execute(
                &format!("UPDATE {table} SET {column} = CAST(?1 AS TEXT) {place}"),
                [bytes],
            )
        }
        Value::Blob(bytes) if !bytes.is_empty() => {
            conn.execute(&format!("UPDATE {table} SET {column} = ?1 {place}"), [flipped(bytes)])
        }
        _ => return None,
    };
    done.ok().filter(|changed| *changed == 1).map(drop)
}

/// Writes the rows from one on anew, so that the plain chain fits: without a seal, or with that of a key of one's own.
fn rewrite(conn: &Connection, from: i64, forger: Option<&AuditKeys>) {
    let before: Option<Vec<u8>> = conn
        .query_row("SELECT hash FROM audit WHERE seq = ?1", [from - 1], |row| row.get(0))
        .ok();
    let before = before.unwrap_or_else(|| {
        conn.query_row("SELECT hash FROM audit_checkpoint", [], |row| row.get(0))
            .unwrap()
    });
    let mut last: chain::Hash = before.try_into().unwrap();
    if forger.is_none() {
        conn.execute(
            "UPDATE audit SET salt = NULL, key_id = NULL, seal = NULL, address = NULL, event = NULL WHERE seq >= ?1",
            [from],
        )
        .unwrap();
    }
    conn.execute("UPDATE audit SET actor = 'forger' WHERE seq = ?1", [from])
        .unwrap();
    for seq in numbers(conn).into_iter().filter(|seq| *seq >= from) {
        let (hash, seal) = conn
            .query_row(
                &format!("SELECT {} FROM audit WHERE seq = ?1", chain::ALL_COLUMNS),
                [seq],
                |row| {
                    let stored = chain::Stored::read(row)?;
                    let hash = stored.content.hash(&last, &mut Vec::new());
                    let key = forger.filter(|_| stored.seal.is_some()).and_then(AuditKeys::current);
                    Ok((hash, key.map(|key| chain::seal_row(key, &hash))))
                },
            )
            .unwrap();
        conn.execute(
            "UPDATE audit SET hash = ?2, seal = coalesce(?3, seal) WHERE seq = ?1",
            params![seq, hash, seal],
        )
        .unwrap();
        last = hash;
    }
}

/// Does it; `None` where this chain has nothing for it.
fn carry_out(chain: &mut Chain, attack: &Attack) -> Option<()> {
    let conn = chain.tamper();
    let seqs = numbers(&conn);
    let pick = |index: &Index| seqs.get(index.index(seqs.len().max(1))).copied();
    match attack {
        Attack::FlipPublished { byte, bit } => {
            let honest = AuditHead::parse(&chain.published).unwrap();
            let mut bytes = chain.published.clone().into_bytes();
            bytes[byte.index(honest.text().len() - 1)] ^= 1 << bit;
            chain.published = String::from_utf8_lossy(&bytes).into_owned();
            // A small letter in the time says the same.
            (AuditHead::parse(&chain.published).ok() != Some(honest)).then_some(())
        }
        Attack::Remove { from, count } => {
            let from = pick(from)?;
            conn.execute(
                "DELETE FROM audit WHERE seq >= ?1 AND seq < ?1 + ?2",
                params![from, count],
            )
            .ok()
            .map(drop)
        }
        Attack::Swap { one, other } => {
            let (one, other) = (pick(one)?, pick(other)?);
            if one == other {
                return None;
            }
            let swapped = conn.execute_batch(&format!(
                "UPDATE audit SET seq = -1 WHERE seq = {one}; UPDATE audit SET seq = {one} WHERE seq = {other}; \
                 UPDATE audit SET seq = {other} WHERE seq = -1;"
            ));
            swapped.ok()
        }
        Attack::Cut { rows } => {
            let from = pick(rows)?;
            conn.execute("DELETE FROM audit WHERE seq >= ?1", [from]).ok()?;
            // Nothing in the file says that there was more.
            conn.execute("DELETE FROM revocations WHERE sealed_by >= ?1", [from])
                .ok()
                .map(drop)
        }
        Attack::RewriteWithoutSeal { from } => {
            rewrite(&conn, pick(from)?, None);
            Some(())
        }
        Attack::RewriteWithAnotherKey { from } => {
            let forger = MasterKey::from_bytes(key(99)).audit_keys();
            rewrite(&conn, pick(from)?, Some(&forger));
            Some(())
        }
        Attack::MoveTheBeginning { to } => {
            let to = pick(to)?;
            conn.execute(
                "UPDATE audit_checkpoint SET (through, hash) = (SELECT seq, hash FROM audit WHERE seq = ?1)",
                [to],
            )
            .ok()?;
            conn.execute("DELETE FROM audit WHERE seq <= ?1", [to]).ok()?;
            conn.execute("DELETE FROM revocations WHERE sealed_by <= ?1", [to])
                .ok()
                .map(drop)
        }
        Attack::Empty => {
            drop(conn);
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(chain.folder.path().join(format!("history.db{suffix}")));
            }
            drop(History::open(&chain.path(), chain.keys.clone(), chain.clock.clone()).unwrap());
            Some(())
        }
        Attack::Flip { .. } => flip_somewhere(&conn, &seqs, attack),
        _ => on_revocations(&conn, attack),
    }
}

/// One bit of any value in the audit, the revocations or the checkpoint.
fn flip_somewhere(conn: &Connection, seqs: &[i64], attack: &Attack) -> Option<()> {
    let pick = |index: &Index| seqs.get(index.index(seqs.len().max(1))).copied();
    match attack {
        Attack::Flip {
            table,
            row,
            column,
            bit,
        } => {
            let columns = |names: &'static str| names.split(", ").map(str::trim).collect::<Vec<_>>();
            match table.index(3) {
                0 => {
                    let columns = columns(chain::ALL_COLUMNS);
                    let place = format!("WHERE seq = {}", pick(row)?);
                    flip(conn, "audit", &place, columns[column.index(columns.len())], *bit)
                }
                1 => {
                    let rows = rowids(conn);
                    let (account, epoch) = rows.get(row.index(rows.len().max(1)))?;
                    let columns = columns(
                        "account, epoch, corporate_id, corporate_key, reason, denied_at, contained_at, left_out, sealed_by",
                    );
                    let place = format!("WHERE account = '{account}' AND epoch = {epoch}");
                    flip(conn, "revocations", &place, columns[column.index(columns.len())], *bit)
                }
                _ => {
                    let sealed: bool = conn
                        .query_row("SELECT seal IS NOT NULL FROM audit_checkpoint", [], |row| row.get(0))
                        .unwrap();
                    // When nothing was removed that moment means nothing.
                    let columns = columns(if sealed {
                        "through, hash, at, key_id, seal"
                    } else {
                        "through, hash"
                    });
                    flip(conn, "audit_checkpoint", "", columns[column.index(columns.len())], *bit)
                }
            }
        }
        _ => None,
    }
}

/// The record of when somebody was refused and cut off.
fn on_revocations(conn: &Connection, attack: &Attack) -> Option<()> {
    match attack {
        Attack::RemoveRevocation { row } => {
            let rows = rowids(conn);
            let (account, epoch) = rows.get(row.index(rows.len().max(1)))?;
            let removed = conn.execute(
                "DELETE FROM revocations WHERE account = ?1 AND epoch = ?2",
                params![account, epoch],
            );
            removed.ok().map(drop)
        }
        Attack::ContainRevocation { row } => {
            let rows = rowids(conn);
            let (account, epoch) = rows.get(row.index(rows.len().max(1)))?;
            let changed = conn.execute(
                "UPDATE revocations SET contained_at = 1 WHERE account = ?1 AND epoch = ?2",
                params![account, epoch],
            );
            changed.ok().map(drop)
        }
        Attack::AddRevocation => {
            let any: Option<i64> = conn
                .query_row("SELECT max(seq) FROM audit", [], |row| row.get(0))
                .unwrap();
            let added = conn.execute(
                "INSERT INTO revocations (account, epoch, corporate_id, corporate_key, reason, denied_at, contained_at, sealed_by) \
                 VALUES ('corp_zz', 1, 'ZZ', 'zz', 'Held', 1, 1, ?1)",
                [any],
            );
            added.ok().map(drop)
        }
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whoever_writes_the_file_without_the_key_is_noticed(
        old in proptest::option::of((0..5u8, 0..3u8)),
        steps in proptest::collection::vec(step(), 0..10),
        attack in attack(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut chain = Chain::of(old, &steps).await;
            prop_assert_eq!(chain.findings().await, Vec::<String>::new(), "an honest chain");
            if carry_out(&mut chain, &attack).is_some() {
                prop_assert_ne!(chain.findings().await, Vec::<String>::new(), "{:?}", attack);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn an_old_copy_and_another_database_are_told_from_what_was_published() {
    let chain = Chain::of(None, &[Step::Rows(5)]).await;
    let copy = fs::read(chain.path()).unwrap();
    let history = History::open(&chain.path(), chain.keys.clone(), chain.clock.clone()).unwrap();
    history.audit(vec![entry(1), entry(2)]).await.unwrap();
    let published = history.head().await.unwrap().unwrap().text();
    drop(history);
    fs::write(chain.path(), copy).unwrap();
    let chain = Chain { published, ..chain };
    let findings = chain.findings().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0]
            .starts_with("audit rows 9 to 10 are missing: there has row 10 as the last one at 2026-03-15T12:00:00Z"),
        "{findings:?}"
    );

    let other = Chain::of(None, &[Step::Rows(5), Step::Rows(5)]).await;
    let swapped = Chain {
        published: chain.published.clone(),
        ..other
    };
    let findings = swapped.findings().await;
    assert!(
        findings[0].starts_with("audit row 10 is not the one that was published"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_lost_key_leaves_earlier_rows_proved_by_the_present_one() {
    let chain = Chain::of(Some((3, 1)), &[Step::Rows(3), Step::Rotation, Step::Rows(2)]).await;
    let only_present = MasterKey::from_bytes(key(1)).audit_keys();
    let history = History::open_read_only(&chain.path(), only_present, chain.clock.clone());
    let verified = history.verified().await.unwrap();
    assert!(verified.is_proved() && verified.unsealed == 3, "{verified:?}");
    assert_eq!(
        verified.missing_keys.into_iter().collect::<Vec<_>>(),
        [MasterKey::from_bytes(key(0)).id()]
    );

    let conn = chain.tamper();
    rewrite(&conn, 2, Some(&MasterKey::from_bytes(key(99)).audit_keys()));
    drop(conn);
    let findings = history.verified().await.unwrap().findings;
    assert!(!findings.is_empty(), "what a lost key sealed cannot be written anew");

    let without = History::open_read_only(&chain.path(), AuditKeys::none(), chain.clock.clone());
    let verified = without.verified().await.unwrap();
    assert_eq!(verified.unproven, verified.rows, "without a key nothing is proved");
}

#[tokio::test]
async fn what_was_found_is_a_row_until_somebody_takes_note_of_it() {
    let chain = Chain::of(
        None,
        &[
            Step::Rows(5),
            Step::Revocation {
                account: 1,
                epoch: 1,
                contained: false,
            },
        ],
    )
    .await;
    let conn = chain.tamper();
    conn.execute("UPDATE revocations SET contained_at = 1", []).unwrap();
    conn.execute("UPDATE audit SET reason = 'another' WHERE seq = 3", [])
        .unwrap();
    drop(conn);
    let open = || History::open(&chain.path(), chain.keys.clone(), chain.clock.clone()).unwrap();
    let history = open();
    let found = history.verified().await.unwrap().findings;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (found[0].row, history.found(found.clone()).await.unwrap()),
        (Some(3), found.clone())
    );
    drop(history);
    let history = open();
    assert!(history.found(Vec::new()).await.unwrap().is_empty());
    assert!(!history.is_audit_intact(), "a restart forgets nothing");
    assert!(history.found(found.clone()).await.unwrap().is_empty(), "once is enough");
    let who = AuditEntry {
        actor: "anna".into(),
        source: "cli".into(),
        reason: Some("known".into()),
        ..AuditEntry::default()
    };
    assert_eq!(history.acknowledge(who.clone()).await.unwrap(), found);
    assert!(history.is_audit_intact());
    assert!(history.found(found).await.unwrap().is_empty() && history.is_audit_intact());
    assert!(history.acknowledge(who).await.unwrap().is_empty(), "nothing is left");
    drop(history);
    let conn = chain.tamper();
    conn.execute("UPDATE audit SET reason = 'yet another' WHERE seq = 3", [])
        .unwrap();
    drop(conn);
    let history = open();
    let found = history.verified().await.unwrap().findings;
    assert_eq!(
        history.found(found).await.unwrap().len(),
        1,
        "another change of the same row is news"
    );
    let rows = history.audit_rows(None, Page { limit: 3, before: None }).await.unwrap();
    let actions: Vec<&str> = rows.iter().map(|row| row.entry.action.as_str()).collect();
    assert_eq!(actions, ["audit.broken", "audit.acknowledged", "audit.broken"]);
}
