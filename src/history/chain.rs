//! The hash chain: every audit row seals itself and all rows before it, and a key seals the hash.
//!
//! A text is the byte 1, its length as 8 bytes, big-endian, and its bytes in UTF-8; a text that is absent is the byte 0. Numbers
//! are 8 bytes, big-endian. `before` is the hash of the row before.
//!
//! - A row of before the key: `hash = SHA-256(before ‖ seq ‖ at ‖ its nine texts)`.
//! - A sealed row: `hash = SHA-256(before ‖ 2 ‖ seq ‖ at ‖ source, action, corporate_id, corporate_key, request_id, event, key_id ‖ words)`
//!   with `words = SHA-256(salt ‖ actor, state_before, state_after, reason, address)`, and
//!   `seal = HMAC-SHA-256(key, 1 ‖ hash)`. What may be personal is in `words` alone, behind a random salt: it can be taken out
//!   of a row one day, and the hash stays what it was.
//!
//! No two rows have the same framing, and none of one form has that of the other.

use rusqlite::{Connection, Row, types::ValueRef};
use sha2::{Digest, Sha256};

use crate::credentials::AuditKey;

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// Columns of a row that people read.
pub(super) const COLUMNS: &str = "seq, at, actor, source, action, corporate_id, corporate_key, state_before, state_after, \
                                  reason, request_id, address, event";
/// Columns in the order in which [`Stored::read`] expects them: those of [`COLUMNS`] and how they are sealed.
pub(super) const ALL_COLUMNS: &str = "seq, at, actor, source, action, corporate_id, corporate_key, state_before, \
                                      state_after, reason, request_id, address, event, salt, key_id, hash, seal";

/// Texts in a row.
pub(super) const TEXTS: usize = 11;
/// Those that rows of before the key have.
const OLD_TEXTS: usize = 9;
/// In [`Content::texts`]: what says who, whom and what, and stays.
const FACTS: [usize; 6] = [1, 2, 3, 4, 8, 10];
/// In [`Content::texts`]: what may be personal.
const WORDS: [usize; 5] = [0, 5, 6, 7, 9];

// What a key seals, told apart by its first byte.
const OF_ROW: u8 = 1;
const OF_CHECKPOINT: u8 = 2;
const OF_HEAD: u8 = 3;

/// What of a row is hashed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    /// Number of the row.
    pub seq: i64,
    /// Microseconds since 1970.
    pub at: i64,
    /// The texts, in the order of [`COLUMNS`].
    pub texts: [Option<&'a [u8]>; TEXTS],
    /// Id of the key and salt; none in a row of before the key.
    pub sealed_with: Option<(&'a [u8], &'a [u8])>,
}

impl Content<'_> {
    /// The hash of the row after one with the hash `before`. `room` is for the bytes that are hashed.
    pub(super) fn hash(&self, before: &Hash, room: &mut Vec<u8>) -> Hash {
        let words = self.sealed_with.map(|(_, salt)| {
            room.clear();
            room.extend_from_slice(salt);
            for index in WORDS {
                frame(self.texts[index], room);
            }
            Sha256::digest(&room)
        });
        room.clear();
        room.extend_from_slice(before);
        if let (Some((key, _)), Some(words)) = (self.sealed_with, words) {
            room.push(2);
            self.numbers(room);
            for index in FACTS {
                frame(self.texts[index], room);
            }
            frame(Some(key), room);
            room.extend_from_slice(&words);
        } else {
            self.numbers(room);
            for text in self.texts.into_iter().take(OLD_TEXTS) {
                frame(text, room);
            }
        }
        Sha256::digest(&room).into()
    }

    fn numbers(&self, room: &mut Vec<u8>) {
        room.extend_from_slice(&self.seq.to_be_bytes());
        room.extend_from_slice(&self.at.to_be_bytes());
    }
}

/// Adds a text to what is hashed.
pub(super) fn frame(text: Option<&[u8]>, room: &mut Vec<u8>) {
    match text {
        None => room.push(0),
        Some(text) => {
            room.push(1);
            room.extend_from_slice(&(text.len() as u64).to_be_bytes());
            room.extend_from_slice(text);
        }
    }
}

/// A row as it stands in the file.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub content: Content<'a>,
    pub hash: &'a [u8],
    pub seal: Option<&'a [u8]>,
    /// Id of the key that sealed it.
    pub key: Option<&'a [u8]>,
    /// What stands before the texts that are hashed apart.
    pub salt: Option<&'a [u8]>,
    /// Whether it has what its form has, and nothing else: only that is hashed.
    pub well_formed: bool,
}

impl<'a> Stored<'a> {
    /// Reads the columns of [`ALL_COLUMNS`].
    pub(super) fn read(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let mut texts = [None; TEXTS];
        for (text, index) in texts.iter_mut().zip(2..) {
            *text = bytes(row.get_ref(index)?);
        }
        let (salt, key) = (bytes(row.get_ref(13)?), bytes(row.get_ref(14)?));
        let (hash, seal) = (bytes(row.get_ref(15)?).unwrap_or_default(), bytes(row.get_ref(16)?));
        let old = key.is_none() && salt.is_none() && seal.is_none() && texts[OLD_TEXTS..] == [None, None];
        Ok(Self {
            content: Content {
                seq: row.get(0)?,
                at: row.get(1)?,
                texts,
                sealed_with: key.zip(salt),
            },
            hash,
            seal,
            key,
            salt,
            well_formed: old || (key.is_some() && salt.is_some() && seal.is_some()),
        })
    }

    /// Whether it is a sealed row whose salt, and with it what may be personal, was taken out.
    pub(super) fn is_emptied(&self) -> bool {
        self.key.is_some() && self.seal.is_some() && self.salt.is_none()
    }

    /// What it says, of the texts in the order of [`COLUMNS`].
    pub(super) fn text(&self, index: usize) -> Option<&'a [u8]> {
        self.content.texts.get(index).copied().flatten()
    }
}

fn bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

/// The seal of a row.
pub(super) fn seal_row(key: &AuditKey, hash: &Hash) -> Hash {
    key.seal(&[&[OF_ROW], hash])
}

/// Whether that is the seal of a row.
pub(super) fn row_fits(key: &AuditKey, hash: &Hash, seal: &[u8]) -> bool {
    key.fits(&[&[OF_ROW], hash], seal)
}

/// What a key seals of the checkpoint.
fn checkpoint_parts(through: i64, at: i64) -> [u8; 17] {
    numbered(OF_CHECKPOINT, through, at)
}

/// The seal of the place where retention has come to.
pub(super) fn seal_checkpoint(key: &AuditKey, head: &Head, at: i64) -> Hash {
    key.seal(&[&checkpoint_parts(head.seq, at), &head.hash])
}

/// Whether that is the seal of the checkpoint.
pub(super) fn checkpoint_fits(key: &AuditKey, head: &Head, at: i64, seal: &[u8]) -> bool {
    key.fits(&[&checkpoint_parts(head.seq, at), &head.hash], seal)
}

/// The seal of a published head.
pub(super) fn seal_head(key: &AuditKey, head: &Head, at: i64) -> Hash {
    key.seal(&[&numbered(OF_HEAD, head.seq, at), &head.hash])
}

/// Whether that is the seal of a published head.
pub(super) fn head_fits(key: &AuditKey, head: &Head, at: i64, seal: &[u8]) -> bool {
    key.fits(&[&numbered(OF_HEAD, head.seq, at), &head.hash], seal)
}

fn numbered(what: u8, seq: i64, at: i64) -> [u8; 17] {
    let mut bytes = [what; 17];
    bytes[1..9].copy_from_slice(&seq.to_be_bytes());
    bytes[9..].copy_from_slice(&at.to_be_bytes());
    bytes
}

/// The last row and its hash: what the next row is chained to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub seq: i64,
    pub hash: Hash,
}

/// Where retention has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// The last row that was removed.
    pub head: Head,
    /// When, in microseconds.
    pub at: i64,
    /// Id of the key, and the seal; none before the key.
    pub seal: Option<(String, Vec<u8>)>,
}

impl Checkpoint {
    /// Whether nothing was ever removed: that needs no seal.
    pub(super) fn is_beginning(&self) -> bool {
        self.head.seq == 0 && self.head.hash == [0; 32]
    }
}

/// Where the rows that are still there begin.
pub(super) fn checkpoint(conn: &Connection) -> rusqlite::Result<Checkpoint> {
    conn.prepare_cached("SELECT through, hash, at, key_id, seal FROM audit_checkpoint")?
        .query_row([], |row| {
            let (key, seal): (Option<String>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
            Ok(Checkpoint {
                head: head_of(row)?,
                at: row.get(2)?,
                seal: key.zip(seal),
            })
        })
}

/// The end of the chain, and the id of the key that sealed it.
pub(super) fn end(conn: &Connection) -> rusqlite::Result<(Head, Option<String>)> {
    let mut statement = conn.prepare_cached("SELECT seq, hash, key_id FROM audit ORDER BY seq DESC LIMIT 1")?;
    match statement.query_row([], |row| Ok((head_of(row)?, row.get(2)?))) {
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            let checkpoint = checkpoint(conn)?;
            Ok((checkpoint.head, checkpoint.seal.map(|(key, _)| key)))
        }
        other => other,
    }
}

/// The end of the chain.
pub(super) fn head(conn: &Connection) -> rusqlite::Result<Head> {
    end(conn).map(|(head, _)| head)
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        seq: row.get(0)?,
        hash: row.get(1)?,
    })
}

/// Shown to people.
pub(super) fn hex(hash: &[u8]) -> String {
    use std::fmt::Write;
    hash.iter()
        .fold(String::with_capacity(2 * hash.len()), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Texts = [Option<String>; TEXTS];

    fn texts() -> impl Strategy<Value = Texts> {
        proptest::array::uniform11(proptest::option::of("[ab]{0,2}"))
    }

    fn hash(seq: i64, at: i64, texts: &Texts, sealed: bool) -> Hash {
        let mut borrowed = [None; TEXTS];
        for (slot, text) in borrowed.iter_mut().zip(texts) {
            *slot = text.as_deref().map(str::as_bytes);
        }
        let content = Content {
            seq,
            at,
            texts: borrowed,
            sealed_with: sealed.then_some((b"0a0b0c0d".as_slice(), [3; 16].as_slice())),
        };
        content.hash(&[7; 32], &mut Vec::new())
    }

    proptest! {
        #[test]
        fn two_rows_share_a_hash_only_if_they_are_the_same(
            a in (0..3i64, 0..3i64, texts(), any::<bool>()), b in (0..3i64, 0..3i64, texts(), any::<bool>()),
        ) {
            // What is not hashed in the old form is refused in it: see `Stored::well_formed`.
            let kept = |(seq, at, mut texts, sealed): (i64, i64, Texts, bool)| {
                if !sealed {
                    texts[OLD_TEXTS..].fill(None);
                }
                (seq, at, texts, sealed)
            };
            let (a, b) = (kept(a), kept(b));
            prop_assert_eq!(a == b, hash(a.0, a.1, &a.2, a.3) == hash(b.0, b.1, &b.2, b.3));
        }

        #[test]
        fn moving_a_letter_to_the_next_text_changes_the_hash(mut row in texts(), at in 0..10usize, sealed in any::<bool>()) {
            let before = hash(1, 1, &row, sealed);
            prop_assume!(sealed || at < OLD_TEXTS - 1);
            let moved = row[at].as_mut().and_then(String::pop);
            prop_assume!(moved.is_some());
            let next = row[at + 1].take().unwrap_or_default();
            row[at + 1] = Some(format!("{}{next}", moved.unwrap()));
            prop_assert_ne!(before, hash(1, 1, &row, sealed));
        }
    }
}
