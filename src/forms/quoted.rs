//! Texts in double quotes that JSON and every version of YAML read alike.

use std::fmt::Write as _;

/// A text in double quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", within(text))
}

/// What stands between the quotes.
pub(super) fn within(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                written.push('\\');
                written.push(c);
            }
            // YAML takes some of them for line breaks and refuses others, raw.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                // Writing to a string cannot fail.
                let _ = write!(written, "\\u{:04x}", u32::from(c));
            }
            _ => written.push(c),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn json_and_yaml_read_back_what_was_written(text in any::<String>()) {
            let quoted = quoted(&text);
            prop_assert_eq!(&serde_json::from_str::<String>(&quoted).unwrap(), &text);
            prop_assert_eq!(&serde_yaml::from_str::<String>(&quoted).unwrap(), &text);
        }
    }
}
