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
}

impl Output {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::to(Box::new(std::io::stdout()))
    }

    /// Any writer.
    #[must_use]
    pub fn to(writer: Box<dyn Write + Send>) -> Self {
        Self { writer }
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
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(header.into_iter().map(|name| name.as_ref().to_uppercase()));
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
