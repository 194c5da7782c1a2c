//! What a caller calls a request, so that it is done once however often it is sent.

use super::{AccessError, Result};

/// Longest name of a request, in characters.
const LONGEST: usize = 128;

/// Checks the name of a request, if it has one.
///
/// # Errors
/// It is empty, too long, or not of printable ASCII characters alone.
pub(super) fn check(key: Option<&str>) -> Result<()> {
    let good = |key: &str| (1..=LONGEST).contains(&key.len()) && key.bytes().all(|it| it.is_ascii_graphic());
    if key.is_none_or(good) {
        return Ok(());
    }
    Err(AccessError::Invalid {
        field: "Idempotency-Key",
        message: format!("give 1 to {LONGEST} printable ASCII characters without spaces, like a UUID"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_name_is_fine_and_one_with_a_name_that_a_header_carries() {
        for good in [None, Some("telegram-42"), Some("a"), Some("x".repeat(128).as_str())] {
            assert!(check(good).is_ok(), "{good:?}");
        }
        for bad in ["", "a b", "ü", "a\n", &"x".repeat(129)] {
            assert!(check(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
