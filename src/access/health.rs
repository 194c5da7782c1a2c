//! Whether the house can do its work: the one list of checks. Readiness says it, `doctor` shows it.

use std::sync::Arc;

use super::{UseCases, hr::HrHealth};
use crate::{
    desired::SourceHealth,
    gateway::NodeHealth,
    history::AuditState,
    model::condition::ConditionStatus,
    reconcile::{auth_guard::AuthGuard, follow::Follower},
};

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
    /// What is wrong and where, or worth knowing, one line each. Without secrets.
    pub details: Vec<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// What was seen, also when nothing is wrong.
    pub note: Option<String>,
}

/// What the process around the use cases finds: room on the disk, certificates, limits. To be answered at once.
pub type ProcessChecks = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

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
            note: None,
        }
    }

    /// Says what was seen, also when nothing is wrong.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.result == CheckResult::Ok
    }
}

const NOT_LOADED: &str = "the first full load of desired state is not over";

/// Everything that was looked at.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether requests can be served rightly: desired state was loaded once. Faults of a node, of a document or of
    /// history do not change that: logins and denials work on.
    pub ready: bool,
    /// What is not over while it is not ready.
    pub missing: &'static str,
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
            "observed",
            dependencies.directory.unobserved(),
            "what they say about access is in force all the same, but nobody is told: look at the log, or change an annotation of theirs",
        ));
        checks.push(Check::fails_with(
            "history",
            lines(dependencies.journal.last_error().as_ref()),
            "until then logins and denials work, grants are refused, and nothing new is recorded",
        ));
        checks.push(of_hr(dependencies.hr_health()));
        checks.push(Check::fails_with(
            "registry",
            dependencies.ids.troubles(),
            "until then logins and denials work, no corporate ID is issued, and nobody new is granted access",
        ));
        if let Some(desk) = &dependencies.linking {
            checks.push(Check::fails_with(
                "telegram-links",
                desk.troubles(),
                "until then logins and denials work, no Telegram account is linked, and nobody is told anything by the bot",
            ));
        }
        checks.push(Check::fails_with(
            "handed-over-links",
            lines(dependencies.handovers.last_error().as_ref()),
            "until then logins and denials work, and no such link is made or opened",
        ));
        checks.extend(of_audit(dependencies.journal.audit_state()));
        checks.push(of_guard(dependencies.people.guard(0).pending.total));
        checks.push(Check::fails_with(
            "guard-store",
            dependencies.people.guard_store(),
            "until then it goes on from memory; after a restart it would judge anew what it decided meanwhile",
        ));
        let refusals = dependencies.links.refusals().into_iter();
        checks.extend(refusals.map(|(name, why)| Check::fails_with(format!("gateway/{name}"), vec![why], "")));
        let not_separated = dependencies.links.not_separated().into_iter();
        checks.extend(not_separated.map(|(name, why)| Check::warns_with(format!("separation/{name}"), vec![why], "")));
        checks.extend(dependencies.links.health().into_iter().map(of_node));
        checks.extend(dependencies.links.guards().iter().map(of_auth_guard));
        checks.extend((dependencies.process)());
        Health {
            ready: loaded,
            missing: NOT_LOADED,
            checks,
        }
    }
}

fn of_hr(health: HrHealth) -> Check {
    let schemes: Vec<&str> = health.schemes.iter().map(|scheme| scheme.as_str()).collect();
    let note = if schemes.is_empty() {
        "no events are taken: no secret is configured".to_owned()
    } else {
        format!("signed by: {}", schemes.join(", "))
    };
    Check::warns_with("hr-events", health.problems, "").note(note)
}

impl Health {
    /// Looks at a replica that only answers logins, from memory.
    #[must_use]
    pub fn of_replica(follower: &Follower, process: &ProcessChecks) -> Self {
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
        checks.push(of_guard(follower.roster.guard(0).pending.total));
        checks.extend(follower.nodes.health().into_iter().map(of_node));
        checks.extend(follower.nodes.guards().iter().map(of_auth_guard));
        checks.extend(process());
        Self {
            ready: follower.is_ready(),
            missing: NOT_LOADED,
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
        Check::fails_with(
            "access-edits",
            source.refused_edits.iter().map(ToString::to_string).collect(),
            "correct these documents first: somebody who left may still get in",
        ),
    ]
}

/// Findings that are said one by one.
const FINDINGS: usize = 5;

fn of_audit(state: AuditState) -> [Check; 2] {
    let count = state.findings.len();
    let mut details: Vec<String> = state.findings.into_iter().take(FINDINGS).map(|it| it.what).collect();
    if count > FINDINGS {
        details.push(format!("and {} more", count - FINDINGS));
    }
    let places = state.places.into_iter().map(|(place, why)| format!("{place}: {why}"));
    [
        Check::fails_with(
            "audit",
            details,
            "find out who had access to the database; put back what is missing from a backup, or accept that it is lost: then \
             'vpn-operator audit acknowledge --reason …'. Logins, grants and denials work on",
        ),
        Check::warns_with(
            "audit-head",
            places.collect(),
            "until then nobody would notice there that the end of the audit was cut off",
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
    if node.undeclared {
        return Check {
            name,
            result: CheckResult::Ok,
            details: vec![UNDECLARED.to_owned()],
            advice: None,
            note: None,
        };
    }
    if !node.proves && !node.faulty {
        return Check::warns_with(
            name,
            vec!["has no statistics URL: a revocation there cannot be proved, and sessions are not cut".to_owned()],
            "set trafficStats in its configuration (vpn-operator gateway render), and statsUrl (HYSTERIA_STATS_URLS) here",
        );
    }
    // The error says what to do.
    Check::fails_with(name, node.error.into_iter().collect(), "")
}

fn of_auth_guard(guard: &AuthGuard) -> Check {
    let name = format!("auth-guard/{}", guard.gateway);
    let message = guard.state.message();
    // The message says what to do.
    match guard.state.status() {
        _ if guard.state.is_fine() => Check::fails_with(name, Vec::new(), "").note(message),
        ConditionStatus::Unknown => Check::warns_with(name, vec![message], ""),
        ConditionStatus::True | ConditionStatus::False => Check::fails_with(name, vec![message], ""),
    }
}

/// What is said once, and of nobody's status, while no server is declared.
const UNDECLARED: &str = "no server is declared yet: links lead to this machine, and that sessions are gone cannot be proved. Declare a \
                          VpnGateway, or give DOMAIN and HYSTERIA_STATS_URLS";
