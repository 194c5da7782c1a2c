//! How much may be transferred.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    access,
    quantity::{self, Bytes},
};

/// A limit on transferred bytes, both directions added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new(format!("string(self.limit).matches({})", quantity::CEL_FORM))
        .message(format!("limit must be {}", quantity::WANTED).as_str())
        .field_path(".limit"),
    validation = Rule::new(format!("!string(self.limit).matches({})", quantity::CEL_TOO_LARGE))
        .message(format!("limit is too large: {}", quantity::LARGEST).as_str())
        .field_path(".limit"),
    validation = Rule::new("!string(self.limit).matches('^[0.]+[kKMGTPi]*$')")
        .message("limit must be more than nothing: leave traffic out for no limit, set active to false for no access")
        .field_path(".limit"),
)]
pub struct TrafficLimit {
    /// Bytes in a period, like 100Gi. More than nothing, and at most 999Pi.
    pub limit: Bytes,
    /// When the count starts anew: `Lifetime` is never, `Month` is the first of each month at 00:00 UTC.
    #[serde(default)]
    pub period: access::Period,
}
