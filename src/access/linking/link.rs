//! Linking an account with the right code.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;

use super::{LinkDesk, ask::seconds, check_account, person::word};
use crate::{
    access::{AccessError, Caller, Denial, Dependencies, Result, UseCases, announced::row, tell},
    linking::{self, Former, Request, Rows, Tried, Try},
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
    },
};

/// How often a request may change while its code is looked at.
const AGAIN: usize = 5;

/// Longest name of an account in the audit, in characters.
const MAX_NAME: usize = 64;

/// An account was linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// To whom.
    pub corporate_id: CorporateId,
    /// Another account was linked to this person before.
    pub replaced: bool,
}

/// What a person wrote into a chat.
struct Written {
    account: i64,
    chat: i64,
    code: Option<SecretString>,
    name: Option<String>,
}

impl UseCases {
    /// Links an account to the person whose ID it said, if the code is right.
    ///
    /// # Errors
    /// The code is wrong; too many were; the code is right, and the person is held, revoked or not declared; or history or the links
    /// cannot be written: then nobody is linked.
    pub async fn link_account(
        &self,
        caller: Caller,
        account: i64,
        chat: i64,
        code: &str,
        name: Option<String>,
    ) -> Result<NewLink> {
        let written = Written {
            account: check_account(account)?,
            chat,
            code: linking::code::read(code),
            name: name.map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()),
        };
        let (dependencies, desk) = (self.dependencies.clone(), self.link_desk()?);
        let caller = caller.of_account(account);
        self.to_the_end(async move { dependencies.link(&desk, &caller, written).await })
            .await
    }
}

impl Dependencies {
    async fn link(&self, desk: &Arc<LinkDesk>, caller: &Caller, written: Written) -> Result<NewLink> {
        // Before anything is looked at, so that it tells nothing.
        if let Some(error) = self.journal.last_error() {
            return Err(error.into());
        }
        for _ in 0..AGAIN {
            let request = desk.linking.request_of(written.account).await?;
            let refusal = match &request {
                Some(request) => self.refusal(&request.id).await?,
                None => None,
            };
            let person = request.as_ref().and_then(|request| self.people.person(&request.id));
            let tried = Try {
                account: written.account,
                chat: written.chat,
                code: written.code.clone(),
                refused: refusal.is_some(),
                declared: person.as_ref().map(|person| person.corporate_id.clone()),
                granted: word(person.as_ref()).0,
                rows: rows(caller, request.as_ref(), &written),
                request: request.clone(),
            };
            match desk.linking.attempt(tried).await? {
                Tried::Changed => {}
                Tried::Wrong => {
                    desk.metrics.link_attempt("wrong");
                    return Err(AccessError::WrongLinkCode);
                }
                Tried::Locked { left, just_now } => {
                    desk.metrics.link_attempt("locked");
                    if just_now {
                        let mut entry = caller.entry("telegram.lock", request.as_ref().map(|request| &request.id));
                        entry.after = Some(tell::json(
                            &json!({ "telegram": written.account, "seconds": seconds(left) }),
                        ));
                        self.audit_denial(entry).await;
                    }
                    return Err(AccessError::LinkLocked { seconds: seconds(left) });
                }
                Tried::Refused => {
                    desk.metrics.link_attempt("refused");
                    let refusal = refusal.unwrap_or(AccessError::Interrupted);
                    let mut entry = caller.entry("telegram.link", request.as_ref().map(|request| &request.id));
                    entry.after = Some(tell::json(&json!({ "telegram": written.account })));
                    self.audit_failure(entry, &refusal).await;
                    return Err(refusal);
                }
                Tried::Linked {
                    link,
                    former,
                    unaudited,
                } => {
                    desk.metrics.link_attempt("linked");
                    if let Some(id) = &former.id {
                        desk.people.unlink(id);
                    }
                    desk.people.link(&link.id);
                    self.audit_announced_or_later(&desk.linking.outbox(), &unaudited).await;
                    return Ok(NewLink {
                        corporate_id: link.id,
                        replaced: former.account.is_some(),
                    });
                }
            }
        }
        Err(AccessError::WrongLinkCode)
    }

    /// Why a person is not to be linked: held, put out, revoked, or nobody. Somebody whose access is over, has not begun or is used up
    /// may be, to see just that.
    async fn refusal(&self, id: &CorporateId) -> Result<Option<AccessError>> {
        // Looked up for every ID, so that it takes the same for all.
        let entry = self.registry().get(id).await?;
        let revoked = entry.is_some_and(|entry| !entry.status.is_valid());
        let denied = |reason, holds| {
            Some(AccessError::Denied(Denial {
                corporate_id: id.clone(),
                reason,
                holds,
            }))
        };
        let Some(person) = self.people.person(id) else {
            return Ok(if revoked {
                denied(Reason::Held, Vec::new())
            } else {
                Some(AccessError::Undeclared(id.clone()))
            });
        };
        let reason = person.effective.reason;
        Ok(if revoked || !person.live_holds.is_empty() {
            denied(Reason::Held, person.live_holds)
        } else if person.user.is_none() {
            Some(AccessError::Undeclared(id.clone()))
        } else if person.effective.access == Access::Granted {
            None
        } else {
            match reason {
                Reason::Expired | Reason::NotYetValid | Reason::OverQuota => None,
                _ => denied(reason, Vec::new()),
            }
        })
    }
}

/// The rows for the audit of a new link.
fn rows(caller: &Caller, request: Option<&Request>, written: &Written) -> Rows {
    let (caller, id) = (caller.clone(), request.map(|request| request.id.clone()));
    let (account, name) = (written.account, written.name.clone());
    Arc::new(move |former: &Former| {
        let mut entry = caller.entry("telegram.link", id.as_ref());
        entry.before = former
            .account
            .map(|account| tell::json(&json!({ "telegram": account })));
        entry.after = Some(tell::json(&match &name {
            Some(name) => json!({ "telegram": account, "name": name }),
            None => json!({ "telegram": account }),
        }));
        let left = former.id.as_ref().map(|left| {
            let mut entry = caller.entry("telegram.unlink", Some(left));
            entry.before = Some(tell::json(&json!({ "telegram": account })));
            entry.reason = Some("the account was linked to another ID".to_owned());
            entry
        });
        left.into_iter().chain([entry]).map(|entry| row(&entry)).collect()
    })
}
