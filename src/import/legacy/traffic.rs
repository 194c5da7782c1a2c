//! What was moved: the totals of accounts, and what single days had of them.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    accounts::FormerUser,
    events::digest_of,
    read::Tables,
    row::{Remark, Row},
    table::{Table, Tally},
    times::Times,
};
use crate::history::{ImportedTraffic, Past};

/// One row: when, bytes from the user, bytes to the user.
type Sample = (Timestamp, u64, u64);

/// The traffic of everybody who is declared.
pub(super) fn traffic(
    tables: &Tables,
    people: &[FormerUser],
    times: &Times,
    tallies: &mut HashMap<Table, Tally>,
    remarks: &mut Vec<Remark>,
) -> Vec<Past> {
    let mut samples: HashMap<&str, Vec<Sample>> = people
        .iter()
        .map(|user| (user.person.username.as_str(), Vec::new()))
        .collect();
    for row in tables.rows(Table::TrafficStats) {
        let username = row.told("username").map(|name| name.to_ascii_lowercase());
        let of = username.as_deref().and_then(|name| samples.get_mut(name));
        match (sample(row, times), of) {
            (Ok(sample), Some(samples)) => samples.push(sample),
            (Err(wrong), _) => remarks.push(Remark::skipped(Table::TrafficStats, row, wrong)),
            (Ok(_), None) => remarks.push(Remark::skipped(
                Table::TrafficStats,
                row,
                "username is the account of nobody who is imported",
            )),
        }
    }
    let mut all = Vec::new();
    for FormerUser { row, person, total, .. } in people {
        let mut samples = samples.remove(person.username.as_str()).unwrap_or_default();
        samples.sort_by_key(|(at, ..)| *at);
        let days = days(*total, &samples).unwrap_or_else(|| {
            tallies.entry(Table::TrafficStats).or_default().unclear += samples.len();
            let message = format!(
                "{}: {} rows of traffic_stats add up to no total of the account: only its total is taken over",
                person.id,
                samples.len()
            );
            remarks.push(Remark {
                table: Table::Users,
                row: *row,
                skipped: false,
                message,
            });
            Vec::new()
        });
        if *total != (0, 0) {
            all.push(Past::Traffic(ImportedTraffic {
                digest: digest_of(&["traffic".to_owned(), person.username.clone()]),
                account: person.username.clone(),
                upload: total.0,
                download: total.1,
                days,
            }));
        }
    }
    all
}

fn sample(row: &Row, times: &Times) -> Result<Sample, String> {
    let at = row.told("timestamp").and_then(|text| times.parse(&text));
    let at = at.ok_or("timestamp is empty or no time")?;
    let bytes = |column| Ok::<_, String>(row.bytes(column)?.unwrap_or(0));
    Ok((at, bytes("upload_bytes")?, bytes("download_bytes")?))
}

/// What the samples say was moved, and when. They are what was moved since the sample before, or what was moved in all by
/// then: that which leads to the total of the account. `None` when neither does.
fn days(total: (u64, u64), samples: &[Sample]) -> Option<Vec<Sample>> {
    let sum = |(up, down): (u64, u64), (_, more_up, more_down): &Sample| {
        Some((up.checked_add(*more_up)?, down.checked_add(*more_down)?))
    };
    if samples.is_empty() || samples.iter().try_fold((0, 0), sum) == Some(total) {
        return Some(samples.to_vec());
    }
    let (_, up, down) = samples.last()?;
    if (*up, *down) != total {
        return None;
    }
    let before = std::iter::once((0, 0)).chain(samples.iter().map(|(_, up, down)| (*up, *down)));
    let moved = samples.iter().zip(before);
    moved
        .map(|((at, up, down), (up_before, down_before))| {
            Some((*at, up.checked_sub(up_before)?, down.checked_sub(down_before)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    #[test]
    fn samples_are_steps_or_sums_by_what_the_total_says() {
        let samples = [(at(1), 5, 50), (at(2), 7, 70)];
        assert_eq!(days((12, 120), &samples), Some(samples.to_vec()));
        assert_eq!(days((7, 70), &samples), Some(vec![(at(1), 5, 50), (at(2), 2, 20)]));
        assert_eq!(days((13, 120), &samples), None);
        assert_eq!(days((0, 0), &[]), Some(vec![]));
        assert_eq!(days((3, 3), &[]), Some(vec![]));
        // A counter that went back is no sum.
        assert_eq!(days((4, 40), &[(at(1), 5, 50), (at(2), 4, 40)]), None);
        assert_eq!(days((4, 40), &[(at(1), u64::MAX, 0), (at(2), 4, 40)]), None);
    }
}
