//! Corporate IDs, as they are answered.

use crate::{
    access::{Exchanged, IdView},
    api::ids::{IdBody, IdChangeBody, IdDetailBody, ImportedIdsBody},
    registry::{Change, Entry},
};

impl From<Entry> for IdBody {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id.into(),
            status: entry.status.as_str().to_owned(),
            owner: entry.owner.owner,
            email: entry.owner.email,
            department: entry.owner.department,
            issued_at: entry.issued_at,
            updated_at: entry.updated_at,
        }
    }
}

impl From<Change> for IdChangeBody {
    fn from(change: Change) -> Self {
        Self {
            at: change.at,
            action: change.action,
            actor: change.by.actor,
            source: change.by.source,
            before: change.before.map(|status| status.as_str().to_owned()),
            after: change.after.map(|status| status.as_str().to_owned()),
            reason: change.by.reason,
            request_id: change.by.request_id,
        }
    }
}

impl From<IdView> for IdDetailBody {
    fn from(view: IdView) -> Self {
        Self {
            id: view.entry.into(),
            access: view.access.map(|(access, _)| access.as_str().to_owned()),
            access_reason: view.access.map(|(_, reason)| reason.as_str().to_owned()),
            holds: view.holds.into_iter().map(Into::into).collect(),
            telegram_id: view.telegram.map(|link| link.telegram_id),
            history: view.changes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Exchanged> for ImportedIdsBody {
    fn from(Exchanged { plan, dry_run }: Exchanged) -> Self {
        Self {
            dry_run,
            added: plan.added.len(),
            updated: plan.updated.len(),
            unchanged: plan.unchanged,
        }
    }
}
