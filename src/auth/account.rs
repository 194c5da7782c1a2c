//! One account of the table: the policy that a login is decided by, and the sessions that were let in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{password::Digest, slots::Slots, words::Gateways};
use crate::model::{
    access::{Access, Reason, Terms, decide, reason_at},
    session::Epoch,
};

/// What a login is decided by.
#[derive(Clone, PartialEq)]
pub(super) struct Policy {
    pub(super) granted: GrantedWindow,
    /// `None`: nobody can log in.
    pub(super) password: Option<Digest>,
    pub(super) terms: Arc<Terms>,
    pub(super) max_devices: Option<u32>,
    pub(super) gateways: Gateways,
    pub(super) epoch: Epoch,
}

/// A span of time in which nothing in the terms denies access, so that a login need not look at them.
#[derive(Clone, Copy)]
pub(super) struct GrantedWindow {
    from: Timestamp,
    /// First moment after. Not after `from`: there is no such span.
    until: Timestamp,
}

impl GrantedWindow {
    /// What is known at `now`.
    pub(super) fn of(terms: &Terms, now: Timestamp) -> Self {
        let decision = decide(terms, now);
        let until = match decision.access {
            Access::Granted => decision.next_change.unwrap_or(Timestamp::MAX),
            Access::Denied => now,
        };
        Self { from: now, until }
    }

    fn contains(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// Two spans that end together differ only in when they were looked at.
impl PartialEq for GrantedWindow {
    fn eq(&self, other: &Self) -> bool {
        self.until == other.until || (self.until <= self.from && other.until <= other.from)
    }
}

impl Policy {
    /// Bytes left in the period that holds `now`; `None` without a limit.
    pub(super) fn remaining_at(&self, now: Timestamp) -> Option<u64> {
        let quota = self.terms.quota?;
        Some(
            quota
                .limit
                .saturating_sub(self.terms.usage.in_period(quota.period, now)),
        )
    }

    /// Why access is granted or denied at `now`.
    pub(super) fn reason_at(&self, now: Timestamp) -> Reason {
        if self.granted.contains(now) {
            Reason::Active
        } else {
            reason_at(&self.terms, now)
        }
    }
}

/// One account. Stays in the table for the life of the process once it was there, so that its epoch only rises and its
/// sessions stay known.
pub(super) struct Account {
    pub(super) name: Arc<str>,
    pub(super) policy: ArcSwap<Policy>,
    pub(super) sessions: Mutex<Sessions>,
}

#[derive(Default)]
pub(super) struct Sessions {
    pub(super) slots: Slots,
    /// Whether the policy granted access when it was last looked at by the roster.
    pub(super) granted: bool,
}

impl Account {
    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
