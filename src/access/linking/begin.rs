//! The beginning: links of the former service are taken over, and what was to stand in the audit is written.

use std::{collections::HashMap, sync::atomic::Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{LinkDesk, SOURCE};
use crate::{
    access::{Caller, Dependencies, Result, UseCases, announced::row, tell},
    desired::FieldManager,
    history::{AuditRow, Page},
    linking::ImportedLink,
    model::corporate_id::CorporateId,
};

/// Rows of the audit that are read at a time.
const ROWS: u32 = 500;

/// What was done at the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BegunLinks {
    /// Links of the former service that were taken over.
    pub taken_over: usize,
    /// Those that were left out, because the person or the account is linked otherwise by now.
    pub left_out: usize,
    /// Rows that a former process left for the audit.
    pub audited: usize,
    /// Links that were taken away, because the audit knows what became of them later: the file was put back.
    pub outdated: usize,
}

impl UseCases {
    /// Writes to the audit what a former process could not, takes links away that the audit knows to be others by now, and takes over
    /// what the former service knew of Telegram accounts, as the registry has it by then. Safe to repeat.
    ///
    /// # Errors
    /// Something is unavailable: ask again.
    pub async fn begin_links(&self) -> Result<BegunLinks> {
        let (dependencies, desk) = (&self.dependencies, self.link_desk()?);
        let outbox = desk.linking.outbox();
        let audited = dependencies.audit_left_over(&outbox).await?;
        let outdated = dependencies.drop_outdated(&desk).await?;
        desk.begun.store(true, Ordering::Release);
        desk.linking.look_after().await?;
        let former = dependencies.registry().telegram_links().await?;
        let former = former.into_iter().map(|link| ImportedLink {
            account: link.telegram_id,
            id: link.id,
            linked_at: link.linked_at,
        });
        let done = desk.linking.take_over(former.collect(), |link| {
            let mut entry = operator().entry("telegram.link", Some(&link.id));
            entry.after = Some(tell::json(&json!({ "telegram": link.account })));
            entry.reason = Some("the former service had linked them".to_owned());
            row(&entry)
        });
        let done = done.await?;
        dependencies.audit_announced_or_later(&outbox, &done.unaudited).await;
        for link in &done.links {
            desk.people.link(&link.id);
        }
        for id in &done.left_out {
            tracing::warn!(%id, "the Telegram account that the former service had linked is left out: it, or the ID, is linked by now");
        }
        if !done.links.is_empty() {
            tracing::info!(
                links = done.links.len(),
                "Telegram accounts of the former service are taken over"
            );
        }
        Ok(BegunLinks {
            taken_over: done.links.len(),
            left_out: done.left_out.len(),
            audited,
            outdated,
        })
    }
}

impl Dependencies {
    /// A file that was put back has links that are others by now: who had a link taken away would have it again. What the audit knows
    /// later counts. A link that is there in the audit alone is not made anew.
    async fn drop_outdated(&self, desk: &LinkDesk) -> Result<usize> {
        let Some(since) = desk.former().await? else {
            return Ok(0);
        };
        let mut outdated = 0;
        for (id, account) in self.links_since(since).await? {
            let Some(link) = desk.linking.of_person(&id).await? else {
                continue;
            };
            if account == Some(link.account) {
                continue;
            }
            tracing::warn!(%id, "the audit knows of a later change of this link: it is taken away, and the person may link again");
            let mut entry = operator().entry("telegram.unlink", Some(&id));
            entry.before = Some(tell::json(&json!({ "telegram": link.account })));
            entry.reason = Some("the audit knows of a later change: the file of the links was put back".to_owned());
            if let Some(gone) = desk.linking.unlink(link, row(&entry), true).await? {
                desk.people.unlink(&id);
                self.audit_announced_or_later(&desk.linking.outbox(), &[gone.unaudited])
                    .await;
                outdated += 1;
            }
        }
        Ok(outdated)
    }

    /// The account that each person was linked to last, or none, of those of whom the audit says anything since then.
    async fn links_since(&self, since: Timestamp) -> Result<HashMap<CorporateId, Option<i64>>> {
        let (mut found, mut before) = (HashMap::new(), None);
        loop {
            let rows = self.journal.audit_rows(None, Page { limit: ROWS, before }).await?;
            let Some(last) = rows.last() else { return Ok(found) };
            before = Some(last.seq);
            let is_over = last.at < since;
            for AuditRow { entry, .. } in rows.into_iter().filter(|row| row.at >= since) {
                let account = match entry.action.as_str() {
                    "telegram.link" => entry.after.as_deref().and_then(account),
                    "telegram.unlink" => None,
                    _ => continue,
                };
                // The newest row of each comes first.
                if let Some(id) = entry.corporate_id.and_then(|id| CorporateId::parse(&id).ok()) {
                    found.entry(id).or_insert(account);
                }
            }
            if is_over {
                return Ok(found);
            }
        }
    }
}

/// The account in a row.
fn account(text: &str) -> Option<i64> {
    let value: Value = serde_json::from_str(text).ok()?;
    value.get("telegram")?.as_i64()
}

/// Who does what the operator does by itself.
fn operator() -> Caller {
    Caller {
        actor: "vpn-operator".to_owned(),
        source: SOURCE.to_owned(),
        address: None,
        request_id: None,
        event: None,
        manager: FieldManager::Operator,
    }
}
