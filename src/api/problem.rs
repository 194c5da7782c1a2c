//! Problem documents (RFC 9457): how every refusal is answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{health::CheckBody, proof::ProofBody};

/// A line of a file that cannot be taken.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = BadLine)]
pub struct BadLineBody {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong with it, and what to do.
    pub message: String,
}

/// What went wrong, as RFC 9457 has it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Kind of the problem, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:vpn-operator:problem:access-denied")]
    pub type_: String,
    /// Kind of the problem, for people.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// Why the person is denied: `Held`, `Inactive`, `NotYetValid`, `Expired`, `OverQuota`, `Deleted`, `Conflict`, `Undeclared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Names of the holds that are live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<Vec<String>>,
    /// When the object of somebody was deleted of whom nothing but this record is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deleted_at: Option<Timestamp>,
    /// The last revocation of somebody who is gone, as in the answer about a person. Where `sessions_zero_at` is null and nothing is
    /// waited for, nobody saw when the last session was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<ProofBody>,
    /// What was looked at, when the service is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<CheckBody>>,
    /// The lines of a file that cannot be taken, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<BadLineBody>>,
    /// How many lines more cannot be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_lines: Option<usize>,
    /// Id of the request, as in the log and the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Seconds after which the same request may be let in.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}
