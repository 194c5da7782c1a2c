//! The only way to stdout: tables for people, JSON for programs.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::{CommandError, Exit};
/// Text of strangers so that it cannot drive the terminal or turn a line around.
pub(super) use crate::telemetry::printable;
use crate::telemetry::printable_json;

/// Form of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs: one JSON document.
    Json,
}

/// How a command prints.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// Form of the output; `json` is what the API answered, for programs
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    pub output: Form,
}

/// What commands print to. A reader that went away ends the command quietly.
pub struct Output {
    writer: Box<dyn Write + Send>,
    terminal: bool,
    colours: bool,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Somebody is out, or something is wrong.
    Bad,
    /// A heading.
    Strong,
}

impl Tone {
    /// Select Graphic Rendition, ECMA-48.
    const fn sgr(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Strong => "1",
        }
    }
}

impl Output {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        let terminal = std::io::stdout().is_terminal();
        // The conventions of no-color.org and of terminfo.
        let unwanted = |name: &str, value: Option<&str>| {
            std::env::var_os(name).is_some_and(|set| value.map_or(!set.is_empty(), |value| set == value))
        };
        Self {
            terminal,
            colours: terminal && !unwanted("NO_COLOR", None) && !unwanted("TERM", Some("dumb")),
            ..Self::to(Box::new(std::io::stdout()))
        }
    }

    /// Any writer.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>) -> Self {
        Self {
            writer,
            terminal: false,
            colours: false,
        }
    }

    /// Whether a person watches stdout.
    pub(super) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Text without control characters, in a colour where the terminal has them.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        let text = printable(text);
        if self.colours {
            format!("\u{1b}[{}m{text}\u{1b}[0m", tone.sgr())
        } else {
            text
        }
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// The text cannot be written.
    pub fn text(&mut self, text: &str) -> Result<(), CommandError> {
        self.writer
            .write_all(text.as_bytes())
            .and_then(|()| self.writer.flush())
            .map_err(|error| match error.kind() {
                ErrorKind::BrokenPipe => CommandError::silent(Exit::Success),
                _ => CommandError::failed(format!("cannot write the output: {error}")),
            })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// The line cannot be written.
    pub fn line(&mut self, line: &str) -> Result<(), CommandError> {
        self.text(&format!("{line}\n"))
    }

    /// Writes a JSON document.
    ///
    /// # Errors
    /// The document cannot be written.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| CommandError::failed(format!("cannot write the answer as JSON: {error}")))?;
        self.line(&printable_json(&text))
    }

    /// Writes a table. Each row has as many cells as the header.
    ///
    /// # Errors
    /// The table cannot be written.
    pub fn table<Row: IntoIterator<Item = String>>(
        &mut self,
        header: impl IntoIterator<Item = impl AsRef<str>>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), CommandError> {
        self.grid(None, header, rows)
    }

    /// As [`Self::table`], with long cells wrapped so that no line is wider than `width` columns.
    ///
    /// # Errors
    /// The table cannot be written.
    pub(super) fn table_within<Row: IntoIterator<Item = String>>(
        &mut self,
        width: u16,
        header: impl IntoIterator<Item = impl AsRef<str>>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), CommandError> {
        self.grid(Some(width), header, rows)
    }

    /// Writes a line a fact: a label, and what is known; long ones wrapped within `width` columns.
    ///
    /// # Errors
    /// The lines cannot be written.
    pub(super) fn facts<'a>(
        &mut self,
        width: u16,
        facts: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Result<(), CommandError> {
        let rows = facts.into_iter().map(|(label, fact)| [label.to_owned(), fact]);
        self.grid(Some(width), std::iter::empty::<&str>(), rows)
    }

    /// Writes a sentence, wrapped within `width` columns; the lines that follow keep its indentation.
    ///
    /// # Errors
    /// The text cannot be written.
    pub(super) fn wrapped(&mut self, width: u16, text: &str) -> Result<(), CommandError> {
        let words = text.trim_start();
        let indent = text.len() - words.len();
        let space = usize::from(width).saturating_sub(indent);
        let mut line = String::new();
        for word in printable(words).split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > space {
                self.line(&format!("{:indent$}{line}", ""))?;
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&format!("{:indent$}{line}", ""))
    }

    fn grid<Row: IntoIterator<Item = String>>(
        &mut self,
        width: Option<u16>,
        header: impl IntoIterator<Item = impl AsRef<str>>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), CommandError> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match width {
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        let header: Vec<String> = header.into_iter().map(|name| name.as_ref().to_uppercase()).collect();
        if !header.is_empty() {
            table.set_header(header);
        }
        for row in rows {
            table.add_row(row.into_iter().map(|cell| printable(&cell)));
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        let text = table.trim_fmt();
        self.line(&text)
    }
}

/// Writes a remark for the person to stderr, so that stdout stays clean for programs.
pub(super) fn note(text: &str) {
    // A closed stderr has no reader to miss it.
    let _ = writeln!(std::io::stderr(), "{}", printable_lines(text));
}

/// Whether somebody watches: progress is shown to people only.
pub(super) fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}

fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}
