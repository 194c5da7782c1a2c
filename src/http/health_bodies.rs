//! What probes are answered.

use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{Check, CheckResult};

/// Health for people and for earlier callers.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// `healthy`
    pub(super) status: &'static str,
    /// Version of the operator.
    pub(super) version: &'static str,
    /// Whether desired state was loaded.
    pub(super) ready: bool,
    /// Names of the checks that found something wrong; `/readyz?verbose` says what.
    pub(super) degraded: Vec<String>,
}

/// Whether the process lives.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusBody {
    /// `alive`
    pub(super) status: &'static str,
}

/// How a check went.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckResultBody {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct CheckBody {
    /// What was looked at.
    pub(super) name: String,
    /// Whether it is as it should be.
    pub(super) ok: bool,
    /// How it went.
    pub(super) result: CheckResultBody,
    /// What is wrong and where; empty when nothing is.
    pub(super) details: Vec<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
    /// What was seen, also when nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

impl From<Check> for CheckBody {
    fn from(check: Check) -> Self {
        Self {
            ok: check.is_ok(),
            result: match check.result {
                CheckResult::Ok => CheckResultBody::Ok,
                CheckResult::Warning => CheckResultBody::Warning,
                CheckResult::Failed => CheckResultBody::Failed,
            },
            name: check.name,
            details: check.details,
            advice: check.advice,
            note: check.note,
        }
    }
}

/// Whether requests are served rightly.
#[derive(Serialize, ToSchema)]
pub(super) struct ReadyBody {
    /// `ready`
    pub(super) status: &'static str,
    /// What was looked at, when `verbose` was asked for. A fault of a node, a document or history does not end readiness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checks: Option<Vec<CheckBody>>,
}
