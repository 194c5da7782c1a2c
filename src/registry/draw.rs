//! Drawing a new ID: two letters without I and O, then six digits, each ID as likely as every other.

use crate::model::corporate_id::CorporateId;

/// The letters of an ID of the present style.
const LETTERS: &[u8; 24] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";

/// How many six-digit numbers there are.
const NUMBERS: u32 = 1_000_000;

/// How many IDs of the present style there are.
const ALL: u32 = 24 * 24 * NUMBERS;

/// The largest multiple of [`ALL`] that 32 bits hold. A number from here on is drawn again: taken modulo, it would make the
/// first IDs more likely than the others.
const FAIR: u32 = u32::MAX / ALL * ALL;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes, so no ID was drawn: {0}")]
pub struct NoRandomness(pub getrandom::Error);

/// Where new IDs come from.
pub trait Draw: Send + Sync + 'static {
    /// An ID of the present style, which may be in use already.
    ///
    /// # Errors
    /// None can be drawn.
    fn draw(&self) -> Result<CorporateId, NoRandomness>;
}

/// IDs from the random source of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDraw;

impl Draw for SystemDraw {
    fn draw(&self) -> Result<CorporateId, NoRandomness> {
        loop {
            if let Some(id) = of_number(getrandom::u32().map_err(NoRandomness)?) {
                return Ok(id);
            }
        }
    }
}

/// The ID of 32 random bits; `None` for those few that are to be drawn again.
fn of_number(number: u32) -> Option<CorporateId> {
    if number >= FAIR {
        return None;
    }
    let number = number % ALL;
    let (letters, digits) = (number / NUMBERS, number % NUMBERS);
    let letter = |at: u32| {
        usize::try_from(at)
            .ok()
            .and_then(|at| LETTERS.get(at))
            .copied()
            .map(char::from)
    };
    let (first, second) = (letter(letters / 24)?, letter(letters % 24)?);
    CorporateId::parse(&format!("{first}{second}{digits:06}")).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_and_the_last_id_are_drawn_and_nothing_beyond_the_fair_range() {
        let id = |number| of_number(number).map(|id| id.as_str().to_owned());
        assert_eq!(id(0).as_deref(), Some("AA000000"));
        assert_eq!(id(ALL - 1).as_deref(), Some("ZZ999999"));
        assert_eq!(id(ALL).as_deref(), Some("AA000000"));
        assert_eq!(id(FAIR - 1).as_deref(), Some("ZZ999999"));
        assert_eq!(id(FAIR), None);
        assert_eq!(id(u32::MAX), None);
        assert_eq!(FAIR % ALL, 0);
        const { assert!(u32::MAX - FAIR < ALL, "as few as can be are drawn again") };
    }

    proptest! {
        #[test]
        fn every_id_has_as_many_numbers_as_every_other(number in 0..ALL) {
            let wanted = of_number(number).unwrap();
            prop_assert!(wanted.is_standard());
            let rounds = u64::from(FAIR / ALL);
            for round in 0..rounds {
                let other = u32::try_from(u64::from(number) + round * u64::from(ALL)).unwrap();
                prop_assert_eq!(of_number(other), Some(wanted.clone()));
            }
            let beyond = u64::from(number) + rounds * u64::from(ALL);
            prop_assert_eq!(u32::try_from(beyond).ok().and_then(of_number), None);
            // The way back: no two numbers below have one ID.
            let bytes = wanted.as_str().as_bytes();
            let letter = |at: usize| u32::try_from(LETTERS.iter().position(|it| *it == bytes[at]).unwrap()).unwrap();
            let digits: u32 = wanted.as_str()[2..].parse().unwrap();
            prop_assert_eq!((letter(0) * 24 + letter(1)) * NUMBERS + digits, number);
        }
    }

    #[test]
    fn the_system_draws_ids_of_the_present_style_and_hardly_one_twice() {
        let mut seen = HashMap::new();
        for _ in 0..2000 {
            let id = SystemDraw.draw().unwrap();
            assert!(id.is_standard(), "{id}");
            *seen.entry(id).or_insert(0) += 1;
        }
        assert!(seen.len() > 1990, "{}", seen.len());
    }
}
