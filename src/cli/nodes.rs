//! Which nodes there are: those of the declared gateways, or those of the environment.

use std::path::Path;

use secrecy::SecretString;
use serde::Deserialize;

use super::{exit::CommandError, output::note};
use crate::{
    config::{DefaultGateway, DesiredLocation, HysteriaDefaults, Secrets, State},
    credentials::Sources,
    model::{
        gateway::{AuthGuard, DEFAULT_GATEWAY, HysteriaNode, VpnGateway, VpnGatewaySpec},
        secret_source::SecretSource,
    },
};

/// A gateway and its name.
#[derive(Debug)]
pub(super) struct NamedGateway {
    pub name: String,
    pub spec: VpnGatewaySpec,
}

impl NamedGateway {
    pub(super) fn nodes(&self) -> &[HysteriaNode] {
        self.spec.hysteria.as_ref().map_or(&[], |hysteria| &hysteria.nodes)
    }
}

/// Where the gateways come from, and so their secrets.
enum Origin {
    Environment(Box<DefaultGateway>),
    Declared(Sources),
}

/// The gateways that an operator with these settings would have.
pub(super) struct Gateways {
    pub list: Vec<NamedGateway>,
    origin: Origin,
}

impl Gateways {
    /// Reads the declared gateways, or makes the environment's. Gateways in a cluster are not looked at.
    pub(super) fn find(state: &State, defaults: &HysteriaDefaults, secrets: &Secrets) -> Result<Self, CommandError> {
        let declared = declared(state)?;
        if !declared.is_empty() {
            let origin = Origin::Declared(Sources::local(&state.data_dir));
            return Ok(Self { list: declared, origin });
        }
        let gateway = defaults.gateway(secrets);
        let named = NamedGateway {
            name: DEFAULT_GATEWAY.to_owned(),
            spec: gateway.spec.clone(),
        };
        Ok(Self {
            list: vec![named],
            origin: Origin::Environment(Box::new(gateway)),
        })
    }

    /// The gateways that a cluster declares.
    pub(super) fn declared_in_cluster(found: Vec<VpnGateway>, sources: Sources) -> Self {
        let named = |gateway: VpnGateway| NamedGateway {
            name: gateway.metadata.name.unwrap_or_default(),
            spec: gateway.spec,
        };
        Self {
            list: found.into_iter().map(named).collect(),
            origin: Origin::Declared(sources),
        }
    }

    /// Reads a secret that a node names; the error says why not.
    pub(super) async fn secret(&self, source: &SecretSource) -> Result<SecretString, String> {
        match &self.origin {
            Origin::Environment(gateway) => gateway.secret(source).cloned().ok_or_else(|| "is not known".to_owned()),
            Origin::Declared(sources) => sources.resolve(source).await.map_err(|error| error.to_string()),
        }
    }

    /// The auth guard of each panel that has one, with the name of its gateway.
    pub(super) fn guards(&self) -> impl Iterator<Item = (&str, &AuthGuard)> {
        self.list.iter().filter_map(|gateway| {
            let guard = gateway.spec.blitz.as_ref()?.auth_guard.as_ref()?;
            Some((gateway.name.as_str(), guard))
        })
    }

    /// Every node with its name in the whole installation.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (String, &HysteriaNode)> {
        self.list.iter().flat_map(|gateway| {
            let nodes = gateway.nodes().iter();
            nodes.map(|node| (format!("{}/{}", gateway.name, node.name), node))
        })
    }
}

/// The gateways that a folder declares.
pub(super) fn declared(state: &State) -> Result<Vec<NamedGateway>, CommandError> {
    match &state.desired {
        DesiredLocation::Folder(path) if path.exists() => in_folder(path),
        _ => Ok(Vec::new()),
    }
}

fn in_folder(folder: &Path) -> Result<Vec<NamedGateway>, CommandError> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        CommandError::failed(format!("{} cannot be read: {error}", path.display()))
    };
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(|error| unreadable(&path, &error))? {
                let entry = entry.map_err(|error| unreadable(&path, &error))?;
                if !entry.file_name().to_string_lossy().starts_with('.') {
                    waiting.push(entry.path());
                }
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            if text.contains("VpnGateway") {
                in_file(&path, &text, &mut found);
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn in_file(path: &Path, text: &str, found: &mut Vec<NamedGateway>) {
    for document in serde_yaml::Deserializer::from_str(text) {
        let read = serde_yaml::Value::deserialize(document).and_then(|value| {
            let is_gateway = value.get("kind").and_then(|kind| kind.as_str()) == Some("VpnGateway");
            is_gateway
                .then(|| serde_yaml::from_value::<VpnGateway>(value))
                .transpose()
        });
        match read {
            Ok(Some(gateway)) => found.push(NamedGateway {
                name: gateway.metadata.name.unwrap_or_default(),
                spec: gateway.spec,
            }),
            Ok(None) => {}
            Err(error) => {
                note(&format!("{}: a document is left out: {error}", path.display()));
                // What follows a broken document cannot be told apart from it.
                return;
            }
        }
    }
}
