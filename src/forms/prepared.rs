//! A document without credentials, into which anybody's are put.

use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::quoted;
use crate::gateway::Credentials;

/// A document without credentials.
pub(super) struct Prepared {
    pieces: Vec<String>,
    /// As what the credentials stand between the pieces.
    spelling: Spelling,
    digest: [u8; 32],
}

#[derive(Clone, Copy)]
enum Spelling {
    /// As they stand in a link.
    Link,
    /// `user:password` within double quotes, in JSON and YAML alike.
    Quoted,
}

impl Prepared {
    /// Of a document in which the credentials stand `times` times as they do in links. `make` writes it around a stand-in.
    pub(super) fn link(times: usize, make: impl Fn(&str) -> String) -> Self {
        Self::new(Spelling::Link, times, make)
    }

    /// The same, where they stand within double quotes.
    pub(super) fn quoted(times: usize, make: impl Fn(&str) -> String) -> Self {
        Self::new(Spelling::Quoted, times, make)
    }

    fn new(spelling: Spelling, times: usize, make: impl Fn(&str) -> String) -> Self {
        // A stand-in that stands anywhere else as well would be found too often: then it is another one.
        let mut number = 0_u64;
        loop {
            let stand_in = format!("credentials-{number}-");
            let document = make(&stand_in);
            let pieces: Vec<String> = document.split(&stand_in).map(ToOwned::to_owned).collect();
            if pieces.len() == times + 1 {
                let mut hash = Sha256::new();
                for piece in &pieces {
                    hash.update((piece.len() as u64).to_be_bytes());
                    hash.update(piece);
                }
                return Self {
                    pieces,
                    spelling,
                    digest: hash.finalize().into(),
                };
            }
            number += 1;
        }
    }

    /// The document of a person, and a tag that changes with it.
    pub(super) fn with(&self, credentials: &Credentials) -> (String, String) {
        let text = match self.spelling {
            Spelling::Link => credentials.userinfo(),
            Spelling::Quoted => quoted::within(&password(credentials)),
        };
        let mut hash = Sha256::new();
        hash.update(self.digest);
        hash.update(&text);
        let hash: [u8; 32] = hash.finalize().into();
        let tag = u128::from_be_bytes(std::array::from_fn(|at| hash[at]));
        (self.pieces.join(&text), format!("{tag:032x}"))
    }
}

/// The two in one, as the server splits them.
fn password(credentials: &Credentials) -> String {
    format!("{}:{}", credentials.username, credentials.password.expose_secret())
}
