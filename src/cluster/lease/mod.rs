//! Leader election on a `coordination.k8s.io/v1` Lease: at most one process acts, and a successor takes over by itself.
//!
//! As safe as client-go's: another's lease counts as expired only after *this* process has seen it unchanged for its
//! whole duration by its own monotonic clock, so that no two machines' clocks are ever compared; every write is bound to the
//! version that was seen; and who holds the lease acts only behind a [`Fence`](crate::fence::Fence) that closes by itself
//! [`Times::renew_deadline`] after the beginning of the last renewal that succeeded. The margin up to [`Times::duration`] is
//! for calls that were begun before, and for clocks that run at different rates: 10 % more or less are no danger.
//!
//! [`candidate`] is pure: it knows the protocol, and is driven with what was read and the time. [`election`] makes the calls.
//!
//! RBAC: `get`, `create` and `update` of `leases`.

pub mod candidate;
pub mod election;
mod record;
#[cfg(test)]
mod simulation;

use std::time::Duration;

pub use election::{Election, Leadership};

/// The paces of an election, the same for every candidate. `duration` > `renew_deadline` > `retry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long a lease that is not renewed keeps others out.
    pub duration: Duration,
    /// How long its holder acts without having renewed it.
    pub renew_deadline: Duration,
    /// Pause between two attempts, to acquire as well as to renew.
    pub retry: Duration,
}

impl Default for Times {
    /// 15 s, 10 s and 2 s, as everywhere in Kubernetes.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// A name for this process that no other has, not even the one that ran in this pod before: `<host name>_<8 hex digits>`.
///
/// # Errors
/// The operating system has no random bytes.
pub fn identity() -> std::io::Result<String> {
    let random = getrandom::u32().map_err(|error| std::io::Error::other(error.to_string()))?;
    let host = rustix::system::uname();
    Ok(format!("{}_{random:08x}", host.nodename().to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_of_one_host_have_names_of_their_own() {
        let (one, other) = (identity().unwrap(), identity().unwrap());
        assert_ne!(one, other);
        let (host, random) = one.rsplit_once('_').unwrap();
        assert!(!host.is_empty() && other.starts_with(host));
        assert!(random.len() == 8 && random.chars().all(|digit| digit.is_ascii_hexdigit()));
    }
}
