//! Text of strangers on a terminal: what would turn letters around, hide them or drive the terminal is shown as its number.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

/// How a character that cannot be shown is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Escape {
    /// `\u{202e}`, as in Rust.
    Text,
    /// `\u202e`, as in JSON: inside of a string it means the same character.
    Json,
}

/// Whether a character is shown as itself. Not: control and format characters (right-to-left overrides, zero-width ones),
/// line separators, blanks that look like a space, private and unassigned ones. ASCII is the caller's.
fn is_shown(letter: char) -> bool {
    // The standard library has the table, and shows it by what it escapes behind another letter.
    letter.is_ascii() || letter.is_alphanumeric() || format!("x{letter}").escape_debug().nth(2).is_none()
}

/// The text with every non-ASCII character that is not shown written as its number.
pub(super) fn escaped(text: &str, how: Escape) -> Cow<'_, str> {
    if text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_shown(letter) {
            escaped.push(letter);
            continue;
        }
        // Writing into a `String` cannot fail.
        let _ = match how {
            Escape::Text => write!(escaped, "{}", letter.escape_unicode()),
            Escape::Json => {
                let mut units = [0; 2];
                let mut units = letter.encode_utf16(&mut units).iter();
                units.try_for_each(|unit| write!(escaped, "\\u{unit:04x}"))
            }
        };
    }
    Cow::Owned(escaped)
}

/// Text of strangers for one line of a terminal: control characters of ASCII become blanks, and characters that turn text
/// around, hide or imitate others are written as their number (`\u{202e}`).
pub fn printable(text: &str) -> String {
    let line: Cow<'_, str> = if text.bytes().any(|byte| byte.is_ascii_control()) {
        Cow::Owned(text.replace(|letter: char| letter.is_ascii_control(), " "))
    } else {
        Cow::Borrowed(text)
    };
    escaped(&line, Escape::Text).into_owned()
}

/// A JSON document with such characters written as its escapes: it means the same to a program.
pub fn printable_json(document: &str) -> Cow<'_, str> {
    escaped(document, Escape::Json)
}

/// Writes log lines so that no character in them can turn the line around. Expects whole characters in each call, as the
/// log writes whole lines.
pub(super) struct Escaping<W> {
    pub(super) to: W,
    pub(super) how: Escape,
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_ascii() {
            return self.to.write(bytes);
        }
        let text = String::from_utf8_lossy(bytes);
        self.to.write_all(escaped(&text, self.how).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_turns_hides_or_imitates_is_written_as_its_number() {
        for (text, shown) in [
            ("Анна Käse 名前 e\u{301} 😀", "Анна Käse 名前 e\u{301} 😀"),
            ("left\u{202e}gnp.exe", "left\\u{202e}gnp.exe"),
            ("a\u{2066}b\u{2069}c\u{200f}d", "a\\u{2066}b\\u{2069}c\\u{200f}d"),
            (
                "ze\u{200b}ro \u{feff}width\u{ad}",
                "ze\\u{200b}ro \\u{feff}width\\u{ad}",
            ),
            ("hard\u{a0}blank\u{2028}line", "hard\\u{a0}blank\\u{2028}line"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("a\u{1b}[2Jb\nc\u{9b}31m", "a [2Jb c\\u{9b}31m"),
            ("quotes ' \" \\ stay", "quotes ' \" \\ stay"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    fn logged(text: &str, how: Escape) -> String {
        let mut written = Escaping { to: Vec::new(), how };
        written.write_all(text.as_bytes()).unwrap();
        String::from_utf8(written.to).unwrap()
    }

    proptest! {
        #[test]
        fn a_line_of_json_means_the_same_and_turns_nothing_around(text in ".*") {
            let line = serde_json::to_string(&text).unwrap();
            let shown = logged(&line, Escape::Json);
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text.clone());
            for written in [shown, logged(&text, Escape::Text)] {
                let bad = |letter: &char| matches!(letter, '\u{80}'..='\u{9f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
                prop_assert_eq!(written.chars().find(bad), None);
            }
        }
    }
}
