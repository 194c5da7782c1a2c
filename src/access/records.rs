//! Who had access when, and what is kept about one person.

use super::{AccessError, Result, UseCases, canonical};
use crate::{
    history::{Story, Who, WhoQuestion},
    model::corporate_id::CorporateId,
};

impl UseCases {
    /// Who had access at a moment, and why.
    ///
    /// # Errors
    /// History cannot be read.
    pub async fn who(&self, question: WhoQuestion) -> Result<Who> {
        Ok(self.dependencies.journal.who(question).await?)
    }

    /// Everything that is kept about one person.
    ///
    /// # Errors
    /// Nothing is known of the person, or history cannot be read.
    pub async fn story(&self, id: &CorporateId) -> Result<Story> {
        let account = self.dependencies.people.person(id).map(|person| person.account);
        let is_declared = account.is_some();
        let account = account.unwrap_or_else(|| id.account());
        let story = self.dependencies.journal.story(canonical(id).into(), account).await?;
        let nothing = story.rows.is_empty() && story.revocations.is_empty() && story.traffic.is_empty();
        if nothing && !is_declared {
            return Err(AccessError::UnknownPerson(id.clone()));
        }
        Ok(story)
    }
}
