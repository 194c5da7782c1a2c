//! Conditions, as kstatus and `kubectl wait` read them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Types of conditions.
pub mod types {
    /// The gateways agree with the decision, also when the decision is Denied.
    pub const READY: &str = "Ready";
    /// Work is under way.
    pub const RECONCILING: &str = "Reconciling";
    /// Work cannot go on until a person acts.
    pub const STALLED: &str = "Stalled";
    /// Access is granted.
    pub const GRANTED: &str = "Granted";
}

/// One condition of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Type of the condition.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// Generation of the object that this speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last flipped, UTC.
    pub last_transition_time: Timestamp,
    /// A constant in `CamelCase`.
    pub reason: String,
    /// For people: what is so, and what to do.
    #[serde(default)]
    pub message: String,
}
