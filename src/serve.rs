//! Serving a router over TCP, plain or with TLS, until it is told to stop. For every listener of the process.

mod connections;
mod descriptors;
mod expiry;
mod framing;
mod watched_stream;

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::Router;
use axum_server::{
    Handle,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use tokio_util::sync::CancellationToken;

use self::{connections::Bounded, framing::Strict};
pub use self::{
    connections::Connections,
    descriptors::Descriptors,
    expiry::{expiry, expiry_of_file},
};

/// How long requests that are under way may take once the server was told to stop.
pub const DRAIN: Duration = Duration::from_secs(10);
/// How often the certificate's files are looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(3);
/// How long the head of the first request of a connection may take.
const FIRST_REQUEST: Duration = Duration::from_secs(15);

/// A certificate chain and its key, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate, followed by its chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Why a listener cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not there, not readable, or not PEM.
    #[error("cannot read {path}: {source}: it has to hold {what} in PEM")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// What the file has to hold.
        what: &'static str,
        /// What went wrong.
        source: pem::Error,
    },
    /// PEM, and no certificate in it.
    #[error("{path} holds no X.509 certificate")]
    NoCertificate {
        /// Path of the file.
        path: PathBuf,
    },
    /// They do not fit together, or are of a kind that is not supported.
    #[error("the certificate {cert} and the key {key} cannot be used: {source}")]
    Unusable {
        /// Path of the certificate.
        cert: PathBuf,
        /// Path of the key.
        key: PathBuf,
        /// What went wrong.
        source: rustls::Error,
    },
}

impl TlsFiles {
    /// Reads and checks both files.
    ///
    /// # Errors
    /// Names the file and what it has to hold.
    pub fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let unreadable = |path: &Path, what| {
            let path = path.to_owned();
            move |source| TlsError::Read { path, what, source }
        };
        let unusable = |source| TlsError::Unusable {
            cert: self.cert.clone(),
            key: self.key.clone(),
            source,
        };
        let chain = CertificateDer::pem_file_iter(&self.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(unreadable(&self.cert, "a certificate"))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(unreadable(&self.key, "a private key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Changes whenever one of the files does; symbolic links are followed, as mounted Secrets need it.
    fn stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.cert, &self.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    /// Takes up new files as long as the future is polled. Files that cannot be used leave the present certificate in place.
    async fn reload(self, config: RustlsConfig, mut last: [Option<(SystemTime, u64)>; 2]) {
        loop {
            tokio::time::sleep(RELOAD_EVERY).await;
            let stamp = self.stamp();
            if stamp == last {
                continue;
            }
            last = stamp;
            match self.load() {
                Ok(new) => {
                    config.reload_from_config(new);
                    tracing::info!(cert = %self.cert.display(), "took up the new certificate");
                }
                Err(error) => tracing::warn!(%error, "the certificate that was in use stays in use"),
            }
        }
    }
}

/// Serves until `shutdown`, then takes no more connections and gives requests that are under way [`DRAIN`] to end. Handlers
/// find the client's address in `ConnectInfo<SocketAddr>`. A request that says its length in two ways is answered 400.
///
/// # Errors
/// The socket, or the TLS files at the start. Files that go bad later are a warning.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsFiles>,
    connections: Arc<Connections>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .first_request_timeout(FIRST_REQUEST);
    server.http_builder().http1().keep_alive(true);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let stop = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending::<()>().await;
    };
    let outcome = match tls {
        None => {
            let serving = server.acceptor(Strict(Bounded(connections))).serve(service);
            tokio::select! { ended = serving => ended, () = stop => Ok(()) }
        }
        Some(files) => {
            let stamp = files.stamp();
            let config = RustlsConfig::from_config(files.load()?);
            let acceptor = RustlsAcceptor::new(config.clone()).acceptor(Bounded(connections));
            let serving = server.acceptor(Strict(acceptor)).serve(service);
            tokio::select! { ended = serving => ended, () = stop => Ok(()), () = files.reload(config, stamp) => Ok(()) }
        }
    };
    Ok(outcome?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certify(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&files.cert, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn bad_files_leave_the_certificate_in_use_and_good_ones_replace_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            cert: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
        };
        certify(&files);
        let first = files.load().unwrap();
        let config = RustlsConfig::from_config(first.clone());
        let reloading = tokio::spawn(files.clone().reload(config.clone(), files.stamp()));
        fs::write(&files.cert, "not a certificate").unwrap();
        tokio::time::sleep(RELOAD_EVERY * 2).await;
        assert!(Arc::ptr_eq(&config.get_inner(), &first));
        certify(&files);
        tokio::time::sleep(RELOAD_EVERY * 2).await;
        let second = config.get_inner();
        assert!(!Arc::ptr_eq(&second, &first));
        tokio::time::sleep(RELOAD_EVERY * 2).await;
        assert!(
            Arc::ptr_eq(&config.get_inner(), &second),
            "files that did not change are not read again"
        );
        reloading.abort();
    }
}
