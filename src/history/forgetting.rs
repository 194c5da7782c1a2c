//! Forgetting a person, for the use cases.

use std::sync::Arc;

use super::{
    History, HistoryError,
    entry::AuditEntry,
    forget::{self, Forgetting},
    redact,
};

impl History {
    /// Takes a person's data out of the audit and out of what is derived from it: texts, addresses, request ids, and the person's own
    /// `names` where they acted themselves. `order` says whom, who ordered it, and why; its row lists what was emptied, so that
    /// the chain stays whole. Answers how many rows were emptied. Asked again it does nothing, except that it says so again when
    /// it is `always` to be said. Durable when it returns; old pages of the file are cleared by [`Self::scrub`] alone.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn forget(&self, order: AuditEntry, names: Vec<String>, always: bool) -> Result<u64, HistoryError> {
        let (sealer, order) = (Arc::clone(&self.sealer), redact::entry(order));
        self.store
            .write(move |conn| forget::forget(conn, &sealer, &order, &names, always))
            .await
    }

    /// Orders to forget somebody that are not carried out everywhere yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn to_forget(&self) -> Result<Vec<Forgetting>, HistoryError> {
        self.store.read(forget::open).await
    }

    /// A person is forgotten everywhere.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn forgotten(&self, corporate_id: String) -> Result<(), HistoryError> {
        self.store.write(move |conn| forget::close(conn, &corporate_id)).await
    }

    /// Clears what deleted and changed rows left behind in the file and in its log. Takes as long as writing the file anew.
    ///
    /// # Errors
    /// The file cannot be written, or somebody reads it for too long.
    pub async fn scrub(&self) -> Result<(), HistoryError> {
        self.store.scrub().await
    }
}
