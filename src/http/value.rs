//! Values in requests, with errors that speak of what to give, and not of the types of this program.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error};

use super::problem::Problem;

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
