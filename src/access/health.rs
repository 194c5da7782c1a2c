//! Whether the house can do its work: the one list of checks. Readiness says it, `doctor` shows it.

use super::UseCases;
use crate::{desired::SourceHealth, gateway::NodeHealth, reconcile::follow::Follower};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckResult {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was looked at: `desired-state`, `history`, `node/<name>`, …
    pub name: String,
    /// How it went.
    pub result: CheckResult,
    /// What is wrong and where, one line each; empty when nothing is. Without secrets.
    pub details: Vec<String>,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Check {
    /// A check that fails if there are details.
    #[must_use]
    pub fn fails_with(name: impl Into<String>, details: Vec<String>, advice: &str) -> Self {
        Self::new(name, CheckResult::Failed, details, advice)
    }

    /// A check that warns if there are details.
    #[must_use]
    pub fn warns_with(name: impl Into<String>, details: Vec<String>, advice: &str) -> Self {
        Self::new(name, CheckResult::Warning, details, advice)
    }

    fn new(name: impl Into<String>, found: CheckResult, details: Vec<String>, advice: &str) -> Self {
        let is_fine = details.is_empty();
        Self {
            name: name.into(),
            result: if is_fine { CheckResult::Ok } else { found },
            advice: (!is_fine && !advice.is_empty()).then(|| advice.to_owned()),
            details,
        }
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.result == CheckResult::Ok
    }
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
        checks.push(Check::fails_with(
            "history",
            lines(dependencies.journal.last_error().as_ref()),
            "until then logins and denials work, grants are refused, and nothing new is recorded",
        ));
        checks.push(of_guard(dependencies.people.guard().pending.len()));
        checks.push(Check::fails_with(
            "guard-store",
            dependencies.people.guard_store(),
            "until then it goes on from memory; after a restart it would judge anew what it decided meanwhile",
        ));
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
        let mut checks = of_source(&source, loaded);
        checks.push(Check::fails_with(
            "tokens",
            unless(
                follower.nodes.are_known(),
                "no token of a node is known yet: see the log for what is missing",
            ),
            "until then no node is answered",
        ));
        checks.push(Check::fails_with(
            "passwords",
            unless(
                follower.passwords_are_read(),
                "passwords in spec.credentialsFrom are being read",
            ),
            "",
        ));
        checks.push(of_guard(follower.roster.guard().pending.len()));
        checks.extend(follower.nodes.health().into_iter().map(of_node));
        Self {
            ready: follower.is_ready(),
            checks,
        }
    }
}

fn unless(fine: bool, detail: &str) -> Vec<String> {
    if fine { Vec::new() } else { vec![detail.to_owned()] }
}

fn lines(found: Option<&impl ToString>) -> Vec<String> {
    found.map(ToString::to_string).into_iter().collect()
}

fn of_source(source: &SourceHealth, loaded: bool) -> Vec<Check> {
    let unread = if loaded {
        let line = |since| format!("cannot be read since {since}; what was known last is in force");
        lines(source.unreadable_since.map(line).as_ref())
    } else {
        vec!["the first full load is not over".to_owned()]
    };
    vec![
        Check::fails_with("desired-state", unread, "see the log for what is in the way"),
        Check::fails_with(
            "documents",
            source.problems.iter().map(ToString::to_string).collect(),
            "correct them; until then the last version of each that could be read is in force",
        ),
    ]
}

fn of_guard(pending: usize) -> Check {
    let detail = format!("{pending} denials wait for 'guard confirm' or 'guard cancel'");
    Check::warns_with(
        "guard",
        unless(pending == 0, &detail),
        "vpn-operator guard show names them",
    )
}

fn of_node(node: NodeHealth) -> Check {
    let name = format!("node/{}", node.node.0);
    if !node.proves {
        return Check::warns_with(
            name,
            vec!["has no statistics URL: a revocation there cannot be proved, and sessions are not cut".to_owned()],
            "set trafficStats in its configuration (vpn-operator gateway render), and statsUrl (HYSTERIA_STATS_URLS) here",
        );
    }
    // The error says what to do.
    Check::fails_with(name, node.error.into_iter().collect(), "")
}
