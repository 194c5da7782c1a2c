//! Why a configuration cannot be used.

use crate::credentials::FileError;

/// Why the configuration cannot be used. Every message names the setting and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A secret is given twice.
    #[error("{name} and {name}_FILE are both set: unset one of them")]
    BothSet {
        /// Name of the variable that holds the value.
        name: &'static str,
    },
    /// A secret is set and empty, which would let everybody in or nobody.
    #[error("{origin} is empty: give it a value, or unset it")]
    EmptySecret {
        /// The variable, or the variable and its file.
        origin: String,
    },
    /// A secret is not UTF-8 text.
    #[error("{origin} is not UTF-8 text")]
    NotText {
        /// The variable, or the variable and its file.
        origin: String,
    },
    /// A file that a setting names cannot be read.
    #[error("{origin}: {message}")]
    File {
        /// The setting and its file.
        origin: String,
        /// What the operating system said, and what to do.
        message: String,
    },
    /// A secret in the data folder cannot be used or made.
    #[error(transparent)]
    Kept(#[from] FileError),
    /// A certificate without its key, or the other way round.
    #[error("{given} is set without {missing}: TLS needs both")]
    HalfTls {
        /// The variable that is set.
        given: &'static str,
        /// The variable that is missing.
        missing: &'static str,
    },
    /// A value that its setting does not accept.
    #[error("{name}: {message}")]
    Value {
        /// Name of the variable.
        name: &'static str,
        /// What is wrong, and what is accepted.
        message: String,
    },
}
