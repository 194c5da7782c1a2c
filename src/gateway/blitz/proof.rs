//! How far the revocation of one account is, by what the panel acknowledged and listed, and by what its server showed. Pure.
//!
//! A panel kicks first and writes then, so whoever is busy comes back in between: the first block refuses logins, and only the
//! second one finds everybody. All devices of an account have one id, and one kick closes the one that moves the next byte: so
//! many devices take so many kicks. What is listed counts only if the list was begun after the first block was acknowledged; and what
//! the server shows, only if the look was begun a moment after that, because a look takes no time and a login that the panel had
//! permitted before has to arrive. That the auth guard refuses is no proof: somebody may have written `auth.http.url` back.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    gateway::{Moment, RevocationProgress, Revoke},
    model::session::Epoch,
};

/// Blocks that are made before anything is read.
pub(super) const BLIND: u32 = 2;
/// How long a login that the panel permitted may take until the server shows it.
const ARRIVES: Duration = Duration::from_millis(500);

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
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub(super) struct Proof {
    below: Epoch,
    denied_at: Timestamp,
    /// Since when the panel lets nobody in, as acknowledged.
    refused: Option<Instant>,
    /// Blocks acknowledged since it was opened.
    blocks: u32,
    /// There ever was one.
    was_blocked: bool,
    /// Devices that the last look showed that counts, a list or the server's, and when it was begun.
    shown: Option<(u32, Instant)>,
    /// Blocks that are needed beside [`BLIND`], one for each device that was seen.
    owed: u32,
    /// The last list showed that somebody else blocked the account before, and nobody connected.
    idle: bool,
    /// The last list that counts showed none.
    listed_none: bool,
    /// The server is asked too, and what its last look that counts showed: whether it was none.
    server: Option<bool>,
    /// What is left of devices was kicked since it was seen alone.
    held_down: bool,
    contained_at: Option<Timestamp>,
    zero_at: Option<Timestamp>,
    withdrawn_at: Option<Timestamp>,
}

impl Proof {
    /// A revocation that was just ordered. `online`: devices that the last list showed. `server`: the panel's server is asked and
    /// kicked as well.
    pub(super) fn open(revoke: &Revoke, online: u32, server: bool) -> Self {
        Self {
            below: revoke.below,
            denied_at: revoke.denied_at,
            refused: None,
            blocks: 0,
            was_blocked: false,
            shown: None,
            owed: if server { 0 } else { owed(online) },
            idle: false,
            listed_none: false,
            server: server.then_some(false),
            held_down: false,
            contained_at: None,
            zero_at: None,
            withdrawn_at: None,
        }
    }

    /// The last list before it was opened showed the account blocked, and nobody connected.
    pub(super) const fn was_idle(mut self, idle: bool) -> Self {
        self.idle = idle;
        self
    }

    /// The account was changed, and may let people in.
    pub(super) const fn changed(&mut self) {
        self.idle = false;
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

    /// Whether the panel's server is asked from now on. What it showed before is void: it may be another.
    pub(super) fn ask_server(&mut self, asked: bool, now: Moment) {
        if !self.is_over() {
            self.server = asked.then_some(false);
            self.conclude(now);
        }
    }

    /// A block, or a look that shows an account that is blocked already, or is not there.
    fn refuses(&mut self, since: Instant) {
        self.refused.get_or_insert(since);
    }

    /// The panel acknowledged a block that was begun at `begun`; or that there is no such account, which it kicks all the same.
    pub(super) fn blocked(&mut self, begun: Instant, now: Moment) {
        self.blocks += 1;
        self.owed = self.owed.saturating_sub(u32::from(self.blocks > BLIND));
        if self.blocks >= BLIND {
            self.kicked(begun, now);
        }
        self.was_blocked = true;
        self.refuses(now.at);
    }

    /// The server acknowledged a kick that was begun at `begun`.
    pub(super) fn kicked(&mut self, begun: Instant, now: Moment) {
        // Whoever was seen alone before this kick is ended by its next byte.
        let alone = self.shown.is_some_and(|(devices, at)| devices <= 1 && at <= begun);
        if alone {
            self.held_down = true;
            self.contained_at.get_or_insert(now.utc);
        }
    }

    /// A list that was begun at `begun` shows so many devices; `None`: it does not show the account. `refused`: nobody logs in.
    pub(super) fn looked(&mut self, devices: Option<u32>, refused: bool, begun: Instant, now: Moment) {
        // Devices of an account that was deleted are not shown.
        self.idle = refused && devices == Some(0) && !self.was_blocked;
        let devices = devices.unwrap_or(0);
        if !refused {
            // Somebody let it in again: everything begins anew.
            if self.refused.take().is_some_and(|since| begun >= since) {
                self.take_back(now);
            }
            self.blocks = 0;
            self.owed = owed(devices);
            return;
        }
        let counts = self.refused.is_some_and(|since| begun >= since);
        self.refuses(now.at);
        if !counts {
            return;
        }
        // Before anybody was kicked the list says nothing about who comes back.
        self.listed_none = devices == 0 && (self.blocks > 0 || !self.was_blocked);
        let kept = self.showed(devices, begun, self.listed_none, now);
        if devices > 0 && !kept {
            self.owed = devices;
        }
    }

    /// A look at the server that was begun at `begun` shows so many devices.
    pub(super) fn served(&mut self, devices: u32, begun: Instant, now: Moment) {
        let counts = self.refused.is_some_and(|since| begun >= since + ARRIVES);
        if self.server.is_none() || !counts {
            return;
        }
        self.server = Some(devices == 0);
        self.showed(devices, begun, devices == 0, now);
    }

    /// Takes what a look showed that counts. Answers whether what was claimed stands.
    fn showed(&mut self, devices: u32, begun: Instant, none: bool, now: Moment) -> bool {
        self.shown = Some((devices, begun));
        if none {
            self.contained_at.get_or_insert(now.utc);
        } else if devices > 0 {
            let kept = self.held_down && devices == 1 && !self.is_over();
            if !kept {
                self.take_back(now);
            }
            return kept;
        }
        self.conclude(now);
        true
    }

    /// Nobody is left when everybody who is asked says so.
    fn conclude(&mut self, now: Moment) {
        if self.listed_none && self.server.unwrap_or(true) && self.refused.is_some() {
            self.zero_at.get_or_insert(now.utc);
        }
    }

    fn take_back(&mut self, now: Moment) {
        if self.contained_at.take().is_some() {
            self.withdrawn_at = Some(now.utc);
        }
        self.zero_at = None;
        self.idle = false;
        self.held_down = false;
        self.listed_none = false;
        self.server = self.server.map(|_| false);
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

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
