//! Traffic of the last days as a picture: which bar stands where. Pure.

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use crate::{access::TRAFFIC_DAYS, history::TrafficRow};

/// Height of the picture.
const HEIGHT: u64 = 60;
/// From one bar to the next.
const STEP: u64 = 10;
/// Least height of a bar of a day on which something moved, and height of one on which nothing did.
const LEAST: u64 = 2;
const NOTHING: u64 = 1;

/// The last days, the oldest first. Every day is there, also where nothing moved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chart {
    /// Width and height of the picture.
    pub(super) size: (u64, u64),
    /// Bytes of all days.
    pub(super) total: u64,
    /// Bytes of the day on which most moved.
    pub(super) most: u64,
    /// The days.
    pub(super) bars: Vec<Bar>,
}

/// A day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// Which one, in UTC.
    pub(super) day: Date,
    /// Bytes in both directions.
    pub(super) bytes: u64,
    /// Its left side.
    pub(super) x: u64,
    /// Its upper side.
    pub(super) y: u64,
    /// Its height.
    pub(super) height: u64,
}

impl Chart {
    /// The days up to now of what the history has of each, in any order.
    pub(super) fn of(rows: &[TrafficRow], now: Timestamp) -> Self {
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
        let today = day(now);
        let moved = |wanted: Date| {
            let rows = rows.iter().filter(|row| day(row.start) == wanted);
            rows.fold(0_u64, |sum, row| {
                sum.saturating_add(row.upload).saturating_add(row.download)
            })
        };
        let days = (0..TRAFFIC_DAYS)
            .rev()
            .filter_map(|back| today.checked_sub(i64::from(back).days()).ok());
        let days: Vec<(Date, u64)> = days.map(|day| (day, moved(day))).collect();
        let most = days.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default();
        let height = |bytes: u64| match bytes {
            0 => NOTHING,
            _ => u64::try_from(u128::from(bytes) * u128::from(HEIGHT) / u128::from(most))
                .map_or(HEIGHT, |it| it.max(LEAST)),
        };
        let bars = days.iter().zip(0_u64..).map(|((day, bytes), at)| Bar {
            day: *day,
            bytes: *bytes,
            x: at * STEP,
            y: HEIGHT - height(*bytes),
            height: height(*bytes),
        });
        Self {
            size: (STEP * u64::from(TRAFFIC_DAYS), HEIGHT),
            total: days.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes)),
            most,
            bars: bars.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(start: &str, upload: u64, download: u64) -> TrafficRow {
        TrafficRow {
            start: start.parse().unwrap(),
            upload,
            download,
        }
    }

    #[test]
    fn every_day_has_its_bar_in_utc_and_the_last_one_is_today() {
        let rows = [
            row("2026-03-01T00:00:00Z", 100, 200),
            row("2026-02-27T00:00:00Z", 75, 75),
            row("2026-01-31T00:00:00Z", 1, 0),
            // Older than what is shown.
            row("2026-01-30T00:00:00Z", 9_000, 0),
        ];
        let chart = Chart::of(&rows, "2026-03-01T23:59:59Z".parse().unwrap());
        let days: Vec<String> = chart.bars.iter().map(|bar| bar.day.to_string()).collect();
        assert_eq!(days.len(), 30);
        assert_eq!((days[0].as_str(), days[29].as_str()), ("2026-01-31", "2026-03-01"));
        let heights: Vec<u64> = chart.bars.iter().map(|bar| bar.height).collect();
        assert_eq!(
            (heights[0], heights[1], heights[27], heights[28], heights[29]),
            (2, 1, 30, 1, 60)
        );
        assert_eq!((chart.total, chart.most), (451, 300));
        // The day is that of UTC, whatever the clock on the wall says.
        let next = Chart::of(&rows, "2026-03-02T00:00:00Z".parse().unwrap());
        assert_eq!(next.bars[29].bytes, 0);
        assert_eq!(next.bars[28].bytes, 300);
    }

    proptest! {
        #[test]
        fn bars_stay_in_the_picture_whatever_moved(
            moved in proptest::collection::vec((0..40_i64, any::<u64>(), any::<u64>()), 0..60),
        ) {
            let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
            let rows = moved.iter().map(|(back, upload, download)| TrafficRow {
                start: now - (back * 24).hours(),
                upload: *upload,
                download: *download,
            });
            let chart = Chart::of(&rows.collect::<Vec<_>>(), now);
            prop_assert_eq!(chart.bars.len(), 30);
            for (at, bar) in chart.bars.iter().enumerate() {
                prop_assert_eq!(bar.y + bar.height, chart.size.1);
                prop_assert!(bar.x + 8 <= chart.size.0 && bar.height >= 1);
                prop_assert_eq!(bar.height == 1, bar.bytes == 0);
                prop_assert!(at == 0 || bar.x == chart.bars[at - 1].x + 10);
            }
            let tallest = chart.bars.iter().map(|bar| bar.height).max();
            prop_assert_eq!(tallest, Some(if chart.most == 0 { 1 } else { 60 }));
        }
    }
}
