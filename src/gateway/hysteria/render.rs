//! A complete, commented server configuration for one node.
//!
//! The file is Hysteria's own (2.6.3 and later; `mimic` from 2.12.0 on). It holds the node's secrets, since it is the node's
//! configuration; `redact` puts a placeholder in their stead for people to look at.

use std::fmt::Write;

use secrecy::{ExposeSecret, SecretString};

use url::Url;

use super::{
    acl::{self, Rejected},
    config::{Host, NodeConfig},
    ports::Ports,
};

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
mod tests {
    use proptest::prelude::*;
    use serde_yaml::Value;

    use super::*;
    use crate::{
        gateway::hysteria::{client::StatsEndpoint, config::Obfs},
        model::gateway::ObfuscationType,
    };

    fn node(ports: &str) -> NodeConfig {
        NodeConfig {
            name: "ams".to_owned(),
            address: "vpn.example.com".to_owned(),
            ports: Ports::parse(ports).unwrap(),
            sni: None,
            pin_sha256: None,
            insecure: false,
            obfs: Some(Obfs {
                type_: ObfuscationType::Salamander,
                password: "obfs-pw".into(),
            }),
            stats: Some(StatsEndpoint {
                url: "http://10.0.0.5:9999".parse().unwrap(),
                secret: "stats-pw".into(),
            }),
            fault: None,
            undeclared: false,
        }
    }

    fn input(node: &NodeConfig) -> RenderInput<'_> {
        RenderInput {
            node,
            tls: Tls::Files {
                cert: "/etc/hysteria/cert.pem".to_owned(),
                key: "/etc/hysteria/key.pem".to_owned(),
            },
            auth_url: "http://10.0.0.1:8081/auth/token-pw".into(),
            masquerade: None,
            mimic: false,
            reject: Some(Vec::new()),
            redact: false,
        }
    }

    fn parsed(input: &RenderInput<'_>) -> Value {
        serde_yaml::from_str(&render(input).unwrap()).unwrap()
    }

    #[test]
    fn a_server_reads_every_field_back() {
        let node = node("443");
        let yaml = parsed(&input(&node));
        assert_eq!(yaml["listen"], ":443");
        assert_eq!(yaml["tls"]["cert"], "/etc/hysteria/cert.pem");
        assert_eq!(yaml["tls"]["key"], "/etc/hysteria/key.pem");
        assert_eq!(yaml["obfs"]["type"], "salamander");
        assert_eq!(yaml["obfs"]["salamander"]["password"], "obfs-pw");
        assert_eq!(yaml["auth"]["type"], "http");
        assert_eq!(yaml["auth"]["http"]["url"], "http://10.0.0.1:8081/auth/token-pw");
        assert_eq!(yaml["trafficStats"]["listen"], "10.0.0.5:9999");
        assert_eq!(yaml["trafficStats"]["secret"], "stats-pw");
        let rules = yaml["acl"]["inline"].as_sequence().unwrap();
        assert_eq!(rules[0], "reject(127.0.0.0/8)");
        assert_eq!(
            rules[rules.len() - 2..],
            ["reject(10.0.0.1, tcp/8081)", "reject(10.0.0.5, tcp/9999)"]
        );
        assert_eq!(yaml["masquerade"]["listenHTTP"], ":80");
        assert_eq!(yaml["masquerade"]["listenHTTPS"], ":443");
        assert_eq!(yaml["masquerade"]["type"], "string");
        assert!(yaml.get("acme").is_none() && yaml.get("mimic").is_none() && yaml.get("bandwidth").is_none());
    }

    #[test]
    fn acme_a_site_to_show_and_mimic() {
        let node = node("443");
        let yaml = parsed(&RenderInput {
            tls: Tls::Acme {
                domains: vec!["vpn.example.com".to_owned()],
                email: "ops@example.com".to_owned(),
            },
            masquerade: Some("https://example.com/".to_owned()),
            mimic: true,
            ..input(&node)
        });
        assert_eq!(yaml["acme"]["domains"][0], "vpn.example.com");
        assert_eq!(yaml["acme"]["email"], "ops@example.com");
        // One way of the challenge stays free, also after the first certificate: of the two only this one.
        assert_eq!(yaml["acme"]["type"], "http");
        assert!(yaml["masquerade"].get("listenHTTP").is_none());
        assert_eq!(yaml["masquerade"]["listenHTTPS"], ":443");
        assert_eq!(yaml["masquerade"]["proxy"]["url"], "https://example.com/");
        assert_eq!(yaml["mimic"]["enabled"], true);
        assert!(yaml.get("tls").is_none());
    }

    #[test]
    fn without_an_acl_the_file_has_room_for_ones_own_and_says_what_is_open() {
        let node = node("443");
        let input = RenderInput {
            reject: None,
            ..input(&node)
        };
        assert!(parsed(&input).get("acl").is_none());
        assert!(
            render(&input)
                .unwrap()
                .contains("# No ACL: clients reach what the server reaches")
        );
    }

    #[test]
    fn hopping_is_explained_with_the_lines_that_redirect() {
        let node = node("443,20000-50000,60001");
        let text = render(&input(&node)).unwrap();
        assert!(
            text.contains("udp dport '{ 20000-50000, 60001 }' redirect to :443"),
            "{text}"
        );
        assert!(text.contains("--dport 20000:50000 -j REDIRECT --to-ports 443"));
        assert!(text.contains("--dport 60001 -j REDIRECT --to-ports 443"));
        assert_eq!(parsed(&input(&node))["listen"], ":443");
    }

    #[test]
    fn what_cannot_be_combined_is_refused_by_name() {
        let hopping = node("20000-50000");
        let error = render(&RenderInput {
            mimic: true,
            ..input(&hopping)
        });
        let message = error.unwrap_err().to_string();
        assert!(message.contains("ams") && message.contains("20000-50000"), "{message}");
        let pinned = NodeConfig {
            pin_sha256: Some("ab".to_owned()),
            ..node("443")
        };
        let acme = |domains: &[&str]| Tls::Acme {
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            email: String::new(),
        };
        let error = render(&RenderInput {
            tls: acme(&["a.example"]),
            ..input(&pinned)
        });
        assert!(matches!(error, Err(RenderError::PinWithAcme { .. })));
        let bare = node("443");
        let error = render(&RenderInput {
            tls: acme(&[]),
            ..input(&bare)
        });
        assert!(matches!(error, Err(RenderError::NoDomain { .. })));
    }

    #[test]
    fn redacted_it_holds_no_secret() {
        let node = node("443");
        let redacted = RenderInput {
            redact: true,
            ..input(&node)
        };
        let text = render(&redacted).unwrap();
        for secret in ["obfs-pw", "stats-pw", "token-pw"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(parsed(&redacted)["trafficStats"]["secret"], REDACTED);
    }

    #[test]
    fn without_statistics_it_says_what_is_missing() {
        let dark = NodeConfig {
            stats: None,
            obfs: None,
            ..node("443")
        };
        let yaml = parsed(&input(&dark));
        assert!(yaml.get("trafficStats").is_none() && yaml.get("obfs").is_none());
        assert!(render(&input(&dark)).unwrap().contains("declares no statsUrl"));
    }

    proptest! {
        #[test]
        fn no_value_breaks_out_of_its_place(name in any::<String>(), password in any::<String>(), cert in any::<String>()) {
            let node = NodeConfig {
                name,
                obfs: Some(Obfs { type_: ObfuscationType::Gecko, password: password.clone().into() }),
                ..node("443")
            };
            let yaml = parsed(&RenderInput {
                tls: Tls::Files { cert: cert.clone(), key: "k".to_owned() },
                ..input(&node)
            });
            prop_assert_eq!(yaml["obfs"]["gecko"]["password"].as_str(), Some(password.as_str()));
            prop_assert_eq!(yaml["tls"]["cert"].as_str(), Some(cert.as_str()));
            prop_assert_eq!(yaml.as_mapping().unwrap().len(), 6);
        }
    }
}
