//! The blocks of numbers from which other processes hand out sessions.
//!
//! A process that lets people in besides this one (an auth replica) says yes without asking anybody, and its sessions are
//! seen only when a node shows them. What it will hand out next can be told all the same: the lowest free number of its
//! block. A kick that names this number is kept by a node until a session with it passes its first byte, so it also ends a
//! session that a replica lets in because it heard of the denial later.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::slots::BLOCK;

/// How long a block is expected to be in use after a node last showed a session of it.
const MEMORY: Duration = Duration::from_secs(3600);

/// Blocks that are remembered. There are a few replicas; what a node shows is not to be trusted.
const MOST: usize = 32;

/// Blocks that nodes showed lately.
pub(super) struct Blocks {
    own: u32,
    seen: Mutex<BTreeMap<u32, Instant>>,
}

impl Blocks {
    /// `own` is the first number of this process's block, which is not one of the others.
    pub fn new(own: u32) -> Self {
        Self {
            own,
            seen: Mutex::default(),
        }
    }

    /// A node shows sessions with these numbers.
    pub fn saw(&self, numbers: impl Iterator<Item = u32>, now: Instant) {
        let mut last = 0;
        for number in numbers {
            let first = number - number % BLOCK;
            if first == 0 || first == self.own || first == last {
                continue;
            }
            last = first;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() >= MOST && !seen.contains_key(&first) {
                seen.retain(|_, at| now.saturating_duration_since(*at) < MEMORY);
            }
            if seen.len() < MOST || seen.contains_key(&first) {
                seen.insert(first, now);
            }
        }
    }

    /// First numbers of the others' blocks.
    pub fn others(&self, now: Instant) -> Vec<u32> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = seen
            .iter()
            .filter(|(_, at)| now.saturating_duration_since(**at) < MEMORY);
        lately.map(|(first, _)| *first).collect()
    }
}
