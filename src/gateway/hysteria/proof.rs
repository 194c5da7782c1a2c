//! What one node has proved about one revocation. Pure.
//!
//! A kick is an entry in a set: the first payload byte that *any* connection of the id moves takes the entry out and
//! closes that one connection. So an acknowledged kick holds an id down only if no more than one connection bears it at
//! that time; while a node shows two, or while it is not known how many there are, one kick is not enough.
//!
//! That a node acknowledges a kick does not make it true. A session that is held down moves nothing, so its counters stand still;
//! bytes that were counted before the kick, or while the connection was being closed, show once. An id whose counters grow twice,
//! [`CLOSING`] apart, moves on: it is held down again only when it is gone.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How often an id that stays online although it is held down is kicked again: its entry may have been taken out by a
/// connection that registered late under the same id.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a node may take to close a connection whose first byte was stopped. What its other streams move until then is counted.
const CLOSING: Duration = Duration::from_millis(250);

/// One session id that has to go.
#[derive(Debug, Clone, Copy, Default)]
struct Live {
    /// Connections at the last look.
    shown: u32,
    /// When that look was answered.
    shown_at: Option<Instant>,
    /// When the last acknowledged kick was begun.
    kicked_at: Option<Instant>,
    /// When the last kick was acknowledged.
    acknowledged_at: Option<Instant>,
    /// No connection of this id can move another byte.
    held_down: bool,
    /// Bytes that it had moved by the first look at the counters since it is held down.
    moved: Option<u64>,
    /// When it was found to have moved more.
    grew_at: Option<Instant>,
    /// It moved on although it was held down.
    defies: bool,
}

impl Live {
    /// It can move bytes again, by all that is known.
    fn let_loose(&mut self) {
        self.held_down = false;
        self.moved = None;
        self.grew_at = None;
    }

    /// Takes what it has moved by a look at the counters. Answers whether it moves on although it is held down.
    fn count(&mut self, begun: Instant, answered: Instant, total: u64) -> bool {
        if !self.held_down {
            return false;
        }
        let Some(before) = self.moved else {
            if self.acknowledged_at.is_some_and(|at| at <= begun) {
                self.moved = Some(total);
            }
            return false;
        };
        self.moved = Some(total);
        match self.grew_at {
            // The node was restarted.
            _ if total < before => self.grew_at = None,
            _ if total == before => {}
            None => self.grew_at = Some(answered),
            Some(at) => return begun.saturating_duration_since(at) >= CLOSING,
        }
        false
    }
}

/// The last look at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum LastLook {
    /// There was none since the denial.
    #[default]
    None,
    /// More may be on the node than it shows.
    Doubted,
    /// What the node shows is all that is on it.
    Believed,
}

/// What one node has proved about one revocation.
#[derive(Debug, Default)]
pub(super) struct Proof {
    last_look: LastLook,
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
    /// connections. `settled` says that auth gave no yes after the look was begun, `believed` that what the node shows is all that
    /// is on it. Answers the ids to kick now.
    pub(super) fn look(
        &mut self,
        answered: Instant,
        online: &[(&str, u32)],
        settled: bool,
        believed: bool,
    ) -> Vec<String> {
        let online: HashMap<&str, u32> = online.iter().copied().collect();
        for id in online.keys() {
            if !self.ids.contains_key(*id) {
                self.ids.insert((*id).into(), Live::default());
            }
        }
        let mut kick = Vec::new();
        for (id, live) in &mut self.ids {
            let shown = online.get(id.as_ref()).copied().unwrap_or(0);
            let came_back = self.last_look != LastLook::None && live.shown == 0;
            live.shown = shown;
            live.shown_at = Some(answered);
            if shown == 0 {
                live.defies = false;
                live.held_down |= live.kicked_at.is_some();
                continue;
            }
            if shown > 1 {
                live.let_loose();
            }
            let stale = live
                .kicked_at
                .is_none_or(|at| answered.saturating_duration_since(at) >= AGAIN);
            // A node that does nothing on a kick does nothing on many.
            let loose = !live.held_down && !live.defies;
            if loose || came_back || stale {
                kick.push(id.to_string());
            }
        }
        self.last_look = if believed {
            LastLook::Believed
        } else {
            LastLook::Doubted
        };
        if !online.is_empty() || !believed {
            self.zero = false;
        } else if settled {
            self.zero = true;
        }
        self.judge();
        kick
    }

    /// Takes a look at the counters (tx, rx) by id. Answers the ids that move on although they are held down: to be kicked now.
    pub(super) fn count(
        &mut self,
        begun: Instant,
        answered: Instant,
        counters: &HashMap<String, (u64, u64)>,
    ) -> Vec<String> {
        let mut defiant = Vec::new();
        for (id, live) in &mut self.ids {
            let (tx, rx) = counters.get(id.as_ref()).copied().unwrap_or_default();
            if live.count(begun, answered, tx.saturating_add(rx)) {
                live.let_loose();
                live.defies = true;
                defiant.push(id.to_string());
            }
        }
        self.judge();
        defiant
    }

    /// Whether counters say more than looks: some session is held down and still there.
    pub(super) fn wants_counters(&self) -> bool {
        self.ids.values().any(|live| live.held_down && live.shown > 0)
    }

    /// Whether some session moves on although it was kicked.
    pub(super) fn is_defied(&self) -> bool {
        self.ids.values().any(|live| live.defies)
    }

    /// Takes the node's acknowledgement, at `acknowledged`, of a kick of this id that was begun at `begun`.
    pub(super) fn kicked(&mut self, id: &str, begun: Instant, acknowledged: Instant) {
        let Some(live) = self.ids.get_mut(id) else {
            return;
        };
        live.kicked_at = live.kicked_at.max(Some(begun));
        live.acknowledged_at = live.acknowledged_at.max(Some(acknowledged));
        let known_single = live.shown == 1 && live.shown_at.is_some_and(|at| at <= begun);
        if self.last_look != LastLook::None && !live.defies && (live.shown == 0 || known_single) {
            live.held_down = true;
        }
        self.judge();
    }

    fn judge(&mut self) {
        self.contained = self.last_look == LastLook::Believed && self.ids.values().all(|live| live.held_down);
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
        proof.kicked("a", start, start);
        assert!(!proof.contained(), "how many connections there are is not known yet");
        assert!(proof.look(at(start, 2), &[], true, true).is_empty());
        assert!(proof.contained() && proof.zero());
    }

    #[test]
    fn a_silent_session_is_kicked_once_more_after_it_was_seen_to_be_single() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start, start);
        assert_eq!(proof.look(at(start, 2), &[("a", 1)], true, true), ["a"]);
        assert!(!proof.contained(), "the entry may have been taken out before the look");
        proof.kicked("a", at(start, 3), at(start, 3));
        assert!(proof.contained() && !proof.zero());
        assert!(
            proof.look(at(start, 500), &[("a", 1)], true, true).is_empty(),
            "not sooner than every second"
        );
        assert_eq!(proof.look(at(start, 1003), &[("a", 1)], true, true), ["a"]);
        assert!(proof.contained());
        proof.look(at(start, 1500), &[], true, true);
        assert!(proof.zero());
    }

    #[test]
    fn a_session_that_moves_on_is_kicked_every_second_and_not_with_every_look() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.look(at(start, 1), &[("a", 1)], true, true);
        proof.kicked("a", at(start, 2), at(start, 3));
        let mut kicks = 0;
        let moved = |bytes| HashMap::from([("a".to_owned(), (bytes, 0))]);
        for (round, bytes) in (1..=40).zip((1..).map(|n| n * 1000)) {
            let now = 3 + round * 100;
            let counted = proof.count(at(start, now), at(start, now), &moved(bytes));
            let looked = proof.look(at(start, now + 1), &[("a", 1)], true, true);
            if !(counted.is_empty() && looked.is_empty()) {
                kicks += 1;
                proof.kicked("a", at(start, now + 2), at(start, now + 2));
            }
        }
        assert!(proof.is_defied() && !proof.contained());
        assert!((3..=7).contains(&kicks), "{kicks} kicks in four seconds");
    }

    #[test]
    fn a_kick_under_way_while_the_look_was_taken_proves_nothing() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.look(at(start, 5), &[("a", 1)], true, true);
        proof.kicked("a", at(start, 4), at(start, 4));
        assert!(!proof.contained());
        proof.kicked("a", at(start, 6), at(start, 6));
        assert!(proof.contained());
    }

    #[test]
    fn two_connections_of_one_id_are_kicked_until_one_is_left_and_then_once_more() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        for round in 0..3 {
            proof.kicked("a", at(start, round * 10), at(start, round * 10));
            assert_eq!(proof.look(at(start, round * 10 + 5), &[("a", 2)], true, true), ["a"]);
            assert!(!proof.contained());
        }
        proof.kicked("a", at(start, 40), at(start, 40));
        assert_eq!(proof.look(at(start, 45), &[("a", 1)], true, true), ["a"]);
        assert!(!proof.contained());
        proof.kicked("a", at(start, 46), at(start, 46));
        assert!(proof.contained());
    }

    #[test]
    fn a_second_connection_of_an_id_that_was_held_down_opens_it_again() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.look(at(start, 1), &[("a", 1)], true, true);
        proof.kicked("a", at(start, 2), at(start, 2));
        assert!(proof.contained());
        assert_eq!(proof.look(at(start, 4), &[("a", 2)], true, true), ["a"]);
        assert!(!proof.contained());
    }

    #[test]
    fn an_unknown_id_reopens_containment_and_a_known_one_does_not() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start, start);
        proof.look(at(start, 1), &[], true, true);
        assert!(proof.contained() && proof.zero());
        assert_eq!(proof.look(at(start, 100), &[("a", 1)], true, true), ["a"]);
        assert!(proof.contained() && !proof.zero());
        assert_eq!(proof.look(at(start, 200), &[("b", 1)], true, true), ["b"]);
        assert!(!proof.contained());
        proof.kicked("b", at(start, 201), at(start, 201));
        assert!(proof.contained());
    }

    #[test]
    fn none_online_is_not_zero_while_auth_said_yes_after_the_look() {
        let start = Instant::now();
        let mut proof = Proof::default();
        proof.look(start, &[], false, true);
        assert!(proof.contained() && !proof.zero());
        proof.look(at(start, 100), &[], true, true);
        assert!(proof.zero());
    }

    fn counted(total: u64) -> HashMap<String, (u64, u64)> {
        HashMap::from([("a".to_owned(), (total / 2, total - total / 2))])
    }

    /// A session that is held down and still online.
    fn held_down(start: Instant) -> Proof {
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start, at(start, 1));
        proof.look(at(start, 2), &[("a", 1)], true, true);
        proof.kicked("a", at(start, 3), at(start, 4));
        assert!(proof.contained() && proof.wants_counters());
        proof
    }

    #[test]
    fn a_session_that_moves_on_after_its_kick_takes_the_claim_back_until_it_is_gone() {
        let start = Instant::now();
        let mut proof = held_down(start);
        let read =
            |proof: &mut Proof, millis, total| proof.count(at(start, millis), at(start, millis + 2), &counted(total));
        assert!(read(&mut proof, 5, 100).is_empty());
        assert!(
            read(&mut proof, 100, 200).is_empty(),
            "its other streams may have moved this while it was closed"
        );
        assert!(read(&mut proof, 200, 300).is_empty());
        assert!(proof.contained());
        assert_eq!(read(&mut proof, 400, 400), ["a"]);
        assert!(!proof.contained() && proof.is_defied());
        proof.look(at(start, 500), &[("a", 1)], true, true);
        proof.kicked("a", at(start, 501), at(start, 502));
        assert!(!proof.contained(), "another word of the same kind proves nothing");
        assert!(read(&mut proof, 503, 500).is_empty());
        proof.look(at(start, 900), &[], true, true);
        assert!(proof.contained() && proof.zero() && !proof.is_defied());
    }

    #[test]
    fn what_was_counted_before_the_kick_or_while_the_connection_was_closed_is_no_cause() {
        let start = Instant::now();
        let mut proof = held_down(start);
        proof.count(at(start, 3), at(start, 5), &counted(100));
        proof.count(at(start, 6), at(start, 7), &counted(5_000));
        proof.count(at(start, 8), at(start, 9), &counted(6_000));
        for millis in 1..100 {
            let time = at(start, 1_000 * millis);
            assert!(proof.count(time, time, &counted(6_000)).is_empty());
        }
        assert!(proof.contained());
        proof.count(at(start, 200_000), at(start, 200_000), &counted(10));
        assert!(proof.contained(), "the node was restarted");
    }

    #[test]
    fn a_node_that_is_not_believed_contains_nothing() {
        let start = Instant::now();
        let mut proof = Proof::expecting(["a".into()]);
        proof.kicked("a", start, start);
        proof.look(at(start, 1), &[], true, false);
        assert!(!proof.contained() && !proof.zero());
        proof.look(at(start, 100), &[], true, true);
        assert!(proof.contained() && proof.zero());
    }
}
