//! The configuration of the official client, for one server: it knows no more.

use secrecy::ExposeSecret as _;
use serde_yaml::{Mapping, Value};

use super::yaml;
use crate::gateway::server::{Host, Server};

/// Where the client listens for programs on the person's own machine.
const LISTENS: [(&str, &str); 2] = [("socks5", "127.0.0.1:1080"), ("http", "127.0.0.1:8080")];

pub(super) fn document(server: &Server, secret: &str, insecure: bool) -> String {
    yaml::document(&configuration(server, secret, insecure))
}

fn configuration(server: &Server, secret: &str, insecure: bool) -> Value {
    let mut top = Mapping::new();
    let mut set = |key: &str, value: Value| {
        top.insert(key.into(), value);
    };
    set("server", format!("{}:{}", Host(&server.host), server.ports).into());
    set("auth", secret.into());
    let mut tls = Mapping::new();
    if let Some(sni) = &server.sni {
        tls.insert("sni".into(), sni.clone().into());
    }
    // This client compares the pin whatever else it is told: no authority is needed then.
    let trusted_without_authority = match server.pin() {
        Some(pin) => {
            tls.insert("pinSHA256".into(), pin.into());
            server.insecure || server.certificate.is_some()
        }
        None => server.insecure && insecure,
    };
    if trusted_without_authority {
        tls.insert("insecure".into(), true.into());
    }
    if !tls.is_empty() {
        set("tls", tls.into());
    }
    if let Some(obfs) = &server.obfs {
        let kind = obfs.type_name();
        let password = mapping([("password", obfs.password.expose_secret().into())]);
        set("obfs", mapping([("type", kind.into()), (kind, password)]));
    }
    if server.ports.is_hopping() {
        let hop = mapping([("hopInterval", "30s".into())]);
        set("transport", mapping([("type", "udp".into()), ("udp", hop)]));
    }
    for (kind, address) in LISTENS {
        set(kind, mapping([("listen", address.into())]));
    }
    top.into()
}

fn mapping<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.into_iter().map(|(key, value)| (Value::from(key), value));
    entries.collect::<Mapping>().into()
}
