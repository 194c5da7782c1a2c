//! Documents as their readers read them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use serde_yaml::Value as Yaml;

use super::{
    super::{Form, Forms, NoServer, template::NODES},
    made, text,
};
use crate::{
    gateway::{
        Credentials,
        hysteria::{config::Obfs, ports::Ports},
        server::Server,
    },
    model::gateway::ObfuscationType,
};

/// What a client has to know of a server, whichever form said it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    host: String,
    ports: BTreeSet<u16>,
    credentials: String,
    sni: Option<String>,
    obfs: Option<(String, String)>,
}

fn known(server: &Server, credentials: &Credentials) -> Known {
    Known {
        host: server.host.clone(),
        ports: server.ports.ranges().flat_map(|(from, to)| from..=to).collect(),
        credentials: format!("{}:{}", credentials.username, credentials.password.expose_secret()),
        sni: server.sni.clone(),
        obfs: server.obfs.as_ref().map(|obfs| {
            let password = obfs.password.expose_secret().to_owned();
            (obfs.type_name().to_owned(), password)
        }),
    }
}

fn server() -> impl Strategy<Value = Server> {
    let host = prop_oneof![
        "[a-z0-9]{1,12}\\.example",
        Just("xn--bcher-kva.example".to_owned()),
        Just("203.0.113.7".to_owned()),
        Just("2001:db8::1".to_owned()),
    ];
    let ports = prop::collection::vec((1..60_000_u16, 0..400_u16), 1..4).prop_map(|ranges| {
        let ranges = ranges.into_iter().map(|(from, span)| match span {
            0..100 => from.to_string(),
            _ => format!("{from}-{}", from + span),
        });
        Ports::parse(&ranges.collect::<Vec<_>>().join(",")).unwrap()
    });
    let obfs = ("\\PC{1,20}", prop::bool::ANY).prop_map(|(password, gecko)| Obfs {
        type_: if gecko {
            ObfuscationType::Gecko
        } else {
            ObfuscationType::Salamander
        },
        password: password.into(),
    });
    let name = prop_oneof![
        "\\PC{0,12}",
        prop::sample::select(vec!["auto", "VPN", "1e3", "on", "DIRECT"]).prop_map(String::from)
    ];
    let option = prop::option::of::<BoxedStrategy<String>>;
    (
        name,
        host,
        ports,
        option("[a-z]{1,9}\\.example".boxed()),
        option("[0-9a-f]{64}".boxed()),
        any::<bool>(),
        prop::option::of(obfs),
    )
        .prop_map(|(name, host, ports, sni, pin_sha256, insecure, obfs)| Server {
            name,
            host,
            ports,
            sni,
            pin_sha256,
            insecure,
            certificate: None,
            obfs,
        })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// As a client that splits host and port strictly reads a link. Answers its name as well.
fn of_link(link: &str) -> (String, Known) {
    assert!(link.is_ascii(), "{link}");
    let rest = link.strip_prefix("hysteria2://").unwrap();
    let (rest, name) = rest.split_once('#').unwrap();
    let (rest, query) = rest.split_once('/').unwrap();
    let (userinfo, authority) = rest.split_once('@').unwrap();
    let (host, port) = authority.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let pairs: BTreeMap<String, String> = query
        .trim_start_matches('?')
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect();
    let (user, password) = userinfo.split_once(':').unwrap();
    let of = |key: &str| pairs.get(key).cloned();
    let known = Known {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        ports: of("mport")
            .map_or_else(BTreeSet::new, |list| ports(&list))
            .into_iter()
            .chain([port])
            .collect(),
        credentials: format!("{}:{}", decoded(user), decoded(password)),
        sni: of("sni"),
        obfs: of("obfs").zip(of("obfs-password")),
    };
    (decoded(name), known)
}

fn of_proxy(proxy: &Yaml) -> (String, Known) {
    let of = |key: &str| proxy.get(key).map(text);
    let port = proxy["port"].as_u64().unwrap().to_string();
    let known = Known {
        host: text(&proxy["server"]),
        ports: ports(&of("ports").unwrap_or(port)),
        credentials: text(&proxy["password"]),
        sni: of("sni"),
        obfs: of("obfs").zip(of("obfs-password")),
    };
    (text(&proxy["name"]), known)
}

fn of_outbound(outbound: &Json) -> (String, Known) {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let ranges = outbound.get("server_ports").map(|ranges| {
        let ranges = ranges.as_array().unwrap().iter();
        let written = ranges.map(|range| text(range).replacen(':', "-", 1));
        ports(&written.collect::<Vec<_>>().join(","))
    });
    assert!(
        ranges.is_none() || outbound.get("server_port").is_none(),
        "they conflict"
    );
    let known = Known {
        host: text(&outbound["server"]),
        ports: ranges.unwrap_or_else(|| ports(&outbound["server_port"].to_string())),
        credentials: text(&outbound["password"]),
        sni: outbound["tls"].get("server_name").map(text),
        obfs: outbound
            .get("obfs")
            .map(|obfs| (text(&obfs["type"]), text(&obfs["password"]))),
    };
    (text(&outbound["tag"]), known)
}

/// `443,20000-50000` as a set.
fn ports(text: &str) -> BTreeSet<u16> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        from.parse::<u16>().unwrap()..=to.parse().unwrap()
    };
    text.split(',').flat_map(range).collect()
}

/// The fields of a proxy of the type `hysteria2` that the documentation of mihomo names, and of the groups around it.
fn mihomo_schema() -> Json {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": ["proxies", "proxy-groups", "rules"],
        "properties": {
            "proxies": { "type": "array", "minItems": 1, "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name", "type", "server", "port", "password"],
                "properties": {
                    "name": { "type": "string", "minLength": 1 },
                    "type": { "const": "hysteria2" },
                    "server": text,
                    "port": { "type": "integer", "minimum": 1, "maximum": 65535 },
                    "ports": { "type": "string", "pattern": "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$" },
                    "hop-interval": { "type": "integer", "minimum": 5 },
                    "password": text,
                    "up": text, "down": text,
                    "obfs": { "const": "salamander" },
                    "obfs-password": text,
                    "sni": text,
                    "skip-cert-verify": { "type": "boolean" },
                    "fingerprint": { "type": "string", "pattern": "^[0-9a-f]{64}$" },
                    "alpn": { "type": "array", "items": text },
                },
                "dependentRequired": { "ports": ["hop-interval"], "obfs": ["obfs-password"] },
            } },
            "proxy-groups": { "type": "array", "items": {
                "type": "object",
                "required": ["name", "type", "proxies"],
                "properties": {
                    "name": text,
                    "type": { "enum": ["select", "url-test"] },
                    "proxies": { "type": "array", "minItems": 1, "items": text },
                },
            } },
            "rules": { "type": "array", "items": text },
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_form_names_the_same_servers_ports_and_credentials(
        servers in prop::collection::vec(server(), 1..5), username in "[a-z0-9_]{1,20}", password in "\\PC{1,30}",
    ) {
        let credentials = Credentials { username, password: password.into() };
        let forms = Forms::default();
        let expected: Vec<Known> = servers.iter().map(|server| known(server, &credentials)).collect();
        let links = made(&forms, Form::Uri, &servers, &credentials);
        let (names, read): (Vec<_>, Vec<_>) = links.lines().map(of_link).unzip();
        prop_assert_eq!(&read, &expected);
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), servers.len(), "each name is there once");
        let encoded = made(&forms, Form::Base64, &servers, &credentials);
        prop_assert_eq!(STANDARD.decode(encoded).unwrap(), links.as_bytes());

        let first = &servers[0];
        let official: Yaml = serde_yaml::from_str(&made(&forms, Form::Hysteria, &servers, &credentials)).unwrap();
        let (host, ports) = official["server"].as_str().unwrap().rsplit_once(':').unwrap();
        prop_assert_eq!(host.trim_start_matches('[').trim_end_matches(']'), &first.host);
        prop_assert_eq!(ports, &first.ports.to_string());
        prop_assert_eq!(official["auth"].as_str().unwrap(), &expected[0].credentials);

        // Clients that do not know the newer obfuscation get the others.
        let fit: Vec<Known> = expected
            .iter()
            .filter(|known| known.obfs.as_ref().is_none_or(|(kind, _)| kind == "salamander"))
            .cloned()
            .collect();
        if fit.is_empty() {
            let servers: Vec<_> = servers.iter().cloned().map(Arc::new).collect();
            for form in [Form::SingBox, Form::Mihomo] {
                prop_assert_eq!(forms.document(form, &servers, &credentials).unwrap_err(), NoServer);
            }
            return Ok(());
        }
        let sing_box: Json = serde_json::from_str(&made(&forms, Form::SingBox, &servers, &credentials)).unwrap();
        let outbounds = sing_box["outbounds"].as_array().unwrap();
        let (tags, read): (Vec<_>, Vec<_>) = outbounds.iter().filter(|it| it["type"] == "hysteria2").map(of_outbound).unzip();
        prop_assert_eq!(&read, &fit);
        let all: BTreeSet<&str> = outbounds.iter().map(|it| it["tag"].as_str().unwrap()).collect();
        prop_assert_eq!(all.len(), outbounds.len(), "each tag is there once");
        let test = outbounds.iter().find(|it| it["type"] == "urltest").unwrap();
        prop_assert_eq!(&test["outbounds"], &json!(tags));

        let profile = made(&forms, Form::Mihomo, &servers, &credentials);
        let mihomo: Yaml = serde_yaml::from_str(&profile).unwrap();
        let schema = jsonschema::validator_for(&mihomo_schema()).unwrap();
        let as_json = serde_json::to_value(&mihomo).unwrap();
        let faults: Vec<String> = schema.iter_errors(&as_json).map(|fault| fault.to_string()).collect();
        prop_assert!(faults.is_empty(), "{:?}\n{}", faults, profile);
        let (names, read): (Vec<_>, Vec<_>) = mihomo["proxies"].as_sequence().unwrap().iter().map(of_proxy).unzip();
        prop_assert_eq!(read, fit);
        for group in mihomo["proxy-groups"].as_sequence().unwrap() {
            let members: Vec<String> = group["proxies"].as_sequence().unwrap().iter().map(text).collect();
            prop_assert!(members.ends_with(&names), "{:?} lacks {:?}", members, names);
        }
        prop_assert!(!profile.contains(NODES));
    }
}
