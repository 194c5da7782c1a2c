//! What the guard holds back, and what a person says to it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The commands that decide about what the guard holds back of a person.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DecideBody {
    /// Lets it happen.
    #[schema(example = "vpn-operator guard confirm AB123456")]
    pub confirm: String,
    /// Drops it.
    #[schema(example = "vpn-operator guard cancel AB123456")]
    pub cancel: String,
}

impl DecideBody {
    /// About the person with this corporate ID.
    #[must_use]
    pub fn about(corporate_id: &str) -> Self {
        Self {
            confirm: format!("vpn-operator guard confirm {corporate_id}"),
            cancel: format!("vpn-operator guard cancel {corporate_id}"),
        }
    }
}

/// What the guard holds back, and how much more it lets through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GuardBody {
    /// Denials and lost holds that wait for a person, by ID: at most 1000.
    #[schema(max_items = 1000)]
    pub pending: Vec<PendingBody>,
    /// How many there are.
    pub pending_total: usize,
    /// Rejected denials of people whose objects are deleted for good: they keep access until somebody confirms. At most 1000.
    #[schema(max_items = 1000)]
    pub rejected: Vec<PendingBody>,
    /// How many there are.
    pub rejected_total: usize,
    /// What each kind of consequence may do within the window. One that is used up leaves the others as they are.
    pub budgets: Vec<BudgetBody>,
    /// People who were denied by orders within the window. Orders are never held back and use up no budget.
    pub orders: usize,
    /// The time over which is counted, in seconds.
    pub window_seconds: i64,
    /// `used` of the budget `Declared`.
    pub recent: usize,
    /// `limit` of the budget `Declared`.
    pub limit: Option<usize>,
}

/// How much of a budget is used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BudgetBody {
    /// `Declared`, `Hr`, `Scim`, `Usage` or `Holds`.
    pub budget: String,
    /// The most people who may lose access within the window; null when the budget is switched off.
    pub limit: Option<usize>,
    /// How many did.
    pub used: usize,
    /// How many more may; null when the budget is switched off.
    pub left: Option<usize>,
    /// How many wait for a person.
    pub waiting: usize,
}

/// One thing that the guard holds back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PendingBody {
    /// Whom it concerns.
    pub corporate_id: String,
    /// Text that is shown to admins.
    pub owner: Option<String>,
    /// Why the person would be denied: a reason, or the name of a hold. For a lost hold, its name.
    pub reason: String,
    /// The file that declares it, or the reason that the hold was given; null when neither is known.
    pub from: Option<String>,
    /// The budget that it was too much for.
    pub budget: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The commands that decide.
    pub decide: DecideBody,
}

/// Whom a word to the guard concerns: people by name, or expressly everybody.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordBody {
    /// Corporate IDs, at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// `true`: everybody about whom something waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What became of a word to the guard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DoneBody {
    /// `confirmed` or `cancelled`.
    pub status: String,
    /// Whom it concerned.
    pub affected: Vec<String>,
    /// What the guard holds back then.
    #[serde(flatten)]
    pub guard: GuardBody,
}
