//! How often the log may say something of logins, which anybody on the internet can send.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long an account that was spoken of is not spoken of again.
const QUIET: Duration = Duration::from_secs(600);
/// Most lines in [`QUIET`], whoever they are about.
const LINES: usize = 60;

/// The accounts that were spoken of a short time ago. Never more than [`LINES`].
#[derive(Default)]
pub(super) struct Notices(Mutex<HashMap<Arc<str>, Instant>>);

impl Notices {
    /// Whether a line about this account may be written now.
    pub(super) fn may(&self, account: &Arc<str>, now: Instant) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.saturating_duration_since(*at) < QUIET);
        if told.len() >= LINES || told.contains_key(account) {
            return false;
        }
        told.insert(Arc::clone(account), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_of_once_in_ten_minutes_and_all_together_sixty_times() {
        let (notices, start) = (Notices::default(), Instant::now());
        let names: Vec<Arc<str>> = (0..500).map(|number| format!("corp_{number}").into()).collect();
        let mut lines = [0; 2];
        for second in 0..1200 {
            for name in &names {
                let window = usize::from(second >= 600);
                lines[window] += usize::from(notices.may(name, start + Duration::from_secs(second)));
            }
        }
        assert_eq!(lines, [60, 60]);
    }
}
