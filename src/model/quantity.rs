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
    /// More than `i64::MAX` bytes.
    #[error("'{0}' is more than can be counted: at most 8191Pi")]
    TooLarge(String),
}

impl Bytes {
    /// Reads an amount; a fraction is rounded up to the next whole byte.
    ///
    /// # Errors
    /// Names the text and how to write it.
    pub fn parse(text: &str) -> Result<Self, BytesError> {
        let malformed = || BytesError::Malformed(text.chars().take(40).collect());
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(split);
        let unit: u128 = match suffix {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            "Pi" => 1 << 50,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "P" => 1_000_000_000_000_000,
            _ => return Err(malformed()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || whole.len() > 19 || fraction.len() > 9 || (number.contains('.') && fraction.is_empty()) {
            return Err(malformed());
        }
        let whole: u128 = whole.parse().map_err(|_| malformed())?;
        let mut total = whole * unit;
        if !fraction.is_empty() {
            let numerator: u128 = fraction.parse().map_err(|_| malformed())?;
            let denominator = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| malformed())?);
            total += (numerator * unit).div_ceil(denominator);
        }
        match i64::try_from(total) {
            Ok(bytes) => Ok(Self {
                declared: text.into(),
                bytes: bytes.unsigned_abs(),
            }),
            Err(_) => Err(BytesError::TooLarge(text.into())),
        }
    }

    /// The amount in bytes.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.bytes
    }

    /// The largest binary unit in which `bytes` is shown with three digits at most, rounded down: `82Gi`.
    #[must_use]
    pub fn coarse(bytes: u64) -> Self {
        let mut amount = bytes;
        let mut unit = "";
        for next in ["Ki", "Mi", "Gi", "Ti", "Pi"] {
            if amount < 1000 {
                break;
            }
            amount >>= 10;
            unit = next;
        }
        let declared = format!("{amount}{unit}");
        Self::parse(&declared).unwrap_or(Self {
            declared: declared.into(),
            bytes,
        })
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
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "pattern": "^[0-9]{1,19}(\\.[0-9]{1,9})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"
        })
    }
}
