//! Which of HR's instructions counts. Pure.
//!
//! Instructions about one person are ordered by the moment at which HR said them, whatever the order in which they arrive. An
//! activation undoes the denials before it, and no other; of an activation and a denial of the same moment the denial counts.
//! So the same instructions leave the same behind in whatever order, and however often, they are applied.

use jiff::{SignedDuration, Timestamp};

use crate::model::access::HoldSpan;

/// How far HR's clock may be ahead.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// An event that says it was sent in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timestamp: {0} is more than five minutes after its arrival: set the sender's clock")]
pub struct FromFuture(pub Timestamp);

/// The moment by which an event is ordered: the earlier of its own and its arrival.
///
/// # Errors
/// It says that it is from the future.
pub fn ordered_at(own: Option<Timestamp>, arrival: Timestamp) -> Result<Timestamp, FromFuture> {
    match own {
        Some(own) if own.duration_since(arrival) > AHEAD => Err(FromFuture(own)),
        own => Ok(own.map_or(arrival, |own| own.min(arrival))),
    }
    // As it is kept: to the microsecond.
    .map(|at| Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at))
}

/// A hold that HR placed and that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// The moment by which the event is ordered that placed it.
    pub at: Timestamp,
    /// When it denies.
    pub span: HoldSpan,
}

impl Standing {
    /// Whether it denies at every moment from `now` on at which the other does.
    fn covers(&self, other: HoldSpan, now: Timestamp) -> bool {
        covers(self.span, other, now)
    }
}

fn covers(wide: HoldSpan, narrow: HoldSpan, now: Timestamp) -> bool {
    let begins = |span: HoldSpan| span.from.filter(|from| *from > now).unwrap_or(now);
    let ends = |span: HoldSpan| span.until.unwrap_or(Timestamp::MAX);
    begins(wide) <= begins(narrow) && ends(wide) >= ends(narrow)
}

/// What a denial comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Nothing: HR activated the person later.
    Late {
        /// When.
        activated: Timestamp,
    },
    /// Nothing: it is over already.
    Over,
    /// A hold that HR placed in the same moment, or later, denies as much.
    Stands(String),
    /// A new hold.
    Place {
        /// Holds that add nothing once this one is in force.
        supersedes: Vec<String>,
    },
}

/// Decides what a denial comes to that HR said at `at`.
#[must_use]
pub fn deny(
    at: Timestamp,
    span: HoldSpan,
    activated: Option<Timestamp>,
    standing: &[Standing],
    now: Timestamp,
) -> Denial {
    if let Some(activated) = activated.filter(|activated| at < *activated) {
        return Denial::Late { activated };
    }
    if span.until.is_some_and(|until| until <= now) {
        return Denial::Over;
    }
    let as_much = |hold: &&Standing| hold.at >= at && hold.covers(span, now);
    if let Some(hold) = standing.iter().find(as_much) {
        return Denial::Stands(hold.name.clone());
    }
    Denial::Place {
        supersedes: superseded(at, span, standing, now),
    }
}

/// Holds that were said no later than `at`, and that deny nothing which `span` does not.
#[must_use]
pub fn superseded(at: Timestamp, span: HoldSpan, standing: &[Standing], now: Timestamp) -> Vec<String> {
    let adds_nothing = |hold: &&Standing| hold.at <= at && covers(span, hold.span, now);
    standing
        .iter()
        .filter(adds_nothing)
        .map(|hold| hold.name.clone())
        .collect()
}

/// What an activation comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Holds that it lifts.
    pub lifts: Vec<String>,
    /// Holds of HR that were said in the same moment or later, and stay.
    pub stays: Vec<String>,
}

/// Decides what an activation comes to that HR said at `at`.
#[must_use]
pub fn activate(at: Timestamp, standing: &[Standing]) -> Activation {
    let (lifts, stays) = standing.iter().partition::<Vec<&Standing>, _>(|hold| hold.at < at);
    let names = |holds: Vec<&Standing>| holds.into_iter().map(|hold| hold.name.clone()).collect();
    Activation {
        lifts: names(lifts),
        stays: names(stays),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_earlier_of_both_times_counts_and_the_future_is_refused() {
        let arrival = at(1000);
        assert_eq!(ordered_at(None, arrival), Ok(arrival));
        assert_eq!(ordered_at(Some(at(900)), arrival), Ok(at(900)));
        assert_eq!(ordered_at(Some(at(1300)), arrival), Ok(arrival));
        assert_eq!(ordered_at(Some(at(1301)), arrival), Err(FromFuture(at(1301))));
    }

    #[derive(Debug, Clone)]
    enum Said {
        Deny(i64, HoldSpan),
        Activate(i64),
    }

    /// A person as HR's instructions leave one behind.
    #[derive(Default)]
    struct Person {
        activated: Option<Timestamp>,
        standing: Vec<Standing>,
    }

    impl Person {
        fn apply(&mut self, said: &Said, now: Timestamp) {
            match said {
                Said::Deny(moment, span) => match deny(at(*moment), *span, self.activated, &self.standing, now) {
                    Denial::Place { supersedes } => {
                        self.standing.retain(|hold| !supersedes.contains(&hold.name));
                        let name = format!("{moment}-{span:?}");
                        self.standing.push(Standing {
                            name,
                            at: at(*moment),
                            span: *span,
                        });
                    }
                    Denial::Stands(name) => assert!(self.standing.iter().any(|hold| hold.name == name)),
                    Denial::Late { .. } | Denial::Over => {}
                },
                Said::Activate(moment) => {
                    let lifts = activate(at(*moment), &self.standing).lifts;
                    self.activated = self.activated.max(Some(at(*moment)));
                    self.standing.retain(|hold| !lifts.contains(&hold.name));
                }
            }
        }

        fn is_denied(&self, now: Timestamp) -> bool {
            self.standing.iter().any(|hold| hold.span.is_live(now))
        }
    }

    /// What all that was said means, whatever came first.
    fn is_denied(said: &[Said], now: Timestamp) -> bool {
        let activated = said.iter().filter_map(|said| match said {
            Said::Activate(moment) => Some(*moment),
            Said::Deny(..) => None,
        });
        let activated = activated.max().unwrap_or(i64::MIN);
        said.iter()
            .any(|said| matches!(said, Said::Deny(moment, span) if *moment >= activated && span.is_live(now)))
    }

    fn said() -> impl Strategy<Value = Said> {
        let deny =
            (0..8_i64, prop::option::of(5..15_i64), prop::option::of(1..8_i64)).prop_map(|(moment, from, length)| {
                let until = length.map(|length| at(from.unwrap_or(moment) + length));
                Said::Deny(
                    moment,
                    HoldSpan {
                        from: from.map(at),
                        until,
                    },
                )
            });
        prop_oneof![deny, (0..8_i64).prop_map(Said::Activate)]
    }

    proptest! {
        #[test]
        fn whatever_comes_first_the_newest_instruction_counts(
            said in prop::collection::vec(said(), 0..8), again in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            order in any::<u64>(), times in prop::collection::vec(0..3_i64, 16),
        ) {
            let mut arriving: Vec<&Said> = said.iter().collect();
            if !said.is_empty() {
                arriving.extend(again.iter().map(|index| index.get(&said)));
            }
            // Any order: a shuffle that the case names.
            let mut seed = order | 1;
            for i in (1..arriving.len()).rev() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                arriving.swap(i, usize::try_from(seed >> 33).unwrap() % (i + 1));
            }
            let mut person = Person::default();
            let mut now = 8;
            let mut seen: Vec<Said> = Vec::new();
            for (said, passed) in arriving.into_iter().zip(&times) {
                now += passed;
                person.apply(said, at(now));
                seen.push(said.clone());
                for later in now..now + 20 {
                    prop_assert_eq!(person.is_denied(at(later)), is_denied(&seen, at(later)), "at {} after {:?}", later, seen);
                }
            }
        }
    }

    #[test]
    fn a_suspension_never_shortens_a_deactivation_and_holds_do_not_pile_up() {
        let mut person = Person::default();
        let now = at(100);
        let open = HoldSpan {
            from: None,
            until: None,
        };
        let until = |end| HoldSpan {
            from: None,
            until: Some(at(end)),
        };
        person.apply(&Said::Deny(1, until(200)), now);
        person.apply(&Said::Deny(2, until(300)), now);
        assert_eq!(
            person.standing.len(),
            1,
            "the longer one takes the place of the shorter one"
        );
        person.apply(&Said::Deny(3, open), now);
        person.apply(&Said::Deny(4, until(200)), now);
        assert!(person.is_denied(at(1_000_000)));
        assert_eq!(person.standing.len(), 2);
        // Both are still there for an activation that was said between them.
        person.apply(&Said::Activate(4), now);
        assert!(
            person.is_denied(at(150)) && !person.is_denied(at(200)),
            "the tie is the denial's"
        );
    }
}
