//! What a Hysteria2 node keeps: connections, counters and the kick set, as the server has them. Pure: the caller gives the time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

/// The connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Bytes of one id, or of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// Sent by the server towards the target: the user's upload.
    pub tx: u64,
    /// The other way: the user's download.
    pub rx: u64,
}

impl Counter {
    fn add(&mut self, up: u64, down: u64) {
        self.tx += up;
        self.rx += down;
    }
}

/// One client's connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// What auth called the session.
    pub id: String,
    /// Where the client is, as `ip:port`.
    pub addr: String,
    /// What it moved.
    pub moved: Counter,
    /// The client is gone without a goodbye; the connection ends by itself then.
    ends: Option<Instant>,
}

/// A node.
#[derive(Debug, Default)]
pub struct Node {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    traffic: HashMap<String, Counter>,
    kicked: BTreeSet<String>,
}

impl Node {
    /// A client that auth let in is connected from now on. Answers the number of its connection.
    pub fn connect(&mut self, id: String, addr: &str) -> u64 {
        self.next += 1;
        let connection = Connection {
            id,
            addr: addr.to_owned(),
            moved: Counter::default(),
            ends: None,
        };
        self.connections.insert(self.next, connection);
        self.next
    }

    /// Moves bytes up and down. The first byte of any connection of a kicked id takes the id out of the kick set, and closes that
    /// connection instead. Keepalives, which move nothing, do neither.
    ///
    /// # Errors
    /// The connection is closed, by this byte or already.
    pub fn send(&mut self, connection: u64, up: u64, down: u64, now: Instant) -> Result<(), Closed> {
        self.expire(now);
        let present = self.connections.get_mut(&connection).ok_or(Closed)?;
        if up + down == 0 {
            return Ok(());
        }
        if self.kicked.remove(&present.id) {
            self.connections.remove(&connection);
            return Err(Closed);
        }
        present.moved.add(up, down);
        self.traffic.entry(present.id.clone()).or_default().add(up, down);
        Ok(())
    }

    /// The client says goodbye.
    pub fn close(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// The client is gone without a goodbye: it stays online until then.
    pub fn vanish(&mut self, connection: u64, until: Instant) {
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.ends = Some(until);
        }
    }

    /// Puts ids into the kick set, whether they are online or not.
    pub fn kick(&mut self, ids: impl IntoIterator<Item = String>) {
        self.kicked.extend(ids);
    }

    /// Connections of each id that has any.
    pub fn online(&mut self, now: Instant) -> BTreeMap<String, u32> {
        let mut online = BTreeMap::new();
        for (_, connection) in self.connections(now) {
            *online.entry(connection.id.clone()).or_default() += 1;
        }
        online
    }

    /// Counters of every id that ever moved a byte since the start.
    #[must_use]
    pub fn traffic(&self) -> &HashMap<String, Counter> {
        &self.traffic
    }

    /// Sets every counter to nothing, as `?clear=1` does.
    pub fn clear_traffic(&mut self) {
        self.traffic.clear();
    }

    /// The connections with their numbers.
    pub fn connections(&mut self, now: Instant) -> impl Iterator<Item = (u64, &Connection)> {
        self.expire(now);
        self.connections
            .iter()
            .map(|(number, connection)| (*number, connection))
    }

    /// The server is restarted: connections, counters and kick set are gone.
    pub fn restart(&mut self) {
        self.connections.clear();
        self.traffic.clear();
        self.kicked.clear();
    }

    fn expire(&mut self, now: Instant) {
        self.connections
            .retain(|_, connection| connection.ends.is_none_or(|ends| ends > now));
    }
}
