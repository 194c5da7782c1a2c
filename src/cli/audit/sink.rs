//! Where an export goes: a connection for each part of it, which counts as arrived once the receiver has closed its end.
//!
//! Syslog has no acknowledgement. What can be had without one: this side closes its direction behind the last byte, and the
//! receiver closes its own when it has read to that end. Until then nothing of the part counts as arrived. Over TLS the receiver
//! has to say so (`close_notify`), so that a receiver that died is not taken for one that has read everything.

use std::{path::Path, sync::Arc, time::Duration};

use rustls::{ClientConfig, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::super::exit::CommandError;

/// How long a connection may take to come about, or the receiver to read what was sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver of syslog.
pub(super) struct Receiver {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Receiver {
    /// The receiver at `tcp://host:port` or `tls://host:port`. Asks nobody yet.
    pub(super) fn at(to: &str, ca_cert: Option<&Path>) -> Result<Self, CommandError> {
        let wrong = || CommandError::invalid("--to: give tcp://host:port or tls://host:port");
        let url = Url::parse(to).map_err(|_| wrong())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && matches!(url.path(), "" | "/");
        let (Some(host), Some(port), true) = (url.host_str(), url.port(), plain) else {
            return Err(wrong());
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match url.scheme() {
            "tcp" => None,
            "tls" => {
                let name = ServerName::try_from(host.clone()).map_err(|_| wrong())?;
                Some((connector(ca_cert)?, name))
            }
            _ => return Err(wrong()),
        };
        Ok(Self { host, port, tls })
    }

    /// Sends a part, and waits until it has arrived.
    ///
    /// # Errors
    /// Perhaps nothing of it arrived: it has to be sent again.
    pub(super) async fn send(&self, part: &[u8]) -> Result<(), String> {
        let slow = |_| format!("{} took longer than {PATIENCE:?}", self.host);
        let stream = timeout(PATIENCE, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .map_err(slow)?
            .map_err(|error| format!("{}:{} cannot be reached: {error}", self.host, self.port))?;
        let arrived = async {
            match &self.tls {
                None => deliver(stream, part).await,
                Some((connector, name)) => deliver(connector.connect(name.clone(), stream).await?, part).await,
            }
        };
        timeout(PATIENCE, arrived)
            .await
            .map_err(|_| {
                format!(
                    "{}:{} did not close its end within {PATIENCE:?} of the last byte",
                    self.host, self.port
                )
            })?
            .map_err(|error| format!("{}:{} did not take what was sent: {error}", self.host, self.port))
    }
}

/// Writes to the end, closes this direction, and waits for the other one to be closed.
async fn deliver(stream: impl AsyncRead + AsyncWrite, part: &[u8]) -> std::io::Result<()> {
    let (mut from, mut to) = tokio::io::split(stream);
    let write = async {
        to.write_all(part).await?;
        to.flush().await?;
        to.shutdown().await
    };
    let mut ignored = [0u8; 512];
    tokio::pin!(write);
    loop {
        tokio::select! {
            written = &mut write => break written?,
            // Nobody has anything to say here; an end before ours means that it was not read.
            read = from.read(&mut ignored) => if read? == 0 {
                return Err(std::io::Error::other("it closed the connection too early"));
            },
        }
    }
    while from.read(&mut ignored).await? > 0 {}
    Ok(())
}

fn connector(ca_cert: Option<&Path>) -> Result<TlsConnector, CommandError> {
    let wrong = |path: &Path, why: String| CommandError::invalid(format!("--ca-cert {}: {why}", path.display()));
    let mut roots = Vec::new();
    if let Some(path) = ca_cert.filter(|path| !path.as_os_str().is_empty()) {
        let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(path, error.to_string()))?;
        for certificate in found {
            roots.push(certificate.map_err(|error| wrong(path, error.to_string()))?);
        }
    }
    let unusable = |error: rustls::Error| CommandError::failed(format!("TLS cannot be used: {error}"));
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(unusable)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
