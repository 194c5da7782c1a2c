//! Names of servers within one document.

use std::collections::HashSet;

use crate::gateway::server::Server;

/// A server with the name that it alone has in a document.
pub(super) struct Named<'a> {
    pub(super) name: String,
    pub(super) server: &'a Server,
}

impl<'a> Named<'a> {
    /// Each with its own name where that is free, otherwise with a number behind it. Names in `reserved` mean something else.
    pub(super) fn all(servers: &[&'a Server], reserved: &[String]) -> Vec<Self> {
        let mut taken: HashSet<String> = reserved.iter().cloned().collect();
        // Nobody takes another server's own name by a number.
        let own: HashSet<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        let mut named = Vec::with_capacity(servers.len());
        for server in servers {
            let wanted = if server.name.is_empty() { "server" } else { &server.name };
            let mut name = wanted.to_owned();
            let mut number = 2_u64;
            while taken.contains(&name) || (name != server.name && own.contains(name.as_str())) {
                name = format!("{wanted} {number}");
                number += 1;
            }
            taken.insert(name.clone());
            named.push(Self { name, server });
        }
        named
    }
}
