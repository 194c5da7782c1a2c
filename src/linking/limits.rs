//! How often somebody may try, and may ask for a code. Pure.
//!
//! Counted is by corporate ID and by account, each by itself. Nothing but time takes a count back: a right code in between would
//! let whoever has an ID of their own go on with another one's.

use jiff::{SignedDuration, Timestamp};

/// What is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wrong codes that lock.
    pub tries: u32,
    /// How long a lock lasts, and how long a wrong code is remembered.
    pub lock: SignedDuration,
    /// Codes that may be asked for in [`Self::window`].
    pub requests: u32,
    /// See [`Self::requests`].
    pub window: SignedDuration,
}

impl Default for Limits {
    /// Five wrong codes lock for 30 minutes; three codes in ten minutes.
    fn default() -> Self {
        Self {
            tries: 5,
            lock: SignedDuration::from_mins(30),
            requests: 3,
            window: SignedDuration::from_mins(10),
        }
    }
}

/// What is counted of one ID, or of one account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Wrong codes.
    pub failures: u32,
    /// When the last of them came.
    pub failed_at: Option<Timestamp>,
    /// First moment after the lock.
    pub locked_until: Option<Timestamp>,
    /// Codes that were asked for.
    pub requests: u32,
    /// When the first of them was.
    pub requests_since: Option<Timestamp>,
}

/// A moment that lies ahead was written before the clock was set back: it counts as now.
fn not_ahead(at: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    at.map(|at| at.min(now))
}

impl Count {
    /// The same at this moment: what is over is forgotten, and what the clock, set back, would draw out is as long as it is meant
    /// to be.
    #[must_use]
    pub fn at(self, now: Timestamp, limits: &Limits) -> Self {
        let mut count = self;
        if let Some(until) = count.locked_until {
            if until <= now {
                count.locked_until = None;
                count.failures = 0;
            } else {
                count.locked_until = Some(until.min(after(now, limits.lock)));
            }
        }
        count.failed_at = not_ahead(count.failed_at, now);
        if count.locked_until.is_none() && passed(count.failed_at, now, limits.lock) {
            count.failures = 0;
            count.failed_at = None;
        }
        count.requests_since = not_ahead(count.requests_since, now);
        if passed(count.requests_since, now, limits.window) {
            count.requests = 0;
            count.requests_since = None;
        }
        count
    }

    /// How long it is locked; `None` if it is not. Of a count [`Self::at`] this moment.
    #[must_use]
    pub fn locked(&self, now: Timestamp) -> Option<SignedDuration> {
        let left = self.locked_until?.duration_since(now);
        left.is_positive().then_some(left)
    }

    /// How long no code may be asked for; `None` if one may. Of a count [`Self::at`] this moment.
    #[must_use]
    pub fn exhausted(&self, now: Timestamp, limits: &Limits) -> Option<SignedDuration> {
        let since = self.requests_since.filter(|_| self.requests >= limits.requests)?;
        Some(
            after(since, limits.window)
                .duration_since(now)
                .max(SignedDuration::from_secs(1)),
        )
    }

    /// After one more wrong code.
    #[must_use]
    pub fn failed(self, now: Timestamp, limits: &Limits) -> Self {
        let failures = self.failures.saturating_add(1);
        Self {
            failures,
            failed_at: Some(now),
            locked_until: (failures >= limits.tries).then(|| after(now, limits.lock)),
            ..self
        }
    }

    /// After a code was asked for.
    #[must_use]
    pub fn requested(self, now: Timestamp) -> Self {
        Self {
            requests: self.requests.saturating_add(1),
            requests_since: self.requests_since.or(Some(now)),
            ..self
        }
    }

    /// The moment from which on there is nothing to remember.
    #[must_use]
    pub fn over_at(&self, limits: &Limits) -> Timestamp {
        [
            self.locked_until,
            self.failed_at.map(|at| after(at, limits.lock)),
            self.requests_since.map(|at| after(at, limits.window)),
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(Timestamp::MIN)
    }
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

fn passed(at: Option<Timestamp>, now: Timestamp, span: SignedDuration) -> bool {
    at.is_some_and(|at| now.duration_since(at) >= span)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }

    fn later(minutes: i64) -> Timestamp {
        after(start(), SignedDuration::from_mins(minutes))
    }

    #[test]
    fn the_fifth_wrong_code_locks_for_half_an_hour_and_nothing_is_left_of_it_then() {
        let limits = Limits::default();
        let mut count = Count::default();
        for _ in 0..4 {
            count = count.at(start(), &limits).failed(start(), &limits);
            assert_eq!(count.locked(start()), None);
        }
        count = count.failed(start(), &limits);
        assert_eq!(count.locked(start()), Some(SignedDuration::from_mins(30)));
        assert!(count.at(later(29), &limits).locked(later(29)).is_some());
        assert_eq!(count.at(later(30), &limits), Count::default());
    }

    #[test]
    fn a_clock_that_is_set_back_draws_no_lock_out() {
        let limits = Limits::default();
        let locked = (0..5).fold(Count::default(), |count, _| count.failed(start(), &limits));
        let back = later(-24 * 60);
        let seen = locked.at(back, &limits);
        assert_eq!(seen.locked(back), Some(limits.lock));
        let over = after(back, limits.lock);
        assert_eq!(seen.at(over, &limits).locked(over), None);
        let asked = (0..3).fold(Count::default(), |count, _| count.requested(start()));
        assert_eq!(asked.at(back, &limits).exhausted(back, &limits), Some(limits.window));
    }

    proptest! {
        #[test]
        fn no_more_codes_are_looked_at_in_the_time_of_a_lock_than_lock(gaps in proptest::collection::vec(0..40_i64, 1..120)) {
            let limits = Limits::default();
            let (mut count, mut now, mut looked_at) = (Count::default(), start(), Vec::new());
            for gap in gaps {
                now = after(now, SignedDuration::from_mins(gap));
                count = count.at(now, &limits);
                if count.locked(now).is_none() {
                    looked_at.push(now);
                    count = count.failed(now, &limits);
                }
            }
            let most = usize::try_from(limits.tries).unwrap();
            for few in looked_at.windows(most + 1) {
                let span = few[most].duration_since(few[0]);
                prop_assert!(span >= limits.lock, "{} codes within {span:?}", most + 1);
            }
        }

        #[test]
        fn no_more_codes_are_sent_in_two_windows_than_twice_the_limit(gaps in proptest::collection::vec(0..8_i64, 1..120)) {
            let limits = Limits::default();
            let (mut count, mut now, mut sent) = (Count::default(), start(), Vec::new());
            for gap in gaps {
                now = after(now, SignedDuration::from_mins(gap));
                count = count.at(now, &limits);
                match count.exhausted(now, &limits) {
                    None => {
                        sent.push(now);
                        count = count.requested(now);
                    }
                    Some(wait) => prop_assert!(wait.is_positive() && wait <= limits.window),
                }
            }
            let most = usize::try_from(limits.requests).unwrap() * 2;
            for many in sent.windows(most + 1) {
                prop_assert!(many[most].duration_since(many[0]) >= limits.window);
            }
        }

        #[test]
        fn a_count_that_is_over_is_as_good_as_none(
            failures in 0..7_u32, requests in 0..5_u32, back in 0..90_i64,
        ) {
            let limits = Limits::default();
            let then = later(-back);
            let mut count = (0..failures).fold(Count::default(), |count, _| count.failed(then, &limits));
            count = (0..requests).fold(count, |count, _| count.requested(then));
            let over = count.over_at(&limits) <= start();
            prop_assert_eq!(over, count.at(start(), &limits) == Count::default());
        }
    }
}
