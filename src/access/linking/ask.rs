//! Asking for a code, and giving one out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::json;

use super::{check_account, check_language, desk::Outgoing};
use crate::{
    access::{AccessError, Caller, Result, UseCases, request_key, tell},
    linking::{Asked, CODE_VALID, Request, code},
    model::corporate_id::CorporateId,
};

/// Longest that a code may be good that is given out.
const LONGEST: u32 = 24 * 60;

/// A code that is given out by a person.
#[derive(Debug, Clone)]
pub struct MadeCode {
    /// The code.
    pub code: SecretString,
    /// For whom.
    pub corporate_id: CorporateId,
    /// First moment at which it is good no more.
    pub valid_until: Timestamp,
}

/// Seconds to wait, at least one.
pub(super) fn seconds(left: SignedDuration) -> u64 {
    let whole = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    u64::try_from(whole.max(1)).unwrap_or(1)
}

fn drawn() -> Result<SecretString> {
    code::draw().map_err(|error| {
        tracing::error!(%error, "the operating system gives no random numbers: no code is made");
        AccessError::Interrupted
    })
}

impl UseCases {
    /// Whether codes are sent by mail at all.
    #[must_use]
    pub fn sends_link_codes(&self) -> bool {
        let desk = self.dependencies.linking.as_ref();
        desk.is_some_and(|desk| desk.settings.post.is_some())
    }

    /// Makes a code for an account that says which ID is its person's, and has it sent to the address that is known of that ID, if
    /// there is one. Nothing in the answer, and nothing that is done before it, depends on whether there is. Answers how long a
    /// code is good that was sent.
    ///
    /// # Errors
    /// Too many tries or requests, by ID and by account, whether or not there is such an ID; or the links cannot be written.
    pub async fn ask_for_link_code(
        &self,
        caller: Caller,
        account: i64,
        chat: i64,
        id: CorporateId,
        language: &str,
    ) -> Result<Duration> {
        let (account, language) = (check_account(account)?, check_language(language)?);
        let desk = self.link_desk()?;
        let code = drawn()?;
        let request = Request {
            account,
            id: id.clone(),
            chat,
            language: language.to_owned(),
            at: Timestamp::MIN,
        };
        match desk.linking.ask(request, code.clone()).await? {
            Asked::Locked(left) => {
                desk.metrics.link_attempt("locked");
                return Err(AccessError::LinkLocked { seconds: seconds(left) });
            }
            Asked::Made => desk.metrics.link_attempt("asked"),
        }
        let outgoing = Outgoing {
            caller: caller.of_account(account),
            account,
            id,
            language,
            code,
        };
        if desk.outgoing.try_send(outgoing).is_err() {
            tracing::warn!("too many codes wait to be sent: this one is not");
        }
        Ok(CODE_VALID.unsigned_abs())
    }

    /// Makes a code for a person that somebody tells them; one of before is good no more. It is for whoever is to be linked, whether
    /// or not they may be: that is found out when it is used. The same `request` (what the caller calls it) gets the same code,
    /// however often it is made.
    ///
    /// # Errors
    /// The time is out of bounds, nothing is known of the person, or history or the links cannot be written.
    pub async fn give_out_link_code(
        &self,
        caller: Caller,
        id: CorporateId,
        minutes: Option<u32>,
        reason: Option<String>,
        request: Option<String>,
    ) -> Result<MadeCode> {
        let valid = match minutes {
            None => CODE_VALID,
            Some(minutes) if (1..=LONGEST).contains(&minutes) => SignedDuration::from_mins(i64::from(minutes)),
            Some(_) => {
                return Err(AccessError::Invalid {
                    field: "minutes",
                    message: format!("give a number from 1 to {LONGEST}"),
                });
            }
        };
        request_key::check(request.as_deref())?;
        let use_cases = self.clone();
        self.to_the_end(async move { use_cases.give_out(&caller, id, valid, reason, request).await })
            .await
    }

    async fn give_out(
        &self,
        caller: &Caller,
        id: CorporateId,
        valid: SignedDuration,
        reason: Option<String>,
        request: Option<String>,
    ) -> Result<MadeCode> {
        let (dependencies, desk) = (&self.dependencies, self.link_desk()?);
        let id = dependencies.known_to_anybody(&id).await?;
        let code = match &request {
            Some(request) => desk.linking.code_of(&id, request).ok_or(AccessError::Interrupted)?,
            None => drawn()?,
        };
        if let Some(request) = &request
            && let Some(valid_until) = desk.linking.given_out(&id, request).await?
        {
            return Ok(MadeCode {
                code,
                corporate_id: id,
                valid_until,
            });
        }
        let mut entry = caller.entry("telegram.code", Some(&id));
        entry.reason = reason;
        entry.after = Some(tell::json(&json!({ "minutes": valid.as_mins() })));
        dependencies.audit_before(entry.clone()).await?;
        let kept = match &request {
            Some(request) => desk.linking.give_out_once(&id, code.clone(), valid, request).await,
            None => desk.linking.give_out(&id, code.clone(), valid).await,
        };
        let valid_until = match kept {
            Ok(valid_until) => valid_until,
            Err(error) => {
                dependencies.audit_failure(entry, &error).await;
                return Err(error.into());
            }
        };
        Ok(MadeCode {
            code,
            corporate_id: id,
            valid_until,
        })
    }
}

impl crate::access::Dependencies {
    /// The ID as it was declared or issued.
    async fn known_to_anybody(&self, id: &CorporateId) -> Result<CorporateId> {
        if let Some(user) = self.known_user(id) {
            return Ok(user.spec.corporate_id.clone());
        }
        let entry = self.registry().get(id).await?;
        entry
            .map(|entry| entry.id)
            .ok_or_else(|| AccessError::UnknownPerson(id.clone()))
    }
}
