//! The connections of one listener: no more than so many, and when they are all taken the idlest makes room.
//!
//! A connection is idle since its last request ended or, before its first one, since it was made. Bytes that are no request
//! count for nothing: whoever sends one at a time stays idle. A connection that a request is worked on for goes last.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum_server::accept::{Accept, NoDelayAcceptor};
use futures::{
    future::{BoxFuture, FutureExt as _},
    task::AtomicWaker,
};
use tokio::net::TcpStream;
use tower::Service;

use super::{
    descriptors::Descriptors,
    watched_stream::{Watch, WatchedStream},
};
use crate::metrics::{Listener, Metrics};

/// Pause between two log lines about a listener that is full.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// The connections of one listener.
pub struct Connections {
    listener: Listener,
    most: usize,
    metrics: Arc<Metrics>,
    begun: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Arc<Connection>>,
    said: Option<Instant>,
}

/// One connection, as its stream, its service and the table know it.
#[derive(Default)]
struct Connection {
    /// Requests that are worked on.
    requests: AtomicU32,
    /// Milliseconds after the listener began.
    idle_since: AtomicU64,
    closed: AtomicBool,
    task: AtomicWaker,
}

impl Connection {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Registers the task that serves the connection.
    ///
    /// # Errors
    /// It had to make room.
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.task.register(cx.waker());
        if self.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl Connections {
    /// At most so many at a time.
    #[must_use]
    pub fn new(listener: Listener, most: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            listener,
            most,
            metrics,
            begun: Instant::now(),
            table: Mutex::default(),
        })
    }

    /// As many at a time as the process has for a listener.
    #[must_use]
    pub fn of(listener: Listener, descriptors: Descriptors, metrics: &Arc<Metrics>) -> Arc<Self> {
        let most = match listener {
            Listener::Auth => descriptors.auth,
            Listener::Api => descriptors.api,
        };
        Self::new(listener, most, Arc::clone(metrics))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes one up; the idlest other one goes when there are too many.
    fn take(self: &Arc<Self>) -> Place {
        let connection = Arc::new(Connection::default());
        connection.idle_since.store(self.now(), Ordering::Relaxed);
        let mut table = self.table();
        let idlest = |(number, it): (&u64, &Arc<Connection>)| {
            let busy = it.requests.load(Ordering::Relaxed) > 0;
            // Of those of one moment the first.
            (busy, it.idle_since.load(Ordering::Relaxed), *number)
        };
        if table.open.len() >= self.most
            && let Some((_, _, number)) = table.open.iter().map(idlest).min()
            && let Some(idlest) = table.open.remove(&number)
        {
            idlest.close();
            self.metrics.connection_evicted(self.listener);
            if table.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                table.said = Some(Instant::now());
                tracing::warn!(
                    listener = ?self.listener,
                    limit = self.most,
                    "every connection is taken: the idlest are closed"
                );
            }
        }
        let number = table.next;
        table.next += 1;
        table.open.insert(number, Arc::clone(&connection));
        self.metrics.connections(self.listener, table.open.len());
        drop(table);
        Place {
            of: Arc::clone(self),
            number,
            connection,
        }
    }
}

/// A connection's place in the table, for as long as its stream is open. The stream ends when it has to make room.
pub struct Place {
    of: Arc<Connections>,
    number: u64,
    connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.of.table();
        table.open.remove(&self.number);
        self.of.metrics.connections(self.of.listener, table.open.len());
    }
}

impl Watch for Place {
    fn before(&self, cx: &Context<'_>) -> io::Result<()> {
        self.connection.check(cx)
    }
}

/// Gives every new connection its place.
#[derive(Clone)]
pub struct Bounded(pub Arc<Connections>);

impl<S: Send + 'static> Accept<TcpStream, S> for Bounded {
    type Stream = WatchedStream<TcpStream, Place>;
    type Service = BoundedService<S>;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = self.0.take();
        let accepted = NoDelayAcceptor::new().accept(stream, service);
        async move {
            let (stream, service) = accepted.await?;
            let service = BoundedService {
                service,
                connection: Arc::clone(&place.connection),
                of: Arc::clone(&place.of),
            };
            Ok((WatchedStream { stream, watch: place }, service))
        }
        .boxed()
    }
}

/// Notes what the connection's requests do.
#[derive(Clone)]
pub struct BoundedService<S> {
    service: S,
    connection: Arc<Connection>,
    of: Arc<Connections>,
}

/// A request that is worked on; also when its answer is given up.
struct Request {
    connection: Arc<Connection>,
    of: Arc<Connections>,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.connection.idle_since.store(self.of.now(), Ordering::Relaxed);
        self.connection.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S: Service<R>, R> Service<R> for BoundedService<S>
where
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.connection.requests.fetch_add(1, Ordering::Relaxed);
        let begun = Request {
            connection: Arc::clone(&self.connection),
            of: Arc::clone(&self.of),
        };
        let answer = self.service.call(request);
        async move {
            let _begun = begun;
            answer.await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(of: &Connections) -> Vec<u64> {
        let mut open: Vec<u64> = of.table().open.keys().copied().collect();
        open.sort_unstable();
        open
    }

    #[test]
    fn the_idlest_makes_room_and_a_request_that_is_worked_on_goes_last() {
        let of = Connections::new(Listener::Auth, 3, Arc::default());
        let mut places: Vec<Place> = (0..3).map(|_| of.take()).collect();
        let request = |place: &Place| {
            place.connection.requests.fetch_add(1, Ordering::Relaxed);
            Request {
                connection: Arc::clone(&place.connection),
                of: Arc::clone(&of),
            }
        };
        let worked_on = request(&places[0]);
        // As long after as a clock that counts milliseconds can see.
        while of.now() <= places[2].connection.idle_since.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        drop(request(&places[1]));
        places.push(of.take());
        assert_eq!(open(&of), [0, 1, 3], "the third was idle for longest");
        assert!(places[2].connection.closed.load(Ordering::Relaxed));
        places.push(of.take());
        places.push(of.take());
        assert_eq!(open(&of), [0, 4, 5], "nobody has a request but the first");
        let (four, five) = (request(&places[4]), request(&places[5]));
        places.push(of.take());
        assert_eq!(open(&of), [4, 5, 6], "all are busy: the longest goes");
        drop((worked_on, four, five));
        places.clear();
        assert_eq!(open(&of), [0; 0]);
    }
}
