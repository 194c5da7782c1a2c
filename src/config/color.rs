//! A colour, as people write it for the web.

use std::{fmt, str::FromStr};

/// A colour: `#1a5fd0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color {
    /// Red, green and blue.
    pub channels: [u8; 3],
}

impl FromStr for Color {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let all = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = all.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = number.ok_or("give a colour like #1a5fd0")?.to_be_bytes();
        Ok(Self {
            channels: [red, green, blue],
        })
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.channels;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_hexadecimal_digits_behind_a_sign_and_nothing_else() {
        assert_eq!("#1A5fd0".parse::<Color>().unwrap().to_string(), "#1a5fd0");
        for wrong in [
            "1a5fd0",
            "#fff",
            "#1a5fd0ff",
            "#+1a5fd",
            "#1a5fдa",
            "red",
            "#1a5fd0;}",
            "",
        ] {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }
}
