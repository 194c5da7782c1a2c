//! The certificate that a node shows on TCP port 443, where its masquerade listens with the same one as for QUIC.
//!
//! The operator speaks no QUIC. What a plain TLS handshake shows is enough to say how long the certificate is good, and
//! whether clients trust it.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use jiff::Timestamp;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Finding, operator};
use crate::{
    cli::{nodes::Gateways, surroundings},
    model::gateway::HysteriaNode,
    serve,
};

/// How long a node may take to show its certificate.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where the masquerade of a node listens, as `gateway render` writes it.
const PORT: u16 = 443;

/// Looks at every node's certificate, all at the same time.
pub(super) async fn look(gateways: &Gateways) -> Vec<Finding> {
    let trust = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trust = rustls_platform_verifier::Verifier::new(Arc::clone(&trust)).map(|verifier| Arc::new(verifier) as _);
    let nodes = gateways.nodes().map(|(name, node)| {
        let trust = trust.as_ref().ok().cloned();
        async move {
            let name = format!("certificate of {name}");
            if is_this_machine(&node.address) {
                return Finding::skipped(
                    name,
                    "its address is this machine's own: what listens there need not be a node",
                );
            }
            of_node(&name, node, PORT, trust).await
        }
    });
    join_all(nodes).await
}

fn is_this_machine(address: &str) -> bool {
    let ip = address.parse::<IpAddr>();
    address == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// Decides whether a certificate is trusted.
type Trust = Arc<dyn ServerCertVerifier>;

async fn of_node(name: &str, node: &HysteriaNode, port: u16, trust: Option<Trust>) -> Finding {
    let (address, server_name) = (node.address.as_str(), node.sni.as_ref().unwrap_or(&node.address));
    // A pin, a certificate that is trusted as it is, or clients that verify nothing, make the authority behind it of no interest.
    let trust = trust.filter(|_| !node.insecure && node.pin_sha256.is_none() && node.certificate.is_none());
    let place = format!("TCP port {port} of {address}");
    let shown = match timeout(PATIENCE, handshake((address, port), server_name, trust)).await {
        Ok(Ok(shown)) => shown,
        Ok(Err(why)) => return Finding::skipped(name, format!("cannot be seen: {place}: {why}")),
        Err(_) => {
            return Finding::skipped(
                name,
                format!("cannot be seen: {place} did not answer within {PATIENCE:?}"),
            );
        }
    };
    let Some(end) = serve::expiry(&shown.certificate) else {
        return Finding::skipped(name, format!("{place} shows a certificate that cannot be read"));
    };
    let until = surroundings::until(name, &format!("what {place} shows"), end, Timestamp::now());
    match shown.distrust {
        Some(why) if until.is_ok() => Finding::failed(
            name,
            format!("clients refuse what {place} shows: {why}"),
            "give the node a certificate that clients trust (gateway render --acme), or its pin with insecure: true",
        ),
        _ => operator::found_here(vec![until])
            .next()
            .unwrap_or_else(|| Finding::skipped(name, "cannot be seen")),
    }
}

/// What a server showed.
struct Shown {
    certificate: CertificateDer<'static>,
    /// Why it is not trusted, if that was asked and it is not.
    distrust: Option<String>,
}

async fn handshake(place: (&str, u16), name: &str, trust: Option<Trust>) -> Result<Shown, String> {
    let stream = TcpStream::connect(place)
        .await
        .map_err(|error| format!("nothing answers: {error}"))?;
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let witness = Arc::new(Witness {
        provider: Arc::clone(&provider),
        trust,
        seen: Mutex::default(),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as _)
        .with_no_client_auth();
    let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    // A server that ends the handshake after it has shown its certificate has shown it all the same.
    seen.ok_or_else(|| match ended {
        Ok(_) => "no certificate was shown".to_owned(),
        Err(error) => format!("no TLS handshake: {error}"),
    })
}

/// Lets every certificate pass and remembers it. Nothing but the handshake is ever done on such a connection.
struct Witness {
    provider: Arc<CryptoProvider>,
    trust: Option<Trust>,
    seen: Mutex<Option<Shown>>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Witness")
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self
            .trust
            .as_ref()
            .map(|trust| trust.verify_server_cert(certificate, chain, name, ocsp, now));
        let shown = Shown {
            certificate: certificate.clone().into_owned(),
            distrust: verdict.and_then(Result::err).map(|error| error.to_string()),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{RootCertStore, ServerConfig, client::WebPkiServerVerifier};
    use rustls_pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::{super::Verdict, *};

    /// A node whose certificate is good for so many days from now on, and the certificate.
    async fn node(days: i64) -> (u16, CertificateDer<'static>) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = std::time::SystemTime::now();
        params.not_before = (now - Duration::from_secs(90 * 86_400)).into();
        let distance = Duration::from_secs(days.unsigned_abs() * 86_400 + 60);
        params.not_after = if days < 0 { now - distance } else { now + distance }.into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away at once is no concern of the server.
                let _ = acceptor.accept(stream).await;
            }
        });
        (port, certificate)
    }

    fn trusting(roots: &[&CertificateDer<'static>]) -> Trust {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add((*root).clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .build()
            .unwrap()
    }

    fn declared(more: &str) -> HysteriaNode {
        serde_yaml::from_str(&format!("{{ name: n, address: localhost{more} }}")).unwrap()
    }

    #[test]
    fn what_listens_on_this_machine_is_not_taken_for_a_node() {
        for (address, own) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("203.0.113.7", false),
            ("fra1.example.com", false),
        ] {
            assert_eq!(is_this_machine(address), own, "{address}");
        }
    }

    #[tokio::test]
    async fn days_are_told_a_short_rest_is_warned_of_and_the_end_is_a_failure() {
        for (days, verdict, said) in [
            (60, Verdict::Ok, "ends in 60 days"),
            (13, Verdict::Warning, "ends in 13 days"),
            (-1, Verdict::Failed, "ended at"),
        ] {
            let (port, own) = node(days).await;
            let pinned = declared(&format!(", pinSha256: {}, insecure: true", "ab".repeat(32)));
            let (_, other) = node(60).await;
            for (node, trust) in [(&declared(""), trusting(&[&own])), (&pinned, trusting(&[&other]))] {
                let found = of_node("c", node, port, Some(trust)).await;
                assert_eq!(found.result, verdict, "{found:?}");
                assert!(found.message.contains(said), "{found:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_clients_do_not_trust_is_a_failure_unless_they_are_told_not_to_look() {
        let (port, own) = node(60).await;
        let (_, other) = node(60).await;
        for (more, trusted, verdict) in [
            ("", &other, Verdict::Failed),
            (", insecure: true", &other, Verdict::Ok),
            (", sni: other.example.com", &own, Verdict::Failed),
        ] {
            let found = of_node("c", &declared(more), port, Some(trusting(&[trusted]))).await;
            assert_eq!(found.result, verdict, "{more}: {found:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_said_where_nothing_or_something_else_listens() {
        let silent = TcpListener::bind("localhost:0").await.unwrap();
        let plain = TcpListener::bind("localhost:0").await.unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (silent_port, plain_port) = (port(&silent), port(&plain));
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt as _;
            while let Ok((mut stream, _)) = plain.accept().await {
                stream.write_all(b"SSH-2.0-server\r\n").await.unwrap();
            }
        });
        let closed = {
            let listener = TcpListener::bind("localhost:0").await.unwrap();
            port(&listener)
        };
        for (port, said) in [
            (closed, "nothing answers"),
            (plain_port, "no TLS handshake"),
            (silent_port, "did not answer within 2s"),
        ] {
            let found = of_node("c", &declared(""), port, None).await;
            assert_eq!(found.result, Verdict::Skipped, "{found:?}");
            assert!(found.message.contains(said), "{found:?}");
        }
    }
}
