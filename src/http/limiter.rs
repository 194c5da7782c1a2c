//! Counts failed attempts by address, in bounded memory.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. Beyond it, newcomers share one count.
const REMEMBERED: usize = 10_000;

/// Limits failed attempts. A successful one is never asked about and never counted.
pub(super) struct FailureLimiter {
    per_window: u32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    windows: HashMap<IpAddr, Window>,
    overflow: Option<Window>,
    cleaned: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Window {
    begun: Instant,
    failures: u32,
}

impl FailureLimiter {
    pub(super) fn new(per_window: u32) -> Self {
        Self {
            per_window,
            inner: Mutex::default(),
        }
    }

    /// Counts a failed attempt. `Err` holds the seconds to wait when the address has had too many.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let mut guard = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = &mut *guard;
        let key = network(address);
        if inner.windows.len() >= REMEMBERED && !inner.windows.contains_key(&key) {
            let lately = |at: Instant| now.saturating_duration_since(at) < Duration::from_secs(1);
            if !inner.cleaned.is_some_and(lately) {
                inner.windows.retain(|_, window| !window.is_over(now));
                inner.cleaned = Some(now);
            }
        }
        let fresh = Window {
            begun: now,
            failures: 0,
        };
        let window = if inner.windows.len() < REMEMBERED || inner.windows.contains_key(&key) {
            inner.windows.entry(key).or_insert(fresh)
        } else {
            inner.overflow.get_or_insert(fresh)
        };
        if window.is_over(now) {
            *window = fresh;
        }
        if window.failures >= self.per_window {
            let rest = WINDOW.saturating_sub(now.saturating_duration_since(window.begun));
            return Err(rest.as_secs() + 1);
        }
        window.failures += 1;
        Ok(())
    }
}

impl Window {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= WINDOW
    }
}

/// Whoever has one IPv6 address has the whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_eleventh_failure_of_a_minute_is_refused_and_the_next_minute_begins_anew() {
        let limiter = FailureLimiter::new(10);
        let start = Instant::now();
        for _ in 0..10 {
            assert_eq!(limiter.failed(ip("192.0.2.1"), start), Ok(()));
        }
        assert_eq!(
            limiter.failed(ip("192.0.2.1"), start + Duration::from_secs(15)),
            Err(46)
        );
        assert_eq!(limiter.failed(ip("192.0.2.2"), start), Ok(()));
        assert_eq!(limiter.failed(ip("192.0.2.1"), start + WINDOW), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_and_mapped_ones_count_together() {
        let limiter = FailureLimiter::new(1);
        let now = Instant::now();
        assert_eq!(limiter.failed(ip("2001:db8::1"), now), Ok(()));
        assert!(limiter.failed(ip("2001:db8::2"), now).is_err());
        assert_eq!(limiter.failed(ip("2001:db8:0:1::1"), now), Ok(()));
        assert_eq!(limiter.failed(ip("::ffff:192.0.2.1"), now), Ok(()));
        assert!(limiter.failed(ip("192.0.2.1"), now).is_err());
    }

    #[test]
    fn memory_is_bounded_and_newcomers_beyond_it_are_still_limited() {
        let limiter = FailureLimiter::new(2);
        let now = Instant::now();
        for n in 0..u32::try_from(REMEMBERED).unwrap() {
            assert_eq!(limiter.failed(IpAddr::V4(n.into()), now), Ok(()));
        }
        let refused = (0..1000u32).filter(|n| limiter.failed(IpAddr::V4((n + (1 << 24)).into()), now).is_err());
        assert_eq!(refused.count(), 998);
        assert_eq!(limiter.inner.lock().unwrap().windows.len(), REMEMBERED);
        let later = now + WINDOW;
        assert_eq!(limiter.failed(ip("198.51.100.1"), later), Ok(()));
        assert_eq!(limiter.inner.lock().unwrap().windows.len(), 1);
    }
}
