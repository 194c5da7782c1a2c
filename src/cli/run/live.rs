//! What the use cases see of the running operator: its stores and its gateways, from memory.

use std::sync::{Arc, Weak};

use kube::runtime::reflector::ObjectRef;

use crate::{
    access::{Directory, GatewayView, Links, select},
    gateway::{Credentials, Link, NodeHealth, Observation, Obstacle, RevocationProgress, merged, running::Acting},
    model::{
        hold::VpnHold,
        user::{AccountPresence, VpnUser},
    },
    reconcile::{auth_guard::AuthGuard, core::Core, plan::gateway_names},
    roster::account_of,
};

/// The running operator, as the use cases see it. Does not keep it alive: the operator itself has the use cases make what
/// it hands out, and two that held each other would never let go of the history.
pub struct Live(pub Weak<Core>);

impl Directory for Live {
    fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        self.0.upgrade()?.user(name)
    }

    fn users(&self, after: Option<&str>, limit: usize, keep: &mut dyn FnMut(&VpnUser) -> bool) -> Vec<Arc<VpnUser>> {
        let users = self.0.upgrade().map(|core| core.users.state());
        select(users.into_iter().flatten(), after, limit, keep)
    }

    fn hold(&self, name: &str) -> Option<Arc<VpnHold>> {
        let core = self.0.upgrade()?;
        core.holds.get(&ObjectRef::new(name).within(&core.namespace))
    }

    fn holds(&self) -> Vec<Arc<VpnHold>> {
        self.0.upgrade().map(|core| core.holds.state()).unwrap_or_default()
    }

    fn unobserved(&self) -> Vec<String> {
        self.0.upgrade().map(|core| core.unobserved.lines()).unwrap_or_default()
    }
}

impl Live {
    fn running(&self) -> Vec<Arc<dyn Acting>> {
        self.0.upgrade().map(|core| core.gateways.all()).unwrap_or_default()
    }

    fn observations(&self, account: &str) -> Vec<Observation> {
        self.running().iter().map(|gateway| gateway.observe(account)).collect()
    }
}

impl Links for Live {
    fn links(&self, user: &VpnUser, credentials: &Credentials) -> Vec<Link> {
        let Some(core) = self.0.upgrade() else {
            return Vec::new();
        };
        gateway_names(user)
            .iter()
            .filter_map(|name| core.gateways.get(name))
            .flat_map(|gateway| gateway.links(credentials).known())
            .collect()
    }

    fn obstacles(&self, user: &VpnUser) -> Vec<String> {
        let Some(core) = self.0.upgrade() else {
            return Vec::new();
        };
        let mut obstacles = Vec::new();
        if let Some(why) = core.imported.failure(user) {
            obstacles.push(format!("the password in spec.credentialsFrom cannot be read: {why}"));
        } else if core.imported.is_awaited(user) {
            obstacles.push("the password in spec.credentialsFrom is being read".to_owned());
        }
        for name in gateway_names(user) {
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

    fn refusals(&self) -> Vec<(String, String)> {
        self.0
            .upgrade()
            .map(|core| core.gateways.refusals())
            .unwrap_or_default()
    }

    fn not_separated(&self) -> Vec<(String, String)> {
        let core = self.0.upgrade();
        core.map(|core| core.gateways.not_separated()).unwrap_or_default()
    }

    fn guards(&self) -> Vec<AuthGuard> {
        let core = self.0.upgrade();
        core.map(|core| core.gateways.guards()).unwrap_or_default()
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
