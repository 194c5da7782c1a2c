//! Codes: eight digits, each as likely as every other. Pure but for the draw.

use secrecy::SecretString;

/// Digits of a code.
const DIGITS: usize = 8;

/// How many codes there are.
const ALL: u32 = 100_000_000;

/// The largest multiple of [`ALL`] that 32 bits hold. A number from here on is drawn again: taken modulo, it would make the
/// first codes more likely than the others.
const FAIR: u32 = u32::MAX / ALL * ALL;

/// A new code from the random source of the operating system.
///
/// # Errors
/// It gives none.
pub fn draw() -> Result<SecretString, getrandom::Error> {
    loop {
        if let Some(code) = of_number(getrandom::u32()?) {
            return Ok(SecretString::from(code));
        }
    }
}

/// The code of a request, out of its bits: the same each time. `None` in one of some 10^16 cases, in which all bits are unfair.
#[must_use]
pub fn of_bits(bits: &[u8; 32]) -> Option<SecretString> {
    let (numbers, _) = bits.as_chunks::<4>();
    let code = numbers.iter().find_map(|number| of_number(u32::from_be_bytes(*number)));
    code.map(SecretString::from)
}

/// The code of 32 random bits; `None` for those few that are to be drawn again.
fn of_number(number: u32) -> Option<String> {
    (number < FAIR).then(|| format!("{:08}", number % ALL))
}

/// The code in what a person wrote: spaces and dashes in it do not count. `None` if it cannot be one.
#[must_use]
pub fn read(text: &str) -> Option<SecretString> {
    let counts = |c: &char| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let mut digits = String::with_capacity(DIGITS);
    for c in text.chars().filter(counts) {
        if !c.is_ascii_digit() || digits.len() == DIGITS {
            return None;
        }
        digits.push(c);
    }
    (digits.len() == DIGITS).then(|| SecretString::from(digits))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn code(text: &str) -> Option<String> {
        read(text).map(|code| code.expose_secret().to_owned())
    }

    #[test]
    fn the_first_and_the_last_code_are_drawn_and_nothing_beyond_the_fair_range() {
        assert_eq!(of_number(0).as_deref(), Some("00000000"));
        assert_eq!(of_number(ALL - 1).as_deref(), Some("99999999"));
        assert_eq!(of_number(FAIR - 1).as_deref(), Some("99999999"));
        assert_eq!(of_number(FAIR), None);
        const { assert!(FAIR.is_multiple_of(ALL) && u32::MAX - FAIR < ALL) };
        let bits = [[0xff; 4], [0; 4], [1; 4], [1; 4], [1; 4], [1; 4], [1; 4], [1; 4]].concat();
        let code_of_bits = of_bits(&bits.try_into().unwrap()).unwrap();
        assert_eq!(code_of_bits.expose_secret(), "00000000", "the first fair number");
        assert!(of_bits(&[0xff; 32]).is_none());
        assert_eq!(code(draw().unwrap().expose_secret()).unwrap().len(), DIGITS);
    }

    #[test]
    fn a_code_is_read_as_people_write_it_and_nothing_else_is_one() {
        for good in [
            "12345678",
            " 1234 5678\n",
            "1234-5678",
            "12\u{a0}34\u{2009}56 78",
            "1234\u{2013}5678",
        ] {
            assert_eq!(code(good).as_deref(), Some("12345678"), "{good:?}");
        }
        for bad in [
            "",
            "1234567",
            "123456789",
            "1234567a",
            "１２３４５６７８",
            "1234.5678",
            "+12345678",
        ] {
            assert_eq!(code(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_code_that_is_drawn_is_read_back_however_it_is_broken_up(number in 0..FAIR, at in 0..DIGITS) {
            let drawn = of_number(number).unwrap();
            let (front, back) = drawn.split_at(at);
            prop_assert_eq!(code(&format!("{front} - {back}")), Some(drawn.clone()));
        }
    }
}
