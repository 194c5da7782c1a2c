//! Settings of the log.

use clap::{Args, ValueEnum};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged, and how. Logs go to stderr.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// Form of the log lines
    #[arg(
        long,
        env = "LOG_FORMAT",
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = false
    )]
    pub log_format: LogFormat,
    /// What is logged, like `info` or `vpn_operator=debug`. `RUST_LOG` counts when this is absent
    #[arg(long, env = "LOG_LEVEL", global = true, value_name = "FILTER")]
    pub log_level: Option<String>,
}
