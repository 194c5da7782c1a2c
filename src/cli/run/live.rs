//! What the use cases see of the running operator: its stores and its gateways, from memory.

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;

use crate::{
    access::{Directory, GatewayView, Links, select},
    gateway::{NodeHealth, Observation, Obstacle, RevocationProgress, merged, running::Acting},
    history::Totals,
    model::{
        hold::VpnHold,
        user::{AccountPresence, VpnUser},
    },
    reconcile::{auth_guard::AuthGuard, core::Core},
    roster::account_of,
};

/// The running operator, as the use cases see it.
pub struct Live(pub Arc<Core>);

impl Directory for Live {
    fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        self.0.user(name)
    }

    fn users(&self, after: Option<&str>, limit: usize, keep: &mut dyn FnMut(&VpnUser) -> bool) -> Vec<Arc<VpnUser>> {
        select(self.0.users.state().into_iter(), after, limit, keep)
    }

    fn hold(&self, name: &str) -> Option<Arc<VpnHold>> {
        self.0.holds.get(&ObjectRef::new(name).within(&self.0.namespace))
    }

    fn holds(&self) -> Vec<Arc<VpnHold>> {
        self.0.holds.state()
    }

    fn unobserved(&self) -> Vec<String> {
        self.0.unobserved.lines()
    }
}

impl Live {
    fn running(&self) -> Vec<Arc<dyn Acting>> {
        self.0.gateways.all()
    }

    fn observations(&self, account: &str) -> Vec<Observation> {
        self.running().iter().map(|gateway| gateway.observe(account)).collect()
    }
}

impl Links for Live {
    fn obstacles(&self, user: &VpnUser) -> Vec<String> {
        let core = &self.0;
        let mut obstacles = Vec::new();
        if let Some(why) = core.imported.failure(user) {
            obstacles.push(format!("the password in spec.credentialsFrom cannot be read: {why}"));
        } else if core.imported.is_awaited(user) {
            obstacles.push("the password in spec.credentialsFrom is being read".to_owned());
        }
        for name in user.spec.gateway_names() {
            match (core.gateways.get(&name), core.gateways.refusal(&name)) {
                (Some(gateway), _) => {
                    obstacles.extend(gateway.unusable());
                    obstacles.extend(awaited(&name, &gateway.observe(&account_of(user))));
                }
                (None, Some(why)) => obstacles.push(format!("VpnGateway {name} cannot run as it is declared: {why}")),
                (None, None) => obstacles.push(format!(
                    "there is no VpnGateway named {name}: create it, or correct spec.gateways"
                )),
            }
        }
        obstacles
    }

    fn totals(&self, account: &str) -> Option<Totals> {
        self.0.usage.known_totals(account)
    }

    fn refusals(&self) -> Vec<(String, String)> {
        self.0.gateways.refusals()
    }

    fn not_separated(&self) -> Vec<(String, String)> {
        self.0.gateways.not_separated()
    }

    fn guards(&self) -> Vec<AuthGuard> {
        self.0.gateways.guards()
    }

    fn revocation(&self, account: &str) -> Option<RevocationProgress> {
        let observations = self.observations(account).into_iter();
        merged(observations.filter_map(|observation| observation.revocation))
    }

    fn sessions(&self, account: &str) -> u32 {
        self.observations(account)
            .iter()
            .map(|observation| observation.sessions)
            .sum()
    }

    fn health(&self) -> Vec<NodeHealth> {
        self.running().iter().flat_map(|gateway| gateway.health()).collect()
    }

    fn gateways(&self) -> Vec<GatewayView> {
        let refused = self.refusals();
        let why = |name: &str| {
            refused
                .iter()
                .find(|(refused, _)| refused == name)
                .map(|(_, why)| why.clone())
        };
        let mut gateways: Vec<GatewayView> = Vec::new();
        for gateway in self.running() {
            gateways.push(GatewayView {
                name: gateway.name().to_owned(),
                kind: Some(gateway.kind()),
                nodes: gateway.health(),
                backlog: gateway.backlog(),
                refusal: why(gateway.name()),
            });
        }
        for (name, why) in &refused {
            if !gateways.iter().any(|gateway| gateway.name == *name) {
                gateways.push(GatewayView::refused(name.clone(), why.clone()));
            }
        }
        gateways
    }
}

/// Why a gateway that keeps accounts itself has no link for one yet.
fn awaited(gateway: &str, observation: &Observation) -> Option<String> {
    observation.handed_over?;
    match &observation.obstacle {
        None if observation.account == AccountPresence::Present => None,
        Some(Obstacle::Foreign) => Some(format!(
            "gateway {gateway} has an account of this name that the operator did not make"
        )),
        Some(Obstacle::Rejected(why)) => Some(format!("gateway {gateway}: {why}")),
        None => Some(format!(
            "the account is being made on gateway {gateway}: ask again in a moment"
        )),
    }
}
