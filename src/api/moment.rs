//! Moments in requests, with errors that say what to give.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};

/// A moment.
pub(super) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer).map_err(|_| D::Error::custom(MOMENT))?;
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
