//! Times, spans and sizes as people read them. What cannot be read as a time is shown as it is.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::Value;

use super::json::{field, text};

/// The moment and the place from which a person reads.
pub(super) struct Moments {
    now: Timestamp,
    zone: TimeZone,
}

impl Moments {
    /// Now, in the time zone of this machine (`TZ`).
    pub(super) fn here() -> Self {
        Self {
            now: Timestamp::now(),
            zone: TimeZone::system(),
        }
    }

    /// A field as local time and how long ago: `2026-11-26 20:02:11 CET, 2 h ago`.
    pub(super) fn full(&self, value: &Value, name: &str) -> String {
        show(value, name, |at| {
            let local = at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z");
            format!("{local}, {}", self.relative(at))
        })
    }

    /// A field as how long ago or ahead it is: `2 h ago`, `in 3 d`.
    pub(super) fn ago(&self, value: &Value, name: &str) -> String {
        show(value, name, |at| self.relative(at))
    }

    fn relative(&self, at: Timestamp) -> String {
        let since = self.now.duration_since(at);
        match since.as_secs() {
            0 => "now".to_owned(),
            1.. => format!("{} ago", coarse(since)),
            _ => format!("in {}", coarse(since.abs())),
        }
    }
}

fn show(value: &Value, name: &str, words: impl Fn(Timestamp) -> String) -> String {
    field(value, name).map_or_else(
        || "-".to_owned(),
        |found| moment(found).map_or_else(|| text(found), words),
    )
}

fn moment(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// How long after `from` the moment `to` was: `6 ms`, `1.2 s`, `3 min`. Nothing when one of them is no time.
pub(super) fn after(value: &Value, from: &str, to: &str) -> Option<String> {
    let at = |name: &str| moment(field(value, name)?);
    Some(exact(at(to)?.duration_since(at(from)?)))
}

/// A span in its largest unit: seconds, minutes, hours up to two days, days.
pub(super) fn coarse(span: SignedDuration) -> String {
    match span.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A span as a measurement.
fn exact(span: SignedDuration) -> String {
    let milliseconds = span.as_millis();
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        1000..60_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        _ => coarse(span),
    }
}

/// Bytes in binary units, like the limits that are declared: `512 B`, `82.4 GiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let steps = (10..).step_by(10).zip(UNITS);
    let Some((shift, unit)) = steps.take_while(|(shift, _)| bytes >> shift > 0).last() else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moments() -> Moments {
        Moments {
            now: "2026-11-26T19:00:00Z".parse().unwrap(),
            zone: TimeZone::fixed(jiff::tz::offset(1)),
        }
    }

    #[test]
    fn a_time_is_local_with_how_long_ago_it_was() {
        let value = json!({ "past": "2026-11-26T16:59:30.5Z", "ahead": "2026-11-29T19:00:00Z", "now": "2026-11-26T19:00:00.2Z",
                            "odd": "T1" });
        assert_eq!(moments().full(&value, "past"), "2026-11-26 17:59:30 +01, 2 h ago");
        assert_eq!(moments().ago(&value, "ahead"), "in 3 d");
        assert_eq!(moments().ago(&value, "now"), "now");
        assert_eq!(moments().full(&value, "odd"), "T1");
        assert_eq!(moments().full(&value, "missing"), "-");
    }

    #[test]
    fn a_measured_span_keeps_what_matters() {
        let value = json!({ "from": "2026-11-26T19:00:00Z", "a": "2026-11-26T19:00:00.006Z", "b": "2026-11-26T19:00:31.29Z",
                            "c": "2026-11-26T19:02:05Z" });
        let spans = ["a", "b", "c", "from", "none"].map(|to| after(&value, "from", to));
        let expected = [Some("6 ms"), Some("31.2 s"), Some("2 min"), Some("0 ms"), None];
        assert_eq!(spans.each_ref().map(Option::as_deref), expected);
    }

    #[test]
    fn sizes_are_in_the_units_of_limits() {
        let sizes = [0, 1023, 1024, 1536, 100 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100.0 GiB", "15.9 EiB"]);
    }
}
