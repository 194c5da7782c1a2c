//! Times and amounts, as people of a language write them.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::Language;

const MONTHS_EN: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MONTHS_RU: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];

/// A time, to the minute, in UTC.
#[must_use]
pub fn date(language: Language, at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    format!(
        "{} {}, {:02}:{:02} UTC",
        day(language, at.date()),
        at.year(),
        at.hour(),
        at.minute()
    )
}

/// A day of a year that is known: `1 May`.
#[must_use]
pub fn day(language: Language, day: Date) -> String {
    let months = match language {
        Language::En => &MONTHS_EN,
        Language::Ru => &MONTHS_RU,
    };
    let month = usize::try_from(day.month() - 1)
        .ok()
        .and_then(|month| months.get(month));
    format!("{} {}", day.day(), month.copied().unwrap_or_default())
}

/// An amount of traffic, in powers of 1,000, to a tenth.
#[must_use]
pub fn bytes(language: Language, amount: u64) -> String {
    let (units, point) = match language {
        Language::En => (["B", "kB", "MB", "GB", "TB", "PB"], '.'),
        Language::Ru => (["Б", "КБ", "МБ", "ГБ", "ТБ", "ПБ"], ','),
    };
    let mut tenths = u128::from(amount) * 10;
    let mut unit = units[0];
    for next in &units[1..] {
        if tenths < 9_995 {
            break;
        }
        tenths = (tenths + 500) / 1000;
        unit = next;
    }
    if tenths % 10 == 0 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}{point}{} {unit}", tenths / 10, tenths % 10)
    }
}
