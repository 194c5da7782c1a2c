//! How the names of nodes are resolved.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A name out of an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no host has a name in .invalid: this is an example's, write the node's own")]
pub struct ExampleName;

/// The system's resolver, which is not even asked for names in `.invalid`: nobody has one (RFC 6761), examples are written with
/// them, and what somebody runs without having changed it must not send a packet beyond the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct NodeNames;

impl Resolve for NodeNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str();
            let bare = name.trim_end_matches('.').to_ascii_lowercase();
            if bare.rsplit('.').next() == Some("invalid") {
                return Err(ExampleName.into());
            }
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(name: &str) -> Result<Vec<SocketAddr>, String> {
        let resolved = NodeNames.resolve(name.parse().unwrap()).await;
        resolved.map(Iterator::collect).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_name_of_an_example_is_looked_up_nowhere() {
        for name in ["fra1.nodes.invalid", "invalid", "FRA1.INVALID."] {
            assert_eq!(resolve(name).await, Err(ExampleName.to_string()), "{name}");
        }
        assert!(
            resolve("localhost")
                .await
                .unwrap()
                .iter()
                .all(|address| address.ip().is_loopback())
        );
    }
}
