//! The words of the guard: who orders, what is a consequence, and what was decided about a cause.
//!
//! An *order* names one person and is given by somebody: it is in force at once, always, and no verdict is kept for it. A
//! *consequence* follows from data: it is judged once, against the [`Budget`] of its kind, and its verdict stays with it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{access::HoldSpan, corporate_id::CorporateId, traffic::TrafficLimit};

/// A system that says by itself who should be out, so that its denials are consequences and no orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// Events of the HR system.
    Hr,
    /// Provisioning by SCIM.
    Scim,
}

impl Feed {
    /// Every feed.
    pub const ALL: [Self; 2] = [Self::Hr, Self::Scim];

    /// The source of the holds that it places.
    #[must_use]
    pub const fn source(self) -> &'static str {
        match self {
            Self::Hr => "hr",
            Self::Scim => "scim",
        }
    }

    /// The feed with this source; `None` if the source is somebody who gives orders.
    #[must_use]
    pub fn of_source(source: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feed| feed.source() == source)
    }
}

/// What a consequence is counted against. One that is used up leaves the others as they are, and orders use up none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Budget {
    /// Objects that are gone, or whose `active`, `validFrom`, `validUntil`, `traffic` or `gateways` was edited.
    Declared,
    /// Holds placed by HR events.
    Hr,
    /// Holds placed by SCIM.
    Scim,
    /// Traffic limits that are used up.
    Usage,
    /// Holds that are gone without having been lifted: access would be given back.
    Holds,
}

impl Budget {
    /// Every budget.
    pub const ALL: [Self; 5] = [Self::Declared, Self::Hr, Self::Scim, Self::Usage, Self::Holds];

    /// The constant that stands in status, metrics and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "Declared",
            Self::Hr => "Hr",
            Self::Scim => "Scim",
            Self::Usage => "Usage",
            Self::Holds => "Holds",
        }
    }

    /// The budget of this name, whatever its case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|budget| budget.as_str().eq_ignore_ascii_case(name))
    }
}

impl From<Feed> for Budget {
    fn from(feed: Feed) -> Self {
        match feed {
            Feed::Hr => Self::Hr,
            Feed::Scim => Self::Scim,
        }
    }
}

/// What was decided about a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// It is in force.
    Passed,
    /// It waits for a person.
    HeldBack,
    /// A person decided that it is not to take effect.
    Rejected,
}

impl Verdict {
    /// The constant that stands in the guard's store and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::HeldBack => "HeldBack",
            Self::Rejected => "Rejected",
        }
    }

    /// The verdict of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Passed, Self::HeldBack, Self::Rejected]
            .into_iter()
            .find(|verdict| verdict.as_str() == name)
    }

    /// Whether the cause does not take effect.
    #[must_use]
    pub const fn keeps(self) -> bool {
        matches!(self, Self::HeldBack | Self::Rejected)
    }
}

/// Of an object whose new version is held back: what its former version said about access, and what stays in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptTerms {
    /// Whether the person should have access.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub active: bool,
    /// Access begins at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Access ends at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Limit on traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<TrafficLimit>,
    /// Gateways; `default` alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub gateways: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

impl Default for KeptTerms {
    /// Access without any limit.
    fn default() -> Self {
        Self {
            active: true,
            valid_from: None,
            valid_until: None,
            traffic: None,
            gateways: None,
        }
    }
}

/// One cause of a user that the guard holds back, as the user's status has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldBackCause {
    /// Kind of the cause: `Declared` or `Usage`.
    pub cause: Budget,
    /// Which state of the object this speaks of: a digest of what it says about access. Another one is judged anew.
    pub key: String,
    /// Generation of the object when this was decided.
    pub generation: i64,
    /// Since when.
    pub since: Timestamp,
    /// A person decided that it is not to take effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
    /// What stays in force. Only for `Declared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptTerms>,
}

/// Of a hold: that the guard waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitingHold {
    /// Since when.
    pub since: Timestamp,
    /// A person decided that it is not to take effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
}

/// One verdict, as the guard's store keeps it. There is at most one for each object and [`Budget`]: the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRecord {
    /// Uid of the object: a user for [`Budget::Declared`] and [`Budget::Usage`], else a hold.
    pub uid: String,
    /// What it was judged against.
    pub budget: Budget,
    /// Which state of the object it speaks of. Empty for a hold, whose spec never changes.
    pub key: String,
    /// What was decided.
    pub verdict: Verdict,
    /// When it was decided first.
    pub since: Timestamp,
    /// Whom it concerns.
    pub corporate_id: CorporateId,
    /// Name of the object.
    pub name: String,
    /// Of [`Budget::Declared`]: what is in force of the object, the version before when this one is held back.
    pub kept: Option<KeptTerms>,
    /// Of a hold: when it denies.
    pub span: Option<HoldSpan>,
}

/// Somebody who lost access (of [`Budget::Holds`]: a hold that was lost) counts against a budget from a moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Which budget.
    pub budget: Budget,
    /// Who: [`CorporateId::key`], or the uid of a hold.
    pub who: String,
    /// When.
    pub at: Timestamp,
}

/// A change of what the guard knows, in the order in which it has to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are verdicts, and each is moved into the queue once"
)]
pub enum GuardChange {
    /// A verdict, in place of the one before for the same uid and budget.
    Verdict(VerdictRecord),
    /// The verdict for this uid and budget counts no more.
    Forget {
        /// Uid of the object.
        uid: String,
        /// What it was judged against.
        budget: Budget,
    },
    /// Somebody counts against a budget.
    Charge(Charge),
}

/// What the guard knew when the last process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardMemory {
    /// The latest verdicts.
    pub verdicts: Vec<VerdictRecord>,
    /// Who counts against which budget.
    pub charges: Vec<Charge>,
}

/// How a budget stands, for metrics and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetReport {
    /// Which budget.
    pub budget: Budget,
    /// How many people may lose access within the window; `None`: the guard is off for it.
    pub limit: Option<usize>,
    /// How many count against it at present.
    pub used: usize,
    /// How many causes are held back and wait for a person.
    pub waiting: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_feeds_are_no_orders() {
        assert_eq!(Feed::of_source("hr"), Some(Feed::Hr));
        assert_eq!(Feed::of_source("scim"), Some(Feed::Scim));
        for source in ["api", "cli", "bot", "registry", "helpdesk", "HR", ""] {
            assert_eq!(Feed::of_source(source), None, "{source}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for budget in Budget::ALL {
            assert_eq!(Budget::parse(&budget.as_str().to_lowercase()), Some(budget));
        }
        for verdict in [Verdict::Passed, Verdict::HeldBack, Verdict::Rejected] {
            assert_eq!(Verdict::parse(verdict.as_str()), Some(verdict));
        }
        assert_eq!((Budget::parse("all"), Verdict::parse("passed")), (None, None));
    }
}
