//! Simulated devices: they log in by way of the operator's auth listener, move bytes all the time, are cut by a kick at the next
//! byte, and try again, as the official client does.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::statistics::SharedNode;

/// Most people who are given devices.
const MAX_PEOPLE: usize = 8;
/// What the devices of a person are called; there are at most so many.
const NAMES: [&str; 3] = ["phone", "laptop", "tablet"];
/// Pause between two moves of bytes: a device is cut within it.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes up and down of one move.
const BYTES: (u64, u64) = (1024, 8 * 1024);
/// Pause before a device that is out tries again.
const RETRY: Duration = Duration::from_secs(1);
/// How often new people are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// How long Hysteria waits for auth.
const AUTH_TIMEOUT: Duration = Duration::from_secs(10);

/// Somebody who is given devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Corporate ID.
    pub id: String,
    /// How many devices the person may use at once, if that is limited.
    pub max_devices: Option<u32>,
}

impl Person {
    /// One device; as many as may be used at once where that is limited, and never more than have a name.
    fn devices(&self) -> &'static [&'static str] {
        let count = self
            .max_devices
            .map_or(1, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        &NAMES[..count.min(NAMES.len())]
    }
}

/// Who there is, ordered by ID.
pub type People = Arc<dyn Fn() -> Vec<Person> + Send + Sync>;

/// What a person's app sends at a login (`account:password`), by corporate ID; `None` for who is gone.
pub type Credentials = Arc<dyn Fn(&str) -> Option<SecretString> + Send + Sync>;

/// What the devices work with.
#[derive(Clone)]
pub struct World {
    /// The node that they are connected to.
    pub node: SharedNode,
    /// Where the node asks whom to let in, with its path secret.
    pub auth_url: SecretString,
    /// Who there is.
    pub people: People,
    /// What they log in with.
    pub credentials: Credentials,
}

/// Which devices are connected: one entry a device, by person.
type Board = Arc<Mutex<BTreeMap<String, Vec<bool>>>>;

/// Gives devices to the first people there are, and to who is declared later, until `end`.
///
/// # Errors
/// No HTTP client can be made.
pub async fn run(world: World, end: CancellationToken) -> reqwest::Result<()> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(AUTH_TIMEOUT)
        .build()?;
    let (mut known, mut devices, board) = (HashSet::new(), JoinSet::new(), Board::default());
    loop {
        let people = if known.len() < MAX_PEOPLE {
            (world.people)()
        } else {
            Vec::new()
        };
        for person in people {
            if known.len() == MAX_PEOPLE || !known.insert(person.id.clone()) {
                continue;
            }
            for (slot, name) in person.devices().iter().enumerate() {
                let device = Device {
                    person: person.id.clone(),
                    name,
                    slot,
                    // Addresses for documentation: nobody has them.
                    addr: format!("203.0.113.{}:{}", known.len(), 50_000 + slot),
                    world: world.clone(),
                    client: client.clone(),
                    board: Arc::clone(&board),
                };
                devices.spawn(device.live());
            }
        }
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    devices.shutdown().await;
    Ok(())
}

struct Device {
    person: String,
    name: &'static str,
    slot: usize,
    addr: String,
    world: World,
    client: reqwest::Client,
    board: Board,
}

impl Device {
    async fn live(self) {
        let (person, device) = (&self.person, self.name);
        let mut refused = false;
        loop {
            let Some(credential) = (self.world.credentials)(person) else {
                // Nothing to log in with: no link yet, or the person is gone.
                tokio::time::sleep(LOOK).await;
                continue;
            };
            if let Some(id) = self.log_in(&credential).await {
                refused = false;
                self.note(true);
                tracing::info!(person, device, "a simulated device is connected");
                self.work(id).await;
                tracing::info!(person, device, "a simulated device was cut at its next byte");
                self.say_who_is_out();
            } else if !refused {
                refused = true;
                tracing::info!(person, device, "a simulated device is refused");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Asks auth as a node does: everything but a good yes is a refusal.
    async fn log_in(&self, credential: &SecretString) -> Option<String> {
        let login = json!({ "addr": self.addr, "auth": credential.expose_secret(), "tx": 0 });
        let asked = self
            .client
            .post(self.world.auth_url.expose_secret())
            .json(&login)
            .send();
        let answer: Value = asked.await.ok()?.error_for_status().ok()?.json().await.ok()?;
        let id = answer["id"].as_str().filter(|_| answer["ok"] == true)?;
        Some(id.to_owned())
    }

    /// Moves bytes until the node closes the connection.
    async fn work(&self, id: String) {
        let connection = self.world.node.lock().connect(id, &self.addr);
        let (up, down) = BYTES;
        while self
            .world
            .node
            .lock()
            .send(connection, up, down, Instant::now())
            .is_ok()
        {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&self, connected: bool) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let devices = board.entry(self.person.clone()).or_default();
        if devices.len() <= self.slot {
            devices.resize(self.slot + 1, false);
        }
        devices[self.slot] = connected;
    }

    /// Says when the last device of a person is out, and how many others go on. Those lost nothing: a device that is connected
    /// has had every byte through since it logged in.
    fn say_who_is_out(&self) {
        self.note(false);
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let own = board.get(&self.person).map_or(&[][..], Vec::as_slice);
        if own.contains(&true) {
            return;
        }
        let others = board.values().flatten().filter(|connected| **connected).count();
        tracing::info!(
            person = self.person,
            "all {} simulated devices are out; {others} of other people go on, and lost nothing",
            own.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_one_device_or_as_many_as_are_allowed_and_three_at_most() {
        let devices = |max_devices| {
            let id = "AB123456".to_owned();
            Person { id, max_devices }.devices().len()
        };
        assert_eq!([None, Some(1), Some(3), Some(u32::MAX)].map(devices), [1, 1, 3, 3]);
    }
}
