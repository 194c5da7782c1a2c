//! When a certificate ends.

use std::path::Path;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::TlsError;

/// The end of the validity of the first certificate in a PEM file, which is the one that clients look at.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn expiry_of_file(path: &Path) -> Result<Timestamp, TlsError> {
    let certificate = CertificateDer::from_pem_file(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        what: "a certificate",
        source,
    })?;
    expiry(&certificate).ok_or_else(|| TlsError::NoCertificate { path: path.to_owned() })
}

/// The end of the validity of a certificate in DER; `None` when it is none.
#[must_use]
pub fn expiry(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
