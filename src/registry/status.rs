//! Where an ID stands in its life, and what may follow what. Pure.

use std::fmt;

use crate::model::corporate_id::CorporateId;

/// Where an ID stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Given out, and not in use yet.
    Issued,
    /// In use.
    Active,
    /// Taken away. The ID is never issued again.
    Revoked,
    /// Put away for good.
    Archived,
}

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Issued, Self::Active, Self::Revoked, Self::Archived];

    /// The word in the database, in answers and in CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Archived => "archived",
        }
    }

    /// The status of this name, whatever its case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether somebody may use the ID: it is issued or active.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Issued | Self::Active)
    }

    /// What comes of a step. A step that is made again changes nothing.
    ///
    /// # Errors
    /// It may not follow; says what to do instead.
    pub fn after(self, step: Step, id: &CorporateId) -> Result<Self, StepError> {
        use Status::{Active, Archived, Issued, Revoked};
        let id = || id.clone();
        match (step, self) {
            (Step::Activate, Issued | Active) | (Step::Reinstate, Revoked | Active) => Ok(Active),
            (Step::Activate, Revoked) => Err(StepError::IsRevoked(id())),
            (Step::Activate | Step::Reinstate, Archived) => Err(StepError::IsArchived(id())),
            (Step::Reinstate, Issued) => Err(StepError::NotRevoked(id())),
            (Step::Revoke, Issued | Active | Revoked) => Ok(Revoked),
            // It denies like a revoked one already: an order to deny is never refused.
            (Step::Revoke, Archived) | (Step::Archive, Revoked | Archived) => Ok(Archived),
            (Step::Archive, Issued | Active) => Err(StepError::InUse { id: id(), status: self }),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is done with an ID that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Somebody begins to use it.
    Activate,
    /// It is taken away.
    Revoke,
    /// One that was taken away is given back. A step of its own, so that nobody does it by activating.
    Reinstate,
    /// One that was taken away is put away for good.
    Archive,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 4] = [Self::Activate, Self::Revoke, Self::Reinstate, Self::Archive];

    /// The word in the history of an ID.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Revoke => "revoke",
            Self::Reinstate => "reinstate",
            Self::Archive => "archive",
        }
    }
}

/// Why a step may not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Activating would give back what was taken away.
    #[error(
        "{0} is revoked: activating it would give access back. If that is meant, say so: with \"reinstate\": true, or id activate {0} --reinstate"
    )]
    IsRevoked(CorporateId),
    /// Nothing follows.
    #[error("{0} is archived, which is for good: issue another ID")]
    IsArchived(CorporateId),
    /// There is nothing to give back.
    #[error("{0} was not revoked: activate it without reinstating")]
    NotRevoked(CorporateId),
    /// Archiving would hide an ID that is in use.
    #[error("{id} is {status}, and only a revoked ID is archived: revoke it first")]
    InUse {
        /// The ID.
        id: CorporateId,
        /// Its status.
        status: Status,
    },
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn id() -> CorporateId {
        CorporateId::parse("AB123456").unwrap()
    }

    /// What is wrong with a whole life, told without the table above.
    fn fault(life: &[(Step, Result<Status, StepError>)]) -> Option<String> {
        let mut status = Status::Issued;
        for (step, result) in life {
            let Ok(next) = result else { continue };
            let rises = Status::ALL.iter().position(|it| it == next) >= Status::ALL.iter().position(|it| *it == status);
            let reinstates = *step == Step::Reinstate && status == Status::Revoked;
            if !rises && !reinstates {
                return Some(format!("{step:?} leads back from {status} to {next}"));
            }
            if status == Status::Archived && *next != Status::Archived {
                return Some(format!("{step:?} leads out of the archive to {next}"));
            }
            if *next == Status::Archived && status.is_valid() {
                return Some(format!("{step:?} archives an ID that is {status}"));
            }
            status = *next;
        }
        None
    }

    proptest! {
        #[test]
        fn no_life_leads_back_but_by_reinstating_and_none_out_of_the_archive(
            steps in prop::collection::vec(select(Step::ALL.to_vec()), 0..30),
        ) {
            let mut status = Status::Issued;
            let mut life = Vec::new();
            for step in steps {
                let result = status.after(step, &id());
                status = *result.as_ref().unwrap_or(&status);
                // Saying it twice changes nothing.
                if result.is_ok() {
                    prop_assert_eq!(status.after(step, &id()), Ok(status));
                }
                life.push((step, result));
            }
            prop_assert_eq!(fault(&life), None);
        }

        #[test]
        fn an_order_to_revoke_is_never_refused_and_never_leaves_a_valid_id(status in select(Status::ALL.to_vec())) {
            prop_assert!(!status.after(Step::Revoke, &id()).unwrap().is_valid());
        }
    }

    #[test]
    fn a_refused_step_says_what_to_do_instead() {
        let said = |status: Status, step| status.after(step, &id()).unwrap_err().to_string();
        assert!(said(Status::Revoked, Step::Activate).contains("--reinstate"));
        assert!(said(Status::Archived, Step::Reinstate).contains("issue another"));
        assert!(said(Status::Issued, Step::Reinstate).contains("without reinstating"));
        assert!(said(Status::Active, Step::Archive).contains("AB123456 is active"));
    }

    #[test]
    fn words_are_read_back_in_any_case() {
        for status in Status::ALL {
            assert_eq!(Status::parse(&status.as_str().to_uppercase()), Some(status));
        }
        assert_eq!(Status::parse(""), None);
    }
}
