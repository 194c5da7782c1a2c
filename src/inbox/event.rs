//! What an HR event says. Pure.
//!
//! The body is `{event_type, corporate_id, event_data, timestamp}` as the former service took it. Fields that are not known are
//! left alone. What is missing or makes no sense is an error that names the field; nothing is guessed.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use crate::model::{
    corporate_id::{CorporateId, CorporateIdError},
    user::MAX_ROLE_LEN,
};

/// Most characters of a reason that are kept.
pub const MAX_REASON: usize = 500;
/// Most characters of a name that are kept.
const MAX_NAME: usize = 64;
/// Longest suspension in days.
const MAX_DAYS: i64 = 3660;

/// What HR wants of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// No access, until an activation.
    Deactivate,
    /// No access for a time.
    Suspend {
        /// For how many days of the calendar.
        days: i64,
    },
    /// Access, as far as HR has a say.
    Activate,
    /// Another role.
    ChangeRole {
        /// The new one.
        role: String,
    },
}

impl Instruction {
    /// Every type of event, as `event_type` has it.
    pub const TYPES: [&'static str; 4] = [DEACTIVATED, SUSPENDED, ACTIVATED, ROLE_CHANGED];

    /// The `event_type` that says this.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Deactivate => DEACTIVATED,
            Self::Suspend { .. } => SUSPENDED,
            Self::Activate => ACTIVATED,
            Self::ChangeRole { .. } => ROLE_CHANGED,
        }
    }
}

const DEACTIVATED: &str = "user_deactivated";
const SUSPENDED: &str = "user_suspended";
const ACTIVATED: &str = "user_activated";
const ROLE_CHANGED: &str = "user_role_changed";

/// An event that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HrEvent {
    /// Whom it is about.
    pub corporate_id: CorporateId,
    /// What HR wants.
    pub instruction: Instruction,
    /// From when on; at once when absent.
    pub effective: Option<Timestamp>,
    /// When HR said so, by its own clock.
    pub at: Option<Timestamp>,
    /// Who in HR, as far as it is said.
    pub by: Option<String>,
    /// Why, for people. One line.
    pub reason: Option<String>,
}

impl HrEvent {
    /// When it takes effect, if nothing is to be done about it before. A denial places its hold at once.
    #[must_use]
    pub fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = matches!(self.instruction, Instruction::Activate | Instruction::ChangeRole { .. });
        self.effective.filter(|effective| waits && *effective > now)
    }
}

/// Why an event cannot be carried out. For people; whoever sends the events reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No JSON.
    #[error("the body is no JSON object: {0}")]
    NotAnObject(String),
    /// A field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field has a value that makes no sense.
    #[error("{field}: must be {wanted}")]
    Wrong {
        /// The field.
        field: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// Not one of the types that are known.
    #[error(
        "event_type: '{0}' is not known: user_deactivated, user_suspended, user_role_changed and user_activated are"
    )]
    UnknownType(String),
    /// No corporate ID.
    #[error("corporate_id: {0}")]
    CorporateId(#[from] CorporateIdError),
}

/// An event as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// `event_type`, at most 64 characters.
    pub event_type: Option<String>,
    /// `corporate_id`, if it is one.
    pub corporate_id: Option<CorporateId>,
    /// The event, or what is wrong with it.
    pub event: Result<HrEvent, EventError>,
}

/// The fields that are known. One that stands twice is an error: which of the two was meant is not known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    event_type: Value,
    corporate_id: Value,
    event_data: Value,
    timestamp: Value,
}

/// Reads the text of a body. Dates and times without an offset are those of `zone`.
#[must_use]
pub fn read(text: &str, zone: &TimeZone) -> Reading {
    let body = match object(text) {
        Ok(body) => body,
        Err(error) => {
            return Reading {
                event_type: None,
                corporate_id: None,
                event: Err(error),
            };
        }
    };
    Reading {
        event_type: body.event_type.as_str().map(|text| line(text, MAX_NAME)),
        corporate_id: body
            .corporate_id
            .as_str()
            .and_then(|text| CorporateId::parse(text).ok()),
        event: event(&body, zone),
    }
}

fn object(text: &str) -> Result<Body, EventError> {
    let wrong = |error: serde_json::Error| EventError::NotAnObject(error.to_string());
    if text.trim_ascii_start().starts_with('{') {
        return serde_json::from_str(text).map_err(wrong);
    }
    Err(match serde_json::from_str::<IgnoredAny>(text) {
        Err(error) => wrong(error),
        Ok(_) => EventError::NotAnObject("it is another kind of JSON".to_owned()),
    })
}

fn event(body: &Body, zone: &TimeZone) -> Result<HrEvent, EventError> {
    let event_type = needed(&body.event_type, "event_type")?;
    let corporate_id = CorporateId::parse(needed(&body.corporate_id, "corporate_id")?)?;
    let nothing = Map::new();
    let data = match &body.event_data {
        Value::Object(data) => data,
        Value::Null => &nothing,
        _ => return Err(wrong("event_data", "a JSON object")),
    };
    let (instruction, reason, by) = match event_type {
        DEACTIVATED => (Instruction::Deactivate, "deactivation_reason", "deactivated_by"),
        SUSPENDED => (
            Instruction::Suspend { days: days(data)? },
            "suspension_reason",
            "suspended_by",
        ),
        ACTIVATED => (Instruction::Activate, "activation_reason", "activated_by"),
        ROLE_CHANGED => (
            Instruction::ChangeRole { role: role(data)? },
            "change_reason",
            "changed_by",
        ),
        other => return Err(EventError::UnknownType(line(other, MAX_NAME))),
    };
    Ok(HrEvent {
        corporate_id,
        instruction,
        effective: moment(data.get("effective_date"), "event_data.effective_date", zone)?,
        at: moment(Some(&body.timestamp), "timestamp", zone)?,
        by: said(data, by, MAX_NAME),
        reason: said(data, reason, MAX_REASON),
    })
}

fn wrong(field: &'static str, wanted: &'static str) -> EventError {
    EventError::Wrong { field, wanted }
}

fn needed<'a>(value: &'a Value, field: &'static str) -> Result<&'a str, EventError> {
    match value {
        Value::Null => Err(EventError::Missing(field)),
        Value::String(text) => Ok(text),
        _ => Err(wrong(field, "a text")),
    }
}

/// What is said for people never stands in the way of the event.
fn said(data: &Map<String, Value>, field: &str, most: usize) -> Option<String> {
    let text = match data.get(field)? {
        Value::String(text) => text.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    let text = line(text.trim(), most);
    (!text.is_empty()).then_some(text)
}

/// One line of at most `most` characters, with control characters as escapes.
fn line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for c in text.chars().take(most) {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.chars().take(most).collect()
}

fn days(data: &Map<String, Value>) -> Result<i64, EventError> {
    const FIELD: &str = "event_data.duration_days";
    let days = match data.get("duration_days") {
        None | Some(Value::Null) => return Err(EventError::Missing(FIELD)),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    days.filter(|days| (1..=MAX_DAYS).contains(days))
        .ok_or_else(|| wrong(FIELD, "a whole number of days, from 1 to 3660"))
}

fn role(data: &Map<String, Value>) -> Result<String, EventError> {
    const FIELD: &str = "event_data.new_role";
    let role = needed(data.get("new_role").unwrap_or(&Value::Null), FIELD)?.trim();
    let fits = !role.is_empty() && role.chars().count() <= MAX_ROLE_LEN && !role.chars().any(char::is_control);
    if fits {
        Ok(role.to_owned())
    } else {
        Err(wrong(FIELD, "one line of 1 to 128 characters"))
    }
}

/// A moment: with an offset, or in the configured zone, or a day alone, which is its first moment there; or a number of seconds
/// or milliseconds since 1970.
fn moment(value: Option<&Value>, field: &'static str, zone: &TimeZone) -> Result<Option<Timestamp>, EventError> {
    let found = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => moment_of_text(text.trim(), zone),
        Some(Value::Number(number)) => number.as_f64().and_then(moment_of_number),
        Some(_) => None,
    };
    let wanted = "a time like 2026-05-01T12:00:00Z, a time without offset, or a day like 2026-05-01";
    found.map(Some).ok_or_else(|| wrong(field, wanted))
}

fn moment_of_text(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if text.len() == "2026-05-01".len() {
        let day: Date = text.parse().ok()?;
        // On a day that begins later than midnight, or twice, this is its first moment.
        return zone
            .to_zoned(day.into())
            .ok()?
            .start_of_day()
            .ok()
            .map(|day| day.timestamp());
    }
    // What has an offset that is not understood is no local time.
    let is_local = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"-:.T ".contains(&byte));
    let time: DateTime = is_local.then(|| text.parse().ok()).flatten()?;
    Some(zone.to_zoned(time).ok()?.timestamp())
}

/// Seconds of the years 2000 to 2099, or as many milliseconds: the two are not to be confused.
fn moment_of_number(number: f64) -> Option<Timestamp> {
    const SECONDS: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;
    let seconds = [number, number / 1000.0]
        .into_iter()
        .find(|seconds| SECONDS.contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

/// The end of so many days of the calendar from a moment on: at the same time of day in `zone`, also when clocks change meanwhile.
#[must_use]
pub fn end_of(from: Timestamp, days: i64, zone: &TimeZone) -> Option<Timestamp> {
    let end = from.to_zoned(zone.clone()).checked_add(days.days()).ok()?;
    Some(end.timestamp())
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
