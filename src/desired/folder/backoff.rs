//! When what could not be read is read again.

use std::time::Duration;

/// Before the first attempt: a lack of file descriptors is over in a moment.
const FIRST: Duration = Duration::from_millis(10);
/// Before every attempt after many.
const LAST: Duration = Duration::from_secs(10);

/// The pause after so many failures before this one.
pub(super) fn retry_pause(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(16)).min(LAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_from_milliseconds_to_seconds() {
        let pauses: Vec<u128> = (0..12).map(|failures| retry_pause(failures).as_millis()).collect();
        assert_eq!(
            pauses,
            [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000]
        );
        assert_eq!(retry_pause(u32::MAX), LAST);
    }
}
