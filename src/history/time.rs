//! Times as the database keeps them.

use jiff::Timestamp;
use rusqlite::{Row, types::Type};

/// How long audit rows, and what goes with them, are kept, in days: revocations, and how somebody's access stood.
pub const RETENTION_DAYS: i64 = 400;

const SECONDS_AN_HOUR: i64 = 3600;
const SECONDS_A_DAY: i64 = 86_400;

/// The time to the microsecond, as it is read back.
pub(super) fn truncate(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// Hours since 1970, UTC.
pub(super) fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SECONDS_AN_HOUR)
}

/// Days since 1970, UTC.
pub(super) fn day(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SECONDS_A_DAY)
}

/// Start of an hour.
pub(super) fn hour_start(hour: i64) -> Option<Timestamp> {
    Timestamp::from_second(hour.checked_mul(SECONDS_AN_HOUR)?).ok()
}

/// Start of a day.
pub(super) fn day_start(day: i64) -> Option<Timestamp> {
    Timestamp::from_second(day.checked_mul(SECONDS_A_DAY)?).ok()
}

/// The moment so many days before.
pub(super) fn days_before(at: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_sub(days.saturating_mul(SECONDS_A_DAY))).unwrap_or(Timestamp::MIN)
}

/// Reads a column of microseconds.
pub(super) fn column(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    parse(index, row.get(index)?)
}

/// Reads a column of microseconds that may be missing.
pub(super) fn optional_column(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(index)?
        .map(|micros| parse(index, micros))
        .transpose()
}

fn parse(index: usize, micros: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Integer, Box::new(error)))
}
