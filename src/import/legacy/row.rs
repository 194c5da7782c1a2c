//! One row of a table as it is, and what there is to say about one.

use std::{collections::BTreeMap, fmt};

use super::table::Table;

/// What stands in one cell.
#[derive(Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Something else, in words.
    Other(&'static str),
}

impl fmt::Debug for Cell {
    /// Without what stands in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Other(what) => what,
        })
    }
}

/// A row. It may hold passwords, and so it is shown without what stands in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Its `rowid`, by which people find it again.
    pub number: i64,
    cells: BTreeMap<&'static str, Cell>,
}

impl Row {
    /// A row of these cells. What is missing is as if nothing stood there.
    #[must_use]
    pub fn new(number: i64, cells: impl IntoIterator<Item = (&'static str, Cell)>) -> Self {
        Self {
            number,
            cells: cells.into_iter().collect(),
        }
    }

    /// Whether the table has this column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.cells.contains_key(column)
    }

    fn cell(&self, column: &str) -> &Cell {
        self.cells.get(column).unwrap_or(&Cell::Null)
    }

    /// The text of a cell; a number as it is written. `None` when nothing stands there.
    ///
    /// # Errors
    /// What else stands there, in words.
    pub(super) fn text(&self, column: &str) -> Result<Option<String>, String> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Text(text) if text.is_empty() => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone())),
            Cell::Integer(number) => Ok(Some(number.to_string())),
            Cell::Other(what) => Err(format!("{column} is {what}, and not a text")),
        }
    }

    /// As [`Self::text`], for what is only told on: what is no text is nothing.
    pub(super) fn told(&self, column: &str) -> Option<String> {
        self.text(column).ok().flatten()
    }

    /// A whole number. `None` when nothing stands there.
    ///
    /// # Errors
    /// What else stands there, in words.
    pub(super) fn integer(&self, column: &str) -> Result<Option<i64>, String> {
        let wrong = |what: &str| Err(format!("{column} is {what}, and not a whole number"));
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(*number)),
            Cell::Text(text) => text.trim().parse().map(Some).or_else(|_| wrong("a text")),
            Cell::Other(what) => wrong(what),
        }
    }

    /// A number of bytes. `None` when nothing stands there.
    ///
    /// # Errors
    /// What else stands there, in words.
    pub(super) fn bytes(&self, column: &str) -> Result<Option<u64>, String> {
        let number = self.integer(column)?;
        let bytes = number.map(|number| u64::try_from(number).map_err(|_| format!("{column} is negative")));
        bytes.transpose()
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({})", self.number)
    }
}

/// Something to say about a row. Never names a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The table.
    pub table: Table,
    /// `rowid` of the row.
    pub row: i64,
    /// Nothing was made of the row; otherwise it is only to be known.
    pub skipped: bool,
    /// What is wrong, or to be known.
    pub message: String,
}

impl Remark {
    pub(super) fn skipped(table: Table, row: &Row, message: impl Into<String>) -> Self {
        Self {
            table,
            row: row.number,
            skipped: true,
            message: message.into(),
        }
    }

    pub(super) fn note(table: Table, row: &Row, message: impl Into<String>) -> Self {
        Self {
            skipped: false,
            ..Self::skipped(table, row, message)
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = if self.skipped { "skipped: " } else { "" };
        write!(f, "{} row {}: {skipped}{}", self.table.name(), self.row, self.message)
    }
}
