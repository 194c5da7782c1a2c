//! A walk along the whole chain, in one snapshot: what fits, what does not, and what nobody can say without a key.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    agreement::Agreement,
    chain::{self, ALL_COLUMNS, Checkpoint, Hash, Head, Stored, hex},
    changeover,
    emptied::{self, Emptied},
    entry::OPERATOR,
    finding::{Finding, Findings},
    revocations::{self, RevocationRow},
};
use crate::credentials::AuditKeys;

/// What a walk came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Number of the first row that is still there; that of the next one if there is none.
    pub first: i64,
    /// Number of the last row.
    pub last: i64,
    /// Hash of the last row, in hexadecimal digits.
    pub hash: String,
    /// Rows.
    pub rows: u64,
    /// Rows of before the key, which the first sealed row seals as they were found.
    pub unsealed: u64,
    /// Rows at the end that no known key speaks for: for them only the plain chain was checked.
    pub unproven: u64,
    /// Ids of keys that sealed rows and are not known here.
    pub missing_keys: BTreeSet<String>,
    /// Rows whose texts were taken out because a person was forgotten.
    pub forgotten: u64,
    /// Revocations.
    pub revocations: u64,
    /// Stretches of time in which somebody's access stood the same.
    pub spans: u64,
    /// What does not fit, in the order of the rows.
    pub findings: Vec<Finding>,
}

impl Verified {
    /// Everything fits, and a known key speaks for every row.
    #[must_use]
    pub fn is_proved(&self) -> bool {
        self.findings.is_empty() && self.unproven == 0
    }
}

/// Where a walk begins: behind a row.
#[derive(Clone)]
pub(super) struct Place {
    head: Head,
    before: Before,
}

impl Place {
    /// Where the rows that are still there begin.
    pub(super) fn after(checkpoint: &Checkpoint) -> Self {
        Self {
            head: checkpoint.head,
            before: Before::Unknown,
        }
    }

    /// Behind the row with this number; `None` if it is not there, or is none that anything could follow.
    pub(super) fn behind(conn: &Connection, seq: i64) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(&format!("SELECT {ALL_COLUMNS} FROM audit WHERE seq = ?1"))?
            .query_row([seq], |row| {
                let row = Stored::read(row)?;
                let mut before = Before::Unknown;
                before.becomes(row.key.filter(|_| row.seal.is_some()));
                let head = row.hash.try_into().ok().map(|hash| Head { seq, hash });
                Ok(head.map(|head| Self { head, before }))
            })
            .optional()
            .map(Option::flatten)
    }
}

/// How the row before is sealed.
#[derive(Clone)]
enum Before {
    /// There is none.
    Unknown,
    /// It is from before the key.
    Unsealed,
    /// With the key of this id.
    Sealed(Vec<u8>),
}

impl Before {
    fn is_sealed_with(&self, id: &[u8]) -> bool {
        matches!(self, Self::Sealed(before) if before == id)
    }

    fn becomes(&mut self, key: Option<&[u8]>) {
        match key {
            None => *self = Self::Unsealed,
            // Almost always the same.
            Some(id) if self.is_sealed_with(id) => {}
            Some(id) => *self = Self::Sealed(id.to_vec()),
        }
    }
}

pub(super) struct Walk<'a> {
    keys: &'a AuditKeys,
    last: Head,
    before: Before,
    rows: u64,
    unsealed: u64,
    sealed: u64,
    unproven: u64,
    missing_keys: BTreeSet<String>,
    /// The row with the last state of each revocation, and the digest of that state.
    revocations: HashMap<(String, i64), (i64, Hash)>,
    known_revocations: u64,
    findings: Findings,
    room: Vec<u8>,
    /// Collected when the first row is met that may be among them.
    emptied: Option<Emptied>,
    forgotten: u64,
    agreement: Agreement,
    spans: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn from(keys: &'a AuditKeys, Place { head, before }: Place, agreement: Agreement) -> Self {
        Self {
            keys,
            last: head,
            before,
            rows: 0,
            unsealed: 0,
            sealed: 0,
            unproven: 0,
            missing_keys: BTreeSet::new(),
            revocations: HashMap::new(),
            known_revocations: 0,
            findings: Findings::default(),
            room: Vec::new(),
            emptied: None,
            forgotten: 0,
            agreement,
            spans: 0,
        }
    }

    /// Walks along the rows from where it is up to this one.
    pub(super) fn along(mut self, conn: &Connection, up_to: i64) -> rusqlite::Result<Self> {
        // A first row that lies before its place is met as well.
        let from = if matches!(self.before, Before::Unknown) {
            i64::MIN
        } else {
            self.last.seq + 1
        };
        let sql = format!("SELECT {ALL_COLUMNS} FROM audit WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq");
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query([from, up_to])?;
        while let Some(row) = rows.next()? {
            let row = Stored::read(row)?;
            if row.salt.is_none() && self.emptied.is_none() {
                self.emptied = Some(Emptied::collect(conn, self.keys)?);
            }
            self.step(&row);
        }
        Ok(self)
    }

    /// Whether rows of before the key, or written anew without it, are all that there is.
    pub(super) fn sealed_somewhere(&mut self) {
        if self.rows > 0 && self.sealed == 0 {
            let what = "no audit row is sealed with a key: they are from before the key, or somebody without it wrote them anew";
            self.findings
                .add(Finding::new(Some(self.last.seq), what, &[&self.last.hash]));
        }
    }

    /// Whether nothing was found that does not fit.
    pub(super) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Goes on with a walk that began where this one ends, and along which nothing was found.
    pub(super) fn join(&mut self, next: Self) {
        self.last = next.last;
        self.before = next.before;
        // A row that is proved vouches for all before it.
        let none_proved = next.unproven == next.rows;
        self.unproven = next.unproven + if none_proved { self.unproven } else { 0 };
        self.rows += next.rows;
        self.unsealed += next.unsealed;
        self.sealed += next.sealed;
        self.forgotten += next.forgotten;
        self.missing_keys.extend(next.missing_keys);
        self.revocations.extend(next.revocations);
        self.agreement.join(next.agreement);
    }

    fn step(&mut self, row: &Stored<'_>) {
        let (seq, expected) = (row.content.seq, self.last.seq + 1);
        let (before, room) = (&self.last.hash, &mut self.room);
        let emptied = self.emptied.as_mut().filter(|_| row.salt.is_none());
        let known = emptied.is_some_and(|it| it.lists(seq, || emptied::digest(row, before, room)));
        // What it was is vouched for by the row that lists it.
        let said = row.hash.try_into().ok().filter(|_| known);
        let found = said.unwrap_or_else(|| row.content.hash(&self.last.hash, &mut self.room));
        self.forgotten += u64::from(known);
        let follows = seq == expected;
        if !follows {
            let what = match seq - expected {
                1 => format!("audit row {expected} is missing, row {seq} follows"),
                2.. => format!("audit rows {expected} to {} are missing, row {seq} follows", seq - 1),
                _ => format!("audit row {seq} lies before the place where the chain begins"),
            };
            self.add(seq, what, &[row.hash, &found]);
        } else if !known && row.is_emptied() {
            let what = format!("audit row {seq} lost its texts, and no row says that a person was forgotten");
            self.add(seq, what, &[row.hash, &found]);
        } else if !known && (!row.well_formed || found != *row.hash) {
            let what = format!(
                "audit row {seq} does not fit the chain: it or its hash was changed, or the row before it was exchanged"
            );
            self.add(seq, what, &[row.hash, &found]);
        }
        self.seal(row, &found, follows);
        self.note(row);
        self.agreement.note(row);
        self.rows += 1;
        self.before.becomes(row.key.filter(|_| row.seal.is_some()));
        self.last = Head {
            seq,
            hash: row.hash.try_into().unwrap_or([0; 32]),
        };
    }

    /// Whether the key that the row names says so.
    fn seal(&mut self, row: &Stored<'_>, found: &Hash, follows: bool) {
        self.unproven += 1;
        let seq = row.content.seq;
        let (Some(key_id), Some(seal)) = (row.key, row.seal) else {
            self.unsealed += 1;
            if let Before::Sealed(_) = &self.before {
                let what =
                    format!("audit row {seq} has no seal, and rows before it have: somebody without the key wrote it");
                self.add(seq, what, &[row.hash, found]);
            }
            return;
        };
        self.sealed += 1;
        let begins = match &self.before {
            Before::Unknown => false,
            Before::Unsealed => true,
            Before::Sealed(before) => before != key_id,
        };
        if begins && !says(row, changeover::ACTION) {
            let what = format!("audit row {seq} is sealed with another key than the row before, and no row says so");
            self.add(seq, what, &[row.hash, found]);
        }
        let Some(key) = self.keys.find(key_id) else {
            self.missing_keys.insert(String::from_utf8_lossy(key_id).into_owned());
            return;
        };
        // Of a row behind a gap nobody knows what its hash should be.
        let hash = row.hash.try_into().unwrap_or(found);
        if !chain::row_fits(key, hash, seal) {
            let what = format!(
                "audit row {seq} is not sealed with the key: it, its hash or its seal was changed by somebody without it"
            );
            self.add(seq, what, &[row.hash, found, seal]);
        } else if follows && found == row.hash {
            self.unproven = 0;
        }
    }

    /// Notes which state a revocation is said to have.
    fn note(&mut self, row: &Stored<'_>) {
        if !says(row, revocations::ACTION) {
            return;
        }
        let state = row.text(6).unwrap_or_default();
        match serde_json::from_slice::<RevocationRow>(state) {
            Ok(said) => {
                let said = (said.account, said.epoch);
                self.revocations
                    .insert(said, (row.content.seq, Sha256::digest(state).into()));
            }
            Err(error) => {
                let what = format!(
                    "audit row {} has a state of a revocation that cannot be read: {error}",
                    row.content.seq
                );
                self.add(row.content.seq, what, &[state]);
            }
        }
    }

    /// Whether retention, and nobody else, removed what is not there any more.
    pub(super) fn checkpoint(&mut self, checkpoint: &Checkpoint) {
        if checkpoint.is_beginning() {
            return;
        }
        let through = checkpoint.head.seq;
        let what = match &checkpoint.seal {
            // A key that begins seals the checkpoint as well.
            Some((id, _)) if self.rows > 0 && !self.before.is_sealed_with(id.as_bytes()) => {
                format!(
                    "audit rows up to {through} were removed, and not by retention: the last row is sealed with another key"
                )
            }
            None => format!("audit rows up to {through} were removed, and not by retention: that has no seal"),
            Some((id, seal)) => match self.keys.find(id) {
                Some(key) if chain::checkpoint_fits(key, &checkpoint.head, checkpoint.at, seal) => return,
                Some(_) => format!(
                    "audit rows up to {through} were removed, and not by retention: that is not sealed with the key"
                ),
                None => {
                    self.missing_keys.insert(id.clone());
                    self.unproven = self.unproven.max(1);
                    return;
                }
            },
        };
        self.add(through, what, &[&checkpoint.head.hash]);
    }

    /// Every revocation has a row with its state, and every such row its revocation.
    pub(super) fn revocations(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let never_sealed = self.sealed == 0;
        revocations::each_with_seal(conn, |row, sealed_by, key| {
            self.known_revocations += 1;
            if never_sealed && sealed_by.is_none() {
                return;
            }
            let state = revocations::state(&row);
            let digest: Hash = Sha256::digest(state.as_bytes()).into();
            let lower = row.corporate_id.to_ascii_lowercase();
            let shown = format!(
                "the revocation of {} (account {}, epoch {})",
                row.corporate_id, row.account, row.epoch
            );
            let said = self.revocations.remove(&(row.account, row.epoch));
            let what = match said {
                Some((seq, said)) if Some(seq) == sealed_by && said == digest && key == Some(lower) => return,
                Some((seq, _)) => format!("{shown} was changed: it is not what audit row {seq} says"),
                None => format!("{shown} was added by hand: no audit row speaks of it"),
            };
            self.findings
                .add(Finding::new(said.map(|(seq, _)| seq), what, &[state.as_bytes()]));
        })?;
        let mut gone: Vec<_> = self.revocations.drain().collect();
        gone.sort_unstable_by_key(|(_, (seq, _))| *seq);
        for ((account, epoch), (seq, said)) in gone {
            let what =
                format!("the revocation that audit row {seq} speaks of (account {account}, epoch {epoch}) was removed");
            self.findings.add(Finding::new(Some(seq), what, &[&said]));
        }
        Ok(())
    }

    /// Who had access when is what the rows say.
    pub(super) fn spans(&mut self, conn: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
        let (spans, findings) = self.agreement.compare(conn, checkpoint.head.seq)?;
        self.spans = spans;
        for finding in findings {
            self.findings.add(finding);
        }
        Ok(())
    }

    fn add(&mut self, row: i64, what: String, of: &[&[u8]]) {
        self.findings.add(Finding::new(Some(row), what, of));
    }

    pub(super) fn finish(self, checkpoint: &Checkpoint) -> Verified {
        Verified {
            first: checkpoint.head.seq + 1,
            last: self.last.seq,
            hash: hex(&self.last.hash),
            rows: self.rows,
            unsealed: self.unsealed,
            unproven: self.unproven,
            missing_keys: self.missing_keys,
            forgotten: self.forgotten,
            revocations: self.known_revocations,
            spans: self.spans,
            findings: self.findings.finish(),
        }
    }
}

/// Whether the operator says this of itself.
fn says(row: &Stored<'_>, action: &str) -> bool {
    row.text(2) == Some(action.as_bytes()) && row.text(1) == Some(OPERATOR.as_bytes())
}
