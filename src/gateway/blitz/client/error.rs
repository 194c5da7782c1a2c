//! Why a call to a panel failed.

use std::time::Duration;

use crate::{
    fence::Fenced,
    gateway::{
        hysteria::client::StatsError,
        transport::{MAX_ANSWER, NoAnswer},
    },
};

/// How long a call may take: the longest that a panel without its database was seen to take is 70 s.
pub(in crate::gateway::blitz) const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// Why a call to a panel failed. Holds nothing of what the panel said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PanelError {
    /// The client itself cannot be made.
    #[error("the HTTP client cannot be made: {0}; is there a bundle of CA certificates on this machine?")]
    Setup(String),
    /// This process does not act: the call was not made.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The token cannot stand in a header.
    #[error("the panel's token has characters that an HTTP header cannot carry: use printable ASCII")]
    BadToken,
    /// The statistics API of the panel's server cannot be called.
    #[error("statsUrl: {0}")]
    Statistics(#[from] StatsError),
    /// The certificates cannot be used.
    #[error("caBundle is not a list of PEM certificates")]
    BadCaBundle,
    /// No connection, or it broke. Whether the panel did what was asked is not known.
    #[error("the panel at {panel} cannot be reached, or the connection broke ({cause})")]
    Unreachable {
        /// Scheme, host and port.
        panel: String,
        /// What the network said.
        cause: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// No answer in time. Whether the panel did what was asked is not known.
    #[error("the panel at {panel} did not answer within {} seconds", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// Scheme, host and port.
        panel: String,
    },
    /// The token is wrong.
    #[error(
        "the panel at {panel} refused the token: compare it with the API token in the panel's settings (no 'Bearer')"
    )]
    Unauthorized {
        /// Scheme, host and port.
        panel: String,
    },
    /// It is not there.
    #[error(
        "the panel at {panel} has nothing under this path: url must end in the panel's root path, and with nothing behind it"
    )]
    WrongPath {
        /// Scheme, host and port.
        panel: String,
    },
    /// The panel's database cannot be reached: nothing is known of its accounts.
    #[error("the panel at {panel} cannot reach its database: look at MongoDB on the panel's machine")]
    DatabaseDown {
        /// Scheme, host and port.
        panel: String,
    },
    /// The traffic API of the panel's Hysteria does not answer, so that the panel neither kicks nor writes. Nothing was changed.
    #[error(
        "the panel at {panel} cannot reach the traffic API of its Hysteria server: nothing can be blocked or deleted until it can"
    )]
    TrafficApiDown {
        /// Scheme, host and port.
        panel: String,
    },
    /// There is no account of this name.
    #[error("the panel has no such account")]
    NoSuchAccount,
    /// An account of this name exists, in whatever case.
    #[error("the panel has an account of this name already")]
    Exists,
    /// The panel does not accept what was sent.
    #[error("the panel at {panel} does not accept the account as it was sent (HTTP {status})")]
    Rejected {
        /// Scheme, host and port.
        panel: String,
        /// The status.
        status: u16,
    },
    /// Another HTTP status.
    #[error("the panel at {panel} answered HTTP {status}")]
    Status {
        /// Scheme, host and port.
        panel: String,
        /// The status.
        status: u16,
    },
    /// More than can be meant.
    #[error("the panel at {panel} answered more than {} MiB", MAX_ANSWER >> 20)]
    TooLarge {
        /// Scheme, host and port.
        panel: String,
    },
    /// Not the JSON that was expected.
    #[error("the panel at {panel} answered something that is not understood ({cause})")]
    Malformed {
        /// Scheme, host and port.
        panel: String,
        /// Where it goes wrong.
        cause: String,
    },
}

impl PanelError {
    /// There is no answer of `panel`.
    pub(super) fn no_answer(panel: String, why: NoAnswer) -> Self {
        match why {
            NoAnswer::Fenced(fenced) => Self::Fenced(fenced),
            NoAnswer::Timeout => Self::Timeout { panel },
            NoAnswer::Unreachable { cause, retryable } => Self::Unreachable {
                panel,
                cause,
                retryable,
            },
            NoAnswer::TooLarge => Self::TooLarge { panel },
        }
    }

    /// Whether the same call may succeed later without anybody changing anything here.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Setup(_)
            | Self::BadToken
            | Self::BadCaBundle
            | Self::Unauthorized { .. }
            | Self::WrongPath { .. }
            | Self::Rejected { .. }
            | Self::NoSuchAccount
            | Self::Exists
            | Self::TooLarge { .. } => false,
            Self::Unreachable { retryable, .. } => *retryable,
            Self::Statistics(error) => error.is_retryable(),
            Self::Fenced(_)
            | Self::Timeout { .. }
            | Self::DatabaseDown { .. }
            | Self::TrafficApiDown { .. }
            | Self::Malformed { .. }
            // Whatever goes wrong in one of the panel's scripts is a 400.
            | Self::Status { .. } => true,
        }
    }

    /// Whether the panel may have done what was asked although this is no answer.
    #[must_use]
    pub const fn may_be_done(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::Malformed { .. }
                | Self::TooLarge { .. }
                | Self::Status { .. }
        )
    }

    /// Whether it may be about the account of the call alone, so that other calls succeed.
    pub(in crate::gateway::blitz) const fn may_be_of_one(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Exists | Self::Status { .. })
    }

    /// A constant for metric labels and reasons.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Setup(_) => "setup",
            Self::Fenced(_) => "fenced",
            Self::BadToken => "bad_secret",
            Self::BadCaBundle => "bad_ca_bundle",
            Self::Statistics(error) => error.category(),
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Unauthorized { .. } => "unauthorized",
            Self::WrongPath { .. } => "wrong_path",
            Self::DatabaseDown { .. } => "database_down",
            Self::TrafficApiDown { .. } => "traffic_api_down",
            Self::NoSuchAccount => "no_such_account",
            Self::Exists => "exists",
            Self::Rejected { .. } => "rejected",
            Self::Status { .. } => "status",
            Self::TooLarge { .. } => "too_large",
            Self::Malformed { .. } => "malformed",
        }
    }
}
