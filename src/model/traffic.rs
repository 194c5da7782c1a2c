//! How much may be transferred.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{access, quantity::Bytes};

/// A limit on transferred bytes, both directions added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("string(self.limit).matches('[1-9]')")
    .message("limit must be more than nothing: leave traffic out for no limit, set active to false for no access")
    .field_path(".limit"))]
pub struct TrafficLimit {
    /// Bytes in a period, like 100Gi. More than nothing, and at most 999Pi.
    pub limit: Bytes,
    /// When the count starts anew: `Lifetime` is never, `Month` is the first of each month at 00:00 UTC.
    #[serde(default)]
    pub period: access::Period,
}
