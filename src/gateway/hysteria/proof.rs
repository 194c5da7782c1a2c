//! What one node has proved about one revocation. Pure.
//!
//! A kick is an entry in a set: the first payload byte that *any* connection of the id moves takes the entry out and
//! closes that one connection. So an acknowledged kick holds an id down only if no more than one connection bears it at
//! that time; while a node shows two, or while it is not known how many there are, one kick is not enough.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often an id that stays online although it is held down is kicked again: its entry may have been taken out by a
/// connection that registered late under the same id.
const AGAIN: Duration = Duration::from_secs(1);

/// One session id that has to go.
#[derive(Debug, Clone, Copy, Default)]
struct Live {
    /// Connections at the last look.
    shown: u32,
    /// When that look was answered.
    shown_at: Option<Instant>,
    /// When the last acknowledged kick was begun.
    kicked_at: Option<Instant>,
    /// No connection of this id can move another byte.
    held_down: bool,
}

/// What one node has proved about one revocation.
#[derive(Debug, Default)]
pub(super) struct Proof {
    looked: bool,
    contained: bool,
    zero: bool,
    ids: HashMap<Box<str>, Live>,
}

impl Proof {
    /// Nothing proved yet; these ids are to be kicked, shown or not.
    pub(super) fn expecting(ids: impl IntoIterator<Item = Box<str>>) -> Self {
        Self {
            ids: ids.into_iter().map(|id| (id, Live::default())).collect(),
            ..Self::default()
        }
    }

    /// No session of the revocation can move another byte through this node.
    pub(super) const fn contained(&self) -> bool {
        self.contained
    }

    /// A look showed none.
    pub(super) const fn zero(&self) -> bool {
        self.zero
    }

    /// The ids that had or have to go.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(AsRef::as_ref)
    }

    /// One more id that is to be kicked, shown or not. Says whether it is new.
    pub(super) fn expect(&mut self, id: &str) -> bool {
        if self.ids.contains_key(id) {
            return false;
        }
        self.ids.insert(id.into(), Live::default());
        self.zero = false;
        self.judge();
        true
    }

    /// Takes a look that was begun after the denial: of the sessions that have to go, those online and their number of
    /// connections. `settled` says that auth gave no yes after the look was begun. Answers the ids to kick now.
    pub(super) fn look(&mut self, answered: Instant, online: &[(&str, u32)], settled: bool) -> Vec<String> {
        let online: HashMap<&str, u32> = online.iter().copied().collect();
        for id in online.keys() {
            if !self.ids.contains_key(*id) {
                self.ids.insert((*id).into(), Live::default());
            }
        }
        let mut kick = Vec::new();
        for (id, live) in &mut self.ids {
            let shown = online.get(id.as_ref()).copied().unwrap_or(0);
            let came_back = self.looked && live.shown == 0;
            live.shown = shown;
            live.shown_at = Some(answered);
            if shown == 0 {
                live.held_down |= live.kicked_at.is_some();
                continue;
            }
            live.held_down &= shown == 1;
            let stale = live
                .kicked_at
                .is_none_or(|at| answered.saturating_duration_since(at) >= AGAIN);
            if !live.held_down || came_back || stale {
                kick.push(id.to_string());
            }
        }
        self.looked = true;
        if !online.is_empty() {
            self.zero = false;
        } else if settled {
            self.zero = true;
        }
        self.judge();
        kick
    }

    /// Takes the node's acknowledgement of a kick of this id that was begun at `begun`.
    pub(super) fn kicked(&mut self, id: &str, begun: Instant) {
        let Some(live) = self.ids.get_mut(id) else {
            return;
        };
        live.kicked_at = live.kicked_at.max(Some(begun));
        let known_single = live.shown == 1 && live.shown_at.is_some_and(|at| at <= begun);
        if self.looked && (live.shown == 0 || known_single) {
            live.held_down = true;
        }
        self.judge();
    }

    fn judge(&mut self) {
        self.contained = self.looked && self.ids.values().all(|live| live.held_down);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_busy_session_is_contained_by_one_kick_and_one_look() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start);
        assert!(!proof.contained(), "how many connections there are is not known yet");
        assert!(proof.look(at(start, 2), &[], true).is_empty());
        assert!(proof.contained() && proof.zero());
    }

    #[test]
    fn a_silent_session_is_kicked_once_more_after_it_was_seen_to_be_single() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start);
        assert_eq!(proof.look(at(start, 2), &[("a", 1)], true), ["a"]);
        assert!(!proof.contained(), "the entry may have been taken out before the look");
        proof.kicked("a", at(start, 3));
        assert!(proof.contained() && !proof.zero());
        assert!(
            proof.look(at(start, 500), &[("a", 1)], true).is_empty(),
            "not sooner than every second"
        );
        assert_eq!(proof.look(at(start, 1003), &[("a", 1)], true), ["a"]);
        assert!(proof.contained());
        proof.look(at(start, 1500), &[], true);
        assert!(proof.zero());
    }

    #[test]
    fn a_kick_under_way_while_the_look_was_taken_proves_nothing() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.look(at(start, 5), &[("a", 1)], true);
        proof.kicked("a", at(start, 4));
        assert!(!proof.contained());
        proof.kicked("a", at(start, 6));
        assert!(proof.contained());
    }

    #[test]
    fn two_connections_of_one_id_are_kicked_until_one_is_left_and_then_once_more() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        for round in 0..3 {
            proof.kicked("a", at(start, round * 10));
            assert_eq!(proof.look(at(start, round * 10 + 5), &[("a", 2)], true), ["a"]);
            assert!(!proof.contained());
        }
        proof.kicked("a", at(start, 40));
        assert_eq!(proof.look(at(start, 45), &[("a", 1)], true), ["a"]);
        assert!(!proof.contained());
        proof.kicked("a", at(start, 46));
        assert!(proof.contained());
    }

    #[test]
    fn a_second_connection_of_an_id_that_was_held_down_opens_it_again() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.look(at(start, 1), &[("a", 1)], true);
        proof.kicked("a", at(start, 2));
        assert!(proof.contained());
        assert_eq!(proof.look(at(start, 4), &[("a", 2)], true), ["a"]);
        assert!(!proof.contained());
    }

    #[test]
    fn an_unknown_id_reopens_containment_and_a_known_one_does_not() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start);
        proof.look(at(start, 1), &[], true);
        assert!(proof.contained() && proof.zero());
        assert_eq!(proof.look(at(start, 100), &[("a", 1)], true), ["a"]);
        assert!(proof.contained() && !proof.zero());
        assert_eq!(proof.look(at(start, 200), &[("b", 1)], true), ["b"]);
        assert!(!proof.contained());
        proof.kicked("b", at(start, 201));
        assert!(proof.contained());
    }

    #[test]
    fn none_online_is_not_zero_while_auth_said_yes_after_the_look() {
        let start = Instant::now();
        let mut proof = Proof::default();
        proof.look(start, &[], false);
        assert!(proof.contained() && !proof.zero());
        proof.look(at(start, 100), &[], true);
        assert!(proof.zero());
    }
}
