//! Settings of the guard.

use clap::Args;
use jiff::SignedDuration;

use super::values;
use crate::model::guard_limits::{GuardLimits, Limit, PerBudget, Share};

/// How many people may lose access without a person.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Guard")]
pub struct Guard {
    /// People who may lose access within the window by what follows from data, before a person has to agree: a number for
    /// every budget, and exceptions (`10,hr=50,usage=off`). Budgets: declared, hr, scim, usage, holds
    #[arg(long = "guard-limit", env = "GUARD_LIMIT", value_name = "PEOPLE", default_value_t)]
    pub limit: PerBudget<Limit>,
    /// As many percent of the people who have access, if that is more, with exceptions (`5%,hr=20%`)
    #[arg(long = "guard-share", env = "GUARD_SHARE", value_name = "PERCENT", default_value_t)]
    pub share: PerBudget<Share>,
    /// The time within which they are counted. 1s to 24h
    #[arg(
        long = "guard-window",
        env = "GUARD_WINDOW",
        value_name = "TIME",
        default_value = "10m",
        value_parser = values::guard_window
    )]
    pub window: SignedDuration,
}

impl Guard {
    pub(super) fn limits(self) -> GuardLimits {
        GuardLimits::new(self.limit, self.share, self.window)
    }
}
