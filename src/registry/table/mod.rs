//! The registry as CSV: what spreadsheets write is read, and what is written is read back.

mod cell;
mod lines;
mod reader;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::reader::read;
use super::entry::{Entry, Owner};
use crate::model::corporate_id::CorporateId;
use jiff::Timestamp;

use super::status::Status;

/// The columns, in the order in which they are written.
pub const COLUMNS: [&str; 7] = [
    "id",
    "owner",
    "email",
    "department",
    "status",
    "issued_at",
    "updated_at",
];

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Which line of the file, from 1; the first line of a record that has several.
    pub line: u64,
    /// What is wrong with it, and what to do.
    pub message: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// A file whose every line could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The lines on which something stands.
    pub rows: Vec<Row>,
    /// Which personal data the file speaks of at all.
    pub columns: Columns,
}

/// Columns that a file may lack: what it does not speak of stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Columns {
    /// `owner`
    pub owner: bool,
    /// `email`
    pub email: bool,
    /// `department`
    pub department: bool,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which line of the file.
    pub line: u64,
    /// The ID.
    pub id: CorporateId,
    /// Whose it is.
    pub owner: Owner,
    /// Where it stands; `None` where the file does not say.
    pub status: Option<Status>,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

impl Columns {
    /// What becomes of what was known, once the file has spoken.
    #[must_use]
    pub fn applied(self, known: &Owner, said: &Owner) -> Owner {
        let pick =
            |speaks: bool, known: &Option<String>, said: &Option<String>| if speaks { said } else { known }.clone();
        Owner {
            owner: pick(self.owner, &known.owner, &said.owner),
            email: pick(self.email, &known.email, &said.email),
            department: pick(self.department, &known.department, &said.department),
        }
    }
}

/// The line of column names.
#[must_use]
pub fn header() -> String {
    record(&COLUMNS.map(str::to_owned))
}

/// The lines of some IDs. An owner whose text a spreadsheet would take for a formula is written with `'` before it.
#[must_use]
pub fn lines<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let line = |entry: &Entry| {
        let text = |text: &Option<String>| cell::guarded(text.as_deref().unwrap_or_default());
        let Owner {
            owner,
            email,
            department,
        } = &entry.owner;
        let issued = entry.issued_at.map(|at| at.to_string()).unwrap_or_default();
        record(&[
            entry.id.to_string(),
            text(owner),
            text(email),
            text(department),
            entry.status.to_string(),
            issued,
            entry.updated_at.to_string(),
        ])
    };
    entries.into_iter().map(line).collect()
}

/// One record, as RFC 4180 has it.
fn record<const COUNT: usize>(cells: &[String; COUNT]) -> String {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    // Into memory nothing fails, and every record has the same number of cells.
    let written = writer.write_record(cells).is_ok();
    let bytes = writer.into_inner().ok().filter(|_| written).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}
