//! What good documents name that has to be read elsewhere: secrets of nodes, and passwords of people.

use super::{document::Declared, object::Spec};
use crate::model::secret_source::SecretSource;

/// A secret that a document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// File of the document.
    pub file: String,
    /// First line of the document.
    pub line: u32,
    /// Field that names it, and of what: `spec.hysteria.nodes[fra1].statsSecret`.
    pub field: String,
    /// Where it is to be read.
    pub source: SecretSource,
}

/// The secrets that a document names.
pub(super) fn of(declared: &Declared, file: &str, line: u32) -> Vec<Reference> {
    let named: Vec<(String, &SecretSource)> = match &declared.spec {
        Spec::User(spec) => {
            let password = spec.credentials_from.as_ref();
            password
                .map(|source| ("spec.credentialsFrom".to_owned(), source))
                .into_iter()
                .collect()
        }
        Spec::Hold(_) => Vec::new(),
        Spec::Gateway(spec) => {
            let nodes = spec.hysteria.iter().flat_map(|hysteria| &hysteria.nodes);
            let of_node = nodes.flat_map(|node| {
                let fields = [
                    ("statsSecret", node.stats_secret.as_ref()),
                    ("authToken", node.auth_token.as_ref()),
                    ("obfs.password", node.obfs.as_ref().map(|obfs| &obfs.password)),
                ];
                let field = |name| format!("spec.hysteria.nodes[{}].{name}", node.name);
                fields.map(|(name, source)| source.map(|source| (field(name), source)))
            });
            of_node.flatten().collect()
        }
    };
    let reference = |(field, source): (String, &SecretSource)| Reference {
        file: file.to_owned(),
        line,
        field,
        source: source.clone(),
    };
    named.into_iter().map(reference).collect()
}
