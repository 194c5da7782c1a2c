//! The one place that decides what is worth trying again, and how long to wait before.

use std::time::Duration;

/// Whether a request that was answered with this HTTP status may succeed later without anybody changing anything.
#[must_use]
pub const fn status_is_retryable(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Whether a request that failed on its way may succeed later without anybody changing anything.
#[must_use]
pub fn transport_is_retryable(error: &reqwest::Error) -> bool {
    !(error.is_builder() || error.is_redirect())
}

/// Growing waits between attempts: each doubles the one before up to a ceiling, and is shortened at random by up to half
/// so that many callers do not come back in the same moment.
#[derive(Debug, Clone)]
pub struct Backoff {
    floor: Duration,
    ceiling: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `floor` to `ceiling`.
    #[must_use]
    pub const fn new(floor: Duration, ceiling: Duration) -> Self {
        Self {
            floor,
            ceiling,
            next: floor,
        }
    }

    /// How long to wait before the next attempt.
    pub fn wait(&mut self) -> Duration {
        let whole = self.next.min(self.ceiling);
        self.next = whole.saturating_mul(2).min(self.ceiling);
        jittered(whole, getrandom::u32().unwrap_or(u32::MAX / 2))
    }

    /// The longest wait, for failures that only a person can mend.
    #[must_use]
    pub const fn longest(&self) -> Duration {
        self.ceiling
    }

    /// After a success: the next wait is the shortest again.
    pub const fn reset(&mut self) {
        self.next = self.floor;
    }
}

fn jittered(whole: Duration, random: u32) -> Duration {
    let half = whole / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_between_half_of_it_and_the_whole(millis in 2u64..100_000, random in any::<u32>()) {
            let whole = Duration::from_millis(millis);
            let wait = jittered(whole, random);
            prop_assert!(wait >= whole / 2 && wait <= whole);
        }
    }

    #[test]
    fn waits_grow_up_to_the_ceiling_and_begin_anew_after_a_success() {
        let (floor, ceiling) = (Duration::from_millis(200), Duration::from_secs(5));
        let mut backoff = Backoff::new(floor, ceiling);
        let waits: Vec<Duration> = (0..12).map(|_| backoff.wait()).collect();
        assert!(waits[0] <= floor);
        assert!(waits[11] >= ceiling / 2 && waits.iter().all(|wait| *wait <= ceiling));
        backoff.reset();
        assert!(backoff.wait() <= floor);
    }

    #[test]
    fn a_refused_secret_is_not_worth_trying_again_and_an_overload_is() {
        assert!(!status_is_retryable(401) && !status_is_retryable(404));
        assert!(status_is_retryable(503) && status_is_retryable(429));
    }
}
