//! Taking a link away, and the language of an account.

use serde_json::json;

use super::{check_account, check_language};
use crate::{
    access::{AccessError, Caller, Result, UseCases, announced::row, tell},
    linking::Link,
    model::corporate_id::CorporateId,
};

impl UseCases {
    /// The link of an account.
    ///
    /// # Errors
    /// It has none, or the links cannot be read.
    pub async fn link_of_account(&self, account: i64) -> Result<Link> {
        let link = self.link_desk()?.linking.of_account(check_account(account)?).await?;
        link.ok_or(AccessError::NotLinked)
    }

    /// The link of a person.
    ///
    /// # Errors
    /// There is none, or the links cannot be read.
    pub async fn link_of_person(&self, id: &CorporateId) -> Result<Link> {
        let link = self.link_desk()?.linking.of_person(id).await?;
        link.ok_or(AccessError::NotLinked)
    }

    /// Takes the link of an account away, because its person wants it.
    ///
    /// # Errors
    /// It has none, or the links cannot be written.
    pub async fn unlink_account(&self, caller: Caller, account: i64) -> Result<()> {
        let link = self.link_of_account(account).await?;
        self.unlink(caller.of_account(account), link, false).await
    }

    /// Takes the link of a person away, and has the account told.
    ///
    /// # Errors
    /// There is none, or the links cannot be written.
    pub async fn unlink_person(&self, caller: Caller, id: &CorporateId) -> Result<()> {
        let link = self.link_of_person(id).await?;
        self.unlink(caller, link, true).await
    }

    async fn unlink(&self, caller: Caller, link: Link, tells: bool) -> Result<()> {
        let (dependencies, desk) = (self.dependencies.clone(), self.link_desk()?);
        self.to_the_end(async move {
            let mut entry = caller.entry("telegram.unlink", Some(&link.id));
            entry.before = Some(tell::json(&json!({ "telegram": link.account })));
            let Some(gone) = desk.linking.unlink(link, row(&entry), tells).await? else {
                return Err(AccessError::NotLinked);
            };
            desk.people.unlink(&gone.link.id);
            desk.metrics.link_attempt("unlinked");
            let outbox = desk.linking.outbox();
            dependencies.audit_announced_or_later(&outbox, &[gone.unaudited]).await;
            Ok(())
        })
        .await
    }

    /// Keeps the language of an account.
    ///
    /// # Errors
    /// It is not linked, or the links cannot be written.
    pub async fn set_language(&self, account: i64, language: &str) -> Result<()> {
        let (account, language) = (check_account(account)?, check_language(language)?);
        let known = self.link_desk()?.linking.set_language(account, language).await?;
        if known { Ok(()) } else { Err(AccessError::NotLinked) }
    }
}
