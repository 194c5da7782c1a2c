//! What has to change of an account on a panel, by what is wanted and what is listed. Pure.
//!
//! Bytes and seconds are enforced by the operator's own decision. The panel, whose units are whole GB and days, is given limits
//! as a backstop for when the operator is away: never such that the panel would cut earlier.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use secrecy::ExposeSecret;

use super::client::{Change, Entry, NewAccount};
use crate::gateway::Account;

/// What the operator's own accounts have at the end of their note.
pub(super) const MARK: &str = "[vpn-operator]";
/// Bytes of what the panel calls a GB.
const GB: u64 = 1 << 30;
/// Days that an account may have more than it needs before that is changed. Its days count from its first byte on, so before
/// that every day makes it need one less.
const SLACK_DAYS: u32 = 60;

/// Whether an account is the operator's to change: it made it, or may take it over.
pub(super) fn is_ours(account: &Account, entry: &Entry) -> bool {
    account.adopt || is_marked(entry) || has_password(account, entry)
}

/// Whether an account has the mark of the operator's own.
pub(super) fn is_marked(entry: &Entry) -> bool {
    entry.note.trim_end().ends_with(MARK)
}

fn has_password(account: &Account, entry: &Entry) -> bool {
    let wanted = account.password.as_ref();
    wanted.is_some_and(|wanted| wanted.expose_secret() == entry.password.expose_secret())
}

/// Whether people are let in with it as is wanted, whatever else has to change of it.
pub(super) fn lets_in(account: &Account, entry: &Entry) -> bool {
    !entry.blocked && (account.password.is_none() || has_password(account, entry))
}

/// An account that is to be made. `None` while its password is not known.
pub(super) fn new(account: &Account, now: Timestamp) -> Option<NewAccount> {
    Some(NewAccount {
        password: account.password.clone()?,
        limit_gb: limit_gb(account),
        days: days(account, None, now),
        note: MARK.to_owned(),
    })
}

/// What has to change so that people are let in as is wanted. Empty when nothing has to.
pub(super) fn change(account: &Account, entry: &Entry, now: Timestamp) -> Change {
    let limit = limit_gb(account);
    let has_limit = entry.limit.map_or(0, |limit| limit.div_ceil(GB));
    let days = days(account, entry.created, now);
    let has_days = entry.days.unwrap_or(0);
    let days_do = match (entry.created, days) {
        (_, 0) | (Some(_), _) => has_days == days,
        (None, _) => (days..=days.saturating_add(SLACK_DAYS)).contains(&has_days),
    };
    Change {
        blocked: entry.blocked.then_some(false),
        password: account.password.clone().filter(|_| !has_password(account, entry)),
        limit_gb: (has_limit != u64::from(limit)).then_some(limit),
        days: (!days_do).then_some(days),
        unlimited: entry.unlimited.then_some(false),
        note: (!is_marked(entry)).then(|| match entry.note.trim() {
            "" => MARK.to_owned(),
            theirs => format!("{theirs} {MARK}"),
        }),
    }
}

/// Whole GB that no account reaches before the operator cuts it; 0 means no limit.
fn limit_gb(account: &Account) -> u32 {
    account
        .limit
        .map_or(0, |bytes| u32::try_from(bytes.div_ceil(GB) + 1).unwrap_or(0))
}

/// Days from `created` on, or from today while the panel has seen no byte, that end after `valid_until` in every time zone that
/// the panel may have; 0 means for ever.
fn days(account: &Account, created: Option<Date>, now: Timestamp) -> u32 {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let Some(until) = account.valid_until else { return 0 };
    let from = created.unwrap_or_else(|| day(now));
    let needed = day(until).since(from).map_or(0, |span| span.get_days());
    u32::try_from(needed.max(0)).unwrap_or(0) + 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + day * 86_400).unwrap()
    }

    fn entry(note: &str) -> Entry {
        Entry {
            password: "secret".into(),
            limit: None,
            days: None,
            created: None,
            blocked: false,
            unlimited: false,
            note: note.to_owned(),
            moved: (0, 0),
            online: 0,
        }
    }

    fn account() -> Account {
        Account {
            password: Some("secret".into()),
            ..Account::default()
        }
    }

    #[test]
    fn an_account_that_is_as_it_should_be_is_left_alone() {
        assert!(change(&account(), &entry(MARK), at(0)).is_empty());
    }

    #[test]
    fn what_people_noted_is_kept() {
        let change = change(&account(), &entry("call before 10"), at(0));
        assert_eq!(change.note.unwrap(), format!("call before 10 {MARK}"));
    }

    #[test]
    fn what_was_changed_by_hand_is_changed_back() {
        let by_hand = Entry {
            password: "theirs".into(),
            limit: Some(GB),
            days: Some(3),
            blocked: true,
            unlimited: true,
            ..entry(MARK)
        };
        let change = change(&account(), &by_hand, at(0));
        assert_eq!(
            (
                change.blocked,
                change.limit_gb,
                change.days,
                change.unlimited,
                change.note
            ),
            (Some(false), Some(0), Some(0), Some(false), None)
        );
        assert_eq!(change.password.unwrap().expose_secret(), "secret");
    }

    #[test]
    fn a_strangers_account_is_nobodys_to_change() {
        let theirs = Entry {
            password: "theirs".into(),
            ..entry("made by hand")
        };
        assert!(!is_ours(&account(), &theirs));
        let may = Account {
            adopt: true,
            ..account()
        };
        assert!(is_ours(&may, &theirs));
    }

    proptest! {
        #[test]
        fn the_panel_never_cuts_before_the_operator(limit in 1u64..1 << 50, until in -30i64..4000, created in proptest::option::of(-400i64..0)) {
            let account = Account {
                limit: Some(limit),
                valid_until: Some(at(until)),
                ..account()
            };
            let gb = u64::from(limit_gb(&account));
            prop_assert!(gb == 0 || gb * GB > limit);
            let created = created.map(|day| at(day).to_zoned(TimeZone::UTC).date());
            let days = days(&account, created, at(0));
            let from = created.unwrap_or_else(|| at(0).to_zoned(TimeZone::UTC).date());
            let ends = from.saturating_add(jiff::Span::new().days(days));
            // A day earlier than the panel's own midnight, wherever it is.
            prop_assert!(ends.saturating_sub(jiff::Span::new().days(1)) > at(until).to_zoned(TimeZone::UTC).date() || until < 0);
        }

        #[test]
        fn what_was_changed_needs_no_change_and_so_it_stays_on_the_next_days(
            limit in proptest::option::of(1u64..1 << 45), until in proptest::option::of(1i64..900), days in 0i64..50,
        ) {
            let account = Account {
                limit,
                valid_until: until.map(at),
                ..account()
            };
            let made = new(&account, at(0)).unwrap();
            let listed = Entry {
                limit: Some(u64::from(made.limit_gb) * GB).filter(|it| *it > 0),
                days: Some(made.days).filter(|it| *it > 0),
                ..entry(&made.note)
            };
            prop_assert!(change(&account, &listed, at(days)).is_empty());
        }
    }
}
