//! What a person is to be told, from what they were told and how things stand. Pure.

use jiff::{SignedDuration, Timestamp};

use super::notices::What;

/// Telling a change later than this after it came about would mislead.
pub const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// How long a change of access is left to come undone before anybody hears of it.
const SETTLES: SignedDuration = SignedDuration::from_secs(5);

/// Days before the end at which it is told, and for how many hours each is true enough, the nearest last.
const ENDS: [(u32, i64); 2] = [(7, 24), (1, 12)];

/// Shares of the traffic at which they are told.
const SHARES: [u32; 2] = [80, 95];

/// How things stand with a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whether logins are let in.
    pub granted: bool,
    /// Why, or why not: the word of a reason.
    pub reason: String,
    /// First moment after access.
    pub valid_until: Option<Timestamp>,
    /// Traffic, where there is a limit.
    pub quota: Option<Quota>,
}

/// Traffic of a person with a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// Bytes that count.
    pub used: u64,
    /// Bytes allowed.
    pub limit: u64,
    /// When the count began; `None` where it never begins anew.
    pub since: Option<Timestamp>,
    /// When it begins anew.
    pub resets_at: Option<Timestamp>,
}

/// What a person was told, or saw, last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether there was access; `None` before anybody looked.
    pub granted: Option<bool>,
    /// Whether there ever was.
    pub was_granted: bool,
    /// The share of the traffic that was told, of which count and limit.
    pub quota: Option<String>,
    /// The end that was told, and how near.
    pub expiring: Option<String>,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// What.
    pub what: What,
    /// What tells it from others of its kind about the same account.
    pub name: String,
    /// Nobody is told before.
    pub due_at: Timestamp,
    /// Telling it later than this would mislead.
    pub until: Timestamp,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What the person counts as told then.
    pub told: Told,
    /// What is to be told.
    pub tells: Vec<Tell>,
    /// When to look again although nothing changed.
    pub next: Option<Timestamp>,
}

/// What follows from how things stand at this moment. `quiet`: nobody looked for so long that it is not known since when access
/// stands as it does; then it is taken as told.
#[must_use]
pub fn step(told: &Told, facts: &Facts, now: Timestamp, quiet: bool) -> Step {
    let mut told = told.clone();
    let mut tells = Vec::new();
    let first = told.granted.is_none();
    if told.granted != Some(facts.granted) {
        if !first && !quiet {
            let what = match (facts.granted, told.was_granted) {
                (true, true) => What::Restored,
                (true, false) => What::Granted,
                (false, _) => What::Suspended {
                    reason: facts.reason.clone(),
                },
            };
            tells.push(Tell {
                what,
                name: now.as_microsecond().to_string(),
                due_at: after(now, SETTLES),
                until: after(now, FRESH),
            });
        }
        told.granted = Some(facts.granted);
        told.was_granted |= facts.granted;
    }
    tells.extend(quota(&mut told, facts, now));
    let (ending, next) = ending(&mut told, facts, now);
    tells.extend(ending);
    Step { told, tells, next }
}

/// The highest share that is reached, if it was not told of this count and limit. What is reached when somebody looks for the first
/// time is taken as told.
fn quota(told: &mut Told, facts: &Facts, now: Timestamp) -> Option<Tell> {
    let quota = facts.quota.as_ref()?;
    let since = quota
        .since
        .map_or_else(|| "ever".to_owned(), |since| since.as_second().to_string());
    let count = format!("{since}/{}", quota.limit);
    let reached = |share: &&u32| u128::from(quota.used) * 100 >= u128::from(quota.limit) * u128::from(**share);
    let share = SHARES.iter().rfind(reached).copied().unwrap_or(0);
    let first = told.quota.is_none();
    let told_share = told
        .quota
        .as_deref()
        .and_then(|known| known.strip_prefix(&format!("{count}/")))
        .and_then(|share| share.parse::<u32>().ok())
        .unwrap_or(0);
    if !first && share <= told_share {
        return None;
    }
    told.quota = Some(format!("{count}/{share}"));
    // Who is out is told that, and not that it will be so soon.
    (facts.granted && !first).then(|| Tell {
        what: What::Quota {
            percent: share,
            resets_at: quota.resets_at,
        },
        name: format!("{count}/{share}"),
        due_at: now,
        until: quota.resets_at.unwrap_or(Timestamp::MAX).min(after(now, FRESH)),
    })
}

/// That the end is near, and when to look again.
fn ending(told: &mut Told, facts: &Facts, now: Timestamp) -> (Option<Tell>, Option<Timestamp>) {
    let Some(end) = facts.valid_until else {
        return (None, None);
    };
    let begins = |days: u32| before(end, SignedDuration::from_hours(24 * i64::from(days)));
    let next = ENDS.iter().map(|(days, _)| begins(*days)).find(|begin| *begin > now);
    let open = |(days, hours): &&(u32, i64)| {
        let begin = begins(*days);
        begin <= now && now < after(begin, SignedDuration::from_hours(*hours)) && now < end
    };
    let Some((days, hours)) = ENDS.iter().rfind(open) else {
        return (None, next);
    };
    let name = format!("{}/{days}", end.as_second());
    if !facts.granted || told.expiring.as_deref() == Some(&*name) {
        return (None, next);
    }
    told.expiring = Some(name.clone());
    let tell = Tell {
        what: What::Expiring {
            valid_until: end,
            days: *days,
        },
        name,
        due_at: now,
        until: after(begins(*days), SignedDuration::from_hours(*hours)).min(end),
    };
    (Some(tell), next)
}

fn after(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}

fn before(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_sub(span).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().unwrap()
    }

    fn hours(hours: i64) -> Timestamp {
        after(start(), SignedDuration::from_hours(hours))
    }

    fn facts(granted: bool) -> Facts {
        Facts {
            granted,
            reason: if granted { "Active" } else { "Held" }.to_owned(),
            valid_until: None,
            quota: None,
        }
    }

    fn seen(granted: bool) -> Told {
        step(&Told::default(), &facts(granted), start(), false).told
    }

    fn words(step: &Step) -> Vec<&'static str> {
        step.tells.iter().map(|tell| tell.what.word()).collect()
    }

    #[test]
    fn who_is_looked_at_for_the_first_time_is_told_nothing_of_access_and_traffic() {
        let mut facts = facts(true);
        facts.quota = Some(Quota {
            used: 90,
            limit: 100,
            since: None,
            resets_at: None,
        });
        let first = step(&Told::default(), &facts, start(), false);
        assert_eq!(words(&first), [""; 0]);
        assert!(first.told.was_granted);
        facts.quota.as_mut().unwrap().used = 96;
        assert_eq!(words(&step(&first.told, &facts, start(), false)), ["quota"]);
    }

    #[test]
    fn access_is_granted_once_and_restored_from_then_on() {
        let denied = seen(false);
        let granted = step(&denied, &facts(true), hours(1), false);
        assert_eq!(words(&granted), ["granted"]);
        let suspended = step(&granted.told, &facts(false), hours(2), false);
        assert_eq!(
            suspended.tells[0].what,
            What::Suspended {
                reason: "Held".to_owned()
            }
        );
        assert_eq!(
            words(&step(&suspended.told, &facts(true), hours(3), false)),
            ["restored"]
        );
        let another = Facts {
            reason: "Expired".to_owned(),
            ..facts(false)
        };
        assert_eq!(words(&step(&suspended.told, &another, hours(3), false)), [""; 0]);
    }

    #[test]
    fn what_changed_while_nobody_looked_for_long_is_taken_as_told() {
        let quiet = step(&seen(true), &facts(false), hours(50), true);
        assert_eq!((words(&quiet), quiet.told.granted), (vec![], Some(false)));
    }

    #[test]
    fn the_end_is_told_seven_days_and_one_day_before_and_not_when_less_is_left() {
        let end = hours(24 * 30);
        let facts = Facts {
            valid_until: Some(end),
            ..facts(true)
        };
        let at = |left: i64| hours(24 * 30 - left);
        let told = seen(true);
        let early = step(&told, &facts, at(24 * 8), false);
        assert_eq!((words(&early), early.next), (vec![], Some(at(24 * 7))));
        let week = step(&told, &facts, at(24 * 7), false);
        assert_eq!(
            week.tells[0].what,
            What::Expiring {
                valid_until: end,
                days: 7
            }
        );
        assert_eq!((week.tells[0].until, week.next), (at(24 * 6), Some(at(24))));
        assert_eq!(words(&step(&week.told, &facts, at(24 * 7 - 1), false)), [""; 0]);
        assert_eq!(
            words(&step(&told, &facts, at(24 * 3), false)),
            [""; 0],
            "neither is true"
        );
        let day = step(&week.told, &facts, at(20), false);
        assert_eq!(
            day.tells[0].what,
            What::Expiring {
                valid_until: end,
                days: 1
            }
        );
        assert_eq!(words(&step(&week.told, &facts, at(3), false)), [""; 0]);
        let later = Facts {
            valid_until: Some(hours(24 * 60)),
            ..facts
        };
        assert_eq!(
            words(&step(&day.told, &later, hours(24 * 53), false)),
            ["expiring"],
            "another end"
        );
    }

    #[test]
    fn traffic_is_told_once_a_count_and_only_the_highest_share() {
        let quota = |used, since: i64| Facts {
            quota: Some(Quota {
                used,
                limit: 1000,
                since: Some(hours(since)),
                resets_at: Some(hours(since + 700)),
            }),
            ..facts(true)
        };
        let told = step(&Told::default(), &quota(0, 0), start(), false).told;
        assert_eq!(words(&step(&told, &quota(799, 0), hours(1), false)), [""; 0]);
        let both = step(&told, &quota(960, 0), hours(1), false);
        assert_eq!(
            both.tells[0].what,
            What::Quota {
                percent: 95,
                resets_at: Some(hours(700))
            }
        );
        assert_eq!(words(&step(&both.told, &quota(850, 0), hours(2), false)), [""; 0]);
        assert_eq!(words(&step(&both.told, &quota(850, 700), hours(701), false)), ["quota"]);
        let out = Facts {
            granted: false,
            reason: "OverQuota".to_owned(),
            ..quota(1000, 0)
        };
        assert_eq!(words(&step(&told, &out, hours(1), false)), ["suspended"]);
    }

    proptest! {
        #[test]
        fn looking_twice_tells_nothing_twice(
            changes in proptest::collection::vec((any::<bool>(), 0..120_u64, 0..30_i64, 0..400_i64), 1..40),
        ) {
            let (mut told, mut now) = (Told::default(), start());
            let mut names = std::collections::HashSet::new();
            for (granted, used, gap, end) in changes {
                now = after(now, SignedDuration::from_hours(gap));
                let facts = Facts {
                    valid_until: Some(hours(end)),
                    quota: Some(Quota { used, limit: 100, since: None, resets_at: None }),
                    ..facts(granted)
                };
                let one = step(&told, &facts, now, false);
                let again = step(&one.told, &facts, now, false);
                prop_assert!(again.tells.is_empty(), "{:?}", again.tells);
                prop_assert_eq!(&again.told, &one.told);
                for tell in &one.tells {
                    prop_assert!(now < tell.until && tell.due_at < tell.until);
                    if let What::Quota { .. } = tell.what {
                        prop_assert!(names.insert(tell.name.clone()));
                    }
                }
                prop_assert!(one.next.is_none_or(|next| next > now));
                told = one.told;
            }
        }
    }
}
