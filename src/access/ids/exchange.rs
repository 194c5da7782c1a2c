//! Files of IDs, in and out.

use serde_json::json;

use super::super::{AccessError, Caller, Dependencies, Result, UseCases, tell};
use crate::{
    model::access::Access,
    registry::{BadLine, Entry, Plan, Search, Table, table},
};

/// IDs that are exported at a time.
const PAGE: u32 = 500;

/// What a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// What it changes.
    pub plan: Plan,
    /// Whether it was only looked at.
    pub dry_run: bool,
}

impl UseCases {
    /// The next IDs of an export, from behind `after` on; none at its end.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn export_ids(&self, after: Option<String>) -> Result<Vec<Entry>> {
        let registry = self.dependencies.registry();
        Ok(registry.search(Search::default(), after, PAGE).await?)
    }

    /// Takes a CSV file of IDs in: enters those that are new, and changes owner, mail address and department of the others. It
    /// changes no status, denies nobody and lets nobody in. All of it or nothing. With `dry_run`, says what it would do.
    ///
    /// # Errors
    /// Every line that cannot be taken, with its number; or registry or history are unavailable. Nothing is changed then.
    pub async fn import_ids(
        &self,
        caller: Caller,
        file: Vec<u8>,
        reason: Option<String>,
        dry_run: bool,
    ) -> Result<Exchanged> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.import_ids(&caller, file, reason, dry_run).await })
            .await
    }
}

impl Dependencies {
    async fn import_ids(
        &self,
        caller: &Caller,
        file: Vec<u8>,
        reason: Option<String>,
        dry_run: bool,
    ) -> Result<Exchanged> {
        self.loaded().await?;
        let read = tokio::task::spawn_blocking(move || table::read(&file));
        let read = read
            .await
            .map_err(|_| AccessError::Interrupted)?
            .map_err(AccessError::BadLines)?;
        let (table, plan) = self.registry().plan(read).await?;
        let mut bad = self.denied_in_words_only(&table);
        let plan = match plan {
            Ok(plan) if bad.is_empty() => plan,
            planned => {
                bad.extend(planned.err().into_iter().flatten());
                bad.sort_by_key(|bad| bad.line);
                return Err(AccessError::BadLines(bad));
            }
        };
        if dry_run || plan.is_empty() {
            return Ok(Exchanged { plan, dry_run });
        }
        // An ID that was issued elsewhere must not be drawn here, nor by anybody else.
        let ids: Vec<_> = plan.added.iter().map(|(id, _)| id.clone()).collect();
        self.ids.registrar.keep(&ids).await?;
        let added = plan.added.iter().map(|(id, status)| {
            let mut row = caller.entry("id.import", Some(id));
            row.after = Some(tell::json(&json!({ "status": status.as_str() })));
            row
        });
        let updated = plan.updated.iter().map(|(id, fields)| {
            let mut row = caller.entry("id.update", Some(id));
            row.after = Some(tell::json(&json!({ "fields": fields })));
            row
        });
        let mut rows: Vec<_> = added.chain(updated).collect();
        for row in &mut rows {
            row.reason.clone_from(&reason);
        }
        self.audit_all_before(rows).await?;
        let failed = match self.registry().import(table, caller.by(reason.as_deref())).await {
            Ok(Ok(plan)) => return Ok(Exchanged { plan, dry_run }),
            Ok(Err(bad)) => AccessError::BadLines(bad),
            Err(error) => error.into(),
        };
        Err(self.not_done(caller.entry("id.import", None), failed).await)
    }

    /// Lines that call an ID revoked whose person has access: a file places no holds.
    fn denied_in_words_only(&self, table: &Table) -> Vec<BadLine> {
        let rows = table.rows.iter();
        let denied = rows.filter(|row| row.status.is_some_and(|status| !status.is_valid()));
        let let_in = denied.filter(|row| {
            let person = self.people.person(&row.id);
            person.is_some_and(|person| person.effective.access == Access::Granted)
        });
        let_in
            .map(|row| BadLine {
                line: row.line,
                message: format!(
                    "{id} is called revoked or archived, and has access: a file denies nobody, so revoke it first: id revoke {id}",
                    id = row.id
                ),
            })
            .collect()
    }
}
