//! Which nodes there are: those of the declared gateways, or those of the environment.

use std::path::Path;

use serde::Deserialize;

use super::{exit::CommandError, output::note};
use crate::{
    config::{DesiredLocation, HysteriaDefaults, Secrets},
    model::gateway::{DEFAULT_GATEWAY, HysteriaNode, VpnGateway, VpnGatewaySpec},
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

/// The gateways that an operator with these settings would have. Gateways in a cluster are not looked at.
pub(super) fn gateways(
    desired: &DesiredLocation,
    defaults: &HysteriaDefaults,
    secrets: &Secrets,
) -> Result<Vec<NamedGateway>, CommandError> {
    let declared = match desired {
        DesiredLocation::Folder(path) if path.exists() => in_folder(path)?,
        _ => Vec::new(),
    };
    if declared.is_empty() {
        let spec = defaults.gateway(secrets).spec;
        return Ok(vec![NamedGateway {
            name: DEFAULT_GATEWAY.to_owned(),
            spec,
        }]);
    }
    Ok(declared)
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
