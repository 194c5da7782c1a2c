//! The links of every account, by those of one.
//!
//! The panel writes an account's name and password into addresses that are the same for everybody, as they are and without
//! encoding them. So one account's links say what everybody's are, and a password that needs encoding gets it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};

use super::client::PanelLinks;
use crate::gateway::{Credentials, Link, percent::encoded};

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

/// What comes after name and password, for each of the panel's nodes. It can hold the password of the obfuscation.
#[derive(Debug, Clone)]
pub(super) struct Template {
    nodes: Vec<(String, SecretString)>,
}

impl Template {
    /// Reads one account's links. `None` when none of them is understood.
    pub(super) fn read(links: &PanelLinks, name: &str, password: &SecretString) -> Option<Self> {
        let account = format!("{name}:{}", password.expose_secret());
        let rest = |(node, uri): &(String, SecretString)| {
            let uri = uri.expose_secret();
            let uri = uri
                .strip_prefix("hy2://")
                .or_else(|| uri.strip_prefix("hysteria2://"))?;
            let rest = uri.strip_prefix(&account)?;
            rest.starts_with('@').then(|| (node.clone(), rest.into()))
        };
        let nodes: Vec<_> = links.iter().filter_map(rest).collect();
        (!nodes.is_empty()).then_some(Self { nodes })
    }

    /// The links of an account.
    pub(super) fn links(&self, credentials: &Credentials) -> Vec<Link> {
        let name = encoded(&credentials.username);
        let password = encoded(credentials.password.expose_secret());
        let link = |(node, rest): &(String, SecretString)| Link {
            name: node.clone(),
            url: format!("hysteria2://{name}:{password}{}", rest.expose_secret()).into(),
        };
        self.nodes.iter().map(link).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let links = template.links(&credentials);
        assert_eq!(
            links[0].url.expose_secret(),
            "hysteria2://spec:p%40ss%3Aw%2Fo%3Fr%23d%20%2541@203.0.113.7:8443?sni=example.test#IPv4"
        );
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
