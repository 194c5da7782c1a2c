//! The watch streams' sending ends.

use std::sync::{Mutex, PoisonError};

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::object::{Kind, Row, assemble};
use crate::{
    desired::{Event, Events, Watches},
    model::{gateway::VpnGateway, hold::VpnHold, user::VpnUser},
};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Part of the first load.
    Init,
    /// New, changed, or become a tombstone.
    Apply,
    /// Gone for good.
    Delete,
}

impl Change {
    fn of<K>(self, object: K) -> Event<K> {
        match self {
            Self::Init => Event::InitApply(object),
            Self::Apply => Event::Apply(object),
            Self::Delete => Event::Delete(object),
        }
    }
}

/// Sends events. That nobody listens any more is no error.
pub(super) struct Outlets {
    users: UnboundedSender<Event<VpnUser>>,
    holds: UnboundedSender<Event<VpnHold>>,
    gateways: UnboundedSender<Event<VpnGateway>>,
}

impl Outlets {
    /// Sends what happened to the object of this row.
    ///
    /// # Errors
    /// The row does not hold an object of its kind.
    pub fn send(&self, change: Change, row: &Row) -> Result<(), serde_json::Error> {
        match row.kind {
            Kind::User => drop(self.users.send(change.of(assemble(row)?))),
            Kind::Hold => drop(self.holds.send(change.of(assemble(row)?))),
            Kind::Gateway => drop(self.gateways.send(change.of(assemble(row)?))),
        }
        Ok(())
    }

    /// Begins the first load.
    pub fn init(&self) {
        drop(self.users.send(Event::Init));
        drop(self.holds.send(Event::Init));
        drop(self.gateways.send(Event::Init));
    }

    /// Ends the first load. Holds come first, so that nobody who listens to all of them lets a held person in.
    pub fn init_done(&self) {
        drop(self.holds.send(Event::InitDone));
        drop(self.gateways.send(Event::InitDone));
        drop(self.users.send(Event::InitDone));
    }
}

/// The receiving ends, until they are taken.
pub(super) struct Inlets(Mutex<Option<Watches>>);

impl Inlets {
    /// The streams; later calls get streams without events.
    pub fn take(&self) -> Watches {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| {
            tracing::error!("the folder is watched twice: the second watcher gets no events");
            Watches {
                users: stream::pending().boxed(),
                holds: stream::pending().boxed(),
                gateways: stream::pending().boxed(),
            }
        })
    }
}

/// A new set of streams.
pub(super) fn streams() -> (Outlets, Inlets) {
    let (users, user_events) = unbounded_channel();
    let (holds, hold_events) = unbounded_channel();
    let (gateways, gateway_events) = unbounded_channel();
    let watches = Watches {
        users: events(user_events),
        holds: events(hold_events),
        gateways: events(gateway_events),
    };
    let outlets = Outlets { users, holds, gateways };
    (outlets, Inlets(Mutex::new(Some(watches))))
}

fn events<K: Send + 'static>(mut from: UnboundedReceiver<Event<K>>) -> Events<K> {
    stream::poll_fn(move |context| from.poll_recv(context)).boxed()
}
