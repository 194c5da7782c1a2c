//! Receiving an event: who sent it, what it says, and that it is durable before it is answered.

use std::{sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};

use super::{HrDesk, worker::TICK};
use crate::{
    access::{AccessError, Dependencies, Result, UseCases},
    inbox::{
        Accepted, NewEvent, State, StoredEvent,
        event::{self, Reading},
        order,
        signature::{Sender, SignatureHeaders, verify},
    },
};

/// How long a sender waits for its event to be carried out. Later it is answered as pending, and carried out all the same.
const PATIENCE: Duration = Duration::from_secs(4);

/// An event as it came, from a sender that is proved.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who sent it.
    pub sender: Sender,
    /// The body as it was sent.
    pub body: Vec<u8>,
    /// The text in it: unpacked, and in Unicode.
    pub text: String,
    /// Id of the request.
    pub request_id: Option<String>,
}

/// What became of an event that was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The event as it stands.
    pub event: StoredEvent,
    /// It was there already, and changed nothing.
    pub again: bool,
}

impl UseCases {
    /// Checks who sent an event. `body` is what was sent.
    ///
    /// # Errors
    /// Nobody configured how events are signed, or this one is not signed well.
    pub fn hr_sender(&self, headers: &SignatureHeaders<'_>, body: &[u8]) -> Result<Sender> {
        let dependencies = &self.dependencies;
        let settings = &dependencies.desk()?.settings;
        if settings.keys.is_empty() && !settings.allow_unsigned {
            return Err(AccessError::NoWebhookSecret);
        }
        Ok(verify(&settings.keys, headers, body, dependencies.clock.now())?)
    }

    /// Keeps an event, and carries it out. The same event again gets the answer that the first one has by now.
    ///
    /// # Errors
    /// The event is not kept: the sender has to send it again.
    pub async fn receive_hr_event(&self, delivery: Delivery) -> Result<Received> {
        let dependencies = self.dependencies.clone();
        let desk = Arc::clone(dependencies.desk()?);
        let event = dependencies.read(&desk, delivery);
        let stored = match desk.inbox.accept(event).await? {
            Accepted::Again(event) => return Ok(Received { event, again: true }),
            Accepted::New(event) => event,
        };
        let unchanged = stored.clone();
        // The worker looks every moment by itself: only what is due before it would look again wakes it.
        if stored.scheduled && stored.due_at.is_some_and(|due| due <= dependencies.clock.now() + TICK) {
            desk.wake.notify_one();
        }
        if stored.state != State::Pending || stored.scheduled {
            return Ok(Received {
                event: stored,
                again: false,
            });
        }
        let place = Arc::clone(&desk.at_once).try_acquire_owned();
        let (Ok(place), true) = (place, dependencies.people.is_loaded()) else {
            desk.wake.notify_one();
            return Ok(Received {
                event: stored,
                again: false,
            });
        };
        let work = {
            let desk = Arc::clone(&desk);
            self.to_the_end(async move {
                let _place = place;
                let (id, before) = (stored.id, stored.attempts);
                let mut done = dependencies.carry_out_event(&desk, stored, false).await?;
                if done.state == State::Pending && done.attempts == before {
                    // The worker was faster: its word is the answer.
                    desk.until_free(id).await;
                    done = desk.inbox.get(id).await?.unwrap_or(done);
                }
                desk.wake.notify_one();
                Ok(done)
            })
        };
        // The event is kept: whatever comes in between now, it is carried out behind.
        let done = tokio::time::timeout(PATIENCE, work).await;
        let event = match done {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => {
                tracing::warn!(event = unchanged.id, %error, "what became of an HR event could not be kept: it is carried out again");
                unchanged
            }
            Err(_) => unchanged,
        };
        Ok(Received { event, again: false })
    }
}

impl Dependencies {
    pub(super) fn desk(&self) -> Result<&Arc<HrDesk>> {
        self.hr.as_ref().ok_or(AccessError::NoWebhookSecret)
    }

    fn read(&self, desk: &HrDesk, delivery: Delivery) -> NewEvent {
        let Delivery {
            sender,
            body,
            text,
            request_id,
        } = delivery;
        let received_at = self.clock.now();
        let Reading {
            event_type,
            corporate_id,
            event,
        } = event::read(&text, &desk.zone());
        let said_at = event.as_ref().ok().and_then(|event| event.at);
        let ordered = order::ordered_at(said_at, received_at);
        let later = event.as_ref().ok().and_then(|event| event.waits_until(received_at));
        let failure = event
            .err()
            .map(|error| error.to_string())
            .or_else(|| ordered.err().map(|error| error.to_string()));
        NewEvent {
            received_at,
            scheme: sender.scheme,
            webhook_id: sender.webhook_id,
            digest: Sha256::digest(&body).into(),
            text: (text.as_bytes() != body).then_some(text),
            body,
            event_type,
            corporate_id: corporate_id.map(Into::into),
            said_at,
            ordered_at: ordered.ok(),
            request_id,
            failure,
            later,
        }
    }
}
