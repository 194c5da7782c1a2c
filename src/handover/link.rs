//! A link, and how it stands. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::model::corporate_id::CorporateId;

/// How far ahead of the clock a link may have been made. One from further ahead was made before the clock was set back, and would be
/// good for longer than it was meant to be: it is good again when the clock has caught up.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(1);

/// How long a browser that has opened a link may ask again and use nothing up.
pub const VISIT: SignedDuration = SignedDuration::from_mins(10);

/// A link that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// Its number, by which people speak of it.
    pub number: i64,
    /// Whose page it opens.
    pub id: CorporateId,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// First moment at which it is good no more.
    pub valid_until: Timestamp,
    /// How many times it opens the page.
    pub uses: u32,
    /// How many times it has.
    pub used: u32,
    /// When it has last.
    pub opened_at: Option<Timestamp>,
    /// When somebody withdrew it.
    pub withdrawn_at: Option<Timestamp>,
}

/// How a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It opens the page.
    Open,
    /// It has opened the page as often as it was to.
    UsedUp,
    /// Its time is over.
    Expired,
    /// Somebody withdrew it.
    Withdrawn,
}

impl Handover {
    /// How many times it opens the page still, as long as its time is not over.
    #[must_use]
    pub const fn uses_left(&self) -> u32 {
        self.uses.saturating_sub(self.used)
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.withdrawn_at.is_some() {
            Standing::Withdrawn
        } else if self.uses_left() == 0 {
            Standing::UsedUp
        } else if now < self.valid_until && !is_ahead(self.made_at, now) {
            Standing::Open
        } else {
            Standing::Expired
        }
    }
}

/// Whether a browser that opened a link at this moment may ask again.
pub(super) fn may_ask_again(opened: Timestamp, now: Timestamp) -> bool {
    !is_ahead(opened, now) && now.duration_since(opened) < VISIT
}

fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) > CLOCK_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }

    fn minutes(minutes: i64) -> Timestamp {
        start() + SignedDuration::from_mins(minutes)
    }

    fn link() -> Handover {
        Handover {
            number: 1,
            id: "AB123456".parse().unwrap(),
            made_by: "anna".to_owned(),
            made_at: start(),
            valid_until: minutes(60),
            uses: 2,
            used: 0,
            opened_at: None,
            withdrawn_at: None,
        }
    }

    #[test]
    fn a_link_is_open_until_its_time_is_over_or_it_is_used_up_or_withdrawn() {
        assert_eq!(link().standing(start()), Standing::Open);
        assert_eq!(
            link().standing(minutes(60) - SignedDuration::from_micros(1)),
            Standing::Open
        );
        assert_eq!(link().standing(minutes(60)), Standing::Expired);
        let used = |used| Handover { used, ..link() };
        assert_eq!(used(1).standing(start()), Standing::Open);
        assert_eq!(used(2).standing(start()), Standing::UsedUp);
        assert_eq!(used(2).standing(minutes(90)), Standing::UsedUp);
        let withdrawn = Handover {
            withdrawn_at: Some(start()),
            ..used(2)
        };
        assert_eq!(withdrawn.standing(start()), Standing::Withdrawn);
    }

    #[test]
    fn a_clock_that_is_set_back_draws_no_link_out() {
        assert_eq!(link().standing(minutes(-1)), Standing::Open, "clocks differ a little");
        assert_eq!(link().standing(minutes(-2)), Standing::Expired);
        assert_eq!(link().standing(minutes(-60 * 24)), Standing::Expired);
        assert_eq!(link().standing(minutes(5)), Standing::Open, "it has caught up");
    }

    #[test]
    fn a_browser_may_ask_again_for_a_few_minutes() {
        assert!(may_ask_again(start(), start()) && may_ask_again(start(), minutes(9)));
        assert!(!may_ask_again(start(), minutes(10)) && !may_ask_again(start(), minutes(-2)));
    }
}
