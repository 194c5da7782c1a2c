//! How a command ends.

use std::{io::Write, process::ExitCode};

use crate::{config::ConfigError, telemetry::printable};

/// Exit codes. They are part of the interface: scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// It did not work, or a check of `doctor` failed.
    Failed = 1,
    /// A wrong argument, setting or document.
    Invalid = 2,
    /// What was named does not exist, or nothing is left of it to act on.
    NotFound = 3,
    /// The operator refused: a conflict, a hold that keeps somebody denied, a wrong secret.
    Refused = 4,
    /// The operator, or something that it needs, cannot be reached. Trying again may help.
    Unavailable = 5,
    /// Accepted and not finished: the guard waits for a person, a revocation is not contained, a grant not usable yet.
    Pending = 6,
    /// `audit verify` found nothing wrong, and could not prove it: the master key is missing here.
    Unproved = 7,
}

/// What `--help` says about exit codes.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed, or a check of doctor failed
  2  wrong argument, setting or document
  3  not found: no such person or hold, or nothing left to act on
  4  refused: a conflict, a wrong secret, or somebody stays denied by a hold or
     for another reason
  5  unavailable: the operator cannot be reached; trying again may help
  6  pending: accepted and not finished (the guard waits for a person, a
     revocation is not contained, a grant is not usable yet)
  7  unproved: nothing is wrong with the audit, and the key that would prove it
     is missing here";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not succeed, and what the person can do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Exit code.
    pub exit: Exit,
    /// What happened. Empty when nothing is to be said.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CommandError {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Exit::Invalid, message)
    }
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// An end of which everything has been said already.
    pub(super) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// Tells the person, and answers the exit code.
    pub(super) fn report(self) -> Exit {
        if self.message.is_empty() {
            return self.exit;
        }
        match self.hint {
            Some(hint) => report(&format!("{}\n  {hint}", self.message), self.exit),
            None => report(&self.message, self.exit),
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::invalid(error.to_string())
    }
}

/// Writes an error to stderr and passes the exit code on.
#[must_use]
pub fn report(message: &str, exit: Exit) -> Exit {
    // Nobody is left to tell when stderr is closed.
    let message: Vec<_> = message.lines().map(printable).collect();
    let _ = writeln!(std::io::stderr(), "error: {}", message.join("\n"));
    exit
}
