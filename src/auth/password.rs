//! Passwords as the index keeps them: digests, compared in constant time.

use std::hint::black_box;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a password. Generated passwords are as long as a key, so a slow hash would only slow down logins; imported
/// ones live in memory only in this form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Digest of a text.
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether both are the same, in a time that does not depend on where they differ. Without a digest to compare with it
    /// takes as long and answers no, so that an unknown account cannot be told from a wrong password by its time.
    pub(crate) fn matches(&self, expected: Option<&Self>) -> bool {
        const NOBODY: Digest = Digest([0; 32]);
        let equal = bool::from(self.0.ct_eq(&black_box(expected.unwrap_or(&NOBODY)).0));
        black_box(equal) && expected.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_matches_and_nothing_matches_nobody() {
        let digest = Digest::of("secret");
        assert!(digest.matches(Some(&Digest::of("secret"))));
        assert!(!digest.matches(Some(&Digest::of("Secret"))));
        assert!(!digest.matches(None));
        assert!(!Digest([0; 32]).matches(None));
    }
}
