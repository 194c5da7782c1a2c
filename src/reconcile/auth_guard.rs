//! How the auth guards of panels are, and what is said of each.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use crate::{
    auth::listener::{Asker, AuthEndpoint, GuardHealth},
    gateway::declared::Asking,
    model::condition::ConditionStatus,
};

/// The auth guard of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthGuard {
    /// The panel's gateway.
    pub gateway: String,
    /// How it is.
    pub state: GuardState,
}

/// How an auth guard is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardState {
    /// Both sides are asked, and answer.
    Works,
    /// No server of the panel has asked since the start.
    NotAskedYet,
    /// Nobody can tell who asks, so the panel's servers are not answered; why.
    Ambiguous(String),
    /// The panel's own service does not answer, and nobody new gets in; why.
    Silent(String),
    /// The panel's servers let people in without asking.
    NotAsked,
    /// They may have asked another process.
    MaybeNotAsked,
}

/// Reason while the panel's own service does not answer. Its message differs with every attempt.
pub(super) const SILENT: &str = "PanelSilent";
const NOT_ASKED: &str = "devices came online at the panel about which this process was not asked";
const WRITTEN_BACK: &str = "auth.http.url of the panel's server does not lead to the operator (an upgrade of the panel writes it back): \
                            set it and restart the server. Until then a denial takes effect with the panel's block only";

impl GuardState {
    fn of(health: &GuardHealth, alone: bool) -> Self {
        match &health.upstream.error {
            Some(error) => Self::Silent(error.clone()),
            None if health.bypassed && alone => Self::NotAsked,
            None if health.bypassed => Self::MaybeNotAsked,
            None if !health.upstream.asked => Self::NotAskedYet,
            None => Self::Works,
        }
    }

    /// Whether the panel's servers are guarded.
    #[must_use]
    pub const fn status(&self) -> ConditionStatus {
        match self {
            Self::Works => ConditionStatus::True,
            Self::NotAskedYet | Self::MaybeNotAsked => ConditionStatus::Unknown,
            Self::Ambiguous(_) | Self::Silent(_) | Self::NotAsked => ConditionStatus::False,
        }
    }

    /// Whether nothing is known to be wrong.
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        matches!(self, Self::Works | Self::NotAskedYet)
    }

    /// A constant for the reason of a condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Works => "BothAsked",
            Self::NotAskedYet => "NotAskedYet",
            Self::Ambiguous(_) => "SharedAuthToken",
            Self::Silent(_) => SILENT,
            Self::NotAsked => "NotAsked",
            Self::MaybeNotAsked => "MaybeNotAsked",
        }
    }

    /// What is so, and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Works => {
                "the panel's servers ask the operator, and the panel's own auth service answers it".to_owned()
            }
            Self::NotAskedYet => {
                "no server of the panel has asked since this process began: auth.http.url of each has to lead to \
                                  the operator's auth listener, with the path secret in it"
                    .to_owned()
            }
            Self::Ambiguous(why) => why.clone(),
            Self::Silent(error) => format!(
                "the panel's own auth service refuses everybody: {error}. Nobody new gets in at its servers until it answers"
            ),
            Self::NotAsked => format!("{NOT_ASKED}: {WRITTEN_BACK}"),
            Self::MaybeNotAsked => format!("{NOT_ASKED}: a replica may have been, or {WRITTEN_BACK}"),
        }
    }
}

/// The auth guards that are declared.
#[derive(Default)]
pub(super) struct AuthGuards {
    /// By gateway: why its servers cannot be answered, if so.
    declared: ArcSwap<BTreeMap<String, Option<String>>>,
}

impl AuthGuards {
    /// Has those answered who ask from now on. Of panels whose servers cannot be answered it is said once that it is so.
    pub(super) fn answer(&self, endpoint: &AuthEndpoint, asking: &Asking) {
        let guarded = asking.askers.iter().filter(|it| it.upstream.is_some());
        let answered = guarded.map(|it| (it.node.gateway().to_owned(), None));
        let ambiguous = asking.ambiguous.iter();
        let ambiguous = ambiguous.map(|(gateway, why)| (gateway.clone(), Some(why.clone())));
        let declared: Arc<BTreeMap<_, _>> = Arc::new(answered.chain(ambiguous).collect());
        let before = self.declared.swap(Arc::clone(&declared));
        for (gateway, why) in declared
            .iter()
            .filter(|(gateway, why)| before.get(*gateway) != Some(why))
        {
            if let Some(why) = why {
                tracing::warn!(gateway, "the auth guard of a panel does not answer: {why}");
            }
        }
        endpoint.set_tokens(asking.askers.iter().map(|asks| Asker {
            token: &asks.token,
            node: &asks.node,
            upstream: asks.upstream.as_ref(),
        }));
    }

    /// How each of them is. `alone`: no other process answers logins.
    pub(super) fn all(&self, endpoint: &AuthEndpoint, alone: bool) -> Vec<AuthGuard> {
        let health = endpoint.guards();
        let of = |gateway: &str| health.iter().find(|health| health.panel.gateway() == gateway);
        let declared = self.declared.load();
        let guards = declared.iter().map(|(gateway, why)| AuthGuard {
            gateway: gateway.clone(),
            state: match why {
                Some(why) => GuardState::Ambiguous(why.clone()),
                None => of(gateway).map_or(GuardState::NotAskedYet, |health| GuardState::of(health, alone)),
            },
        });
        guards.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::upstream::UpstreamHealth, gateway::NodeName};

    #[test]
    fn a_silent_service_is_named_before_servers_that_do_not_ask() {
        let health = |error: Option<&str>, bypassed, asked| GuardHealth {
            panel: NodeName("p/panel".into()),
            upstream: UpstreamHealth {
                asked,
                error: error.map(str::to_owned),
            },
            bypassed,
        };
        let reason = |health: &GuardHealth, alone| GuardState::of(health, alone).reason();
        assert_eq!(reason(&health(None, false, true), true), "BothAsked");
        assert_eq!(reason(&health(None, false, false), true), "NotAskedYet");
        assert_eq!(reason(&health(None, true, true), true), "NotAsked");
        assert_eq!(reason(&health(None, true, false), false), "MaybeNotAsked");
        assert_eq!(reason(&health(Some("is away"), true, true), true), "PanelSilent");
        let silent = GuardState::of(&health(Some("is away"), true, true), true);
        assert!(silent.message().contains("is away") && silent.status() == ConditionStatus::False);
    }
}
