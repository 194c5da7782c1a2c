//! The keys that seal the audit: derived from the master key, and never in the database that they seal.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Key, MasterKey};

/// What the audit is sealed with: the key of the present master key, and those of previous ones, which only check. Cloning is
/// cheap.
#[derive(Clone)]
pub struct AuditKeys {
    /// The present one first.
    keys: Arc<[AuditKey]>,
}

/// One key: HMAC-SHA-256 with a key that is derived for this purpose alone.
#[derive(Clone)]
pub struct AuditKey {
    id: String,
    mac: Hmac<Sha256>,
}

impl MasterKey {
    /// The keys that the audit is sealed and checked with.
    #[must_use]
    pub fn audit_keys(&self) -> AuditKeys {
        AuditKeys {
            keys: [&*self.current]
                .into_iter()
                .chain(&*self.previous)
                .map(AuditKey::of)
                .collect(),
        }
    }
}

impl AuditKeys {
    /// No key: nothing can be sealed, and of what is sealed only the plain chain can be checked.
    #[must_use]
    pub fn none() -> Self {
        Self { keys: Arc::new([]) }
    }

    /// The key that seals; `None` where none is known.
    #[must_use]
    pub fn current(&self) -> Option<&AuditKey> {
        self.keys.first()
    }

    /// The key with this id, the present one or a previous one.
    #[must_use]
    pub fn find(&self, id: impl AsRef<[u8]>) -> Option<&AuditKey> {
        self.keys.iter().find(|key| key.id.as_bytes() == id.as_ref())
    }
}

impl AuditKey {
    fn of(key: &Key) -> Self {
        let derived = key.derive("audit", &[]);
        Self {
            id: key.id.clone(),
            mac: <Hmac<Sha256> as KeyInit>::new(&block(&derived)),
        }
    }

    /// Id of the master key that it was derived from. Public.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// HMAC-SHA-256 of the parts one after the other. The caller sees to it that no two lists of parts meet.
    #[must_use]
    pub fn seal(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether this is the seal of the parts. Takes the same time for every wrong one.
    #[must_use]
    pub fn fits(&self, parts: &[&[u8]], seal: &[u8]) -> bool {
        self.seal(parts).as_slice().ct_eq(seal).into()
    }
}

/// HMAC fills a short key up with zeros to the block size; doing it here leaves nothing that could fail.
fn block(key: &[u8; 32]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = [0u8; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    block.into()
}

impl fmt::Debug for AuditKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(AuditKey::id)).finish()
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretBox;

    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes(SecretBox::new(Box::new([byte; 32])))
    }

    /// Computed once with Python's `hmac`: a change here makes every audit look forged.
    #[test]
    fn a_seal_never_changes() {
        let keys = master(7).audit_keys();
        let key = keys.current().unwrap();
        let seal = key.seal(&[b"a", b"bc"]);
        let shown = format!("{:032x}", u128::from_be_bytes(*seal.first_chunk().unwrap()));
        assert_eq!(shown, "7b6bc16e95e66dc2c85699c92564a07d");
        assert!(key.fits(&[b"abc"], &seal));
        assert!(!key.fits(&[b"abd"], &seal) && !key.fits(&[b"abc"], &seal[..31]));
    }

    #[test]
    fn another_master_key_seals_otherwise_and_nothing_shows_a_key() {
        let (one, other) = (master(1).audit_keys(), master(2).audit_keys());
        let (one, other) = (one.current().unwrap(), other.current().unwrap());
        assert_ne!(one.seal(&[b"x"]), other.seal(&[b"x"]));
        assert_eq!(one.id(), master(1).id());
        assert!(AuditKeys::none().current().is_none());
        assert!(format!("{one:?} {:?}", master(1).audit_keys()).len() < 80);
    }
}
