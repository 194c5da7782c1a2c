//! Holds, as they are answered.

use crate::{
    access::{HoldView, Phase},
    api::{guard::DecideBody, holds::HoldBody},
};

impl From<HoldView> for HoldBody {
    fn from(hold: HoldView) -> Self {
        let waits = hold.phase == Phase::HeldBack && !hold.rejected;
        Self {
            owner: None,
            rejected: hold.rejected,
            since: hold.since,
            ordered_by: hold.ordered_by,
            in_force: hold.in_force,
            decide: waits.then(|| DecideBody::about(hold.spec.corporate_id.as_str())),
            name: hold.name,
            corporate_id: hold.spec.corporate_id.into(),
            source: hold.spec.source,
            reason: hold.spec.reason,
            from: hold.spec.from,
            until: hold.spec.until,
            phase: match hold.phase {
                Phase::Pending => "Pending",
                Phase::Live => "Live",
                Phase::Expired => "Expired",
                Phase::HeldBack => "HeldBack",
            }
            .to_owned(),
        }
    }
}
