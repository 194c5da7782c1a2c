//! How soon a node's counters are read again, so that a limit on traffic is passed by as little as possible. Pure.
//!
//! One read covers everybody on the node, so what decides is whoever is nearest to a limit. Who moves bytes is looked at again when
//! half of what is left can have been moved; who is silent may begin at the speed of a good line at any moment, and is looked at
//! every second when that could pass the limit within a poll. Reads take up no more than a tenth of the time, however many are
//! near.

use std::time::Duration;

/// Shortest wait between two reads.
const FASTEST: Duration = Duration::from_millis(200);
/// Shortest wait on account of somebody who is silent.
const SILENT: Duration = Duration::from_secs(1);
/// Wait between reads after somebody with little left logged in, until a look shows who is online.
const AFTER_LOGIN: Duration = Duration::from_millis(500);
/// Of the time, how much a read and the wait after it may take together, as multiples of the read.
const SHARE: u32 = 10;
/// Bytes a second that somebody may begin to move: a line of a gigabit.
const LINE: f64 = 125e6;
/// What such a line moves in ten seconds: twice the poll interval that is the default.
const NEAR: u64 = 1_250_000_000;

/// Whether somebody with so many bytes left could use them up within a poll.
pub(crate) const fn is_near(remaining: u64) -> bool {
    remaining < NEAR
}

/// Somebody with a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limited {
    /// Bytes left.
    pub(super) remaining: u64,
    /// Bytes a second on all nodes, as last seen.
    pub(super) rate: f64,
}

/// What decides about the next read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Pause between two reads when nobody is near a limit.
    pub(super) interval: Duration,
    /// How long the last read took.
    pub(super) took: Duration,
    /// Somebody with little left logged in a moment ago.
    pub(super) after_login: bool,
}

impl Pace {
    /// The shortest wait.
    pub(super) fn floor(self) -> Duration {
        FASTEST.max(self.took * (SHARE - 1)).min(self.interval)
    }

    /// How long to wait for the next read.
    pub(super) fn wait(self, limited: impl Iterator<Item = Limited>) -> Duration {
        let login = self.after_login.then_some(AFTER_LOGIN);
        let soonest = limited.map(wait_for).chain(login).min();
        soonest.map_or(self.interval, |wait| wait.clamp(self.floor(), self.interval))
    }
}

/// When half of what is left can have been moved.
fn wait_for(limited: Limited) -> Duration {
    let half = limited.remaining / 2;
    #[expect(clippy::cast_precision_loss, reason = "a moment is estimated")]
    let at_rate = |rate: f64| Duration::try_from_secs_f64(half as f64 / rate).unwrap_or(Duration::MAX);
    let at_full_speed = at_rate(LINE).max(SILENT);
    at_rate(limited.rate.max(1.0)).min(at_full_speed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn pace(after_login: bool) -> Pace {
        Pace {
            interval: INTERVAL,
            took: Duration::from_millis(2),
            after_login,
        }
    }

    #[test]
    fn without_anybody_near_a_limit_nothing_is_read_more_often() {
        assert_eq!(pace(false).wait(std::iter::empty()), INTERVAL);
        let far = Limited {
            remaining: 100 << 30,
            rate: 125e6,
        };
        assert_eq!(pace(false).wait(std::iter::once(far)), INTERVAL);
    }

    #[test]
    fn a_slow_node_is_not_read_more_than_a_tenth_of_the_time() {
        let near = Limited {
            remaining: 1,
            rate: 1e9,
        };
        let slow = Pace {
            took: Duration::from_millis(400),
            ..pace(true)
        };
        assert_eq!(slow.wait(std::iter::once(near)), Duration::from_millis(3600));
    }

    /// Bytes moved until a read finds the limit used up, and how many reads that took.
    fn run(limit: u64, rate: u64, begins_after: Duration) -> (u64, u64, u32) {
        let (mut now, mut reads, mut seen) = (Duration::ZERO, 0, 0u64);
        let mut last = Duration::ZERO;
        loop {
            let active = now.saturating_sub(begins_after).as_micros();
            let moved = u64::try_from(active * u128::from(rate) / 1_000_000).unwrap();
            reads += 1;
            if moved >= limit {
                return (moved, seen, reads);
            }
            let elapsed = (now.saturating_sub(last)).as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a test")]
            let seen_rate = if elapsed > 0.0 {
                (moved - seen) as f64 / elapsed
            } else {
                0.0
            };
            let limited = Limited {
                remaining: limit - moved,
                rate: seen_rate,
            };
            let wait = pace(now < INTERVAL).wait(std::iter::once(limited));
            (last, seen) = (now, moved);
            now += wait;
        }
    }

    proptest! {
        #[test]
        fn a_limit_is_passed_by_no_more_than_a_fast_line_moves_in_a_second(
            limit in 1_000_000..20_000_000_000u64, rate in 1_000_000..125_000_000u64, begins in 0..60_000u64,
        ) {
            let (moved, before, _) = run(limit, rate, Duration::from_millis(begins));
            // The read before found it not used up; from then on it took a second at the most, or the fastest pace.
            prop_assert!(moved - limit <= rate, "{moved} of {limit} at {rate}, {before} at the read before");
        }

        #[test]
        fn at_a_steady_speed_it_is_passed_by_what_is_moved_in_the_shortest_wait(
            limit in 1_000_000_000..20_000_000_000u64, rate in 1_000_000..125_000_000u64,
        ) {
            let (moved, ..) = run(limit, rate, Duration::ZERO);
            prop_assert!(moved - limit <= rate / 4, "{moved} of {limit} at {rate}");
        }
    }
}
