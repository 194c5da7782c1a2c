//! Links, one a line, for clients that split host and port strictly.

use super::names::Named;
use crate::gateway::server::Hopping;

pub(super) fn document(servers: &[Named<'_>], userinfo: &str, insecure: bool) -> String {
    let links = servers
        .iter()
        .map(|it| it.server.uri(userinfo, &it.name, Hopping::AsMport, insecure));
    let links: Vec<String> = links.collect();
    links.join("\n")
}
