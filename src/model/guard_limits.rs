//! How much may follow from data before a person has to agree: a limit and a share for each budget, within one window.
//!
//! A setting has a value for every budget and, behind it, exceptions: `10,hr=50,usage=off`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::SignedDuration;

use super::guard::Budget;

/// Out of how many parts a [`Share`] is counted: percent, to four places.
const WHOLE: u32 = 1_000_000;
const PLACES: usize = 4;

/// How many people may lose access within the window, however few there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    People(usize),
    /// As many as there are: nothing is held back.
    Off,
}

impl Default for Limit {
    fn default() -> Self {
        Self::People(10)
    }
}

impl FromStr for Limit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number
            .map(Self::People)
            .ok_or_else(|| format!("'{text}' is no number of people: give one like 10, or the word off"))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::People(number) => number.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

/// A part of the people who have access, from 0 to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// How many of so many, rounded down.
    #[must_use]
    pub fn of(self, population: usize) -> usize {
        let part = population as u128 * u128::from(self.0) / u128::from(WHOLE);
        usize::try_from(part).unwrap_or(usize::MAX)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self(WHOLE / 20)
    }
}

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Err("off is no share: give 0, so that the limit alone counts".to_owned());
        }
        let bad = || format!("'{text}' is no share: give one between 0 and 100 %, like 5% or 2.5");
        let number = text.strip_suffix('%').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > PLACES {
            return Err(bad());
        }
        let parts = format!("{whole}{fraction:0<PLACES$}").parse().ok();
        parts.filter(|parts| *parts <= WHOLE).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = WHOLE / 100;
        let (whole, fraction) = (self.0 / percent, self.0 % percent);
        if fraction == 0 {
            return write!(f, "{whole}%");
        }
        let fraction = format!("{fraction:0>PLACES$}");
        write!(f, "{whole}.{}%", fraction.trim_end_matches('0'))
    }
}

/// A value for every budget, with exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerBudget<T> {
    all: T,
    exceptions: BTreeMap<Budget, T>,
}

impl<T: Copy> PerBudget<T> {
    /// The value of a budget.
    #[must_use]
    pub fn of(&self, budget: Budget) -> T {
        self.exceptions.get(&budget).copied().unwrap_or(self.all)
    }
}

impl<T: FromStr<Err = String> + Default> FromStr for PerBudget<T> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut all, mut exceptions) = (None, BTreeMap::new());
        for part in text.split(',').map(str::trim) {
            let Some((name, value)) = part.split_once('=') else {
                if all.replace(part.parse()?).is_some() {
                    return Err(format!("'{part}' is a second value for every budget: give one"));
                }
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            let budget = Budget::parse(name)
                .ok_or_else(|| format!("'{name}' is no budget: there are {}", names(Budget::ALL)))?;
            let value = value.parse().map_err(|error| format!("{name}: {error}"))?;
            if exceptions.insert(budget, value).is_some() {
                return Err(format!("'{name}' stands there twice"));
            }
        }
        Ok(Self {
            all: all.unwrap_or_default(),
            exceptions,
        })
    }
}

impl<T: fmt::Display> fmt::Display for PerBudget<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.fmt(f)?;
        for (budget, value) in &self.exceptions {
            write!(f, ",{}={value}", name(*budget))?;
        }
        Ok(())
    }
}

fn name(budget: Budget) -> String {
    budget.as_str().to_ascii_lowercase()
}

/// Budgets as settings spell them, comma-separated.
fn names(budgets: impl IntoIterator<Item = Budget>) -> String {
    budgets.into_iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What a budget allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimit {
    /// So many people in any case; nothing when `off`.
    pub limit: usize,
    /// Such a part of those who have access, if that is more.
    pub share: Share,
    /// Nothing is held back.
    pub off: bool,
}

/// What every budget allows, and within which time it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardLimits {
    limit: PerBudget<Limit>,
    share: PerBudget<Share>,
    window: SignedDuration,
}

impl GuardLimits {
    /// The window when nothing else is set.
    pub const WINDOW: SignedDuration = SignedDuration::from_mins(10);

    /// The limits that settings say.
    #[must_use]
    pub const fn new(limit: PerBudget<Limit>, share: PerBudget<Share>, window: SignedDuration) -> Self {
        Self { limit, share, window }
    }

    /// The time within which people are counted. One for all budgets.
    #[must_use]
    pub const fn window(&self) -> SignedDuration {
        self.window
    }

    /// What a budget allows.
    #[must_use]
    pub fn of(&self, budget: Budget) -> BudgetLimit {
        let (limit, off) = match self.limit.of(budget) {
            Limit::People(limit) => (limit, false),
            Limit::Off => (0, true),
        };
        BudgetLimit {
            limit,
            share: self.share.of(budget),
            off,
        }
    }

    /// How many people may lose access within the window, of so many who have it. `None`: as many as there are.
    #[must_use]
    pub fn allowed(&self, budget: Budget, population: usize) -> Option<usize> {
        let BudgetLimit { limit, share, off } = self.of(budget);
        (!off).then(|| limit.max(share.of(population)))
    }

    /// What to say at the start when the guard is off for a budget.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let off: Vec<Budget> = Budget::ALL.into_iter().filter(|budget| self.of(*budget).off).collect();
        (!off.is_empty()).then(|| format!("the guard is off for {}: nothing of it is held back", names(off)))
    }
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self::new(PerBudget::default(), PerBudget::default(), Self::WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str) -> Result<PerBudget<Limit>, String> {
        text.parse()
    }

    fn share(text: &str) -> Result<PerBudget<Share>, String> {
        text.parse()
    }

    fn per_budget<T: Clone + fmt::Debug>(
        value: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = PerBudget<T>> {
        let value = value.boxed();
        let exceptions =
            proptest::collection::btree_map(proptest::sample::select(Budget::ALL.to_vec()), value.clone(), 0..5);
        (value, exceptions).prop_map(|(all, exceptions)| PerBudget { all, exceptions })
    }

    fn any_limit() -> impl Strategy<Value = Limit> {
        prop_oneof![1 => Just(Limit::Off), 4 => any::<usize>().prop_map(Limit::People)]
    }

    fn any_share() -> impl Strategy<Value = Share> {
        (0..=WHOLE).prop_map(Share)
    }

    proptest! {
        #[test]
        fn a_limit_is_read_back_as_it_is_shown(value in per_budget(any_limit())) {
            prop_assert_eq!(limit(&value.to_string()), Ok(value));
        }

        #[test]
        fn a_share_is_read_back_as_it_is_shown(value in per_budget(any_share())) {
            prop_assert_eq!(share(&value.to_string()), Ok(value));
        }

        #[test]
        fn no_text_breaks_the_parsers(text in "[0-9a-z%.,= -]{0,24}") {
            for error in [limit(&text).err(), share(&text).err()].into_iter().flatten() {
                prop_assert!(error.contains("give") || error.contains("there are") || error.contains("twice"), "{}", error);
            }
        }

        #[test]
        fn an_exception_concerns_its_budget_alone(
            value in per_budget(any_limit()),
            budget in proptest::sample::select(Budget::ALL.to_vec()),
            people in 0..1000usize,
        ) {
            let other = limit(&format!("{},{}={people}", value.all, name(budget))).unwrap();
            for of in Budget::ALL {
                let expected = if of == budget { Limit::People(people) } else { value.all };
                prop_assert_eq!(other.of(of), expected);
            }
        }

        #[test]
        fn what_is_allowed_is_the_limit_or_the_share_whichever_is_more(
            people in 0..100usize, share in any_share(), population in 0..1_000_000usize,
        ) {
            let all = |limit| GuardLimits::new(
                PerBudget { all: limit, exceptions: BTreeMap::new() },
                PerBudget { all: share, exceptions: BTreeMap::new() },
                GuardLimits::WINDOW,
            );
            let allowed = all(Limit::People(people)).allowed(Budget::Hr, population).unwrap();
            prop_assert!(allowed >= people && allowed >= share.of(population));
            prop_assert!(allowed == people || allowed == share.of(population));
            prop_assert!(share.of(population) <= population);
            prop_assert_eq!(all(Limit::Off).allowed(Budget::Hr, population), None);
        }
    }

    #[test]
    fn the_defaults_are_ten_five_percent_and_ten_minutes() {
        let limits = GuardLimits::default();
        let allowed = |population| limits.allowed(Budget::Declared, population).unwrap();
        assert_eq!(
            (allowed(0), allowed(200), allowed(219), allowed(220), allowed(100_000)),
            (10, 10, 10, 11, 5000)
        );
        assert_eq!(limits.window(), SignedDuration::from_mins(10));
        assert_eq!(limits.warning(), None);
    }

    #[test]
    fn exceptions_stand_behind_the_value_for_all() {
        let limits = GuardLimits::new(
            limit("10, HR=50 ,usage=off").unwrap(),
            share("2.5%,hr=0,holds=100").unwrap(),
            SignedDuration::from_secs(60),
        );
        let allowed = Budget::ALL.map(|budget| limits.allowed(budget, 1000));
        assert_eq!(allowed, [Some(25), Some(50), Some(25), None, Some(1000)]);
        assert_eq!(
            limits.warning().unwrap(),
            "the guard is off for usage: nothing of it is held back"
        );
        assert_eq!(limit("hr=50").unwrap().of(Budget::Scim), Limit::People(10));
    }

    #[test]
    fn an_error_says_which_part_is_wrong_and_what_is_right() {
        for (text, wanted) in [
            ("ten", "'ten' is no number of people: give one like 10, or the word off"),
            ("", "'' is no number of people: give one like 10, or the word off"),
            (
                "10,hr=-1",
                "hr: '-1' is no number of people: give one like 10, or the word off",
            ),
            (
                "10,people=5",
                "'people' is no budget: there are declared, hr, scim, usage, holds",
            ),
            ("10,20", "'20' is a second value for every budget: give one"),
            ("hr=1,HR=2", "'HR' stands there twice"),
            (
                "none",
                "'none' is no number of people: give one like 10, or the word off",
            ),
        ] {
            assert_eq!(limit(text).unwrap_err(), wanted);
        }
        for text in ["101", "100.0001%", "-1", "5%%", "0.12345", "1e1", ".5", "5."] {
            let error = share(&format!("5%,scim={text}")).unwrap_err();
            assert_eq!(
                error,
                format!("scim: '{text}' is no share: give one between 0 and 100 %, like 5% or 2.5")
            );
        }
        assert!(share("off").unwrap_err().contains("give 0"));
    }
}
