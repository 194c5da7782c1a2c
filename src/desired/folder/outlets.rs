//! The watch streams' sending ends.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::object::{Kind, Row, assemble};
use crate::{
    desired::{Event, Events, Watches},
    model::{gateway::VpnGateway, hold::VpnHold, user::VpnUser},
};

/// Objects of the first load that are on their way at a time: a hundred thousand at once would take memory that no
/// allocator gives back.
const ON_THEIR_WAY: usize = 1024;
/// How long the first load waits for somebody who takes nothing.
const PATIENCE: Duration = Duration::from_millis(500);

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
    /// Events of users that were sent and not yet taken.
    under_way: Arc<AtomicUsize>,
    /// Nobody took them in time.
    unheard: AtomicBool,
}

impl Outlets {
    /// Sends what happened to the object of this row.
    ///
    /// # Errors
    /// The row does not hold an object of its kind.
    pub fn send(&self, change: Change, row: &Row) -> Result<(), serde_json::Error> {
        match row.kind {
            Kind::User => {
                let event = change.of(assemble(row)?);
                self.wait_for_room(change);
                self.under_way.fetch_add(1, Ordering::Relaxed);
                drop(self.users.send(event));
            }
            Kind::Hold => drop(self.holds.send(change.of(assemble(row)?))),
            Kind::Gateway => drop(self.gateways.send(change.of(assemble(row)?))),
        }
        Ok(())
    }

    /// Only in the first load, and not for somebody who does not listen (yet): nothing may depend on it.
    fn wait_for_room(&self, change: Change) {
        let full = || self.under_way.load(Ordering::Relaxed) >= ON_THEIR_WAY;
        if change != Change::Init || self.unheard.load(Ordering::Relaxed) || !full() {
            return;
        }
        let until = Instant::now() + PATIENCE;
        while full() {
            if self.users.is_closed() || Instant::now() >= until {
                return self.unheard.store(true, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Begins the first load.
    pub fn init(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        drop(self.users.send(Event::Init));
        drop(self.holds.send(Event::Init));
        drop(self.gateways.send(Event::Init));
    }

    /// Ends the first load. Holds come first, so that nobody who listens to all of them lets a held person in.
    pub fn init_done(&self) {
        drop(self.holds.send(Event::InitDone));
        drop(self.gateways.send(Event::InitDone));
        self.under_way.fetch_add(1, Ordering::Relaxed);
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
    let under_way = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&under_way);
    let user_events = events(user_events).inspect(move |_| _ = taken.fetch_sub(1, Ordering::Relaxed));
    let watches = Watches {
        users: user_events.boxed(),
        holds: events(hold_events),
        gateways: events(gateway_events),
    };
    let outlets = Outlets {
        users,
        holds,
        gateways,
        under_way,
        unheard: AtomicBool::new(false),
    };
    (outlets, Inlets(Mutex::new(Some(watches))))
}

fn events<K: Send + 'static>(mut from: UnboundedReceiver<Event<K>>) -> Events<K> {
    stream::poll_fn(move |context| from.poll_recv(context)).boxed()
}
