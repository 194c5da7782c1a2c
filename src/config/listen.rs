//! Settings of the listeners.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::{error::ConfigError, values};

/// Where the two listeners are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listeners")]
pub struct Listen {
    /// Address of the HTTP API
    #[arg(
        long = "listen",
        env = "LISTEN_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub api: SocketAddr,
    /// Address at which Hysteria nodes ask whom to let in. Keep it private
    #[arg(
        long = "auth-listen",
        env = "HYSTERIA_AUTH_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081"
    )]
    pub auth: SocketAddr,
    /// PEM certificate chain of the HTTP API. Read again when it changes
    #[arg(id = "api-tls-cert", long = "tls-cert", env = "TLS_CERT_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub tls_cert: Option<PathBuf>,
    /// PEM private key of the HTTP API
    #[arg(id = "api-tls-key", long = "tls-key", env = "TLS_KEY_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub tls_key: Option<PathBuf>,
    /// PEM certificate chain of the auth listener. Set it when nodes are not on this machine: they post passwords
    #[arg(long, env = "HYSTERIA_AUTH_TLS_CERT_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub auth_tls_cert: Option<PathBuf>,
    /// PEM private key of the auth listener
    #[arg(long, env = "HYSTERIA_AUTH_TLS_KEY_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub auth_tls_key: Option<PathBuf>,
}

/// The two files of a TLS listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM certificate chain.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

impl Listen {
    /// TLS of the HTTP API, if it has any.
    ///
    /// # Errors
    /// One of the two files is missing from the settings.
    pub fn api_tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        pair(
            self.tls_cert.as_ref(),
            self.tls_key.as_ref(),
            ["TLS_CERT_FILE", "TLS_KEY_FILE"],
        )
    }

    /// TLS of the auth listener, if it has any.
    ///
    /// # Errors
    /// One of the two files is missing from the settings.
    pub fn auth_tls(&self) -> Result<Option<TlsFiles>, ConfigError> {
        pair(
            self.auth_tls_cert.as_ref(),
            self.auth_tls_key.as_ref(),
            ["HYSTERIA_AUTH_TLS_CERT_FILE", "HYSTERIA_AUTH_TLS_KEY_FILE"],
        )
    }
}

fn pair(
    cert: Option<&PathBuf>,
    key: Option<&PathBuf>,
    [cert_name, key_name]: [&'static str; 2],
) -> Result<Option<TlsFiles>, ConfigError> {
    let set = |path: Option<&PathBuf>| path.cloned().filter(|path| !path.as_os_str().is_empty());
    match (set(cert), set(key)) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::HalfTls {
            given: cert_name,
            missing: key_name,
        }),
        (None, Some(_)) => Err(ConfigError::HalfTls {
            given: key_name,
            missing: cert_name,
        }),
    }
}

/// The URL at which a client on this machine reaches a listener.
#[must_use]
pub fn local_url(listen: SocketAddr, tls: bool) -> String {
    let mut reachable = listen;
    if listen.ip().is_unspecified() {
        reachable.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{}://{reachable}", if tls { "https" } else { "http" })
}
