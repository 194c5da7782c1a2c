//! The hash chain: every audit row seals itself and all rows before it.
//!
//! `hash = SHA-256(hash of the row before ‖ seq ‖ at ‖ each text)`. Numbers are 8 bytes, big-endian. A text is the byte 1,
//! its length as 8 bytes and its bytes in UTF-8; a text that is absent is the byte 0: no two rows have the same framing.

use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// Columns in the order in which [`Sealed::read`] expects and [`Sealed::seal`] hashes them.
pub(super) const COLUMNS: &str = "seq, at, actor, source, action, corporate_id, corporate_key, state_before, state_after, \
                                  reason, request_id";

/// What of a row is sealed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed<'a> {
    /// Number of the row.
    pub seq: i64,
    /// Microseconds since 1970.
    pub at: i64,
    /// The texts, in the order of [`COLUMNS`].
    pub texts: [Option<&'a str>; 9],
}

impl<'a> Sealed<'a> {
    fn read(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let mut texts = [None; 9];
        for (index, text) in texts.iter_mut().enumerate() {
            *text = row.get_ref(index + 2)?.as_str_or_null()?;
        }
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            texts,
        })
    }

    /// The hash of the row after a row with the hash `previous`.
    pub(super) fn seal(&self, previous: &Hash) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(self.seq.to_be_bytes());
        hasher.update(self.at.to_be_bytes());
        for text in self.texts {
            match text {
                None => hasher.update([0]),
                Some(text) => {
                    hasher.update([1]);
                    hasher.update((text.len() as u64).to_be_bytes());
                    hasher.update(text.as_bytes());
                }
            }
        }
        hasher.finalize().into()
    }
}

/// The last row and its hash: what the next row is chained to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: i64,
    pub hash: Hash,
}

/// Where the rows that are still there begin.
pub(super) fn checkpoint(conn: &Connection) -> rusqlite::Result<Head> {
    conn.prepare_cached("SELECT through, hash FROM audit_checkpoint")?
        .query_row([], head_of)
}

/// The end of the chain.
pub(super) fn head(conn: &Connection) -> rusqlite::Result<Head> {
    let mut statement = conn.prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    match statement.query_row([], head_of) {
        Err(rusqlite::Error::QueryReturnedNoRows) => checkpoint(conn),
        other => other,
    }
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        seq: row.get(0)?,
        hash: row.get(1)?,
    })
}

/// What a walk along the chain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Walk {
    /// Every row fits; so many there are.
    Sound(i64),
    /// The first row that does not.
    Broken(String),
}

/// Walks the whole chain in one snapshot.
pub(super) fn walk(conn: &Connection) -> rusqlite::Result<Walk> {
    let snapshot = conn.unchecked_transaction()?;
    let mut last = checkpoint(&snapshot)?;
    let mut statement = snapshot.prepare(&format!("SELECT {COLUMNS}, hash FROM audit ORDER BY seq"))?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let sealed = Sealed::read(row)?;
        let expected = last.seq + 1;
        if sealed.seq != expected {
            return Ok(Walk::Broken(format!(
                "audit row {expected} is missing, row {} follows",
                sealed.seq
            )));
        }
        let hash: Hash = row.get(11)?;
        if sealed.seal(&last.hash) != hash {
            return Ok(Walk::Broken(format!(
                "audit row {expected} does not fit the chain: it or its hash was changed, or the row before it was exchanged"
            )));
        }
        last = Head { seq: expected, hash };
        count += 1;
    }
    Ok(Walk::Sound(count))
}

/// Shown to people.
pub(super) fn hex(hash: &Hash) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = [Option<String>; 9]> {
        proptest::array::uniform9(proptest::option::of("[ab]{0,2}"))
    }

    fn seal(seq: i64, at: i64, texts: &[Option<String>; 9]) -> Hash {
        let mut borrowed = [None; 9];
        for (slot, text) in borrowed.iter_mut().zip(texts) {
            *slot = text.as_deref();
        }
        Sealed {
            seq,
            at,
            texts: borrowed,
        }
        .seal(&[7; 32])
    }

    proptest! {
        #[test]
        fn two_rows_share_a_hash_only_if_they_are_the_same(
            a in (0..3i64, 0..3i64, texts()), b in (0..3i64, 0..3i64, texts()),
        ) {
            prop_assert_eq!(a == b, seal(a.0, a.1, &a.2) == seal(b.0, b.1, &b.2));
        }

        #[test]
        fn moving_a_letter_to_the_next_text_changes_the_hash(mut row in texts(), at in 0..8usize) {
            let before = seal(1, 1, &row);
            let moved = row[at].as_mut().and_then(String::pop);
            prop_assume!(moved.is_some());
            let next = row[at + 1].take().unwrap_or_default();
            row[at + 1] = Some(format!("{}{next}", moved.unwrap()));
            prop_assert_ne!(before, seal(1, 1, &row));
        }
    }
}
