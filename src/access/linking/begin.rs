//! The beginning: links of the former service are taken over, and what was to stand in the audit is written.

use serde_json::json;

use super::{SOURCE, link::row};
use crate::{
    access::{Caller, Result, UseCases, tell},
    desired::FieldManager,
    linking::ImportedLink,
};

/// What was done at the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BegunLinks {
    /// Links of the former service that were taken over.
    pub taken_over: usize,
    /// Those that were left out, because the person or the account is linked otherwise by now.
    pub left_out: usize,
    /// Rows that a former process left for the audit.
    pub audited: usize,
}

impl UseCases {
    /// Takes over what the former service knew of Telegram accounts, as the registry has it by then, and writes to the audit what a
    /// former process could not. Safe to repeat.
    ///
    /// # Errors
    /// Something is unavailable: ask again.
    pub async fn begin_links(&self) -> Result<BegunLinks> {
        let (dependencies, desk) = (&self.dependencies, self.link_desk()?);
        let waiting = desk.linking.unaudited().await?;
        let audited = waiting.len();
        for row in waiting {
            dependencies.audit_row(&desk, row).await;
        }
        let former = dependencies.registry().telegram_links().await?;
        if former.is_empty() {
            return Ok(BegunLinks {
                audited,
                ..BegunLinks::default()
            });
        }
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
        dependencies.audit_announced(&desk, &done.unaudited).await;
        for link in &done.links {
            desk.people.link(&link.id);
        }
        for id in &done.left_out {
            tracing::warn!(%id, "the Telegram account that the former service had linked is left out: it, or the ID, is linked by now");
        }
        if !done.links.is_empty() {
            tracing::info!(links = done.links.len(), "Telegram accounts of the former service are taken over");
        }
        Ok(BegunLinks {
            taken_over: done.links.len(),
            left_out: done.left_out.len(),
            audited,
        })
    }
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
