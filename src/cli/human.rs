//! Times, spans, sizes and lists as people read them. What is not known is shown as `-`.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

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

    /// Local time and how long ago: `2026-11-26 20:02:11 CET, 2 h ago`.
    pub(super) fn full(&self, at: impl Into<Option<Timestamp>>) -> String {
        known(at.into().map(|at| {
            let local = at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z");
            format!("{local}, {}", self.relative(at))
        }))
    }

    /// How long ago or ahead it is: `2 h ago`, `in 3 d`.
    pub(super) fn ago(&self, at: impl Into<Option<Timestamp>>) -> String {
        known(at.into().map(|at| self.relative(at)))
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

/// What is known, or `-`.
pub(super) fn known(what: Option<impl ToString>) -> String {
    what.map_or_else(|| "-".to_owned(), |what| what.to_string())
}

/// Names one after the other, or `-`.
pub(super) fn listed(names: &[String]) -> String {
    known((!names.is_empty()).then(|| names.join(", ")))
}

/// `yes` or `no`.
pub(super) const fn yes_or_no(what: bool) -> &'static str {
    if what { "yes" } else { "no" }
}

/// How long after `from` the moment `to` was: `6 ms`, `1.2 s`, `3 min`. Nothing when one of them is not known.
pub(super) fn after(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<String> {
    Some(exact(to?.duration_since(from?)))
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
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn moments() -> Moments {
        Moments {
            now: "2026-11-26T19:00:00Z".parse().unwrap(),
            zone: TimeZone::fixed(jiff::tz::offset(1)),
        }
    }

    #[test]
    fn a_time_is_local_with_how_long_ago_it_was() {
        let past = at("2026-11-26T16:59:30.5Z");
        assert_eq!(moments().full(past), "2026-11-26 17:59:30 +01, 2 h ago");
        assert_eq!(moments().ago(at("2026-11-29T19:00:00Z")), "in 3 d");
        assert_eq!(moments().ago(at("2026-11-26T19:00:00.2Z")), "now");
        assert_eq!(moments().full(None::<Timestamp>), "-");
    }

    #[test]
    fn a_measured_span_keeps_what_matters() {
        let from = at("2026-11-26T19:00:00Z");
        for (to, span) in [
            ("2026-11-26T19:00:00.006Z", "6 ms"),
            ("2026-11-26T19:00:31.29Z", "31.2 s"),
            ("2026-11-26T19:02:05Z", "2 min"),
            ("2026-11-26T19:00:00Z", "0 ms"),
        ] {
            assert_eq!(after(Some(from), Some(at(to))).as_deref(), Some(span));
        }
        assert_eq!((after(Some(from), None), after(None, Some(from))), (None, None));
    }

    #[test]
    fn sizes_are_in_the_units_of_limits() {
        let sizes = [0, 1023, 1024, 1536, 100 << 30, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "100.0 GiB", "15.9 EiB"]);
    }
}
