//! Times of the former service: text, in the local time of its machine, without a zone.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

/// How times are read.
#[derive(Debug, Clone)]
pub struct Times {
    /// Now.
    pub now: Timestamp,
    /// The zone of the machine on which the former service ran.
    pub zone: TimeZone,
}

impl Times {
    /// A time as the former service writes it: `2026-03-15 12:00:00`, with `T` in the middle, or with a fraction. One that
    /// names its zone is taken by its word. Of an hour that the clocks went through twice it is the second time: whoever was
    /// locked stays locked for longer.
    pub(super) fn parse(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(at);
        }
        let local: DateTime = text.parse().ok()?;
        let zoned = self.zone.to_ambiguous_zoned(local).later().ok()?;
        Some(zoned.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_zone_of_the_former_machine() {
        let times = Times {
            now: Timestamp::UNIX_EPOCH,
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        for (text, want) in [
            ("2026-03-15 12:00:00", Some("2026-03-15T11:00:00Z")),
            ("2026-07-15T12:00:00.5", Some("2026-07-15T10:00:00.5Z")),
            ("2026-03-15T12:00:00Z", Some("2026-03-15T12:00:00Z")),
            ("2026-03-15 12:00:00+02:00", Some("2026-03-15T10:00:00Z")),
            // Twice that night.
            ("2026-10-25 02:30:00", Some("2026-10-25T01:30:00Z")),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(times.parse(text), want.map(|want| want.parse().unwrap()), "{text}");
        }
    }
}
