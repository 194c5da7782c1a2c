//! Characters and encodings that a person does not see, and that make a document mean something else or nothing. Pure.

use super::problem::Fault;

/// The text of a file.
///
/// # Errors
/// Says which encoding it seems to be, and where it stops being UTF-8; gives the bytes back.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, (Fault, Vec<u8>)> {
    let utf16 = match bytes.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, second, ..] => *second != 0,
        [first, 0, ..] => *first != 0,
        _ => false,
    };
    if utf16 {
        let message = "the file is UTF-16, which Windows editors and PowerShell's '>' write: save it as UTF-8";
        return Err((fault((1, 1), message.to_owned()), bytes));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
        let message = format!(
            "the byte 0x{byte:02X} is not UTF-8: the file seems to be Latin-1 (Windows-1252, ISO 8859), or to be \
             damaged. Save it as UTF-8"
        );
        let fault = fault(place(&before, before.len()), message);
        (fault, error.into_bytes())
    })
}

/// Whether bytes of any encoding speak of a group.
pub(super) fn mentions(bytes: &[u8], group: &str) -> bool {
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    text.windows(group.len()).any(|part| part == group.as_bytes())
}

/// The first character that YAML does not allow.
pub(super) fn control_character(text: &str) -> Option<Fault> {
    let forbidden = |letter: &char| {
        letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{85}')
            || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    if !text
        .bytes()
        .any(|byte| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r') || byte >= 0x7f)
    {
        return None;
    }
    let (at, letter) = text.char_indices().find(|(_, letter)| forbidden(letter))?;
    let what = if letter == '\0' {
        "a NUL byte stands here: the file was cut off or damaged. Restore what belongs here".to_owned()
    } else {
        let code = u32::from(letter);
        format!("the control character U+{code:04X} stands here, which YAML does not allow: take it out")
    };
    Some(fault(place(text, at), what))
}

/// Spaces that are none for YAML and stand where one is wanted: in an indentation, after a colon or a dash, at the end of a
/// line. The first few.
pub(super) fn odd_spaces(text: &str) -> Vec<Fault> {
    if text.is_ascii() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (row, line) in text.lines().enumerate() {
        let Some(at) = odd_space(line) else { continue };
        let code = line.get(at..).and_then(|rest| rest.chars().next()).map_or(0, u32::from);
        let kind = match code {
            0xa0 => "a non-breaking space",
            0xfeff => "a byte order mark",
            0x200b..=0x200d | 0x2060 => "an invisible character",
            _ => "a space of another kind",
        };
        let (_, column) = place(line, at);
        let row = u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1);
        found.push(fault(
            (row, column),
            format!(
                "{kind} (U+{code:04X}) stands here, which YAML takes for a letter: write an ordinary space, or none"
            ),
        ));
        if found.len() == 3 {
            break;
        }
    }
    found
}

fn odd_space(line: &str) -> Option<usize> {
    let odd = |letter: char| {
        matches!(
            letter,
            '\u{a0}' | '\u{1680}' | '\u{2000}'
                ..='\u{200d}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}'
        )
    };
    let code = line.trim_end_matches(odd);
    let comment = code
        .trim_start_matches(|letter: char| letter.is_whitespace() || odd(letter))
        .starts_with('#');
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if odd(letter) && (at >= code.len() || matches!(before, ' ' | ':' | '-' | '?')) && !comment {
            // Within a text it says what it says.
            let indents = line
                .get(..at)
                .is_some_and(|head| head.trim_matches([' ', '-']).is_empty());
            if indents || at >= code.len() || before == ':' || before == '-' {
                return Some(at);
            }
        }
        before = letter;
    }
    None
}

fn place(text: &str, at: usize) -> (u32, u32) {
    let head = text.get(..at).unwrap_or(text);
    let line = head.matches('\n').count() + 1;
    let column = head.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (narrow(line), narrow(column))
}

fn fault((line, column): (u32, u32), message: String) -> Fault {
    Fault {
        line,
        column,
        field: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(bytes: &[u8]) -> Fault {
        decode(bytes.to_vec()).unwrap_err().0
    }

    #[test]
    fn other_encodings_are_called_by_their_names() {
        assert!(wrong(b"\xff\xfek\0i\0").message.contains("UTF-16"));
        assert!(wrong(b"\0k\0i").message.contains("UTF-16"));
        assert!(wrong(b"k\0i\0").message.contains("UTF-16"));
        let latin = wrong(b"a: 1\nowner: Zo\xeb\n");
        assert_eq!((latin.line, latin.column), (2, 10));
        assert!(
            latin.message.contains("0xEB") && latin.message.contains("Latin-1"),
            "{latin:?}"
        );
        assert!(decode("owner: Zoë\n".into()).is_ok() && decode(Vec::new()).is_ok());
        assert!(mentions(b"v\0p\0n\0-\0o\0", "vpn-o") && !mentions(b"vpn", "vpn-o"));
    }

    #[test]
    fn a_nul_byte_is_found_where_it_stands() {
        let fault = control_character("a: 1\nb: é\0\n").unwrap();
        assert_eq!((fault.line, fault.column), (2, 5));
        assert!(fault.message.contains("NUL"));
        assert!(control_character("a: 1\r\n\tb: é\u{85}").is_none());
        assert!(control_character("\u{1b}[0m").unwrap().message.contains("U+001B"));
    }

    #[test]
    fn spaces_that_are_none_are_found_where_one_is_wanted_and_nowhere_else() {
        for (text, place) in [
            ("a:\n\u{a0}\u{a0}b: 1\n", (2, 1)),
            ("a:\u{a0}1\n", (1, 3)),
            ("- \u{3000}a\n", (1, 3)),
            ("a: 1\u{a0}\n", (1, 5)),
            ("a: \"x\"\n  \u{200b}b: 1", (2, 3)),
        ] {
            let found = odd_spaces(text);
            assert_eq!(
                found.iter().map(|it| (it.line, it.column)).collect::<Vec<_>>(),
                [place],
                "{text:?}"
            );
        }
        assert_eq!(odd_spaces("owner: Anna\u{a0}Schmidt\n# \u{a0}note\nx: é\n"), []);
    }
}
