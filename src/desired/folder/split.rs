//! Cuts a file into its documents, so that each is parsed alone.
//!
//! YAML forbids `---` and `...` at the first column inside any scalar (they always end the document), so a line-wise cut
//! is exact. The slices cover the file without a gap.

/// One document of a file: its text, markers and leading comments included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice<'a> {
    /// The text, a part of the file.
    pub text: &'a str,
    /// Offset of the text in the file, in bytes.
    pub start: usize,
    /// Line of the file on which the text begins, from 1.
    pub line: u32,
}

/// Cuts a file into documents. Linear; the texts put together are the file.
pub(super) fn split(text: &str) -> Vec<Slice<'_>> {
    let mut slices = Vec::new();
    let mut slicer = Slicer::default();
    let (mut offset, mut line) = (0, 1u32);
    for row in text.split_inclusive('\n') {
        let begins = is_marker(row, "---");
        if begins && (slicer.content || slicer.marker) {
            slicer.take(text, offset, line, &mut slices);
        }
        offset += row.len();
        line = line.saturating_add(1);
        if begins {
            slicer.marker = true;
            slicer.content = !is_filler(row.get(3..).unwrap_or_default());
        } else if is_marker(row, "...") {
            slicer.take(text, offset, line, &mut slices);
        } else if !slicer.content {
            let directive = !slicer.marker && row.starts_with('%');
            slicer.content = !directive && !is_filler(row);
        }
    }
    if offset > slicer.start {
        slicer.take(text, offset, line, &mut slices);
    }
    slices
}

/// The document that is being collected.
struct Slicer {
    start: usize,
    line: u32,
    marker: bool,
    content: bool,
}

impl Default for Slicer {
    fn default() -> Self {
        Self {
            start: 0,
            line: 1,
            marker: false,
            content: false,
        }
    }
}

impl Slicer {
    fn take<'a>(&mut self, text: &'a str, end: usize, line: u32, into: &mut Vec<Slice<'a>>) {
        into.push(Slice {
            text: text.get(self.start..end).unwrap_or_default(),
            start: self.start,
            line: self.line,
        });
        *self = Self {
            start: end,
            line,
            marker: false,
            content: false,
        };
    }
}

/// A text without the byte order mark that some editors put at its beginning.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn is_marker(row: &str, marker: &str) -> bool {
    without_mark(row)
        .strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether a line says nothing: blank or a comment.
pub(super) fn is_filler(row: &str) -> bool {
    let row = without_mark(row).trim_start();
    row.is_empty() || row.starts_with('#')
}

/// Whether a line says nothing, or only where a document begins or ends.
pub(super) fn is_blank(row: &str) -> bool {
    is_filler(row) || matches!(row.trim_end(), "---" | "...")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    fn texts(file: &str) -> Vec<&str> {
        split(file).into_iter().map(|slice| slice.text).collect()
    }

    #[test]
    fn a_file_without_markers_is_one_document() {
        assert_eq!(texts("a: 1\nb: 2\n"), ["a: 1\nb: 2\n"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn markers_cut_and_lines_are_counted() {
        let slices = split("a: 1\n---\nb: 2\n--- # note\nc: 3");
        assert_eq!(slices.iter().map(|s| s.line).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(slices[2].text, "--- # note\nc: 3");
    }

    #[test]
    fn leading_comments_and_directives_stay_with_the_document_they_precede() {
        assert_eq!(texts("# people\n%YAML 1.1\n---\na: 1\n").len(), 1);
    }

    #[test]
    fn an_indented_marker_in_a_block_scalar_does_not_cut() {
        assert_eq!(texts("a: |\n  ---\n  x\n---\nb: 1\n").len(), 2);
    }

    #[test]
    fn longer_dashes_are_no_marker() {
        assert_eq!(texts("a: 1\n----\n---x\n").len(), 1);
    }

    #[test]
    fn windows_line_ends_and_document_ends_cut_too() {
        assert_eq!(texts("a: 1\r\n---\r\nb: 2\r\n...\r\nc: 3\r\n").len(), 3);
    }

    #[test]
    fn a_document_on_the_marker_line_counts_as_content() {
        assert_eq!(texts("--- {a: 1}\n--- {b: 1}\n").len(), 2);
    }

    proptest! {
        #[test]
        fn slices_cover_the_file_without_a_gap(file in "([a-z]: 1|---|--- # c|\\.\\.\\.|# c|  ---|é: \\|)?(\n|\r\n)?([a-z]: 1|---|\\.\\.\\.|)(\n|\r\n)?.{0,12}") {
            let slices = split(&file);
            prop_assert_eq!(slices.iter().map(|s| s.text).collect::<String>(), file.clone());
            for slice in slices {
                let before = file[..slice.start].matches('\n').count();
                prop_assert_eq!(slice.line as usize, before + 1);
            }
        }

        #[test]
        fn each_document_means_alone_what_it_means_in_the_file(parts in prop::collection::vec(
            prop_oneof![
                Just("a: 1\n"), Just("a: |\n  ---\n  text\n"), Just("# only a comment\n"), Just("a: \"x\n  --- y\"\n"),
                Just("- 1\n- --- x\n"), Just("a: >-\n  folded\n\n  ...\n"), Just("{\"a\": [1,\n 2]}\n"), Just(""), Just("x\n"),
            ], 1..6)) {
            let file = ["", &parts.join("---\n")].join("---\n");
            let whole: Vec<serde_yaml::Value> = serde_yaml::Deserializer::from_str(&file)
                .map(|document| serde_yaml::Value::deserialize(document).unwrap())
                .collect();
            let alone: Vec<serde_yaml::Value> =
                split(&file).into_iter().map(|slice| serde_yaml::from_str(slice.text).unwrap()).collect();
            prop_assert_eq!(whole, alone);
        }
    }
}
