//! Whether the panel's server lets the operator's accounts in without asking the auth guard. Pure.
//!
//! A list that shows more devices of an account than the one before says that somebody logged in between the two. If auth said no
//! yes for it in that time, nobody asked. Fewer devices, and devices that go and come between two lists, say nothing.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::client::Entry;

/// How long after a yes a device may register: no server waits longer for one.
const REGISTERS: Duration = Duration::from_secs(12);
/// How long what was seen last is held against a panel that has asked since: one of several servers may.
const MEMORY: Duration = Duration::from_secs(600);

/// What the lists of a panel showed.
#[derive(Debug, Default)]
pub(super) struct Bypass {
    /// When the last list was begun, and the devices that it showed.
    before: Option<(Instant, HashMap<String, u32>)>,
    /// When somebody was last seen who came in without asking, and who had asked.
    unasked: Option<Instant>,
    asked: Option<Instant>,
}

impl Bypass {
    /// Takes a list that was begun at `begun`. `ours`: the operator's accounts in it. `last_yes`: when auth last said yes to one.
    pub(super) fn listed(
        &mut self,
        begun: Instant,
        entries: &HashMap<String, Entry>,
        ours: &[Arc<str>],
        last_yes: impl Fn(&str) -> Option<Instant>,
    ) {
        let online = |name: &str| entries.get(name).map_or(0, |entry| entry.online);
        if let Some((since, before)) = &self.before {
            let more = |name: &&Arc<str>| online(name) > before.get(&***name).copied().unwrap_or(0);
            for account in ours.iter().filter(more) {
                let asked = last_yes(account).is_some_and(|yes| yes + REGISTERS >= *since);
                let seen = if asked { &mut self.asked } else { &mut self.unasked };
                *seen = Some(begun);
            }
        }
        let connected = entries.iter().filter(|(_, entry)| entry.online > 0);
        let connected = connected.map(|(name, entry)| (name.clone(), entry.online));
        self.before = Some((begun, connected.collect()));
    }

    /// Whether people are let in without asking, as far as is known at `now`.
    pub(super) fn is_so(&self, now: Instant) -> bool {
        self.unasked.is_some_and(|unasked| {
            let asked_since = self.asked.is_some_and(|asked| asked > unasked);
            !asked_since || now.saturating_duration_since(unasked) < MEMORY
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        bypass: Bypass,
        begin: Instant,
        yes: Option<Instant>,
    }

    impl World {
        fn new() -> Self {
            Self {
                bypass: Bypass::default(),
                begin: Instant::now(),
                yes: None,
            }
        }

        fn at(&self, second: u64) -> Instant {
            self.begin + Duration::from_secs(second)
        }

        fn list(&mut self, second: u64, devices: u32) -> bool {
            let entry = |online| Entry {
                password: "secret".into(),
                limit: None,
                days: None,
                created: None,
                blocked: false,
                unlimited: false,
                note: String::new(),
                moved: (0, 0),
                online,
            };
            let entries = [("corp_a", devices), ("guest", devices + 1)];
            let entries = entries.map(|(name, online)| (name.to_owned(), entry(online)));
            let (at, yes) = (self.at(second), self.yes);
            self.bypass.listed(at, &entries.into(), &["corp_a".into()], |_| yes);
            self.bypass.is_so(at)
        }
    }

    #[test]
    fn a_device_that_nobody_asked_about_is_seen_and_one_that_was_there_before_is_not() {
        let mut world = World::new();
        assert!(!world.list(100, 2), "they were there before");
        assert!(!world.list(130, 2) && !world.list(160, 1));
        assert!(world.list(190, 2));
    }

    #[test]
    fn a_device_that_auth_let_in_is_no_sign() {
        let mut world = World::new();
        world.list(100, 0);
        world.yes = Some(world.at(110));
        assert!(!world.list(130, 1));
        // Said before the list, and registered after it was counted.
        world.yes = Some(world.at(125));
        assert!(!world.list(160, 2));
        world.yes = Some(world.at(100));
        assert!(world.list(190, 3));
    }

    #[test]
    fn what_was_seen_is_forgotten_ten_minutes_after_it_when_the_panel_asks_again() {
        let mut world = World::new();
        world.list(100, 0);
        assert!(world.list(130, 1));
        assert!(world.list(5000, 1), "nobody asked since");
        world.yes = Some(world.at(5010));
        assert!(!world.list(5030, 2), "long ago, and it asks");
        assert!(world.list(5060, 3));
        world.yes = Some(world.at(5070));
        assert!(world.list(5090, 4), "a moment ago");
    }
}
