//! Audit rows whose personal texts were taken out, and what vouches for what is left of them.
//!
//! A row without its texts and its salt cannot be hashed any more. What stays of it is vouched for by a later sealed row
//! [`ACTION`], which lists its number and a digest of everything that stays, the hashes of the row and of the row before it included.
//! Without such a row it is a broken row.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::chain::{self, Hash, Stored, frame};
use crate::credentials::AuditKeys;

/// Action of the row that lists rows whose texts were taken out.
pub(super) const ACTION: &str = "audit.forgotten";

/// Most rows that one row lists.
pub(super) const LISTED: usize = 1000;

/// Bytes of a digest: half of a SHA-256. One for each row, so that retention may remove some of them.
const DIGEST: usize = 16;

/// A digest of what stays of a row.
pub(super) type Digest = [u8; DIGEST];

/// What `after` of a row [`ACTION`] says.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// Numbers, as ranges: `3-5,9`.
    rows: String,
    /// Their digests, one behind the other, in Base64 for URLs.
    kept: String,
}

/// The digest of what stands in a row, given the hash of the row before it. `room` is for the bytes that are hashed.
pub(super) fn digest(row: &Stored<'_>, before: &Hash, room: &mut Vec<u8>) -> Digest {
    room.clear();
    room.extend_from_slice(before);
    room.push(3);
    room.extend_from_slice(&row.content.seq.to_be_bytes());
    room.extend_from_slice(&row.content.at.to_be_bytes());
    for text in row.content.texts.into_iter().chain([row.key, Some(row.hash), row.seal]) {
        frame(text, room);
    }
    let whole: Hash = Sha256::digest(&room).into();
    let mut half = [0; DIGEST];
    half.copy_from_slice(&whole[..DIGEST]);
    half
}

/// `after` of the row that lists these, which are in order.
pub(super) fn said(rows: &[(i64, Digest)]) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for (seq, _) in rows {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *seq => *last = *seq,
            _ => ranges.push((*seq, *seq)),
        }
    }
    let range = |(first, last): &(i64, i64)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let said = Said {
        rows: ranges.iter().map(range).collect::<Vec<_>>().join(","),
        kept: BASE64.encode(rows.iter().flat_map(|(_, digest)| digest).copied().collect::<Vec<u8>>()),
    };
    // Nothing in it can fail.
    serde_json::to_string(&said).unwrap_or_default()
}

/// The rows that a text lists; `None` if it lists none properly.
fn read(text: &[u8]) -> Option<Vec<(i64, Digest)>> {
    let said: Said = serde_json::from_slice(text).ok()?;
    let kept = BASE64.decode(&said.kept).ok()?;
    let mut digests = kept.chunks_exact(DIGEST);
    let mut rows = Vec::with_capacity(digests.len());
    for range in said.rows.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
        for seq in first..=last {
            rows.push((seq, digests.next()?.try_into().ok()?));
        }
    }
    (digests.next().is_none() && digests.remainder().is_empty()).then_some(rows)
}

/// Rows whose texts were taken out, in the order in which a walk meets them.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    /// By number.
    rows: Vec<(i64, Digest)>,
    /// Those before this place lie behind the walk.
    next: usize,
}

impl Emptied {
    /// Collects what sealed rows list. A row whose seal is not that of the key that it names lists nothing; whether one of a key
    /// that is not known here is worth anything, the walk says of it as of every row of that key.
    pub(super) fn collect(conn: &Connection, keys: &AuditKeys) -> rusqlite::Result<Self> {
        let mut statement = conn.prepare(
            "SELECT seq, state_after, key_id, hash, seal FROM audit \
             WHERE action = 'audit.forgotten' AND source <> 'import' ORDER BY seq",
        )?;
        let mut found = Vec::new();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            let (key, hash): (Option<String>, Vec<u8>) = (row.get(2)?, row.get(3)?);
            let seal: Option<Vec<u8>> = row.get(4)?;
            let (Some(key), Some(seal), Ok(hash)) = (key, seal, Hash::try_from(hash)) else {
                continue;
            };
            if keys.find(&key).is_some_and(|key| !chain::row_fits(key, &hash, &seal)) {
                continue;
            }
            let text = row.get_ref(1)?.as_bytes_or_null()?.unwrap_or_default();
            // It speaks of rows before it alone.
            found.extend(read(text).into_iter().flatten().filter(|(listed, _)| *listed < seq));
        }
        // Of two that list the same row both stay: either may be the one that fits.
        found.sort_unstable();
        found.dedup();
        Ok(Self { rows: found, next: 0 })
    }

    /// Whether a digest is listed for a row. To be asked in the order of the rows.
    pub(super) fn lists(&mut self, seq: i64, digest: impl FnOnce() -> Digest) -> bool {
        while self.rows.get(self.next).is_some_and(|(listed, _)| *listed < seq) {
            self.next += 1;
        }
        let here = self.rows.get(self.next..).unwrap_or_default();
        if here.first().is_none_or(|(listed, _)| *listed != seq) {
            return false;
        }
        let digest = digest();
        here.iter()
            .take_while(|(listed, _)| *listed == seq)
            .any(|(_, said)| *said == digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_listed_is_read_back(rows in proptest::collection::btree_map(1..200i64, any::<Digest>(), 0..60)) {
            let rows: Vec<(i64, Digest)> = rows.into_iter().collect();
            prop_assert_eq!(read(said(&rows).as_bytes()), Some(rows));
        }

        #[test]
        fn a_list_that_is_no_list_is_read_without_a_panic(text in "\\PC{0,60}", rows in "[0-9,-]{0,12}") {
            let _ = read(text.as_bytes());
            let _ = read(format!("{{\"rows\":\"{rows}\",\"kept\":\"\"}}").as_bytes());
        }
    }
}
