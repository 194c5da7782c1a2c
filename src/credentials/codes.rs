//! The keys with which codes are hashed that are handed to people: whoever reads the database cannot try all of them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::{MasterKey, TOKEN_ALPHABET, TOKEN_LENGTH, token};

/// HMAC-SHA-256 with keys that are derived from the master key for codes of one kind alone. Cloning is cheap.
#[derive(Clone)]
pub struct CodeKey {
    hashes: Hmac<Sha256>,
    requests: Hmac<Sha256>,
}

impl MasterKey {
    /// The key that codes are hashed with that link a chat to a person. A rotated master key makes those worthless that are under way.
    #[must_use]
    pub fn link_code_key(&self) -> CodeKey {
        self.code_key("link-code", "link-code-of-request")
    }

    /// The key that the codes in handed-over links are hashed with. A rotated master key makes those worthless that are under way.
    #[must_use]
    pub fn handover_key(&self) -> CodeKey {
        self.code_key("handover", "handover-of-request")
    }

    fn code_key(&self, hashes: &str, requests: &str) -> CodeKey {
        let keyed = |purpose| {
            let derived = self.current.derive(purpose, &[]);
            // HMAC fills a short key up with zeros to the block size; doing it here leaves nothing that could fail.
            let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
            block.iter_mut().zip(derived.iter()).for_each(|(to, from)| *to = *from);
            <Hmac<Sha256> as KeyInit>::new(&block)
        };
        CodeKey {
            hashes: keyed(hashes),
            requests: keyed(requests),
        }
    }
}

fn mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl CodeKey {
    /// The hash of a code for this person (the key of the corporate ID), or for whatever else it is good for. The same code for
    /// another one has another hash.
    #[must_use]
    pub fn hash(&self, person: &str, code: &str) -> [u8; 32] {
        mac(&self.hashes, &[person.as_bytes(), code.as_bytes()])
    }

    /// What a request for a code of this person is known by: nobody finds the request in it.
    #[must_use]
    pub fn request(&self, person: &str, request: &str) -> [u8; 32] {
        mac(&self.requests, &[b"name", person.as_bytes(), request.as_bytes()])
    }

    /// Random bits for the code of a request: the same for the same one, and nobody without the key can tell them beforehand.
    #[must_use]
    pub fn bits(&self, person: &str, request: &str) -> [u8; 32] {
        mac(&self.requests, &[b"bits", person.as_bytes(), request.as_bytes()])
    }

    /// Which of the hashes is that of this code. Takes the same time whichever it is, and if none is.
    #[must_use]
    pub fn find(&self, person: &str, code: &str, hashes: &[[u8; 32]]) -> Option<usize> {
        let hash = self.hash(person, code);
        let mut found = None;
        for (at, known) in hashes.iter().enumerate() {
            let same: Choice = known.ct_eq(&hash);
            if bool::from(same) {
                found = Some(at);
            }
        }
        found
    }
}

/// A code that nobody guesses, out of random bits: as subscription tokens, 40 characters of `a-z2-7` with 200 bits of entropy.
#[must_use]
pub fn long_code(bits: &[u8; 32]) -> SecretString {
    token(bits)
}

/// Whether a text can be one of [`long_code`].
#[must_use]
pub fn is_long_code(text: &str) -> bool {
    text.len() == TOKEN_LENGTH && text.bytes().all(|byte| TOKEN_ALPHABET.contains(&byte))
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::{ExposeSecret as _, SecretBox};

    use super::*;

    fn master(byte: u8) -> MasterKey {
        MasterKey::from_bytes(SecretBox::new(Box::new([byte; 32])))
    }

    fn key(byte: u8) -> CodeKey {
        master(byte).link_code_key()
    }

    #[test]
    fn a_request_has_the_same_bits_each_time_and_other_ones_for_everybody_else() {
        let (one, same) = (key(1).bits("ab123456", "r"), key(1).bits("ab123456", "r"));
        assert_eq!(one, same);
        for other in [
            key(1).bits("ab123456", "s"),
            key(1).bits("ab123457", "r"),
            key(2).bits("ab123456", "r"),
            key(1).request("ab123456", "r"),
            key(1).hash("ab123456", "r"),
            master(1).handover_key().bits("ab123456", "r"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_code_is_found_for_its_person_its_kind_and_its_key_alone() {
        let hashes = [key(1).hash("ab123456", "11111111"), key(1).hash("ab123456", "22222222")];
        assert_eq!(key(1).find("ab123456", "22222222", &hashes), Some(1));
        assert_eq!(key(1).find("ab123457", "22222222", &hashes), None);
        assert_eq!(key(2).find("ab123456", "22222222", &hashes), None);
        assert_eq!(master(1).handover_key().find("ab123456", "22222222", &hashes), None);
        assert_eq!(
            key(1).find("ab1234561", "1111111", &hashes),
            None,
            "no two lists of parts meet"
        );
        assert!(format!("{:?}", key(1)).len() < 30);
    }

    #[test]
    fn a_long_code_is_safe_in_an_address_and_every_bit_group_counts() {
        let code = |bits: [u8; 32]| long_code(&bits).expose_secret().to_owned();
        let zeros = code([0; 32]);
        assert_eq!(zeros, "a".repeat(40));
        assert!(zeros.len() * 5 >= 128);
        for at in 0..25 {
            let mut bits = [0; 32];
            bits[at] = 1;
            assert_ne!(code(bits), zeros, "byte {at}");
        }
        let drawn = code([0xa7; 32]);
        assert!(
            drawn
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
        );
        assert!(is_long_code(&drawn) && is_long_code(&zeros));
        for other in [
            "",
            &drawn[1..],
            &format!("{drawn}a"),
            &drawn.to_uppercase(),
            &drawn.replace('a', "1"),
        ] {
            assert_eq!(is_long_code(other), other == drawn, "{other}");
        }
    }
}
