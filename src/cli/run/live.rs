//! What the use cases see of the running operator: its stores and its gateways, from memory.

use std::{collections::HashMap, sync::Arc};

use kube::runtime::reflector::ObjectRef;

use crate::{
    access::{Directory, Links, select},
    gateway::{Credentials, Link, NodeHealth, Observation, RevocationProgress},
    model::{hold::VpnHold, user::VpnUser},
    reconcile::{context::Context, plan::gateway_names},
};

/// The running operator, as the use cases see it.
pub struct Live(pub Arc<Context>);

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
}

impl Live {
    fn observations(&self, account: &str) -> Vec<Observation> {
        self.0
            .gateways
            .all()
            .iter()
            .map(|gateway| gateway.observe(account))
            .collect()
    }
}

impl Links for Live {
    fn links(&self, user: &VpnUser, credentials: &Credentials) -> Vec<Link> {
        gateway_names(user)
            .iter()
            .filter_map(|name| self.0.gateways.get(name))
            .flat_map(|gateway| gateway.links(credentials))
            .collect()
    }

    fn revocation(&self, account: &str) -> Option<RevocationProgress> {
        let mut newest: HashMap<_, Vec<RevocationProgress>> = HashMap::new();
        for revocation in self
            .observations(account)
            .into_iter()
            .filter_map(|observation| observation.revocation)
        {
            newest.entry(revocation.below).or_default().push(revocation);
        }
        let (_, parts) = newest.into_iter().max_by_key(|(below, _)| *below)?;
        parts.into_iter().reduce(|a, b| RevocationProgress {
            below: a.below,
            denied_at: a.denied_at.min(b.denied_at),
            contained_at: a.contained_at.zip(b.contained_at).map(|(a, b)| a.max(b)),
            sessions_zero_at: a.sessions_zero_at.zip(b.sessions_zero_at).map(|(a, b)| a.max(b)),
            waiting_for: a.waiting_for.into_iter().chain(b.waiting_for).collect(),
        })
    }

    fn sessions(&self, account: &str) -> u32 {
        self.observations(account)
            .iter()
            .map(|observation| observation.sessions)
            .sum()
    }

    fn health(&self) -> Vec<NodeHealth> {
        self.0
            .gateways
            .all()
            .iter()
            .flat_map(|gateway| gateway.health())
            .collect()
    }
}
