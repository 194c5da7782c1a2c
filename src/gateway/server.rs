//! One server as clients reach it: the parts of which every link and every profile is made.

use std::fmt::{self, Write as _};

use secrecy::ExposeSecret as _;

use super::{
    certificate::Certificate,
    hysteria::{config::Obfs, ports::Ports},
    percent::encoded,
};

/// One server as clients reach it. Without anybody's credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Name shown in clients.
    pub name: String,
    /// Host name or address, an IPv6 address without brackets.
    pub host: String,
    /// Public ports.
    pub ports: Ports,
    /// Server name of the TLS handshake, when it is not the host.
    pub sni: Option<String>,
    /// SHA-256 of the server's certificate, lower-case hex without separators, where it is declared.
    pub pin_sha256: Option<String>,
    /// Whether clients are told not to verify the certificate.
    pub insecure: bool,
    /// The server's own certificate, where it is to be trusted without an authority.
    pub certificate: Option<Certificate>,
    /// Obfuscation.
    pub obfs: Option<Obfs>,
}

/// How a link says that there are several ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hopping {
    /// `host:443,20000-50000`, as the official client reads it.
    InAuthority,
    /// `host:443` and `mport=20000-50000`, as clients read it that split host and port strictly.
    AsMport,
}

impl Server {
    /// SHA-256 of the server's certificate, as it is declared or as that of the declared certificate.
    #[must_use]
    pub fn pin(&self) -> Option<&str> {
        let own = self.certificate.as_ref().map(Certificate::sha256);
        self.pin_sha256.as_deref().or(own)
    }

    /// A link `hysteria2://userinfo@host:ports/?…#name`. The parameters always stand in the same order. `userinfo` is encoded
    /// already; `insecure` is whether links may tell clients not to verify certificates.
    #[must_use]
    pub fn uri(&self, userinfo: &str, name: &str, hopping: Hopping, insecure: bool) -> String {
        let mut url = format!("hysteria2://{userinfo}@{}:", Host(&self.host));
        let apart = hopping == Hopping::AsMport;
        // Writing to a string cannot fail.
        let _ = if apart {
            write!(url, "{}/", self.ports.first())
        } else {
            write!(url, "{}/", self.ports)
        };
        let mut mark = '?';
        let mut add = |key: &str, value: &str| {
            let _ = write!(url, "{mark}{key}={value}");
            mark = '&';
        };
        if let Some(obfs) = &self.obfs {
            add("obfs", obfs.type_name());
            add("obfs-password", &encoded(obfs.password.expose_secret()));
        }
        if let Some(sni) = &self.sni {
            add("sni", &encoded(sni));
        }
        if let Some(pin) = self.pin() {
            add("pinSHA256", pin);
            if apart {
                // The same for clients that are built on Xray.
                add("pcs", pin);
            }
        }
        if self.insecure && insecure {
            add("insecure", "1");
        }
        if apart && self.ports.is_hopping() {
            // Ranges only, and not the port that stands in the address already: some clients stumble over a lone port. Commas and
            // dashes may stand in a query as they are, and some clients decode nothing here.
            let first = self.ports.first();
            let beside = self.ports.ranges().enumerate();
            let beside = beside.filter(|(at, range)| *at > 0 || *range != (first, first));
            let ranges: Vec<String> = beside.map(|(_, (from, to))| format!("{from}-{to}")).collect();
            add("mport", &ranges.join(","));
        }
        let _ = write!(url, "#{}", encoded(name));
        url
    }
}

/// Shows a host as it stands in an authority: an IPv6 address in brackets.
pub struct Host<'a>(pub &'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.parse::<std::net::Ipv6Addr>().is_ok() {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}
