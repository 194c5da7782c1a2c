//! The beginning: what the former service knew is taken over, what was cut off is brought to its end, and what was issued is
//! claimed.

use std::{fs, io::ErrorKind, path::Path, sync::atomic::Ordering};

use serde_json::json;

use super::{
    super::{Caller, Dependencies, Result, UseCases, tell},
    REGISTRY, revoking,
};
use crate::{
    desired::{DesiredError, FieldManager},
    model::{access::Access, corporate_id::CorporateId},
    registry::{FORMER_FILE, Search, Status, Takeover},
};

/// Why an ID is revoked at the beginning.
const CUT_OFF: &str = "its hold stands: a revocation or a reinstatement was cut off";

/// IDs that are named in one line of the log.
const NAMED: usize = 20;

/// What was done at the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beginning {
    /// What was taken over from the former service.
    pub takeover: Takeover,
    /// IDs that are revoked because their hold stands.
    pub settled: Vec<CorporateId>,
    /// IDs that the registry calls revoked or archived, and whose people have access: nobody revoked them here.
    pub in_words_only: Vec<CorporateId>,
}

impl UseCases {
    /// Makes the registry ready: takes over what `import legacy` left in the data folder, has the registry say revoked where the
    /// hold of a revocation stands, and claims what was issued. Nothing is issued before. Safe to repeat.
    ///
    /// # Errors
    /// Something is unavailable: ask again. What was done is done.
    pub async fn begin_ids(&self, data_dir: &Path) -> Result<Beginning> {
        let begun = self.dependencies.begin_ids(data_dir).await;
        self.dependencies
            .ids
            .note_trouble(begun.as_ref().err().map(ToString::to_string));
        begun
    }
}

impl Dependencies {
    async fn begin_ids(&self, data_dir: &Path) -> Result<Beginning> {
        let takeover = self.take_over(data_dir).await?;
        self.ids.begun.store(true, Ordering::Release);
        self.loaded().await?;
        let settled = self.settle().await?;
        let ids = self.registry().standard_ids().await?;
        self.ids.registrar.keep(&ids).await?;
        let in_words_only = self.in_words_only().await?;
        if !in_words_only.is_empty() {
            tracing::warn!(
                count = in_words_only.len(),
                ids = %names(&in_words_only),
                "IDs that the registry calls revoked or archived have access: revoke them again if they should not (id revoke ID)"
            );
        }
        Ok(Beginning {
            takeover,
            settled,
            in_words_only,
        })
    }

    async fn take_over(&self, data_dir: &Path) -> Result<Takeover> {
        let path = data_dir.join(FORMER_FILE);
        let unreadable = |error: std::io::Error| DesiredError::Unavailable(format!("{}: {error}", path.display()));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Takeover::default()),
            Err(error) => return Err(unreadable(error).into()),
        };
        let done = self.registry().take_over(&text).await?;
        let new = done.added + done.changes + done.links;
        for remark in &done.remarks {
            tracing::warn!(file = %path.display(), line = remark.line, "{}", remark.message);
        }
        if new > 0 || !done.denied_since.is_empty() {
            tracing::info!(
                ids = done.added,
                changes = done.changes,
                telegram = done.links,
                revoked_since = %names(&done.denied_since),
                "the registry of the former service is taken over"
            );
            let mut row = operator().entry("id.takeover", None);
            let (added, changes, links) = (done.added, done.changes, done.links);
            row.after = Some(tell::json(
                &json!({ "ids": added, "changes": changes, "telegram": links }),
            ));
            self.audit_denial(row).await;
        }
        Ok(done)
    }

    /// Has the registry say revoked where the hold of a revocation stands. Who was cut off between hold and registry has the
    /// person denied; so it stays.
    async fn settle(&self) -> Result<Vec<CorporateId>> {
        let mut settled = Vec::new();
        let holds = self.directory.holds();
        let caller = operator();
        for hold in holds.iter().filter(|hold| revoking(hold).is_some()) {
            let id = &hold.spec.corporate_id;
            let known = self.registry().get(id).await?;
            if known.as_ref().is_some_and(|entry| !entry.status.is_valid()) {
                continue;
            }
            let entry = self.record_revoked(&caller, id, Some(CUT_OFF)).await?;
            let mut row = caller.entry("id.revoke", Some(id));
            let told = |status: Status| tell::json(&json!({ "status": status.as_str() }));
            row.before = known.map(|entry| told(entry.status));
            row.after = Some(told(entry.status));
            row.reason = Some(CUT_OFF.to_owned());
            self.audit_denial(row).await;
            tracing::warn!(id = %entry.id, "revoked: {CUT_OFF}");
            settled.push(entry.id);
        }
        Ok(settled)
    }

    async fn in_words_only(&self) -> Result<Vec<CorporateId>> {
        let mut found = Vec::new();
        for status in [Status::Revoked, Status::Archived] {
            let mut after = None;
            loop {
                let search = Search {
                    status: Some(status),
                    ..Search::default()
                };
                let page = self.registry().search(search, after.take(), 500).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.to_string());
                let granted = page.into_iter().map(|entry| entry.id).filter(|id| {
                    let person = self.people.person(id);
                    person.is_some_and(|person| person.effective.access == Access::Granted)
                });
                found.extend(granted);
            }
        }
        Ok(found)
    }
}

/// Who brings to its end what was cut off.
fn operator() -> Caller {
    Caller {
        actor: "vpn-operator".to_owned(),
        source: REGISTRY.to_owned(),
        address: None,
        request_id: None,
        event: None,
        manager: FieldManager::Operator,
    }
}

fn names(ids: &[CorporateId]) -> String {
    let mut names: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    if ids.len() > NAMED {
        names.push(format!("and {} more", ids.len() - NAMED));
    }
    names.join(" ")
}
