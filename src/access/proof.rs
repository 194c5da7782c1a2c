//! How far a denial is proved.

use jiff::Timestamp;

use crate::history::RevocationRow;

/// How far a denial is proved. Times are UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Auth refuses.
    pub in_force: bool,
    /// The guard holds the denial back until a person confirms it.
    pub held_back: bool,
    /// Auth refused from then on, at the latest.
    pub denied_at: Option<Timestamp>,
    /// From then on no session could pass another byte.
    pub contained_at: Option<Timestamp>,
    /// From then on no session was left.
    pub sessions_zero_at: Option<Timestamp>,
    /// Nodes whose word is missing.
    pub waiting_for: Vec<String>,
    /// Those of them whose word never comes, because they have no statistics API.
    pub unprovable: Vec<String>,
    /// Nodes that were taken out of their gateway before their word was there: nobody knows what passes through them.
    pub left_out: Vec<String>,
    /// When `contained_at` was last taken back.
    pub withdrawn_at: Option<Timestamp>,
}

impl Proof {
    /// What the history has of a revocation. What is waited for does not stand there.
    #[must_use]
    pub(super) fn of_record(row: &RevocationRow) -> Self {
        Self {
            in_force: true,
            denied_at: Some(row.denied_at),
            contained_at: row.contained_at,
            sessions_zero_at: row.sessions_zero_at,
            left_out: row.left_out.clone(),
            withdrawn_at: row.withdrawn_at,
            ..Self::default()
        }
    }
}
