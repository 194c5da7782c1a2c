//! One revocation out of those of all gateways.

use super::RevocationProgress;

/// The newest revocation, as far as every gateway that has it is: done when the last is.
#[must_use]
pub fn merged(parts: impl IntoIterator<Item = RevocationProgress>) -> Option<RevocationProgress> {
    let mut merged: Option<RevocationProgress> = None;
    for part in parts {
        merged = Some(match merged {
            Some(before) if before.below > part.below => before,
            Some(before) if before.below == part.below => both(before, part),
            _ => part,
        });
    }
    let mut merged = merged?;
    for names in [&mut merged.waiting_for, &mut merged.left_out] {
        names.sort_unstable();
        names.dedup();
    }
    Some(merged)
}

fn both(mut one: RevocationProgress, other: RevocationProgress) -> RevocationProgress {
    let latest = |a: Option<_>, b: Option<_>| a.zip(b).map(|(a, b)| Ord::max(a, b));
    one.waiting_for.extend(other.waiting_for);
    one.left_out.extend(other.left_out);
    RevocationProgress {
        denied_at: one.denied_at.min(other.denied_at),
        contained_at: latest(one.contained_at, other.contained_at),
        sessions_zero_at: latest(one.sessions_zero_at, other.sessions_zero_at),
        withdrawn_at: one.withdrawn_at.max(other.withdrawn_at),
        ..one
    }
}
