//! One candidate's part in the election, without I/O and without a clock.
//!
//! The driver asks [`Candidate::next`], does what it says, and hands in what came back. An answer that never comes needs no
//! call: every step first makes the candidate doubt what it knew, and only an answer takes the doubt away. Times are since
//! boot, of this machine; a wall clock is only written into the lease for people to read, never compared.

use std::time::Duration;

use jiff::Timestamp;

use super::Times;

/// What a lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it. Empty when nobody does.
    pub holder: String,
    /// For how long it keeps others out, in seconds.
    pub duration_seconds: i32,
    /// Since when the holder has held it, by the holder's wall clock.
    pub acquired: Option<Timestamp>,
    /// When the holder renewed it, by the holder's wall clock. Whole microseconds.
    pub renewed: Option<Timestamp>,
    /// How many times it went from one holder to another.
    pub transitions: i32,
}

/// A lease as the API server showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it says.
    pub record: Record,
    /// Its resource version.
    pub version: String,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read the lease, then [`Candidate::read`].
    Read,
    /// Create the lease, then [`Candidate::wrote`].
    Create(Record),
    /// Replace the lease if it still has the version, then [`Candidate::wrote`].
    Replace(Record, String),
    /// Another holds it: ask again after a pause.
    Wait,
    /// This candidate held it, and does not any more. Terminal.
    Lost(Loss),
    /// It was given back, or there was nothing to give back. Terminal.
    Resigned,
}

/// How a lease was lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It was not renewed in time.
    #[error("it could not be renewed before the deadline: look at the API server and the network in between")]
    Deadline,
    /// Somebody else wrote it.
    #[error("it was taken away, and is held by {0:?} now")]
    Taken(String),
}

/// What is known of the lease at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// It may have changed.
    Stale,
    /// It is as `observed` says.
    Fresh,
    /// There is none.
    Missing,
}

/// One candidate.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    times: Times,
    knowledge: Knowledge,
    /// The lease as seen last, and when it was seen so for the first time.
    observed: Option<(Seen, Duration)>,
    /// Until when this candidate may act, once it has acquired the lease.
    held_until: Option<Duration>,
    /// A write was begun since the last answer that tells what became of it.
    unanswered: bool,
    resigning: bool,
}

impl Candidate {
    /// A candidate that has seen nothing. No other process may have the same identity, ever.
    #[must_use]
    pub const fn new(identity: String, times: Times) -> Self {
        Self {
            identity,
            times,
            knowledge: Knowledge::Stale,
            observed: None,
            held_until: None,
            unanswered: false,
            resigning: false,
        }
    }

    /// Its name in the lease.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Who held the lease when it was seen last.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        let (seen, _) = self.observed.as_ref()?;
        Some(seen.record.holder.as_str()).filter(|holder| !holder.is_empty())
    }

    /// Until when this candidate may act: the beginning of the last renewal that succeeded, and the deadline. `None` before it
    /// acquired the lease and after it resigned.
    #[must_use]
    pub const fn held_until(&self) -> Option<Duration> {
        self.held_until
    }

    /// Whether the lease may be in this candidate's name.
    #[must_use]
    pub fn may_hold(&self) -> bool {
        self.unanswered || self.holder() == Some(&self.identity)
    }

    /// From now on the lease is given back. Nothing may be done on its strength any more.
    pub const fn resign(&mut self) {
        self.resigning = true;
        self.held_until = None;
    }

    /// What to do now. A read or write that this answers begins at `now`; whatever was known is in doubt until it is answered.
    pub fn next(&mut self, now: Duration, wall: Timestamp) -> Step {
        let knowledge = std::mem::replace(&mut self.knowledge, Knowledge::Stale);
        if let Some(until) = self.held_until {
            if now >= until {
                return Step::Lost(Loss::Deadline);
            }
            let holder = self.observed.as_ref().map(|(seen, _)| seen.record.holder.as_str());
            if let Some(other) = holder.filter(|holder| *holder != self.identity) {
                return Step::Lost(Loss::Taken(other.to_owned()));
            }
        }
        if self.resigning && !self.may_hold() {
            return Step::Resigned;
        }
        match knowledge {
            Knowledge::Stale => Step::Read,
            Knowledge::Missing if self.resigning => Step::Resigned,
            Knowledge::Fresh | Knowledge::Missing if self.kept_out(now) => Step::Wait,
            Knowledge::Missing => {
                self.unanswered = true;
                Step::Create(self.wanted(wall))
            }
            Knowledge::Fresh => {
                let Some((seen, _)) = &self.observed else {
                    return Step::Read;
                };
                let version = seen.version.clone();
                self.unanswered = true;
                Step::Replace(self.wanted(wall), version)
            }
        }
    }

    /// The lease was read, and the answer was there at `now`.
    pub fn read(&mut self, seen: Option<Seen>, now: Duration) {
        self.unanswered = false;
        self.see(seen, now);
    }

    /// A write that was begun at `begun` succeeded, and this is what the API server made of it.
    pub fn wrote(&mut self, seen: Seen, begun: Duration, now: Duration) {
        let mine = seen.record.holder == self.identity;
        self.read(Some(seen), now);
        let until = begun.saturating_add(self.times.renew_deadline);
        // An answer that comes after the deadline neither begins a term nor brings back one that is over.
        let in_time = now < self.held_until.unwrap_or(until);
        if mine && !self.resigning && in_time {
            self.held_until = Some(until);
        }
    }

    /// A write failed because the lease was changed, created or deleted in between.
    pub const fn conflicted(&mut self) {
        self.knowledge = Knowledge::Stale;
    }

    fn see(&mut self, seen: Option<Seen>, now: Duration) {
        let Some(seen) = seen else {
            // What was seen before is kept: its holder may not know yet that somebody deleted it.
            self.knowledge = Knowledge::Missing;
            return;
        };
        self.knowledge = Knowledge::Fresh;
        // The moment of the answer, never that of the question: the lease may have been renewed in between.
        if self.observed.as_ref().is_none_or(|(known, _)| *known != seen) {
            self.observed = Some((seen, now));
        }
    }

    /// Whether another holds the lease, and may go on to do so.
    fn kept_out(&self, now: Duration) -> bool {
        let Some((seen, since)) = &self.observed else {
            return false;
        };
        let record = &seen.record;
        if record.holder.is_empty() || record.holder == self.identity {
            return false;
        }
        // A lease that says less than the usual was edited by hand, and its holder goes by the usual.
        let seconds = u64::try_from(record.duration_seconds).unwrap_or_default();
        let duration = Duration::from_secs(seconds).max(self.times.duration);
        now < since.saturating_add(duration)
    }

    /// The lease as this candidate wants it.
    fn wanted(&self, wall: Timestamp) -> Record {
        let mut wall = whole_microseconds(wall);
        let known = self.observed.as_ref().map(|(seen, _)| &seen.record);
        let mine = known.filter(|record| record.holder == self.identity);
        // A write that changes nothing gets no new version, and others would not see the renewal.
        if known.and_then(|record| record.renewed) == Some(wall) {
            wall = Timestamp::from_microsecond(wall.as_microsecond().saturating_add(1)).unwrap_or(wall);
        }
        let transitions = known.map_or(0, |record| record.transitions);
        if self.resigning {
            return Record {
                holder: String::new(),
                duration_seconds: 1,
                acquired: Some(wall),
                renewed: Some(wall),
                transitions,
            };
        }
        Record {
            holder: self.identity.clone(),
            duration_seconds: i32::try_from(self.times.duration.as_secs()).unwrap_or(i32::MAX),
            acquired: mine.and_then(|record| record.acquired).or(Some(wall)),
            renewed: Some(wall),
            transitions: if mine.is_some() || known.is_none() {
                transitions
            } else {
                transitions.saturating_add(1)
            },
        }
    }
}

/// As a `MicroTime` keeps it.
fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;
