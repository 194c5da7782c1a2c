//! What the panel's own server shows of an account, and whether its sessions are to be ended there. Pure.

use std::time::Instant;

use super::Managed;
use crate::gateway::{Moment, TargetAccess};

impl Managed {
    /// A look at the panel's server that was begun at `begun` shows so many devices. `looked`: it is known whose the account is.
    pub(in crate::gateway::blitz) fn served(&mut self, devices: u32, begun: Instant, looked: bool, now: Moment) {
        if self.is_stranger() {
            return;
        }
        let granted = self.target.access == TargetAccess::Granted;
        match self.proof.as_mut().filter(|proof| !(granted && proof.is_over())) {
            Some(proof) => proof.served(devices, begun, now),
            None if looked && devices > 0 => self.let_in_by_others(devices, true, now),
            None => {}
        }
    }

    /// The panel's server acknowledged a kick that was begun at `begun`.
    pub(in crate::gateway::blitz) fn kicked(&mut self, begun: Instant, now: Moment) {
        if let Some(proof) = &mut self.proof {
            proof.kicked(begun, now);
        }
    }

    /// Whether the panel's server is asked from now on.
    pub(in crate::gateway::blitz) fn ask_server(&mut self, asked: bool, now: Moment) {
        if let Some(proof) = &mut self.proof {
            proof.ask_server(asked, now);
        }
    }

    /// Whether its sessions have to go.
    pub(in crate::gateway::blitz) fn ends_sessions(&self) -> bool {
        let open = self.proof.as_ref().is_some_and(|proof| !proof.is_over());
        open && !self.is_stranger()
    }

    /// Whether it is known to be, or to have been, the operator's.
    pub(in crate::gateway::blitz) const fn was_there(&self) -> bool {
        self.was_there
    }

    /// Whether the panel alone decides about it.
    pub(in crate::gateway::blitz) fn is_stranger(&self) -> bool {
        self.foreign || self.is_let_go()
    }
}
