//! A login at a server of a panel: the index and the panel's own auth service both have to say yes.
//!
//! The index decides first, from memory: a denial is answered at once and the service is not asked. After the service's yes the
//! index is asked again, since a denial may have come in between. The id stays the one that the service answers, because the panel
//! counts traffic by it, so sessions have no slots here. Who is not the operator's is the service's alone to judge.

use std::sync::Arc;

use axum::{body::Bytes, http::StatusCode};
use tokio::time::Instant;

use super::{
    account::Account,
    index::{AuthIndex, Verdict},
    node::Node,
    password::Digest,
    upstream::{Said, Upstream},
};
use crate::metrics::AuthOutcome;

/// What is answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// Yes, for the operator's own account.
    Yes(Arc<str>),
    /// No, by the index.
    Refused(Verdict),
    /// No, because the service said no to one of the operator's accounts, or said nothing that counts.
    No(AuthOutcome),
    /// What the service said of an account that is not the operator's.
    AsItIs(StatusCode, Bytes),
}

/// What the index says of a login.
enum Known {
    /// The account is not the operator's.
    Stranger,
    Refused(Verdict),
    Permitted(Arc<Account>),
}

/// Decides a login of which the panel's server sent this `body`, with this credential in it.
pub(super) async fn decide(
    index: &AuthIndex,
    node: &Node,
    upstream: &Upstream,
    (auth, body): (&str, Bytes),
    deadline: Instant,
) -> Answer {
    if let Known::Refused(verdict) = index.know(node, auth) {
        return Answer::Refused(verdict);
    }
    let Ok(said) = upstream.ask(body, deadline).await else {
        return Answer::No(AuthOutcome::PanelSilent);
    };
    let (id, answer) = match said {
        Said::Yes(id, answer) => (id, answer),
        Said::No(status, answer) => {
            return match index.know(node, auth) {
                Known::Stranger => Answer::AsItIs(status, answer),
                Known::Refused(verdict) => Answer::Refused(verdict),
                Known::Permitted(_) => Answer::No(AuthOutcome::PanelRefused),
            };
        }
    };
    match index.admit(node, auth) {
        Known::Refused(verdict) => Answer::Refused(verdict),
        Known::Permitted(account) if *account.name == *id => Answer::Yes(Arc::clone(&account.name)),
        // It may let in whom it will, but not as one of the operator's.
        Known::Stranger if !index.manages(node, &id) => Answer::AsItIs(StatusCode::OK, answer),
        Known::Permitted(_) | Known::Stranger => Answer::No(AuthOutcome::PanelSilent),
    }
}

impl AuthIndex {
    /// Looks, and takes nothing.
    fn know(&self, node: &Node, auth: &str) -> Known {
        if !self.is_loaded() {
            return Known::Refused(Verdict::NotLoaded);
        }
        let Some((username, password)) = auth.split_once(':') else {
            return Known::Stranger;
        };
        let account = self.account_of_client(username);
        let Some(account) = account.filter(|account| !node.strangers.contain(&account.name)) else {
            return Known::Stranger;
        };
        let looked = self.look_at(&account.policy.load(), &Digest::of(password), node);
        match looked {
            Ok(()) => Known::Permitted(account),
            Err(refusal @ Verdict::BadPassword) => {
                Known::Refused(self.wrong_form(auth).map_or(refusal, Verdict::WrongForm))
            }
            Err(refusal) => Known::Refused(refusal),
        }
    }

    /// Says yes, if nothing has come against it. A denial takes the same lock: either the yes was said before it, and counts as
    /// the last one of the account, or it is not said.
    fn admit(&self, node: &Node, auth: &str) -> Known {
        let Known::Permitted(account) = self.know(node, auth) else {
            return self.know(node, auth);
        };
        let mut sessions = account.sessions();
        let still = self.know(node, auth);
        if matches!(still, Known::Permitted(_)) {
            sessions.slots.said_yes(self.clock.monotonic());
        }
        drop(sessions);
        still
    }

    /// Whether an account of this name is the operator's at the servers of this node, as far as is known.
    fn manages(&self, node: &Node, name: &str) -> bool {
        self.account(name).is_some() && !node.strangers.contain(name)
    }
}
