//! Sending mail by SMTP.
//!
//! What a letter says is secret: it is in no error and no log, and neither is the address that it goes to.

mod smtp;

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use secrecy::SecretString;

pub use self::smtp::{Smtp, is_sender};

/// How a connection to the server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// It begins in the clear, and goes on only with TLS.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: to a server on this machine.
    Plain,
}

/// Which server sends, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Its name, which its certificate has to bear.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub security: Security,
    /// Name and password.
    pub login: Option<(String, SecretString)>,
    /// Who sends: an address, or a name with an address.
    pub from: String,
    /// A PEM file with certificates of authorities that are trusted besides the system's.
    pub trusted: Option<PathBuf>,
}

/// A letter with one text in two forms.
#[derive(Clone)]
pub struct Letter {
    /// To whom.
    pub to: String,
    /// What it is about. Other machines and screens that are locked show it.
    pub subject: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Why a letter was not sent, or the server is of no use. Says nothing of the letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The address is none that mail can be sent to.
    #[error("the address of the person is none that mail can be sent to: correct it")]
    Address,
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// Nobody answers, or the connection broke.
    #[error("the mail server cannot be reached, or broke the connection: {0}")]
    Unreachable(String),
    /// The certificate is not trusted, or there is no TLS.
    #[error("TLS with the mail server failed: {0}")]
    Tls(String),
    /// The server refused for now.
    #[error("the mail server cannot take it now: {0}")]
    NotNow(String),
    /// The server refused for good.
    #[error("the mail server refused: {0}")]
    Refused(String),
    /// It took too long.
    #[error("the mail server was not done within {} s", .0.as_secs())]
    Slow(Duration),
}

impl MailError {
    /// Whether it may help to try again.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::NotNow(_) | Self::Slow(_) | Self::Tls(_)
        )
    }
}

/// Sends letters.
#[async_trait]
pub trait Post: Send + Sync + 'static {
    /// Hands a letter over to whoever delivers it. A letter of which nobody can say whether it was taken counts as not sent.
    ///
    /// # Errors
    /// It was not taken.
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}
