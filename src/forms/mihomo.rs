//! A profile of mihomo, which was Clash Meta.

use secrecy::ExposeSecret as _;
use serde_yaml::{Mapping, Value};

use super::{
    names::Named,
    template::{MihomoTemplate, NODES},
    yaml,
};
use crate::{gateway::server::Server, model::gateway::ObfuscationType};

/// Whether mihomo can use a server. Of obfuscation it knows the older kind.
pub(super) fn knows(server: &Server) -> bool {
    server
        .obfs
        .as_ref()
        .is_none_or(|obfs| obfs.type_ == ObfuscationType::Salamander)
}

pub(super) fn document(template: &MihomoTemplate, servers: &[Named<'_>], secret: &str, insecure: bool) -> String {
    let mut top = template.0.clone();
    let groups = top.get_mut("proxy-groups").and_then(Value::as_sequence_mut);
    let lists = groups
        .into_iter()
        .flatten()
        .filter_map(|group| group.get_mut("proxies")?.as_sequence_mut());
    for list in lists {
        let items = std::mem::take(list).into_iter();
        *list = items
            .flat_map(|item| match item.as_str() {
                Some(NODES) => servers.iter().map(|it| Value::from(it.name.as_str())).collect(),
                _ => vec![item],
            })
            .collect();
    }
    let mut proxies: Vec<Value> = servers.iter().map(|it| proxy(it, secret, insecure)).collect();
    if let Some(Value::Sequence(own)) = top.get("proxies") {
        proxies.extend(own.iter().cloned());
    }
    top.insert("proxies".into(), proxies.into());
    yaml::document(&top.into())
}

fn proxy(named: &Named<'_>, secret: &str, insecure: bool) -> Value {
    let server = named.server;
    let mut proxy = Mapping::new();
    let mut set = |key: &str, value: Value| {
        proxy.insert(key.into(), value);
    };
    set("name", named.name.as_str().into());
    set("type", "hysteria2".into());
    set("server", server.host.as_str().into());
    set("port", server.ports.first().into());
    if server.ports.is_hopping() {
        set("ports", server.ports.to_string().into());
        set("hop-interval", 30.into());
    }
    set("password", secret.into());
    set("alpn", vec![Value::from("h3")].into());
    if let Some(sni) = &server.sni {
        set("sni", sni.as_str().into());
    }
    // A fingerprint takes the place of authorities: nothing is left unverified.
    match server.pin() {
        Some(pin) => {
            set("skip-cert-verify", false.into());
            set("fingerprint", pin.into());
        }
        None => set("skip-cert-verify", (server.insecure && insecure).into()),
    }
    if let Some(obfs) = &server.obfs {
        set("obfs", obfs.type_name().into());
        set("obfs-password", obfs.password.expose_secret().into());
    }
    proxy.into()
}
