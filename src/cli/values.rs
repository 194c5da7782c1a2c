//! How arguments are spelled.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;

use crate::{config::duration, model::syntax::SOURCE};

/// One of these words in any case, answered in the spelling that is listed.
pub(super) fn one_of<const COUNT: usize>(words: [&'static str; COUNT]) -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(words).map(move |typed| {
        let listed = words.into_iter().find(|word| word.eq_ignore_ascii_case(&typed));
        listed.map_or(typed, str::to_owned)
    })
}

/// A source of holds.
pub(super) fn source(text: &str) -> Result<String, String> {
    if SOURCE.accepts(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be {}, like 'helpdesk'", SOURCE.rule))
    }
}

/// A moment that has passed: RFC 3339, or how long ago it was.
pub(super) fn past(text: &str) -> Result<Timestamp, String> {
    let ago = |text: &str| Timestamp::now().checked_sub(duration(text).ok()?).ok();
    text.parse()
        .ok()
        .or_else(|| ago(text))
        .ok_or_else(|| "give a moment like 2027-01-01T00:00:00Z, or how long ago it was, like 30m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago_it_was() {
        let exact: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        assert_eq!(past("2026-05-01T12:00:00Z"), Ok(exact));
        let before = Timestamp::now();
        let ago = past("2h").unwrap();
        assert!(before - Duration::from_secs(7200) <= ago && ago <= Timestamp::now() - Duration::from_secs(7200));
        for bad in ["yesterday", "", "2", "-2h", "2026-05-01"] {
            assert!(past(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_is_spelled_as_the_model_says() {
        assert_eq!(source("helpdesk"), Ok("helpdesk".to_owned()));
        for bad in ["", "Api", "a-b", "abcdefghijklmnopq"] {
            assert!(source(bad).is_err(), "{bad}");
        }
    }
}
