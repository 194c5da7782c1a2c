//! Amounts of bytes as people write them: `100Gi`, `1.5T`, `1073741824`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of bytes. Written as a Kubernetes quantity; the declared spelling is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes {
    declared: Box<str>,
    bytes: u64,
}

/// Why a text is not an amount of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// Neither a number nor a number with a known suffix.
    #[error("'{0}' is not an amount of bytes: write a number with Ki, Mi, Gi, Ti, Pi, k, M, G, T or P, like 100Gi")]
    Malformed(String),
    /// More digits than the unit takes.
    #[error("'{0}' is too large: use a larger unit; at most 999Pi can be counted")]
    TooLarge(String),
}

/// The units, and how many digits before the point each takes: no amount that fits can overflow 63 bits.
const UNITS: [(&str, u64, usize); 11] = [
    ("", 1, 18),
    ("k", 1_000, 15),
    ("Ki", 1 << 10, 15),
    ("M", 1_000_000, 12),
    ("Mi", 1 << 20, 12),
    ("G", 1_000_000_000, 9),
    ("Gi", 1 << 30, 9),
    ("T", 1_000_000_000_000, 6),
    ("Ti", 1 << 40, 6),
    ("P", 1_000_000_000_000_000, 3),
    ("Pi", 1 << 50, 3),
];

/// Most characters: what the longest amount has, and two to spare.
const MAX_LEN: usize = 30;

/// Most digits after the point.
const MAX_FRACTION_DIGITS: usize = 9;

/// What an amount is, after "must be".
pub(super) const WANTED: &str =
    "an amount of bytes: a number, or a number with k, M, G, T, P, Ki, Mi, Gi, Ti or Pi, like 50Gi or 500M";

/// What to do about an amount that is too large.
pub(super) const LARGEST: &str = "use a larger unit; at most 999Pi can be counted";

/// The form of an amount as CEL writes a pattern. With [`CEL_TOO_LARGE`] the same as [`UNITS`] and [`MAX_FRACTION_DIGITS`], in two
/// short patterns: an API server reckons what a rule costs from the length of the pattern, and takes no length of an amount for granted.
pub(super) const CEL_FORM: &str = "'^[0-9]+([.][0-9]{1,9})?(k|[MGTP]|[KMGTP]i)?$'";

/// What has more digits than its unit takes, as CEL writes a pattern.
pub(super) const CEL_TOO_LARGE: &str =
    "'^([0-9]{4}.*P|[0-9]{7}.*T|[0-9]{10}.*G|[0-9]{13}.*M|[0-9]{16}.*[kK]|[0-9]{19})'";

impl Bytes {
    /// Reads an amount; a fraction is rounded up to the next whole byte.
    ///
    /// # Errors
    /// Names the text and how to write it.
    pub fn parse(text: &str) -> Result<Self, BytesError> {
        let shown = || text.chars().take(40).collect();
        let malformed = || BytesError::Malformed(shown());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(split);
        let &(_, unit, most) = UNITS.iter().find(|(name, ..)| *name == suffix).ok_or_else(malformed)?;
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if digits(fraction) && fraction.len() <= MAX_FRACTION_DIGITS => (whole, fraction),
            Some(_) => return Err(malformed()),
            None => (number, "0"),
        };
        if !digits(whole) {
            return Err(malformed());
        }
        if whole.len() > most {
            return Err(BytesError::TooLarge(shown()));
        }
        let scale: u128 = fraction.bytes().fold(1, |scale, _| scale * 10);
        let numerator: u128 = fraction.parse().map_err(|_| malformed())?;
        let whole: u128 = whole.parse().map_err(|_| malformed())?;
        let total = whole * u128::from(unit) + (numerator * u128::from(unit)).div_ceil(scale);
        Ok(Self {
            declared: text.into(),
            bytes: u64::try_from(total).map_err(|_| BytesError::TooLarge(shown()))?,
        })
    }

    /// The amount in bytes.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.bytes
    }

    /// Exactly so many bytes, in the largest binary unit of which that is a whole number: `5Gi`, `1500`.
    #[must_use]
    pub fn exact(bytes: u64) -> Self {
        let (mut amount, mut unit) = (bytes, "");
        for next in ["Ki", "Mi", "Gi", "Ti", "Pi"] {
            if amount == 0 || !amount.is_multiple_of(1024) {
                break;
            }
            amount >>= 10;
            unit = next;
        }
        Self {
            declared: format!("{amount}{unit}").into(),
            bytes,
        }
    }

    /// `bytes` in whole binary units of at most three digits, rounded down by less than half: `82Gi`. Never more than
    /// `999Pi`.
    #[must_use]
    pub fn coarse(bytes: u64) -> Self {
        let (mut amount, mut shift, mut unit) = (bytes, 0, "");
        for next in ["Ki", "Mi", "Gi", "Ti", "Pi"] {
            if amount < 1024 {
                break;
            }
            amount >>= 10;
            shift += 10;
            unit = next;
        }
        let amount = amount.min(999);
        Self {
            declared: format!("{amount}{unit}").into(),
            bytes: amount << shift,
        }
    }
}

impl Bytes {
    /// The most bytes of which [`Self::coarse`] makes this.
    #[must_use]
    pub fn coarse_most(&self) -> u64 {
        let suffix = self
            .declared
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let unit = UNITS
            .iter()
            .find(|(name, ..)| *name == suffix)
            .map_or(1, |(_, unit, _)| *unit);
        let amount = match self.bytes / unit {
            999 => 1023,
            amount => amount,
        };
        (amount + 1).saturating_mul(unit) - 1
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.declared)
    }
}
impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.declared)
    }
}
impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of bytes like 100Gi")
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Bytes, E> {
                Bytes::parse(&value.to_string()).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Bytes, E> {
                Bytes::parse(&value.to_string()).map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Bytes, E> {
                Bytes::parse(value).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
impl schemars::JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": MAX_LEN
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};
    use regex::Regex;
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1073741824", 1 << 30),
            ("100Gi", 100 << 30),
            ("1.5G", 1_500_000_000),
            ("1.5Ki", 1536),
            ("0.000000001Ki", 1),
            ("2.5", 3),
            ("007k", 7000),
            ("999Pi", 999 << 50),
        ] {
            assert_eq!(Bytes::parse(text).unwrap().get(), bytes, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_hint() {
        for text in [
            "",
            "Gi",
            ".5Gi",
            "1.Gi",
            "1..2Gi",
            "-1",
            "+1",
            "1 Gi",
            "1gi",
            "1Ei",
            "1e3",
            "0.0000000001Ki",
        ] {
            assert!(matches!(Bytes::parse(text), Err(BytesError::Malformed(_))), "{text}");
        }
        assert!(matches!(Bytes::parse("1000Pi"), Err(BytesError::TooLarge(_))));
        let error = Bytes::parse("100gb").unwrap_err().to_string();
        assert!(error.contains("100gb") && error.contains("100Gi"), "{error}");
    }

    #[test]
    fn numbers_are_amounts_too_and_stay_as_they_are_spelled() {
        assert_eq!(serde_json::from_value::<Bytes>(json!(42)).unwrap().get(), 42);
        assert!(serde_json::from_value::<Bytes>(json!(-1)).is_err());
        assert!(serde_json::from_value::<Bytes>(json!(1.5)).is_err());
        let kept = serde_json::to_value(Bytes::parse("1.50Gi").unwrap()).unwrap();
        assert_eq!(kept, json!("1.50Gi"));
    }

    fn texts() -> impl Strategy<Value = String> {
        let good = || string_regex("[0-9]{1,18}([.][0-9]{1,9})?(k|[MGTP]|[KMGTP]i)?").unwrap();
        let miss = (good(), any::<prop::sample::Index>(), "[0-9.KMGTPEikm+ -]{0,2}").prop_map(|(text, at, patch)| {
            let at = at.index(text.len());
            format!("{}{patch}{}", &text[..at], &text[at + 1..])
        });
        prop_oneof![3 => good(), 3 => miss, 1 => "[0-9]{17,20}[KMGTP]?i?", 1 => any::<String>()]
    }

    proptest! {
        #[test]
        fn the_schema_and_the_reader_agree(text in texts()) {
            let matches = |pattern: &str| Regex::new(pattern.trim_matches('\'')).unwrap().is_match(&text);
            let by_schema = matches(CEL_FORM) && !matches(CEL_TOO_LARGE) && text.len() <= MAX_LEN;
            prop_assert_eq!(Bytes::parse(&text).is_ok(), by_schema);
        }

        #[test]
        fn an_amount_survives_being_written_and_read(text in texts()) {
            if let Ok(amount) = Bytes::parse(&text) {
                let written = serde_json::to_string(&amount).unwrap();
                prop_assert_eq!(serde_json::from_str::<Bytes>(&written).unwrap(), amount);
            }
        }

        #[test]
        fn a_coarse_amount_rounds_down_by_less_than_half_and_reads_back(bytes in any::<u64>(), shift in 0..64u32) {
            let bytes = (bytes >> shift).min(999 << 50);
            let coarse = Bytes::coarse(bytes);
            prop_assert_eq!(Bytes::parse(&coarse.to_string()).unwrap(), coarse.clone());
            prop_assert!(coarse.get() <= bytes && bytes - coarse.get() <= bytes / 2);
            prop_assert!(coarse.to_string().len() <= 5);
            prop_assert!(bytes <= coarse.coarse_most());
            prop_assert!(coarse.to_string() == "999Pi" || Bytes::coarse(coarse.coarse_most()) == coarse);
            prop_assert_eq!(Bytes::coarse(coarse.get()), coarse);
        }
    }

    #[test]
    fn the_coarsest_amount_is_still_one() {
        assert_eq!(Bytes::coarse(u64::MAX).to_string(), "999Pi");
        assert_eq!(Bytes::coarse(82 << 30).to_string(), "82Gi");
        assert_eq!(Bytes::coarse(1023).to_string(), "999");
    }
}
