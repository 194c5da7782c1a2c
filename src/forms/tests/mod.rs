//! Every form names the same servers, ports and credentials, whatever they are; and what each form does beside that.

mod reading;
mod rules;

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_yaml::Value as Yaml;

use super::{Form, Forms};
use crate::gateway::{Credentials, certificate::Certificate, hysteria::ports::Ports, server::Server};

fn plain(name: &str) -> Server {
    Server {
        name: name.to_owned(),
        host: "vpn.example.com".to_owned(),
        ports: Ports::parse("443").unwrap(),
        sni: None,
        pin_sha256: None,
        insecure: false,
        certificate: None,
        obfs: None,
    }
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["vpn.example.com".to_owned()]).unwrap();
    Certificate::parse(&made.cert.pem()).unwrap()
}

fn user() -> Credentials {
    Credentials {
        username: "corp_a".to_owned(),
        password: "p w".into(),
    }
}

fn made(forms: &Forms, form: Form, servers: &[Server], credentials: &Credentials) -> String {
    let servers: Vec<_> = servers.iter().cloned().map(Arc::new).collect();
    let document = forms.document(form, &servers, credentials).unwrap();
    document.body.expose_secret().to_owned()
}

fn text(value: &Yaml) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value:?} is no text"))
        .to_owned()
}
