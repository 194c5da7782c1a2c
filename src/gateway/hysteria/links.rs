//! Nodes as clients reach them.

use std::sync::Arc;

use super::config::NodeConfig;
use crate::gateway::server::Server;

/// The node as clients reach it.
#[must_use]
pub fn server(node: &NodeConfig) -> Arc<Server> {
    Arc::new(Server {
        name: node.name.clone(),
        host: node.address.clone(),
        ports: node.ports.clone(),
        sni: node.sni.clone(),
        pin_sha256: node.pin_sha256.clone(),
        insecure: node.insecure,
        certificate: node.certificate.clone(),
        obfs: node.obfs.clone(),
    })
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;
    use crate::{
        gateway::{
            Credentials, Link,
            hysteria::{config::Obfs, ports::Ports},
            server::Hopping,
        },
        model::gateway::ObfuscationType,
    };

    fn node() -> NodeConfig {
        NodeConfig {
            name: "ams".to_owned(),
            address: "vpn.example.com".to_owned(),
            ports: Ports::parse("443").unwrap(),
            sni: None,
            pin_sha256: None,
            insecure: false,
            certificate: None,
            obfs: None,
            stats: None,
            fault: None,
            undeclared: false,
        }
    }

    fn written(node: &NodeConfig, username: &str, password: &str) -> String {
        let credentials = Credentials {
            username: username.to_owned(),
            password: SecretString::from(password),
        };
        Link::new(server(node)).url(&credentials).expose_secret().to_owned()
    }

    #[test]
    fn a_bare_node_has_a_short_link() {
        assert_eq!(
            written(&node(), "corp_a", "pw"),
            "hysteria2://corp_a:pw@vpn.example.com:443/#ams"
        );
    }

    #[test]
    fn a_full_node_has_its_parameters_in_order() {
        let full = NodeConfig {
            name: "Amsterdam 1".to_owned(),
            address: "2001:db8::1".to_owned(),
            ports: Ports::parse("443,20000-50000").unwrap(),
            sni: Some("vpn.example.com".to_owned()),
            pin_sha256: Some("abcd".to_owned()),
            insecure: true,
            certificate: None,
            obfs: Some(Obfs {
                type_: ObfuscationType::Salamander,
                password: "p&q=r#s".into(),
            }),
            stats: None,
            fault: None,
            undeclared: false,
        };
        assert_eq!(
            written(&full, "corp_a", "a:b/c@d?"),
            "hysteria2://corp_a:a%3Ab%2Fc%40d%3F@[2001:db8::1]:443,20000-50000/?obfs=salamander\
             &obfs-password=p%26q%3Dr%23s&sni=vpn.example.com&pinSHA256=abcd&insecure=1#Amsterdam%201"
        );
    }

    #[test]
    fn clients_that_split_host_and_port_find_the_ports_beside_them() {
        let hopping = NodeConfig {
            ports: Ports::parse("443,20000-50000").unwrap(),
            pin_sha256: Some("abcd".to_owned()),
            insecure: true,
            ..node()
        };
        let server = server(&hopping);
        assert_eq!(
            server.uri("u:p", "a b", Hopping::AsMport, true),
            "hysteria2://u:p@vpn.example.com:443/?pinSHA256=abcd&pcs=abcd&insecure=1&mport=20000-50000#a%20b"
        );
        assert!(!server.uri("u:p", "a", Hopping::AsMport, false).contains("insecure"));
    }

    fn decoded(text: &str) -> String {
        percent_decode_str(text).decode_utf8().unwrap().into_owned()
    }

    proptest! {
        #[test]
        fn whatever_the_values_are_a_client_reads_them_back(
            username in "[a-z0-9_]{1,20}", password in "\\PC{1,30}", obfs in "\\PC{1,30}", name in "\\PC{1,20}",
            sni in proptest::option::of("[a-z.]{1,20}"),
        ) {
            let full = NodeConfig {
                name: name.clone(),
                sni: sni.clone(),
                obfs: Some(Obfs { type_: ObfuscationType::Gecko, password: obfs.clone().into() }),
                ..node()
            };
            let text = written(&full, &username, &password);
            prop_assert!(text.is_ascii());
            let rest = text.strip_prefix("hysteria2://").unwrap();
            let (rest, fragment) = rest.split_once('#').unwrap();
            let (rest, query) = rest.split_once("/?").unwrap();
            let (userinfo, authority) = rest.split_once('@').unwrap();
            let (user, pass) = userinfo.split_once(':').unwrap();
            prop_assert_eq!(authority, "vpn.example.com:443");
            prop_assert_eq!((decoded(user), decoded(pass)), (username, password));
            prop_assert_eq!(decoded(fragment), name);
            let pairs: Vec<(String, String)> = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(key, value)| (key.to_owned(), decoded(value)))
                .collect();
            let mut expected = vec![("obfs".to_owned(), "gecko".to_owned()), ("obfs-password".to_owned(), obfs)];
            expected.extend(sni.map(|sni| ("sni".to_owned(), sni)));
            prop_assert_eq!(pairs, expected);
        }
    }
}
