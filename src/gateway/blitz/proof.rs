//! How far the revocation of one account is, by what the panel acknowledged and listed. Pure.
//!
//! A panel kicks first and writes then, so whoever is busy comes back in between: the first block refuses logins, and only the
//! second one finds everybody. All devices of an account have one id, and one kick closes the one that moves the next byte: so
//! many devices take so many kicks. What is listed counts only if the list was begun after the first block was acknowledged.

use std::time::Instant;

use jiff::Timestamp;

use crate::{
    gateway::{Moment, RevocationProgress, Revoke},
    model::session::Epoch,
};

/// Blocks that are made before anything is read.
pub(super) const BLIND: u32 = 2;

/// Blocks that so many devices need beside [`BLIND`]: each kick ends one, and the first finds nobody who is busy, since they come
/// back before the write.
const fn owed(devices: u32) -> u32 {
    devices.saturating_sub(BLIND - 1)
}

/// What a revocation needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The account has to be blocked, again if it is.
    Block,
    /// A list has to show who is left.
    Look,
    /// Nothing: it is proved.
    Nothing,
}

/// A revocation.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    below: Epoch,
    denied_at: Timestamp,
    /// Since when the panel lets nobody in, as acknowledged.
    refused: Option<Instant>,
    /// Blocks acknowledged since it was opened.
    blocks: u32,
    /// When the last of them was begun.
    kicked: Option<Instant>,
    /// Devices that the last list showed that counts, and when it was begun.
    shown: Option<(u32, Instant)>,
    /// Blocks that are needed beside [`BLIND`], one for each device that was seen.
    owed: u32,
    /// The last list showed that somebody else blocked the account before, and nobody connected.
    idle: bool,
    contained_at: Option<Timestamp>,
    zero_at: Option<Timestamp>,
    withdrawn_at: Option<Timestamp>,
}

impl Proof {
    /// A revocation that was just ordered. `online`: devices that the last list showed.
    pub(super) const fn open(revoke: &Revoke, online: u32) -> Self {
        Self {
            below: revoke.below,
            denied_at: revoke.denied_at,
            refused: None,
            blocks: 0,
            kicked: None,
            shown: None,
            owed: owed(online),
            idle: false,
            contained_at: None,
            zero_at: None,
            withdrawn_at: None,
        }
    }

    pub(super) const fn below(&self) -> Epoch {
        self.below
    }

    /// From when on the account was refused, UTC.
    pub(super) const fn denied_at(&self) -> Timestamp {
        self.denied_at
    }

    pub(super) const fn is_over(&self) -> bool {
        self.zero_at.is_some()
    }

    /// A block, or a look that shows an account that is blocked already, or is not there.
    fn refuses(&mut self, since: Instant) {
        self.refused.get_or_insert(since);
    }

    /// The panel acknowledged a block that was begun at `begun`; or that there is no such account, which it kicks all the same.
    pub(super) fn blocked(&mut self, begun: Instant, now: Moment) {
        self.blocks += 1;
        self.owed = self.owed.saturating_sub(u32::from(self.blocks > BLIND));
        // Whoever is left was there before this kick, and is alone: its next byte ends it.
        let alone = self.shown.is_some_and(|(devices, at)| devices <= 1 && at <= begun);
        if self.blocks >= BLIND && alone {
            self.contained_at.get_or_insert(now.utc);
        }
        self.kicked = Some(begun);
        self.refuses(now.at);
    }

    /// A list that was begun at `begun` shows so many devices; `None`: it does not show the account. `refused`: nobody logs in.
    pub(super) fn looked(&mut self, devices: Option<u32>, refused: bool, begun: Instant, now: Moment) {
        // Devices of an account that was deleted are not shown.
        let idle = devices == Some(0) && self.blocks == 0;
        let devices = devices.unwrap_or(0);
        if !refused {
            self.idle = false;
            // Somebody let it in again: everything begins anew.
            if self.refused.take().is_some_and(|since| begun >= since) {
                self.take_back(now);
            }
            self.blocks = 0;
            self.owed = owed(devices);
            return;
        }
        let counts = self.refused.is_some_and(|since| begun >= since);
        self.idle = idle;
        self.refuses(now.at);
        if !counts {
            return;
        }
        self.shown = Some((devices, begun));
        if devices == 0 {
            if self.blocks > 0 || self.kicked.is_none() {
                self.contained_at.get_or_insert(now.utc);
                self.zero_at.get_or_insert(now.utc);
            }
            return;
        }
        if self.zero_at.is_some() {
            self.take_back(now);
        }
        let kicked_since_seen_alone = self.contained_at.is_some() && devices == 1;
        if !kicked_since_seen_alone {
            if self.contained_at.is_some() {
                self.take_back(now);
            }
            self.owed = devices;
        }
    }

    fn take_back(&mut self, now: Moment) {
        if self.contained_at.take().is_some() {
            self.withdrawn_at = Some(now.utc);
        }
        self.zero_at = None;
    }

    /// What is needed next. An account that the panel was never seen to let in needs to be seen once, and no block; one that was
    /// blocked before, and that nobody uses, needs another look.
    pub(super) const fn need(&self, was_never_there: bool) -> Need {
        if self.zero_at.is_some() {
            Need::Nothing
        } else if was_never_there || self.idle {
            Need::Look
        } else if self.blocks < BLIND || self.owed > 0 {
            Need::Block
        } else {
            Need::Look
        }
    }

    /// As it is reported. `panel`: whose word is missing.
    pub(super) fn progress(&self, panel: &str) -> RevocationProgress {
        RevocationProgress {
            below: self.below,
            denied_at: self.denied_at,
            contained_at: self.contained_at,
            sessions_zero_at: self.zero_at,
            waiting_for: if self.zero_at.is_some() {
                Vec::new()
            } else {
                vec![panel.to_owned()]
            },
            left_out: Vec::new(),
            withdrawn_at: self.withdrawn_at,
        }
    }
}
