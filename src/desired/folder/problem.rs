//! What is wrong with a document, said so that a person finds the place.

use std::fmt;

/// What is wrong at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, relative to the folder that was read.
    pub file: String,
    /// Line from 1; 0 when the whole file is meant.
    pub line: u32,
    /// Column from 1, in characters; 0 when unknown.
    pub column: u32,
    /// Field, like `spec.validUntil`.
    pub field: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        f.write_str(": ")?;
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Problem {
    /// A problem of a whole file.
    pub(super) fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            field: None,
            message: message.into(),
        }
    }
}

/// What is wrong in a document; places count from the document's first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Line within the document, from 1.
    pub line: u32,
    /// Column from 1.
    pub column: u32,
    /// Field, like `spec.validUntil`.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    /// The problem, once file and first line of the document are known.
    pub fn at(self, file: &str, first_line: u32) -> Problem {
        Problem {
            file: file.to_owned(),
            line: first_line.saturating_add(self.line).saturating_sub(1),
            column: self.column,
            field: self.field,
            message: self.message,
        }
    }
}
