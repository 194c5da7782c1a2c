//! Where a secret value is read from. Resources hold sources, never values.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::syntax;

/// Most characters of a path.
pub const MAX_PATH_LEN: usize = 4096;

/// Where a secret is read from. Exactly one field is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = (
    "[has(self.secretKeyRef), has(self.env), has(self.file)].filter(given, given).size() == 1",
    "exactly one of secretKeyRef, env and file must be given"
))]
pub struct SecretSource {
    /// A key of a Secret in the same namespace. Kubernetes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Name of an environment variable of the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = syntax::ENV_NAME.max_len), extend("x-kubernetes-validations" = syntax::ENV_NAME.cel()))]
    pub env: Option<String>,
    /// Path of a file that the operator can read; a trailing newline is not part of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = MAX_PATH_LEN))]
    pub file: Option<String>,
}

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = syntax::OBJECT_NAME.max_len), extend("x-kubernetes-validations" = syntax::OBJECT_NAME.cel()))]
    pub name: String,
    /// Key within the Secret.
    #[schemars(length(min = 1, max = syntax::SECRET_KEY.max_len), extend("x-kubernetes-validations" = syntax::SECRET_KEY.cel()))]
    pub key: String,
}
