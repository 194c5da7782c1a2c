//! Whether the house can do its work.

use super::UseCases;
use crate::{desired::SourceHealth, gateway::NodeHealth, reconcile::follow::Follower};

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was looked at: `desired-state`, `history`, `node/<name>`, …
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What is wrong and where, or worth knowing, one line each. Without secrets.
    pub details: Vec<String>,
}

/// Everything that was looked at.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether requests can be served rightly: desired state was loaded once. Faults of a node, of a document or of
    /// history do not change that: logins and denials work on.
    pub ready: bool,
    /// Each check.
    pub checks: Vec<Check>,
}

impl UseCases {
    /// Whether what is declared is in force. Before that nobody can be asked about.
    pub fn is_loaded(&self) -> bool {
        self.dependencies.people.is_loaded()
    }

    /// Looks at everything, from memory.
    pub fn health(&self) -> Health {
        let dependencies = &self.dependencies;
        let source = dependencies.desired.health();
        let loaded = source.synced && self.is_loaded();
        let mut checks = of_source(&source, loaded);
        let history = dependencies.journal.last_error();
        checks.push(Check {
            name: "history".to_owned(),
            ok: history.is_none(),
            details: history.iter().map(ToString::to_string).collect(),
        });
        checks.push(of_guard(dependencies.people.guard().pending.len()));
        let store = dependencies.people.guard_store();
        checks.push(Check {
            name: "guard-store".to_owned(),
            ok: store.is_empty(),
            details: store,
        });
        checks.extend(dependencies.links.refusals().into_iter().map(|(name, why)| Check {
            name: format!("gateway/{name}"),
            ok: false,
            details: vec![why],
        }));
        checks.extend(dependencies.links.health().into_iter().map(of_node));
        Health { ready: loaded, checks }
    }
}

impl Health {
    /// Looks at a replica that only answers logins, from memory.
    #[must_use]
    pub fn of_replica(follower: &Follower) -> Self {
        let source = follower.desired.health();
        let loaded = source.synced && follower.roster.is_loaded();
        let tokens = follower.nodes.are_known();
        let mut checks = of_source(&source, loaded);
        checks.push(Check {
            name: "tokens".to_owned(),
            ok: tokens,
            details: if tokens {
                Vec::new()
            } else {
                vec!["no token of a node is known yet: see the log for what is missing".to_owned()]
            },
        });
        let passwords = follower.passwords_are_read();
        checks.push(Check {
            name: "passwords".to_owned(),
            ok: passwords,
            details: if passwords {
                Vec::new()
            } else {
                vec!["passwords in spec.credentialsFrom are being read".to_owned()]
            },
        });
        checks.push(of_guard(follower.roster.guard().pending.len()));
        checks.extend(follower.nodes.health().into_iter().map(of_node));
        Self {
            ready: follower.is_ready(),
            checks,
        }
    }
}

fn of_source(source: &SourceHealth, loaded: bool) -> Vec<Check> {
    vec![
        Check {
            name: "desired-state".to_owned(),
            ok: loaded && source.unreadable_since.is_none(),
            details: if !loaded {
                vec!["the first full load is not over".to_owned()]
            } else if let Some(since) = source.unreadable_since {
                vec![format!("cannot be read since {since}; what was known last is in force")]
            } else {
                Vec::new()
            },
        },
        Check {
            name: "documents".to_owned(),
            ok: source.problems.is_empty(),
            details: source.problems.iter().map(ToString::to_string).collect(),
        },
    ]
}

fn of_guard(pending: usize) -> Check {
    Check {
        name: "guard".to_owned(),
        ok: pending == 0,
        details: if pending == 0 {
            Vec::new()
        } else {
            vec![format!("{pending} denials wait for 'guard confirm' or 'guard cancel'")]
        },
    }
}

fn of_node(node: NodeHealth) -> Check {
    let undeclared = node.undeclared.then(|| UNDECLARED.to_owned());
    Check {
        name: format!("node/{}", node.node.0),
        ok: node.error.is_none(),
        details: node.error.into_iter().chain(undeclared).collect(),
    }
}

/// What is said once, and of nobody's status, while no server is declared.
const UNDECLARED: &str = "no server is declared yet: links lead to this machine, and that sessions are gone cannot be proved. Declare a \
                          VpnGateway, or give DOMAIN and HYSTERIA_STATS_URLS";
