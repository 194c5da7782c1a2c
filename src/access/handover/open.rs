//! Opening a link.

use secrecy::SecretString;
use serde_json::json;

use crate::{
    access::{AccessError, Caller, Denial, Dependencies, Result, UseCases, announced::row, tell},
    handover::{Handover, Opened, Standing, Use},
    model::access::Reason,
};

/// How often a browser that asks twice at the same moment is looked at.
const AGAIN: usize = 5;

/// Most characters of what a browser calls itself that the audit has.
const MAX_AGENT: usize = 160;

/// What became of opening a link.
#[derive(Debug, Clone)]
pub enum Opening {
    /// No link has this code.
    Unknown,
    /// It opens nothing any more.
    Ended(Standing),
    /// The person has no access. Nothing was used up.
    Denied(Denial),
    /// The page is at the address of the subscription.
    Page {
        /// That address.
        subscription_url: SecretString,
    },
}

impl UseCases {
    /// The link of a code, and how it stands. Nothing is used up.
    ///
    /// # Errors
    /// The links cannot be read.
    pub async fn handed_over(&self, code: &str) -> Result<Option<(Handover, Standing)>> {
        Ok(self.dependencies.handovers.find(code).await?)
    }

    /// Opens the link of a code for a visitor. It is in the audit before this answers, and a use that could not be written there is
    /// given back. `visit` is what the visitor was given by the page before: who sends the same one again within ten minutes, because
    /// no answer came, uses nothing up.
    ///
    /// # Errors
    /// There is nothing to connect to, or history or the links cannot be written: nothing was used up, and nothing is told.
    pub async fn open_handover(
        &self,
        visitor: Caller,
        code: String,
        visit: Option<String>,
        agent: &str,
    ) -> Result<Opening> {
        let (dependencies, agent) = (self.dependencies.clone(), plain(agent));
        self.to_the_end(async move { dependencies.open(&visitor, &code, visit.as_deref(), &agent).await })
            .await
    }
}

impl Dependencies {
    async fn open(&self, visitor: &Caller, code: &str, visit: Option<&str>, agent: &str) -> Result<Opening> {
        // Before anything is looked at, so that it tells nothing.
        if let Some(error) = self.journal.last_error() {
            return Err(error.into());
        }
        let links = &self.handovers;
        let Some((link, _)) = links.find(code).await? else {
            return Ok(Opening::Unknown);
        };
        for _ in 0..AGAIN {
            let page = self.page_of(&link).await;
            let entry = visitor.entry("handover.opened", Some(&link.id));
            let told = {
                let agent = agent.to_owned();
                move |link: &Handover| {
                    let mut entry = entry;
                    entry.after = Some(tell::json(
                        &json!({ "link": link.number, "usesLeft": link.uses_left(), "agent": agent }),
                    ));
                    row(&entry)
                }
            };
            match links.open(code, visit, page.is_err(), told).await? {
                Opened::Unknown => return Ok(Opening::Unknown),
                Opened::Ended(standing) => return Ok(Opening::Ended(standing)),
                Opened::Refused => {
                    return match page {
                        Err(AccessError::Denied(denial)) => Ok(Opening::Denied(denial)),
                        page => page,
                    };
                }
                Opened::Again { unaudited: None } => return page,
                // The first answer is under way, or was cut off: it counts when its row stands in the audit.
                Opened::Again {
                    unaudited: Some(number),
                } => self.audit_announced(&links.outbox(), &[number]).await?,
                Opened::Now(used) => {
                    self.audited_or_given_back(used).await?;
                    return page;
                }
            }
        }
        Err(AccessError::Interrupted)
    }

    async fn audited_or_given_back(&self, used: Use) -> Result<()> {
        let links = &self.handovers;
        let audited = self.audit_announced(&links.outbox(), &[used.unaudited]).await;
        if audited.is_err()
            && let Err(error) = links.give_back(used).await
        {
            tracing::warn!(%error, "a use of a link that opened nothing could not be given back");
        }
        audited
    }

    /// The page of the person of a link, if they may see it and there is one.
    async fn page_of(&self, link: &Handover) -> Result<Opening> {
        let id = &link.id;
        let user = self.known_user(id).ok_or_else(|| {
            AccessError::Denied(Denial {
                corporate_id: id.clone(),
                reason: Reason::Deleted,
                holds: Vec::new(),
            })
        })?;
        self.permitted(&user)?;
        let subscription_url = self.configuration_of(&user).await?.subscription_url;
        Ok(Opening::Page { subscription_url })
    }
}

/// What a browser calls itself, as one line that hides nothing.
fn plain(agent: &str) -> String {
    let plain = agent.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    plain.take(MAX_AGENT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_calls_itself_is_one_short_line() {
        assert_eq!(plain("Mozilla/5.0 (X11)\u{202e}\n\tx"), "Mozilla/5.0 (X11)x");
        assert_eq!(plain(&"x".repeat(1000)).len(), MAX_AGENT);
    }
}
