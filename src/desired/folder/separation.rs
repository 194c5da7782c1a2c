//! Whether the users of a folder can be kept to the gateways that they name, as far as its documents tell.

use super::{document::Declared, object::Spec, problem::Problem};
use crate::model::{
    gateway::DEFAULT_GATEWAY,
    secret_source::SecretSource,
    separation::{Naming, Sharing},
};

/// What the good documents say about it.
#[derive(Default)]
pub(super) struct Separation {
    gateways: Vec<Gateway>,
    users: Naming,
}

struct Gateway {
    name: String,
    file: String,
    line: u32,
    /// Where each node's path secret is read; nodes without one have that of the environment.
    tokens: Vec<Option<SecretSource>>,
}

impl Gateway {
    fn secrets(&self) -> impl Iterator<Item = (&str, &Option<SecretSource>)> {
        self.tokens.iter().map(|token| (self.name.as_str(), token))
    }
}

impl Separation {
    pub(super) fn add(&mut self, declared: &Declared, file: &str, line: u32) {
        match &declared.spec {
            Spec::User(spec) => match spec.gateways.as_deref() {
                Some(named @ [_, ..]) => self.users.add(&declared.name, named),
                _ => self.users.add(&declared.name, [DEFAULT_GATEWAY]),
            },
            Spec::Hold(_) => {}
            Spec::Gateway(spec) => {
                let nodes = spec.hysteria.iter().flat_map(|hysteria| &hysteria.nodes);
                self.gateways.push(Gateway {
                    name: declared.name.clone(),
                    file: file.to_owned(),
                    line,
                    tokens: nodes.map(|node| node.auth_token.clone()).collect(),
                });
            }
        }
    }

    /// One warning for each gateway to which users cannot be kept who name it alone. Secrets are not read: two sources that hold
    /// the same are told by the running operator.
    pub(super) fn warnings(&self) -> Vec<Problem> {
        let mut found = Sharing::of(self.gateways.iter().flat_map(Gateway::secrets)).not_enforced(&self.users);
        let warning = |gateway: &Gateway| {
            Some(Problem {
                file: gateway.file.clone(),
                line: gateway.line,
                column: 1,
                field: Some("spec.hysteria.nodes".to_owned()),
                message: found.remove(&gateway.name)?,
            })
        };
        self.gateways.iter().filter_map(warning).collect()
    }
}
