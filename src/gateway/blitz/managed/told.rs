//! What is told of an account.

use super::{CONSPICUOUS, Managed};
use crate::{
    gateway::{
        Observation, Obstacle, RevocationProgress, TargetAccess,
        blitz::client::{Entry, PanelError},
    },
    model::user::AccountPresence,
};

impl Managed {
    /// What others want to be told of when it changes. `panel`: whose word is missing.
    pub(in crate::gateway::blitz) fn facts(&self, panel: &str) -> impl PartialEq + use<> {
        (self.agreed, self.open, self.foreign, self.progress(panel))
    }

    pub(in crate::gateway::blitz) fn observe(&self, entry: Option<&Entry>, looked: bool, panel: &str) -> Observation {
        let reads_back = self.open || self.target.access != TargetAccess::Granted;
        Observation {
            account: if self.foreign && self.target.access == TargetAccess::Absent {
                // Of the operator's there is nothing.
                AccountPresence::Absent
            } else if self.foreign {
                AccountPresence::Foreign
            } else if self.has_left(entry, looked) {
                AccountPresence::Absent
            } else if reads_back && entry.is_some() {
                AccountPresence::Present
            } else {
                AccountPresence::Unknown
            },
            sessions: entry.map_or(0, |entry| entry.online),
            revocation: self.progress(panel),
            unprovable: Vec::new(),
            unusable: Vec::new(),
            obstacle: self.obstacle(),
            handed_over: Some(self.target.digest()),
            asked_to_leave: self.target.access == TargetAccess::Absent,
        }
    }

    fn obstacle(&self) -> Option<Obstacle> {
        if self.foreign {
            return Some(Obstacle::Foreign);
        }
        let failing = self.failing.as_ref()?;
        let said = match failing.error {
            PanelError::Rejected { .. } | PanelError::Exists => true,
            _ => failing.error.may_be_of_one() && failing.times >= CONSPICUOUS,
        };
        said.then(|| Obstacle::Rejected(failing.error.to_string()))
    }

    fn progress(&self, panel: &str) -> Option<RevocationProgress> {
        Some(self.proof.as_ref()?.progress(panel))
    }
}
