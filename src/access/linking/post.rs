//! Sending codes, behind the answers: nobody learns from how long it takes whether there is anybody to send one to.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    LinkDesk,
    desk::Outgoing,
    letter::{self, Words},
};
use crate::{
    access::{Dependencies, UseCases, tell},
    linking::CODE_VALID,
    mail::{MailError, Post},
    model::corporate_id::CorporateId,
};

/// Codes that are sent at a time.
const AT_ONCE: usize = 4;

/// Longest that one try to send may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause after the first try that failed; it doubles.
const PAUSE: Duration = Duration::from_secs(2);

/// After this long a code is not sent any more: it would hardly be good when it is read.
const TOO_LATE: Duration = Duration::from_secs(5 * 60);

impl UseCases {
    /// Sends the codes that were asked for, until cancelled. Those that wait then are not sent.
    pub async fn send_link_codes(self, end: CancellationToken) {
        let desk = self.dependencies.linking.clone();
        let taken = desk.as_ref().and_then(|desk| {
            let mut to_send = desk.to_send.lock().unwrap_or_else(PoisonError::into_inner);
            to_send.take()
        });
        let (Some(desk), Some(mut to_send)) = (desk, taken) else {
            return end.cancelled().await;
        };
        let mut sending = JoinSet::new();
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                Some(_) = sending.join_next(), if !sending.is_empty() => {}
                outgoing = to_send.recv(), if sending.len() < AT_ONCE => {
                    let Some(outgoing) = outgoing else { return end.cancelled().await };
                    let (dependencies, desk) = (self.dependencies.clone(), Arc::clone(&desk));
                    sending.spawn(async move { dependencies.send_code(&desk, outgoing).await });
                }
            }
        }
    }
}

impl Dependencies {
    async fn send_code(&self, desk: &LinkDesk, outgoing: Outgoing) {
        let Some(post) = desk.settings.post.clone() else { return };
        let Some(address) = self.address_of(&outgoing.id).await else {
            desk.metrics.link_mail("no-address");
            return;
        };
        let sent = send(&*post, &address, desk, &outgoing).await;
        let mut entry = outgoing.caller.entry("telegram.code-sent", Some(&outgoing.id));
        entry.after = Some(tell::json(&json!({ "telegram": outgoing.account })));
        match sent {
            Ok(()) => {
                desk.metrics.link_mail("sent");
                self.audit_denial(entry).await;
            }
            Err(error) => {
                desk.metrics.link_mail("failed");
                tracing::warn!(id = %outgoing.id, %error, "a code for linking could not be sent");
                self.audit_failure(entry, &error).await;
            }
        }
    }

    /// The address that is declared of a person, or else the one in the registry.
    async fn address_of(&self, id: &CorporateId) -> Option<String> {
        let declared = self.known_user(id).and_then(|user| user.spec.email.clone());
        if declared.is_some() {
            return declared;
        }
        match self.registry().get(id).await {
            Ok(entry) => entry.and_then(|entry| entry.owner.email),
            Err(error) => {
                tracing::warn!(%error, "the registry cannot say where to send a code");
                None
            }
        }
    }
}

/// Sends one letter, again and again while that may help.
async fn send(post: &dyn Post, address: &str, desk: &LinkDesk, outgoing: &Outgoing) -> Result<(), MailError> {
    let letter = letter::of_code(
        address,
        outgoing.language,
        &Words {
            code: outgoing.code.expose_secret(),
            title: &desk.settings.title,
            id: outgoing.id.as_str(),
            minutes: CODE_VALID.as_mins().unsigned_abs(),
        },
    );
    let begun = Instant::now();
    let mut pause = PAUSE;
    loop {
        let tried = tokio::time::timeout(PATIENCE, post.send(&letter)).await;
        let error = match tried.unwrap_or(Err(MailError::Slow(PATIENCE))) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !error.may_pass() || begun.elapsed() + pause > TOO_LATE {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}
