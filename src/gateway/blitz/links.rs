//! The links of every account, by those of one.
//!
//! The panel writes an account's name and password into addresses that are the same for everybody, as they are and without
//! encoding them. So one account's links name the servers, and everybody's links are made of these.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use super::client::PanelLinks;
use crate::{
    gateway::{
        Link,
        hysteria::{
            config::{Obfs, normal_pin},
            ports::Ports,
        },
        server::Server,
    },
    model::gateway::ObfuscationType,
};

/// How long links that were read are good.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// Whose links are read, and when.
#[derive(Default)]
pub(super) struct Reading {
    /// An account that lets people in, whose links can be read.
    witness: Option<Arc<str>>,
    /// Links were understood.
    understood: bool,
    /// When they are to be read again.
    due: Option<Instant>,
}

impl Reading {
    /// What was offered may not be there any more.
    pub(super) fn forget(&mut self) {
        self.witness = None;
    }

    /// An account that lets people in, as a list showed.
    pub(super) fn offer(&mut self, account: &Arc<str>) {
        self.witness.get_or_insert_with(|| account.clone());
    }

    /// Whose links are to be read now.
    pub(super) fn due(&self, now: Instant) -> Option<&Arc<str>> {
        let due = self.due.is_none_or(|due| due <= now);
        self.witness.as_ref().filter(|_| due)
    }

    /// They were read, and are read again after `pause` if they were not `understood`. Answers whether they are known from now on.
    pub(super) fn ended(&mut self, understood: bool, pause: Duration, now: Instant) -> bool {
        self.due = Some(now + if understood { GOOD_FOR } else { pause });
        let first = understood && !self.understood;
        self.understood |= understood;
        first
    }
}

/// The panel's servers, as one account's links name them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    servers: Vec<Arc<Server>>,
}

impl Template {
    /// Reads one account's links. `None` when none of them is understood.
    pub(super) fn read(links: &PanelLinks, name: &str, password: &SecretString) -> Option<Self> {
        let account = format!("{name}:{}@", password.expose_secret());
        let server = |(node, uri): &(String, SecretString)| {
            let uri = uri.expose_secret();
            let uri = uri
                .strip_prefix("hy2://")
                .or_else(|| uri.strip_prefix("hysteria2://"))?;
            read(node, uri.strip_prefix(&account)?).map(Arc::new)
        };
        let servers: Vec<_> = links.iter().filter_map(server).collect();
        (!servers.is_empty()).then_some(Self { servers })
    }

    /// The links of an account.
    pub(super) fn links(&self) -> Vec<Link> {
        self.servers
            .iter()
            .map(|server| Link::new(Arc::clone(server)))
            .collect()
    }
}

/// Reads `host:ports/?parameters#name`, in which the slash may be missing.
fn read(name: &str, text: &str) -> Option<Server> {
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    let (authority, query) = text.split_once('?').unwrap_or((text, ""));
    let authority = authority.trim_end_matches('/');
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .map(|(host, rest)| (host, rest.strip_prefix(':')))?,
        None => match authority.split_once(':') {
            Some((host, ports)) => (host, Some(ports)),
            None => (authority, None),
        },
    };
    let mut server = Server {
        name: name.to_owned(),
        host: ascii(host)?,
        ports: Ports::DEFAULT,
        sni: None,
        pin_sha256: None,
        insecure: false,
        certificate: None,
        obfs: None,
    };
    // A plus is a plus: the panel writes values as they are.
    let decoded = |value| percent_decode_str(value).decode_utf8_lossy().into_owned();
    let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
    let parameters: Vec<(&str, String)> = parameters.map(|(key, value)| (key, decoded(value))).collect();
    let password = parameters.iter().find(|(key, _)| *key == "obfs-password");
    let mut beside = None;
    for (key, value) in &parameters {
        match (*key, value.as_str()) {
            ("sni" | "peer", name) if !name.is_empty() => server.sni = Some(ascii(name)?),
            ("pinSHA256", pin) if !pin.is_empty() => server.pin_sha256 = Some(normal_pin(pin)),
            ("insecure" | "allowInsecure", "1" | "true") => server.insecure = true,
            ("mport", list) if !list.is_empty() => beside = Some(list),
            ("obfs", kind @ ("salamander" | "gecko")) => {
                let type_ = if kind == "gecko" {
                    ObfuscationType::Gecko
                } else {
                    ObfuscationType::Salamander
                };
                let password = password?.1.clone().into();
                server.obfs = Some(Obfs { type_, password });
            }
            // With what nobody here knows, nobody would get in.
            ("obfs", kind) if !matches!(kind, "" | "none" | "plain") => return None,
            _ => {}
        }
    }
    let ports: Vec<&str> = port.into_iter().chain(beside).collect();
    if !ports.is_empty() {
        server.ports = Ports::parse(&ports.join(",")).ok()?;
    }
    Some(server)
}

/// A host as DNS knows it.
fn ascii(host: &str) -> Option<String> {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Some(host.to_owned());
    }
    match url::Host::parse(host).ok()? {
        url::Host::Domain(domain) => Some(domain),
        url::Host::Ipv4(address) => Some(address.to_string()),
        url::Host::Ipv6(address) => Some(address.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Credentials;

    fn panel(uri: &str) -> PanelLinks {
        vec![("IPv4".to_owned(), uri.into())]
    }

    #[test]
    fn a_password_that_the_panel_writes_as_it_is_is_encoded() {
        let odd = "p@ss:w/o?r#d %41";
        let uri = format!("hy2://spec:{odd}@203.0.113.7:8443?sni=example.test#IPv4");
        let template = Template::read(&panel(&uri), "spec", &odd.into()).unwrap();
        let credentials = Credentials {
            username: "spec".to_owned(),
            password: odd.into(),
        };
        let links = template.links();
        assert_eq!(
            links[0].url(&credentials).expose_secret(),
            "hysteria2://spec:p%40ss%3Aw%2Fo%3Fr%23d%20%2541@203.0.113.7:8443/?sni=example.test#IPv4"
        );
    }

    #[test]
    fn every_part_of_a_link_is_read() {
        let read = |rest: &str| super::read("n", rest).unwrap();
        let full = read(
            "[2001:db8::1]:443,20000-50000/?obfs=salamander&obfs-password=p%26q+r&sni=b\u{fc}cher.example&insecure=1&pinSHA256=AB:CD#x",
        );
        assert_eq!(
            (full.host.as_str(), full.ports.to_string().as_str()),
            ("2001:db8::1", "443,20000-50000")
        );
        assert_eq!(full.obfs.unwrap().password.expose_secret(), "p&q+r");
        assert_eq!(full.sni.as_deref(), Some("xn--bcher-kva.example"));
        assert!(full.insecure && full.pin_sha256.as_deref() == Some("abcd"));
        let bare = read("h.example");
        assert_eq!(
            (bare.ports.first(), bare.insecure, bare.obfs.is_none()),
            (443, false, true)
        );
        assert_eq!(read("h.example:443?mport=1000-2000").ports.to_string(), "443,1000-2000");
        for unusable in [
            "h.example:0",
            "h.example:x",
            "h.example:443?obfs=salamander",
            "h.example?obfs=new",
            "",
        ] {
            assert!(super::read("n", unusable).is_none(), "{unusable}");
        }
    }

    #[test]
    fn links_of_somebody_else_or_in_another_form_are_not_understood() {
        let password = SecretString::from("pw");
        for uri in [
            "hy2://other:pw@h:1",
            "hy2://corp_a:pwx@h:1",
            "vless://corp_a:pw@h:1",
            "",
        ] {
            assert!(Template::read(&panel(uri), "corp_a", &password).is_none(), "{uri}");
        }
    }
    #[test]
    fn links_that_are_not_understood_are_read_again_with_the_next_cycle() {
        let (now, cycle) = (Instant::now(), Duration::from_secs(30));
        let after = |seconds: u64| now + Duration::from_secs(seconds);
        let mut reading = Reading::default();
        assert_eq!(reading.due(now), None, "nobody is there");
        reading.offer(&"corp_a".into());
        assert!(reading.due(now).is_some());
        assert!(!reading.ended(false, cycle, now), "nothing is known");
        assert!(reading.due(after(29)).is_none() && reading.due(after(30)).is_some());
        assert!(reading.ended(true, cycle, now), "known for the first time");
        assert!(reading.due(after(599)).is_none() && reading.due(after(600)).is_some());
        assert!(!reading.ended(true, cycle, now), "known already");
    }
}
