//! Which corporate IDs were given away, where several processes could issue some.

use async_trait::async_trait;

use super::Result;
use crate::model::corporate_id::CorporateId;

/// Gives away each ID once, whoever asks, and for ever.
#[async_trait]
pub trait IdClaims: Send + Sync + 'static {
    /// Claims an ID of the present style. `false`: it was claimed before. Durable when it answers. After an error it may be claimed
    /// or not: draw another one.
    async fn claim(&self, id: &CorporateId) -> Result<bool>;

    /// Has these IDs claimed, whether or not they were. What is claimed is not written again; IDs of another style are left out,
    /// because none is ever drawn.
    async fn keep(&self, ids: &[CorporateId]) -> Result<()>;
}

/// Claims where one process alone issues IDs, because it owns the data folder with the registry: the registry says it all.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoleIssuer;

#[async_trait]
impl IdClaims for SoleIssuer {
    async fn claim(&self, _: &CorporateId) -> Result<bool> {
        Ok(true)
    }

    async fn keep(&self, _: &[CorporateId]) -> Result<()> {
        Ok(())
    }
}
