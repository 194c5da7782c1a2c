//! Links that are handed over: somebody who sees neither a password nor a subscription link gives a person an address, which opens
//! that person's page so many times, for so long.
//!
//! What was made, opened and withdrawn stands in the audit before anybody is answered.

mod make;
mod open;
mod withdraw;

pub use self::{
    make::{HandedOver, LONGEST_HANDOVER, MOST_USES, OPEN_PATH, SHORTEST_HANDOVER},
    open::Opening,
};
use super::{Result, UseCases};

impl UseCases {
    /// Writes to the audit what a former process could not.
    ///
    /// # Errors
    /// The links cannot be read: ask again.
    pub async fn begin_handovers(&self) -> Result<()> {
        let dependencies = &self.dependencies;
        dependencies
            .audit_left_over(&dependencies.handovers.outbox())
            .await
            .map(drop)
    }
}
