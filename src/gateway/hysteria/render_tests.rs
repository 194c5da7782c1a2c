//! What a server reads in a rendered configuration.

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
        certificate: None,
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
        prop_assert_eq!(yaml.as_mapping().unwrap().len(), 7);
    }
}
