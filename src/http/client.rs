//! Which address a request comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap},
};
use ipnet::IpNet;

/// The address of the client: the peer, or what trusted proxies say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientAddr(pub(super) IpAddr);

impl ClientAddr {
    /// A request that came over no connection is from this process.
    pub(super) fn of(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |ConnectInfo(peer)| peer.ip());
        let forwarded: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        Self(client(peer, &forwarded, trusted))
    }
}

/// The rightmost hop that is no trusted proxy. What lies left of it was written by the client itself.
fn client(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut address = peer.to_canonical();
    for hop in forwarded.iter().rev() {
        if !is_trusted(address) {
            break;
        }
        match hop_address(hop.trim()) {
            Some(next) => address = next,
            None => break,
        }
    }
    address
}

fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), forwarded, &trusted).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        assert_eq!(of("192.0.2.1", &["203.0.113.9"], &[]), "192.0.2.1");
        assert_eq!(of("192.0.2.1", &["203.0.113.9"], &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_counts() {
        let proxies = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(of("10.0.0.1", &["203.0.113.9"], &proxies), "203.0.113.9");
        assert_eq!(
            of("10.0.0.1", &["1.2.3.4", " 203.0.113.9", " 10.0.0.2"], &proxies),
            "203.0.113.9"
        );
        assert_eq!(of("::ffff:10.0.0.1", &["203.0.113.9:5555"], &proxies), "203.0.113.9");
        assert_eq!(of("fd00::1", &["[2001:db8::1]:443"], &proxies), "2001:db8::1");
        assert_eq!(of("fd00::1", &["[2001:db8::1]"], &proxies), "2001:db8::1");
    }

    #[test]
    fn nonsense_in_the_header_ends_the_walk_at_the_last_known_hop() {
        assert_eq!(
            of("10.0.0.1", &["203.0.113.9", "junk", "10.0.0.2"], &["10.0.0.0/8"]),
            "10.0.0.2"
        );
        assert_eq!(of("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }
}
