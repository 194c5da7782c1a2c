//! A server's own certificate, which clients are to trust without an authority.

use std::fmt::{self, Write as _};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

/// Certificates in PEM, the server's own first.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    pem: String,
    sha256: String,
}

impl Certificate {
    /// Reads PEM; `None` if there is no certificate in it, or something else.
    #[must_use]
    pub fn parse(pem: &str) -> Option<Self> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let all = all.ok()?;
        let own = all.first()?;
        x509_parser::parse_x509_certificate(own).ok()?;
        let pem = all.iter().map(|der| encoded(der)).collect();
        let mut sha256 = String::with_capacity(64);
        for byte in Sha256::digest(own) {
            // Writing to a string cannot fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Some(Self { pem, sha256 })
    }

    /// As it is written into documents, with nothing but certificates in it.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the server's certificate, lower-case hex without separators.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.sha256).finish()
    }
}

/// A certificate in PEM, as RFC 7468 has it.
fn encoded(der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_pem_is_its_certificates_and_the_hash_of_the_first() {
        let [one, two] =
            ["a", "b"].map(|name| rcgen::generate_simple_self_signed(vec![format!("{name}.example.com")]).unwrap());
        let (one, two) = (&one.cert, &two.cert);
        let text = format!("# note\n{}\r\n{}", one.pem(), two.pem());
        let read = Certificate::parse(&text).unwrap();
        let byte = |at: usize| u8::from_str_radix(&read.sha256()[at..at + 2], 16).unwrap();
        let hash: Vec<u8> = (0..read.sha256().len()).step_by(2).map(byte).collect();
        assert_eq!(hash, Sha256::digest(one.der()).as_slice());
        assert_eq!(read.pem().matches("BEGIN CERTIFICATE").count(), 2);
        assert!(!read.pem().contains("note"));
        assert_eq!(Certificate::parse(read.pem()), Some(read));
    }

    #[test]
    fn what_is_no_certificate_is_not_taken_for_one() {
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(Certificate::parse(text).is_none(), "{text}");
        }
    }
}
