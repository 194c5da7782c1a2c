//! Finding an ID that nobody has, and that nobody else will be given.

use std::sync::Arc;

use super::{
    Registry,
    draw::{Draw, NoRandomness},
};
use crate::{
    desired::{DesiredError, id_claims::IdClaims},
    model::corporate_id::CorporateId,
    store::StoreError,
};

/// How many IDs are drawn before it is said that none is free. There are 576 million: even with half of them in use, so many in
/// vain would come once in 10^19.
const DRAWS: usize = 64;

/// Why no ID was found. Nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The registry cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whether somebody else has the ID cannot be asked.
    #[error(transparent)]
    Claims(#[from] DesiredError),
    /// There are no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Everything that was drawn is in use.
    #[error("none of {DRAWS} IDs that were drawn is free: try again")]
    NoneFree,
}

/// Finds new IDs. Cheap to clone.
#[derive(Clone)]
pub struct Registrar {
    registry: Registry,
    claims: Arc<dyn IdClaims>,
    draw: Arc<dyn Draw>,
}

impl Registrar {
    /// Finds IDs for this registry, none that `claims` has given away.
    #[must_use]
    pub fn new(registry: Registry, claims: Arc<dyn IdClaims>, draw: Arc<dyn Draw>) -> Self {
        Self { registry, claims, draw }
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Draws an ID that is not `in_use`, of which the registry knows nothing, and that was never claimed. From then on it is
    /// claimed, whatever becomes of it: one that is not entered afterwards is lost, and no harm.
    ///
    /// # Errors
    /// None was found.
    pub async fn find(&self, in_use: impl Fn(&CorporateId) -> bool) -> Result<CorporateId, FindError> {
        for _ in 0..DRAWS {
            let id = self.draw.draw()?;
            if in_use(&id) || self.registry.get(&id).await?.is_some() {
                continue;
            }
            if self.claims.claim(&id).await? {
                return Ok(id);
            }
        }
        Err(FindError::NoneFree)
    }

    /// Claims IDs that were issued elsewhere, or of which a claim was lost.
    ///
    /// # Errors
    /// Some may be claimed, others not: ask again.
    pub async fn keep(&self, ids: &[CorporateId]) -> Result<(), DesiredError> {
        self.claims.keep(ids).await
    }
}
