//! How long to wait before an object that failed is tried again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(120);

/// Failures in a row, by object name. Objects that succeed or vanish are evicted.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<HashMap<String, u32>>,
}

impl Backoff {
    /// Counts one more failure and answers how long to wait: doubling from 0.2 s, capped at two minutes, with the
    /// upper half at random so that objects which failed together do not come back together.
    pub fn failed(&self, name: &str) -> Duration {
        let failures = {
            let mut table = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            let count = table.entry(name.to_owned()).or_default();
            *count = count.saturating_add(1);
            *count
        };
        jittered(delay(failures), random_fraction())
    }

    /// The object succeeded or is gone.
    pub fn forget(&self, name: &str) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// Objects that failed and have not succeeded since.
    pub fn len(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing fails.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn delay(failures: u32) -> Duration {
    FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST)
}

fn jittered(full: Duration, fraction: f64) -> Duration {
    full / 2 + (full / 2).mul_f64(fraction)
}

fn random_fraction() -> f64 {
    getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_wait_grows_and_stays_within_its_bounds(failures in 1..100u32, fraction in 0.0..=1.0f64) {
            let wait = jittered(delay(failures), fraction);
            prop_assert!(wait >= FIRST / 2 && wait <= LONGEST);
            prop_assert!(delay(failures) <= delay(failures + 1));
        }
    }

    #[test]
    fn success_starts_over_and_evicts() {
        let backoff = Backoff::default();
        for _ in 0..5 {
            backoff.failed("a");
        }
        assert_eq!(backoff.len(), 1);
        assert!(backoff.failed("a") > FIRST * 8);
        backoff.forget("a");
        assert!(backoff.is_empty());
        assert!(backoff.failed("a") <= FIRST);
    }
}
