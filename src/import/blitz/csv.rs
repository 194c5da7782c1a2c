//! Lines of values, as spreadsheets write them.

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Which one it is, from 1.
    pub(super) number: usize,
    /// Its values without the space around them. `None`: a quote on it is not closed.
    pub(super) values: Option<Vec<String>>,
}

/// The lines on which something stands. Values are separated by the first of `,`, `;` and tab that the text has outside of quotes.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let separator = separator(text);
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| Line {
            number,
            values: values(line, separator),
        })
        .collect()
}

fn separator(text: &str) -> char {
    let mut quoted = false;
    let outside = text.chars().find(|letter| {
        quoted ^= *letter == '"';
        !quoted && matches!(letter, ',' | ';' | '\t')
    });
    outside.unwrap_or(',')
}

fn values(line: &str, separator: char) -> Option<Vec<String>> {
    let mut values = vec![String::new()];
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // A quote within quotes is written twice.
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                values.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            letter if letter == separator && !quoted => values.push(String::new()),
            letter => values.last_mut()?.push(letter),
        }
    }
    let trimmed = values.iter().map(|value| value.trim().to_owned());
    (!quoted).then(|| trimmed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        let lines = lines(text).into_iter();
        lines.map(|line| (line.number, line.values.unwrap())).collect()
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
        assert_eq!(lines("a,\"b\nc,d").first().unwrap().values, None);
        assert!(lines(" \n\n").is_empty() && lines("").is_empty());
    }
}
