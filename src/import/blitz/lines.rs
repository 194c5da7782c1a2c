//! Lines of values, as spreadsheets write them.

use csv::{ReaderBuilder, StringRecord, Terminator};

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: u64,
    /// Its values without the space around them.
    pub(super) values: Vec<String>,
    /// The text ends within its last value, because a quote is not closed.
    pub(super) unclosed: bool,
}

/// Stands behind the text on a line of its own, unless the text ends within quotes.
const END: &str = "\u{1}";

/// The lines on which something stands. Values are separated by the first of `,`, `;` and tab that the text has outside of quotes.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n") + "\n" + END;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::Any(b'\n'))
        .delimiter(separator(&text))
        .from_reader(text.as_bytes());
    let (mut lines, mut record) = (Vec::new(), StringRecord::new());
    // A text in memory is read without an error, and it is UTF-8.
    while reader.read_record(&mut record).unwrap_or(false) {
        if record.iter().eq([END]) {
            break;
        }
        // Where it ends is known for sure: empty lines before count to it.
        let within = record
            .iter()
            .map(|value| value.matches('\n').count() as u64)
            .sum::<u64>();
        let unclosed = record.iter().next_back().is_some_and(|last| last.ends_with(END));
        let number = reader.position().line().saturating_sub(within + u64::from(!unclosed));
        let values: Vec<String> = record.iter().map(|value| value.trim().to_owned()).collect();
        if values != [""] {
            lines.push(Line {
                number,
                values,
                unclosed,
            });
        }
    }
    lines
}

fn separator(text: &str) -> u8 {
    let mut quoted = false;
    let outside = text.bytes().find(|byte| {
        quoted ^= *byte == b'"';
        !quoted && matches!(byte, b',' | b';' | b'\t')
    });
    outside.unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u64, Vec<String>)> {
        let lines = lines(text).into_iter();
        lines
            .map(|line| {
                assert!(!line.unclosed, "{text:?}");
                (line.number, line.values)
            })
            .collect()
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        let want = [(1, ["anna", "AB123456"]), (3, ["bob", "x, y \"z\""])];
        let want = want.map(|(number, values)| (number, values.map(str::to_owned).to_vec()));
        for text in [
            "anna,AB123456\n\nbob,\"x, y \"\"z\"\"\"",
            "\u{feff}anna;AB123456\r\n \r\nbob;\"x, y \"\"z\"\"\"\r\n",
            "\"anna\"\tAB123456\n\n bob\t\"x, y \"\"z\"\"\"\n",
        ] {
            assert_eq!(read(text), want, "{text:?}");
        }
        assert!(lines(" \n\n").is_empty() && lines("").is_empty());
    }

    #[test]
    fn a_line_has_the_number_at_which_it_begins_whatever_stands_before() {
        for end in ["\n", "\r\n"] {
            let text = [
                "", "", "a,b", " ", "c,\"two", "lines\"", "", "", "d,\"two", "", "more\"", "e,f", "g,\"open",
            ]
            .join(end);
            let lines = lines(&text);
            let numbers: Vec<_> = lines.iter().map(|line| (line.number, line.unclosed)).collect();
            let want = [(3, false), (5, false), (9, false), (12, false), (13, true)];
            assert_eq!(numbers, want, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_ends_within_quotes_is_told_from_one_that_ends_with_them() {
        for (text, unclosed) in [
            ("a,\"b", true),
            ("a,\"b\"", false),
            ("a,\"b\n\"\n", false),
            ("a,\"b\n", true),
            ("\"", true),
        ] {
            assert_eq!(lines(text).last().unwrap().unclosed, unclosed, "{text:?}");
        }
    }
}
