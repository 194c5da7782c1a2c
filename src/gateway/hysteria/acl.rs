//! What a node does not connect its clients to: its own loopback, what belongs to its machine, the operator's ports.
//!
//! In the syntax of Hysteria's ACL (<https://v2.hysteria.network/docs/advanced/ACL/>): the first rule that matches counts, and what none
//! matches goes as it would without an ACL. A name that a client asks for is resolved first, and then rules for names and for
//! addresses are compared with it, so that no name leads to an address that is rejected; whereas a rule for a name does not reject its
//! address. Rules for a port are right from Hysteria 2.6.3 on: before, what was found for one port of a host counted for the others.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::{Host, Url};

/// Rejected by every node, with the reason. Private networks are what a VPN is for, and are not among them.
const OF_THE_MACHINE: [(&str, &str); 6] = [
    (
        "127.0.0.0/8",
        "loopback: statistics, the operator beside the node, databases",
    ),
    ("::1/128", "loopback"),
    ("0.0.0.0/8", "leads to loopback, too"),
    ("::/128", "leads to loopback, too"),
    (
        "169.254.0.0/16",
        "link-local, where clouds give out the machine's credentials",
    ),
    ("fe80::/10", "link-local"),
];
/// The same service of a cloud, where it has an address that is not link-local.
const METADATA: (&str, &str) = ("fd00:ec2::254/128", "gives out the machine's credentials, over IPv6");

/// Something that clients of a node are not connected to, whatever the port: a network, an address, a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// All addresses of a network.
    Network(IpNet),
    /// A name as clients ask for it; not its address.
    Name(String),
}

impl FromStr for Rejected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(network) = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        {
            return Ok(Self::Network(network.trunc()));
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let letters = |label: &str| {
            label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        // Hysteria takes `all` for everything, and what ends in a digit would be an address.
        let is_name = name != "all" && !name.ends_with(|c: char| c.is_ascii_digit());
        if is_name && name.split('.').all(|label| !label.is_empty() && letters(label)) {
            return Ok(Self::Name(name));
        }
        Err("give a network like 192.0.2.0/24, an address, or a host name".to_owned())
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A rule, and why it is there.
pub(super) type Rule = (String, String);

/// The rules for a node that asks at one of these URLs, and is asked at the other. Not twice for the same.
pub(super) fn rules(auth: &Url, statistics: Option<&Url>, others: &[Rejected]) -> Vec<Rule> {
    let always = OF_THE_MACHINE.iter().chain([&METADATA]);
    let mut rules: Vec<Rule> = always
        .map(|(network, why)| (format!("reject({network})"), (*why).to_owned()))
        .collect();
    rules.extend(
        others
            .iter()
            .map(|rejected| (format!("reject({rejected})"), "--reject".to_owned())),
    );
    let servers = [
        (Some(auth), "the operator"),
        (statistics, "the statistics API of this node"),
    ];
    for (url, why) in servers {
        let host = url.and_then(|url| Some((address(url)?, url.port_or_known_default()?)));
        rules.extend(host.map(|(host, port)| (format!("reject({host}, tcp/{port})"), why.to_owned())));
    }
    rules
}

/// The host of a URL, unless it is this machine's loopback, which is rejected with all its ports.
fn address(url: &Url) -> Option<String> {
    match url.host()? {
        Host::Ipv4(address) => Some(address)
            .filter(|address| !address.is_loopback())
            .map(|a| a.to_string()),
        Host::Ipv6(address) => Some(address)
            .filter(|address| !address.is_loopback())
            .map(|a| a.to_string()),
        Host::Domain(name) => Some(name.to_owned()).filter(|name| name != "localhost"),
    }
}

/// Host names of these URLs, whose addresses no rule rejects.
pub fn names<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Vec<&'a str> {
    let domain = |url: &'a Url| url.domain().filter(|name| *name != "localhost");
    urls.into_iter().filter_map(domain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(auth: &str, statistics: Option<&str>, others: &[Rejected]) -> Vec<String> {
        let statistics = statistics.map(|url| url.parse().unwrap());
        let rules = rules(&auth.parse().unwrap(), statistics.as_ref(), others);
        rules.into_iter().map(|(rule, _)| rule).collect()
    }

    #[test]
    fn an_operator_on_the_same_machine_is_behind_loopback_and_needs_no_rule() {
        let beside = written("http://127.0.0.1:8081/auth/x", Some("http://localhost:9999"), &[]);
        assert_eq!(
            beside,
            [
                "reject(127.0.0.0/8)",
                "reject(::1/128)",
                "reject(0.0.0.0/8)",
                "reject(::/128)",
                "reject(169.254.0.0/16)",
                "reject(fe80::/10)",
                "reject(fd00:ec2::254/128)",
            ]
        );
        assert_eq!(
            written("http://[::1]:8081/auth/x", Some("http://127.0.0.1:9999"), &[]),
            beside
        );
    }

    #[test]
    fn an_operator_elsewhere_and_the_statistics_are_rejected_at_their_ports_alone() {
        let always = written("http://127.0.0.1/", None, &[]).len();
        let urls = ("https://auth.vpn.internal/auth/x", Some("http://10.0.0.5:9999"));
        assert_eq!(
            written(urls.0, urls.1, &[])[always..],
            ["reject(auth.vpn.internal, tcp/443)", "reject(10.0.0.5, tcp/9999)"]
        );
        let others: Vec<Rejected> = ["10.0.9.7/24", "Operator.", "2001:db8::1"]
            .map(|text| text.parse().unwrap())
            .into();
        assert_eq!(
            written("http://[2001:db8::7]:8081/auth/x", None, &others)[always..],
            [
                "reject(10.0.9.0/24)",
                "reject(operator)",
                "reject(2001:db8::1/128)",
                "reject(2001:db8::7, tcp/8081)",
            ]
        );
    }

    #[test]
    fn nothing_private_is_rejected_by_itself() {
        for address in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12:3456::1",
            "198.51.100.7",
            "2001:db8::1",
        ] {
            let address: IpAddr = address.parse().unwrap();
            for (network, _) in OF_THE_MACHINE.iter().chain([&METADATA]) {
                assert!(
                    !network.parse::<IpNet>().unwrap().contains(&address),
                    "{network} has {address}"
                );
            }
        }
    }

    #[test]
    fn what_would_be_another_rule_is_no_host() {
        for text in [
            "",
            ".",
            "a b",
            "a,b",
            "a)",
            "all#",
            "geoip:us",
            "*.example.com",
            "10.0.0.0/33",
            "10.0.0",
            "a..b",
        ] {
            assert!(text.parse::<Rejected>().is_err(), "{text}");
        }
        // Hysteria takes this one for everything.
        assert!("ALL".parse::<Rejected>().is_err());
    }

    #[test]
    fn names_are_found_for_whoever_has_to_give_their_addresses() {
        let urls = [
            "http://operator:8081",
            "http://10.0.0.1:9",
            "http://localhost:1",
            "http://[::1]:1",
        ];
        let urls = urls.map(|url| url.parse::<Url>().unwrap());
        assert_eq!(names(&urls), ["operator"]);
    }
}
