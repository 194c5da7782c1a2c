//! What probes are answered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Health for people and for earlier callers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HealthBody {
    /// `healthy`
    pub status: String,
    /// Version of the operator.
    pub version: String,
    /// Whether desired state was loaded.
    pub ready: bool,
    /// Names of the checks that found something wrong; `/readyz?verbose` says what.
    pub degraded: Vec<String>,
}

/// Whether the process lives.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatusBody {
    /// `alive`
    pub status: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckResultBody {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckBody {
    /// What was looked at.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How it went.
    pub result: CheckResultBody,
    /// What is wrong and where; empty when nothing is.
    pub details: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// What was seen, also when nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Whether requests are served rightly.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReadyBody {
    /// `ready`
    pub status: String,
    /// What was looked at, when `verbose` was asked for. A fault of a node, a document or history does not end readiness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<CheckBody>>,
}
