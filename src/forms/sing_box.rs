//! A profile of sing-box (1.12 and later) that runs as it is.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    names::Named,
    template::{NODES, SingBoxTemplate},
};
use crate::{gateway::server::Server, model::gateway::ObfuscationType};

/// Whether sing-box can use a server. Of obfuscation it knows the older kind.
pub(super) fn knows(server: &Server) -> bool {
    server
        .obfs
        .as_ref()
        .is_none_or(|obfs| obfs.type_ == ObfuscationType::Salamander)
}

pub(super) fn document(template: &SingBoxTemplate, servers: &[Named<'_>], secret: &str, insecure: bool) -> String {
    let mut top = template.0.clone();
    if let Some(Value::Array(outbounds)) = top.get_mut("outbounds") {
        for list in outbounds
            .iter_mut()
            .filter_map(|it| it.get_mut("outbounds")?.as_array_mut())
        {
            let items = std::mem::take(list).into_iter();
            *list = items
                .flat_map(|item| match item.as_str() {
                    Some(NODES) => servers.iter().map(|it| Value::from(it.name.as_str())).collect(),
                    _ => vec![item],
                })
                .collect();
        }
        outbounds.extend(servers.iter().map(|it| outbound(it, secret, insecure)));
    }
    // The alternate form indents.
    format!("{:#}\n", Value::Object(top))
}

fn outbound(named: &Named<'_>, secret: &str, insecure: bool) -> Value {
    let server = named.server;
    let mut tls = json!({ "enabled": true, "alpn": ["h3"] });
    if let Some(sni) = &server.sni {
        tls["server_name"] = json!(sni);
    }
    // sing-box can pin the public key of a server, and a certificate's hash is not that: it is given the certificate itself.
    if let Some(certificate) = &server.certificate {
        tls["certificate"] = certificate.pem().lines().collect();
    } else if server.insecure && insecure {
        tls["insecure"] = json!(true);
    }
    let mut outbound = json!({
        "type": "hysteria2",
        "tag": named.name,
        "server": server.host,
        "password": secret,
        "tls": tls,
    });
    if server.ports.is_hopping() {
        let ranges = server.ports.ranges().map(|(from, to)| format!("{from}:{to}"));
        outbound["server_ports"] = ranges.collect();
        outbound["hop_interval"] = json!("30s");
    } else {
        outbound["server_port"] = json!(server.ports.first());
    }
    if let Some(obfs) = &server.obfs {
        outbound["obfs"] = json!({ "type": obfs.type_name(), "password": obfs.password.expose_secret() });
    }
    outbound
}
