//! Who asks the auth listener, and what a path secret says of who asks. Pure.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{ANY, NodeName};

/// A node that asks, or the servers of a panel.
#[derive(Debug, Clone)]
pub struct Asks {
    /// Its name.
    pub node: NodeName,
    /// The path secret.
    pub token: SecretString,
    /// The panel's own auth service, which has to say yes as well.
    pub upstream: Option<Url>,
}

impl Asks {
    fn has_secret_of(&self, other: &Self) -> bool {
        self.token.expose_secret() == other.token.expose_secret()
    }
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Answered {
    /// Who is answered.
    pub askers: Vec<Asks>,
    /// Panels whose servers cannot be told from others, by gateway, and what is to be said of it. They are not answered.
    pub ambiguous: BTreeMap<String, String>,
}

/// A path secret that several nodes share does not say which of them asks; it stands for any node of its gateway, or of any
/// gateway. One that the servers of a panel share with others does not even say whether the panel's own service is to be asked:
/// the others are answered, the panel's servers are not.
#[must_use]
pub fn answered(askers: Vec<Asks>) -> Answered {
    let mut answered = Answered::default();
    for guard in askers.iter().filter(|it| it.upstream.is_some()) {
        let others = askers
            .iter()
            .filter(|it| it.node != guard.node && it.has_secret_of(guard));
        let others: Vec<&str> = others.map(|it| &*it.node.0).collect();
        if !others.is_empty() {
            let why = format!(
                "its path secret is that of {} too, so that nobody can tell who asks: its servers are not answered until \
                 spec.blitz.authGuard.token is its own",
                others.join(", ")
            );
            answered.ambiguous.insert(guard.node.gateway().to_owned(), why);
        }
    }
    for asker in askers {
        if asker.upstream.is_some() {
            if !answered.ambiguous.contains_key(asker.node.gateway()) {
                answered.askers.push(asker);
            }
            continue;
        }
        match answered.askers.iter_mut().find(|known| known.has_secret_of(&asker)) {
            Some(known) if known.node.gateway() == asker.node.gateway() => {
                known.node = NodeName::new(asker.node.gateway(), ANY);
            }
            Some(known) => known.node = NodeName::new(ANY, ANY),
            None => answered.askers.push(asker),
        }
    }
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(node: &str, token: &str, guarded: bool) -> Asks {
        Asks {
            node: NodeName(node.into()),
            token: token.into(),
            upstream: guarded.then(|| "http://127.0.0.1:28262/auth".parse().unwrap()),
        }
    }

    fn nodes(answered: &Answered) -> Vec<&str> {
        answered.askers.iter().map(|it| &*it.node.0).collect()
    }

    #[test]
    fn a_secret_that_nodes_share_stands_for_any_of_them() {
        let all = vec![
            asks("a/1", "one", false),
            asks("a/2", "one", false),
            asks("a/3", "two", false),
            asks("b/1", "two", false),
            asks("b/2", "three", false),
        ];
        assert_eq!(nodes(&answered(all)), ["a/*", "*/*", "b/2"]);
    }

    #[test]
    fn servers_of_a_panel_that_cannot_be_told_from_others_are_not_answered_and_the_others_are() {
        let shared = vec![
            asks("p/panel", "one", true),
            asks("a/1", "one", false),
            asks("q/panel", "two", true),
        ];
        let found = answered(shared);
        assert_eq!(nodes(&found), ["a/1", "q/panel"]);
        assert!(found.ambiguous["p"].contains("a/1") && found.ambiguous.len() == 1);
        let panels = vec![asks("p/panel", "one", true), asks("q/panel", "one", true)];
        let found = answered(panels);
        assert!(nodes(&found).is_empty() && found.ambiguous.len() == 2);
        assert!(!format!("{:?}", found.ambiguous).contains("one,"));
    }
}
