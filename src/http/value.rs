//! Values in requests, with errors that speak of what to give, and not of the types of this program.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};

use super::problem::Problem;

/// A moment.
pub(super) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = text(deserializer, MOMENT)?;
    text.parse().map_err(|_| D::Error::custom(MOMENT))
}

/// A moment that may be absent or null.
pub(super) fn optional_moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(text) => text.parse().map(Some).map_err(|_| D::Error::custom(MOMENT)),
        _ => Err(D::Error::custom(MOMENT)),
    }
}

const MOMENT: &str = "give a moment in RFC 3339, like 2027-01-01T00:00:00Z";

/// A whole number in a query.
pub(super) fn number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error> {
    let text = text(deserializer, NUMBER)?;
    text.parse().map_err(|_| D::Error::custom(NUMBER))
}

/// A whole number in a query that may be absent.
pub(super) fn optional_number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    number(deserializer).map(Some)
}

/// Whether a page of that size may be asked for.
///
/// # Errors
/// What to give instead.
pub(super) fn check_page<T: Copy + PartialOrd + Display + From<u8>>(limit: T, most: T) -> Result<(), Problem> {
    if T::from(1) <= limit && limit <= most {
        return Ok(());
    }
    Err(Problem::invalid(format!("limit: give a number from 1 to {most}")))
}

const NUMBER: &str = "give a whole number";

fn text<'de, D: Deserializer<'de>>(deserializer: D, what: impl Display) -> Result<String, D::Error> {
    String::deserialize(deserializer).map_err(|_| D::Error::custom(what))
}
