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

/// Users that are on their way at a time: a hundred thousand at once, in the first load or because a long file has changed,
/// would take memory that no allocator gives back.
const ON_THEIR_WAY: usize = 1024;
/// Users that are gathered at the most: the last document of a very long file need not hold up the first.
const LARGEST_BATCH: usize = 512;
/// How long is waited for somebody who takes nothing.
const RECEIVER_TIMEOUT: Duration = Duration::from_millis(500);

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

/// Events of one kind that belong together: whoever takes the first has all of them.
type Batch<K> = Vec<Event<K>>;

/// Events of one kind on their way out.
struct KindSender<K> {
    sender: UnboundedSender<Batch<K>>,
    gathered: Batch<K>,
}

impl<K> KindSender<K> {
    const fn new(sender: UnboundedSender<Batch<K>>) -> Self {
        Self {
            sender,
            gathered: Vec::new(),
        }
    }

    fn send(&mut self, event: Event<K>) {
        self.gathered.push(event);
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            drop(self.sender.send(std::mem::take(&mut self.gathered)));
        }
    }
}

/// Sends events. What is sent between two calls of [`EventSender::flush`] arrives as one, so that the guard judges the documents
/// of a file together. That nobody listens any more is no error.
pub(super) struct EventSender {
    users: KindSender<VpnUser>,
    holds: KindSender<VpnHold>,
    gateways: KindSender<VpnGateway>,
    /// Events of users that were sent and not yet taken.
    under_way: Arc<AtomicUsize>,
    /// Nobody took them in time.
    unheard: AtomicBool,
}

impl EventSender {
    /// Sends what happened to the object of this row.
    ///
    /// # Errors
    /// The row does not hold an object of its kind.
    pub fn send(&mut self, change: Change, row: &Row) -> Result<(), serde_json::Error> {
        match row.kind {
            Kind::User => {
                let event = change.of(assemble(row)?);
                self.wait_for_room();
                self.under_way.fetch_add(1, Ordering::Relaxed);
                self.users.send(event);
            }
            Kind::Hold => self.holds.send(change.of(assemble(row)?)),
            Kind::Gateway => self.gateways.send(change.of(assemble(row)?)),
        }
        if change == Change::Init || self.users.gathered.len() >= LARGEST_BATCH {
            self.flush();
        }
        Ok(())
    }

    /// Lets go of what was sent. Holds come first, so that nobody who listens to all of them lets a held person in.
    pub fn flush(&mut self) {
        self.holds.flush();
        self.gateways.flush();
        self.users.flush();
    }

    /// Not for somebody who does not listen (yet), and not again until somebody does: nothing may depend on it.
    fn wait_for_room(&self) {
        let full = || self.under_way.load(Ordering::Relaxed) >= ON_THEIR_WAY;
        if !full() {
            return self.unheard.store(false, Ordering::Relaxed);
        }
        if self.unheard.load(Ordering::Relaxed) {
            return;
        }
        let until = Instant::now() + RECEIVER_TIMEOUT;
        while full() {
            if self.users.sender.is_closed() || Instant::now() >= until {
                return self.unheard.store(true, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Begins the first load.
    pub fn init(&mut self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.users.send(Event::Init);
        self.holds.send(Event::Init);
        self.gateways.send(Event::Init);
        self.flush();
    }

    /// Ends the first load.
    pub fn init_done(&mut self) {
        self.holds.send(Event::InitDone);
        self.gateways.send(Event::InitDone);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.users.send(Event::InitDone);
        self.flush();
    }
}

/// The receiving ends, until they are taken.
pub(super) struct EventReceiver(Mutex<Option<Watches>>);

impl EventReceiver {
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
pub(super) fn streams() -> (EventSender, EventReceiver) {
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
    let sender = EventSender {
        users: KindSender::new(users),
        holds: KindSender::new(holds),
        gateways: KindSender::new(gateways),
        under_way,
        unheard: AtomicBool::new(false),
    };
    (sender, EventReceiver(Mutex::new(Some(watches))))
}

fn events<K: Send + 'static>(mut from: UnboundedReceiver<Batch<K>>) -> Events<K> {
    stream::poll_fn(move |context| from.poll_recv(context))
        .flat_map(stream::iter)
        .boxed()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_sent_together_arrives_together() {
        let (sender, receiver) = unbounded_channel();
        let mut sender = KindSender::new(sender);
        let mut taken = events::<u32>(receiver).ready_chunks(4096);
        // More than a task may receive from a channel in one turn.
        for number in 0..1000 {
            sender.send(Event::Apply(number));
            assert!(taken.next().now_or_never().is_none());
        }
        sender.flush();
        assert_eq!(taken.next().await.unwrap().len(), 1000);
    }
}
