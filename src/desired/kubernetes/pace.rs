//! How soon a watch that broke is begun again.

use std::time::Duration;

use kube::runtime::utils::Backoff;

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause. Denials go unseen during it: the library's half a minute, kept up for two minutes after the last
/// trouble, would be that much of access for somebody who was dismissed.
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that double up to [`LONGEST`], from the beginning again after every success.
#[derive(Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(pause)
    }
}

impl Backoff for Pace {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_two_seconds_and_begin_anew_after_a_success() {
        let mut pace = Pace::default();
        let pauses: Vec<u128> = pace.by_ref().take(6).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pace.nth(1000), Some(LONGEST));
        pace.reset();
        assert_eq!(pace.next(), Some(FIRST));
    }
}
