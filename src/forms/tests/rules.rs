//! What forms do with certificates, templates and people who are denied, and what is remembered.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};
use serde_yaml::Value as Yaml;

use super::{
    super::{Form, Forms, REMEMBERED, Templates, empty, template},
    certificate, made, plain, text, user,
};
use crate::gateway::{Credentials, certificate::Certificate, server::Server};

#[test]
fn a_certificate_is_trusted_as_safely_as_each_form_allows() {
    let own = Server {
        certificate: Some(certificate()),
        insecure: true,
        ..plain("a")
    };
    let pin = own.pin().unwrap().to_owned();
    let forms = Forms::default();
    let sing_box: Json =
        serde_json::from_str(&made(&forms, Form::SingBox, std::slice::from_ref(&own), &user())).unwrap();
    let tls = &sing_box["outbounds"].as_array().unwrap().last().unwrap()["tls"];
    assert!(tls.get("insecure").is_none(), "the certificate is verified");
    let pem: Vec<&str> = tls["certificate"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(Certificate::parse(&pem.join("\n")), own.certificate);
    assert!(
        !sing_box.to_string().contains(&pin),
        "a hash of the certificate is no pin of sing-box"
    );

    let mihomo: Yaml = serde_yaml::from_str(&made(&forms, Form::Mihomo, std::slice::from_ref(&own), &user())).unwrap();
    let proxy = &mihomo["proxies"][0];
    assert_eq!(
        (&proxy["skip-cert-verify"], text(&proxy["fingerprint"])),
        (&Yaml::from(false), pin.clone())
    );

    let official: Yaml =
        serde_yaml::from_str(&made(&forms, Form::Hysteria, std::slice::from_ref(&own), &user())).unwrap();
    let tls = &official["tls"];
    assert_eq!(
        (&tls["insecure"], text(&tls["pinSHA256"])),
        (&Yaml::from(true), pin.clone())
    );
    let link = made(&forms, Form::Uri, &[own], &user());
    assert!(
        link.contains(&format!("pinSHA256={pin}&pcs={pin}&insecure=1")),
        "{link}"
    );
}

#[test]
fn where_it_is_forbidden_no_form_leaves_a_certificate_unverified() {
    let forms = Forms::new(Templates::default(), false);
    let unpinned = Server {
        insecure: true,
        ..plain("a")
    };
    let pinned = Server {
        pin_sha256: Some("ab".repeat(32)),
        ..unpinned.clone()
    };
    for server in [unpinned.clone(), pinned.clone()] {
        assert!(!made(&forms, Form::Uri, std::slice::from_ref(&server), &user()).contains("insecure"));
        assert!(!made(&forms, Form::SingBox, std::slice::from_ref(&server), &user()).contains("insecure"));
        let mihomo = made(&forms, Form::Mihomo, &[server], &user());
        assert!(mihomo.contains("skip-cert-verify: false"), "{mihomo}");
    }
    assert!(!made(&forms, Form::Hysteria, &[unpinned], &user()).contains("insecure"));
    let verified = made(&forms, Form::Hysteria, &[pinned], &user());
    assert!(
        verified.contains("insecure: true") && verified.contains("pinSHA256"),
        "the client compares the pin"
    );
}

#[test]
fn a_document_is_remembered_for_its_servers_and_the_tag_changes_with_it() {
    let forms = Forms::default();
    let servers = ["a", "b"].map(|name| {
        let host = format!("{name}.example.com");
        Arc::new(Server { host, ..plain(name) })
    });
    let other = Credentials {
        password: "another".into(),
        ..user()
    };
    let document = |servers: &[Arc<Server>], credentials: &Credentials, form| {
        let document = forms.document(form, servers, credentials).unwrap();
        (document.tag, document.body.expose_secret().to_owned())
    };
    let mut all = BTreeMap::new();
    let turned = [Arc::clone(&servers[1]), Arc::clone(&servers[0])];
    for form in [Form::Uri, Form::Base64, Form::Hysteria, Form::SingBox, Form::Mihomo] {
        for credentials in [user(), other.clone()] {
            for servers in [&servers, &turned] {
                let (tag, body) = document(servers, &credentials, form);
                assert_eq!(document(servers, &credentials, form), (tag.clone(), body.clone()));
                let copies: Vec<_> = servers.iter().map(|server| Arc::new((**server).clone())).collect();
                assert_eq!(document(&copies, &credentials, form).1, body);
                assert_eq!(all.insert(tag, body), None, "two documents have one tag");
            }
        }
    }
    assert_eq!(
        forms.remembered.read().unwrap().len(),
        8,
        "not one for each person, nor for base64"
    );
    for number in 0..100 {
        document(&[Arc::new(plain(&number.to_string()))], &user(), Form::Uri);
    }
    assert_eq!(forms.remembered.read().unwrap().len(), REMEMBERED);
}

#[test]
fn what_stands_for_the_credentials_is_not_taken_for_them_elsewhere() {
    let named = |name: &str| plain(name);
    let servers = [named("credentials-0-"), named("credentials-1-")];
    for form in [Form::Uri, Form::SingBox, Form::Mihomo] {
        let text = made(&Forms::default(), form, &servers, &user());
        assert!(
            text.contains("credentials-0-") && text.contains("credentials-1-"),
            "{text}"
        );
    }
}

#[test]
fn a_profile_without_servers_says_why_and_lets_nothing_through() {
    let reason = "Your access \"ended\": ask.";
    let mihomo: Yaml = serde_yaml::from_str(&empty(Form::Mihomo, reason)).unwrap();
    assert_eq!(mihomo["proxies"].as_sequence().unwrap().len(), 0);
    assert_eq!(text(&mihomo["proxy-groups"][0]["name"]), reason);
    assert_eq!(text(&mihomo["rules"][0]), "MATCH,REJECT");
    let sing_box: Json = serde_json::from_str(&empty(Form::SingBox, reason)).unwrap();
    assert_eq!(sing_box["outbounds"][0]["tag"], reason);
    assert_eq!(sing_box["route"]["rules"][0]["action"], "reject");
    let links = String::from_utf8(STANDARD.decode(empty(Form::Base64, reason)).unwrap()).unwrap();
    assert_eq!(links, empty(Form::Uri, reason));
    assert!(links.lines().all(|line| line.starts_with('#')));
}

#[test]
fn a_companys_template_stands_around_the_servers() {
    let sing_box = r#"{"outbounds": [{"tag": "a", "type": "selector", "outbounds": ["b", "{nodes}", "b"]}, {"tag": "b", "type": "direct"}],
        "route": {"final": "a"}}"#;
    let mihomo =
        "proxies: [{name: own, type: direct}]\nproxy-groups: [{name: a, type: select, proxies: [own, '{nodes}']}]\n";
    let templates = Templates {
        sing_box: template::SingBoxTemplate::parse(sing_box).unwrap(),
        mihomo: template::MihomoTemplate::parse(mihomo).unwrap(),
    };
    let forms = Forms::new(templates, true);
    let servers = [plain("a"), plain("c")];
    let profile: Json = serde_json::from_str(&made(&forms, Form::SingBox, &servers, &user())).unwrap();
    assert_eq!(profile["outbounds"][0]["outbounds"], json!(["b", "a 2", "c", "b"]));
    assert_eq!(
        (&profile["outbounds"][2]["tag"], &profile["route"]["final"]),
        (&json!("a 2"), &json!("a"))
    );
    let profile: Yaml = serde_yaml::from_str(&made(&forms, Form::Mihomo, &servers, &user())).unwrap();
    let members: Vec<String> = profile["proxy-groups"][0]["proxies"]
        .as_sequence()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    assert_eq!(members, ["own", "a 2", "c"]);
    assert_eq!(profile["proxies"].as_sequence().unwrap().len(), 3);
}
