//! Corporate IDs: issue, validate, activate, revoke, reinstate, archive, search, and files of them.
//!
//! What the registry says of an ID and what denies its person are two writes. The denial is the hold
//! `registry-revoked-<id>`, an order; it is placed before the registry says revoked, and lifted after the registry says active.
//! So whoever is cut off between the two leaves somebody out, never in.

mod begin;
mod exchange;
mod issue;
mod look;
mod revoke;
mod steps;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

pub use self::{
    begin::Beginning,
    exchange::Exchanged,
    issue::NewId,
    look::{IdPage, IdView, Validity},
    revoke::RevokedId,
    steps::ReinstatedId,
};
use super::{AccessError, Caller, Dependencies, Result};
use crate::{
    desired::DesiredError,
    history::AuditEntry,
    model::{corporate_id::CorporateId, hold::VpnHold},
    registry::{By, Registrar, Registry},
};

/// Source of the holds by which revoked IDs are denied.
pub(super) const REGISTRY: &str = "registry";

/// Cause in the names of those holds.
const REVOKED: &str = "revoked";

/// The registry, and whether it knows everything that it is to know.
pub struct Ids {
    registrar: Registrar,
    /// What the former service knew is taken over: before that an ID of its own could be issued again.
    begun: AtomicBool,
    /// Why making it ready failed last.
    trouble: Mutex<Option<String>>,
}

impl Ids {
    /// Over this registry. Nothing is issued before [`super::UseCases::begin_ids`].
    #[must_use]
    pub fn new(registrar: Registrar) -> Self {
        Self {
            registrar,
            begun: AtomicBool::new(false),
            trouble: Mutex::default(),
        }
    }

    /// What is wrong with the registry, one line each.
    pub(super) fn troubles(&self) -> Vec<String> {
        let store = self.registrar.registry().last_error().map(|error| error.to_string());
        let begun = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut troubles: Vec<String> = store.into_iter().chain(begun).collect();
        troubles.dedup();
        troubles
    }

    fn note_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn check_begun(&self) -> Result<()> {
        if self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        let why = "the registry of corporate IDs is not ready yet: try again in a moment, and see the log";
        Err(DesiredError::Unavailable(why.to_owned()).into())
    }
}

impl Caller {
    /// The same caller, as the source whose holds deny revoked IDs.
    fn for_registry(&self) -> Self {
        Self {
            source: REGISTRY.to_owned(),
            ..self.clone()
        }
    }

    fn by(&self, reason: Option<&str>) -> By {
        By {
            actor: self.actor.clone(),
            source: self.source.clone(),
            reason: reason.map(str::to_owned),
            request_id: self.request_id.clone(),
        }
    }
}

impl Dependencies {
    pub(super) fn registry(&self) -> &Registry {
        self.ids.registrar.registry()
    }

    /// Names of the holds by which this ID is revoked.
    fn revoking_holds(&self, id: &CorporateId) -> Vec<String> {
        let holds = self.directory.holds();
        let of_id = holds.iter().filter(|hold| hold.spec.corporate_id == *id);
        let mut names: Vec<String> = of_id.filter_map(|hold| revoking(hold)).collect();
        names.sort_unstable();
        names
    }

    /// Writes the audit row of a change of an ID before it is made.
    async fn announce(&self, mut entry: AuditEntry, reason: Option<String>, after: String) -> Result<AuditEntry> {
        entry.reason = reason;
        entry.after = Some(after);
        self.audit_before(entry.clone()).await?;
        Ok(entry)
    }

    /// Says in the audit that an announced change was not made.
    async fn not_done(&self, entry: AuditEntry, error: AccessError) -> AccessError {
        self.audit_failure(entry, &error).await;
        error
    }
}

/// The name of a hold, if it revokes an ID and is not on its way out.
fn revoking(hold: &VpnHold) -> Option<String> {
    let name = hold.metadata.name.as_ref()?;
    let begins = format!("{REGISTRY}-{REVOKED}");
    let revokes = hold.spec.source == REGISTRY && name.starts_with(&begins);
    (revokes && hold.metadata.deletion_timestamp.is_none()).then(|| name.clone())
}
