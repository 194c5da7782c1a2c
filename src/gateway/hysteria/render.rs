//! A complete, commented server configuration for one node.
//!
//! The file is Hysteria's own (2.6.3 and later; `mimic` from 2.12.0 on). It holds the node's secrets, since it is the node's
//! configuration; `redact` puts a placeholder in their stead for people to look at.

use std::fmt::Write;

use secrecy::{ExposeSecret, SecretString};

use url::Url;

use super::{
    acl::{self, Rejected},
    config::NodeConfig,
    ports::Ports,
};
use crate::gateway::server::Host;

/// Stands where a secret would.
const REDACTED: &str = "REDACTED";

/// Where the node's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Files on the node.
    Files {
        /// Path of the certificate chain, PEM.
        cert: String,
        /// Path of the private key, PEM.
        key: String,
    },
    /// Issued and renewed by the node itself.
    Acme {
        /// Names in the certificate.
        domains: Vec<String>,
        /// Address for notices of the authority.
        email: String,
    },
}

/// What a configuration is written from.
#[derive(Debug, Clone)]
pub struct RenderInput<'a> {
    /// The node.
    pub node: &'a NodeConfig,
    /// Where its certificate comes from.
    pub tls: Tls,
    /// The auth endpoint as the node reaches it, with the token in its path.
    pub auth_url: SecretString,
    /// A web site that the node shows to whoever is no client; a short page of its own when absent.
    pub masquerade: Option<String>,
    /// Whether UDP is disguised as TCP in the kernel.
    pub mimic: bool,
    /// What clients are not connected to, beside what never is (see `acl`). `None` leaves the ACL out.
    pub reject: Option<Vec<Rejected>>,
    /// Whether secrets are replaced by a placeholder.
    pub redact: bool,
}

/// Why no configuration can be written. Names the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Mimic together with port hopping.
    #[error(
        "node {node}: mimic cannot be combined with port hopping, and its ports are {ports}: declare a single port, or \
         leave mimic out"
    )]
    MimicWithHopping {
        /// Name of the node.
        node: String,
        /// Its ports.
        ports: Ports,
    },
    /// A pinned certificate that is renewed.
    #[error(
        "node {node}: pinSha256 cannot be combined with ACME: at the next renewal every link with the pin stops working. \
         Remove the pin, or use certificate files"
    )]
    PinWithAcme {
        /// Name of the node.
        node: String,
    },
    /// Something else than a URL to ask at.
    #[error("node {node}: what it would ask is no URL: {error}")]
    AuthUrl {
        /// Name of the node.
        node: String,
        /// Why.
        error: url::ParseError,
    },
    /// ACME without a name.
    #[error("node {node}: ACME needs at least one domain")]
    NoDomain {
        /// Name of the node.
        node: String,
    },
}

/// Writes the configuration.
///
/// # Errors
/// The parts cannot be combined; says which and what to do.
pub fn render(input: &RenderInput<'_>) -> Result<String, RenderError> {
    let node = input.node;
    if input.mimic && node.ports.is_hopping() {
        return Err(RenderError::MimicWithHopping {
            node: node.name.clone(),
            ports: node.ports.clone(),
        });
    }
    if matches!(&input.tls, Tls::Acme { .. }) && node.pin_sha256.is_some() {
        return Err(RenderError::PinWithAcme {
            node: node.name.clone(),
        });
    }
    if matches!(&input.tls, Tls::Acme { domains, .. } if domains.is_empty()) {
        return Err(RenderError::NoDomain {
            node: node.name.clone(),
        });
    }
    let parts = [
        head(input),
        listen(&node.ports),
        obfs(input),
        tls(&input.tls),
        auth(input),
        statistics(input),
        acl(input)?,
        BANDWIDTH.to_owned(),
        masquerade(input),
        mimic(input),
    ];
    Ok(parts.join("\n"))
}

/// A text as YAML reads it back whatever is in it. JSON's way of quoting is not enough: YAML takes further characters for
/// line breaks, and refuses some that JSON leaves as they are.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            quoted.push('\\');
            quoted.push(c);
        } else if c.is_alphanumeric() || c == ' ' || c.is_ascii_punctuation() {
            quoted.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(quoted, "\\U{:08X}", u32::from(c));
        }
    }
    quoted.push('"');
    quoted
}

fn secret(input: &RenderInput<'_>, secret: &SecretString) -> String {
    quoted(if input.redact { REDACTED } else { secret.expose_secret() })
}

fn head(input: &RenderInput<'_>) -> String {
    let note = if input.redact {
        "# Secrets are left out: render it without redaction before use."
    } else {
        "# It holds secrets: keep it readable for the server alone (chmod 600)."
    };
    format!(
        "# Hysteria2 server configuration of node {}.\n\
         # Place it at /etc/hysteria/config.yaml and restart hysteria-server.\n{note}\n",
        quoted(&input.node.name)
    )
}

fn listen(ports: &Ports) -> String {
    let port = ports.first();
    let mut text = format!("# UDP port of the server itself.\nlisten: \":{port}\"\n");
    if !ports.is_hopping() {
        return text;
    }
    let others: Vec<(u16, u16)> = ports.ranges().filter(|range| *range != (port, port)).collect();
    let set = |between: char| -> String {
        let range = |(from, to): &(u16, u16)| {
            if from == to {
                from.to_string()
            } else {
                format!("{from}{between}{to}")
            }
        };
        others.iter().map(range).collect::<Vec<_>>().join(", ")
    };
    let _ = write!(
        text,
        "#\n\
         # Port hopping: clients change between the ports {ports}, the server listens on {port} only, and the kernel\n\
         # redirects the others to it. With nftables:\n\
         #   nft add table inet hysteria_hopping\n\
         #   nft add chain inet hysteria_hopping prerouting '{{ type nat hook prerouting priority dstnat; }}'\n\
         #   nft add rule inet hysteria_hopping prerouting udp dport '{{ {} }}' redirect to :{port}\n\
         # or with iptables (and the same with ip6tables):\n",
        set('-')
    );
    for range in set(':').split(", ") {
        let _ = writeln!(
            text,
            "#   iptables -t nat -A PREROUTING -p udp --dport {range} -j REDIRECT --to-ports {port}"
        );
    }
    text.push_str("# Make them permanent in the firewall's own configuration, and open the ports for UDP.\n");
    text
}

fn obfs(input: &RenderInput<'_>) -> String {
    match &input.node.obfs {
        None => {
            "# Obfuscation is off: the port answers as a QUIC server. Declare `obfs` on the node to turn it on; every\n\
                 # client needs a new link then.\n"
                .to_owned()
        }
        Some(obfs) => format!(
            "# Obfuscation: packets look like noise. The password is part of every link.\n\
             obfs:\n  type: {name}\n  {name}:\n    password: {}\n",
            secret(input, &obfs.password),
            name = obfs.type_name(),
        ),
    }
}

fn tls(tls: &Tls) -> String {
    match tls {
        Tls::Files { cert, key } => format!(
            "# Certificate and key, PEM. They are read again when they change.\n\
             tls:\n  cert: {}\n  key: {}\n",
            quoted(cert),
            quoted(key)
        ),
        Tls::Acme { domains, email } => {
            let mut text = "# Certificate by ACME, renewed by the server itself, so links must not pin it. The authority asks at TCP port\n\
                            # 80 (HTTP-01), at the first time and at every renewal: it has to be reachable, and nothing else may\n\
                            # listen there.\nacme:\n  type: http\n  domains:\n"
                .to_owned();
            for domain in domains {
                let _ = writeln!(text, "    - {}", quoted(domain));
            }
            let _ = writeln!(text, "  email: {}", quoted(email));
            text
        }
    }
}

fn auth(input: &RenderInput<'_>) -> String {
    format!(
        "# Every login is asked of the operator. While it cannot be reached nobody new gets in; who is connected stays\n\
         # connected. The token in the path is a secret.\n\
         auth:\n  type: http\n  http:\n    url: {}\n    insecure: false\n",
        secret(input, &input.auth_url)
    )
}

fn statistics(input: &RenderInput<'_>) -> String {
    let Some(stats) = &input.node.stats else {
        return "# The statistics API is off because the node declares no statsUrl: sessions cannot be ended and no revocation\n\
                # be proved. With statsUrl and statsSecret it stands here.\n\
                # trafficStats:\n#   listen: 127.0.0.1:9999\n#   secret: …\n"
            .to_owned();
    };
    let port = stats.url.port_or_known_default().unwrap_or(9999);
    let address = match stats.url.host() {
        Some(url::Host::Ipv4(address)) => address.to_string(),
        Some(url::Host::Ipv6(address)) => Host(&address.to_string()).to_string(),
        _ => String::new(),
    };
    format!(
        "# Statistics API: the operator reads sessions and traffic here and ends sessions. Let only the operator reach it.\n\
         trafficStats:\n  listen: {}\n  secret: {}\n",
        quoted(&format!("{address}:{port}")),
        secret(input, &stats.secret)
    )
}

fn acl(input: &RenderInput<'_>) -> Result<String, RenderError> {
    let Some(others) = &input.reject else {
        return Ok(
            "# No ACL: clients reach what the server reaches, its loopback and the operator included.\n".to_owned(),
        );
    };
    let auth = Url::parse(input.auth_url.expose_secret()).map_err(|error| RenderError::AuthUrl {
        node: input.node.name.clone(),
        error,
    })?;
    let statistics = input.node.stats.as_ref().map(|stats| &stats.url);
    let mut text = "# What clients are not connected to. Everything else goes as it would without this, private networks included. The first\n\
                    # rule that matches counts; a name is resolved before. Rules for a port need Hysteria 2.6.3.\n\
                    acl:\n  inline:\n"
        .to_owned();
    for (rule, why) in acl::rules(&auth, statistics, others) {
        let _ = writeln!(text, "    - {} # {why}", quoted(&rule));
    }
    Ok(text)
}

const BANDWIDTH: &str = "\
# Limits of one client. With neither, clients say themselves how fast their line is.
# bandwidth:
#   up: 1 gbps
#   down: 1 gbps
# Ignore what clients say and let the congestion control find out:
# ignoreClientBandwidth: true
";

fn masquerade(input: &RenderInput<'_>) -> String {
    let site = match &input.masquerade {
        Some(url) => format!("  type: proxy\n  proxy:\n    url: {}\n    rewriteHost: true\n", quoted(url)),
        None => "  type: string\n  string:\n    content: \"Not found\\n\"\n    headers:\n      content-type: text/plain\n    \
                 statusCode: 404\n"
            .to_owned(),
    };
    let camouflage = "That is camouflage, no transport: clients do not connect over TCP.";
    match input.tls {
        Tls::Files { .. } => format!(
            "# What anybody sees who is no client: over HTTP/3 on the port above, and on TCP 80 and 443 as well, so that the host\n\
             # looks like a web server. {camouflage}\n\
             masquerade:\n{site}  listenHTTP: \":80\"\n  listenHTTPS: \":443\"\n  forceHTTPS: true\n"
        ),
        // With a listener of its own on 80 the server would answer the renewal's challenge itself, with a redirect.
        Tls::Acme { .. } => format!(
            "# What anybody sees who is no client: over HTTP/3 on the port above, and on TCP 443 as well, so that the host looks\n\
             # like a web server. {camouflage}\n\
             # Not on TCP 80, which the renewal of the certificate needs.\n\
             masquerade:\n{site}  listenHTTPS: \":443\"\n"
        ),
    }
}

fn mimic(input: &RenderInput<'_>) -> String {
    let limits = "\
# TCP fallback (Mimic, from Hysteria 2.12.0 on): UDP is disguised as TCP in the kernel, for networks that block UDP.
# Its limits: the `mimic` tool with its kernel module has to run on both ends; its client is for Linux only, so phones,
# Windows and macOS cannot use this node then; it cannot be combined with port hopping.
";
    if input.mimic {
        format!("{limits}mimic:\n  enabled: true\n")
    } else {
        format!("{limits}# mimic:\n#   enabled: true\n")
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
