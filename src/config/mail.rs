//! Settings of mail, and of linking Telegram accounts.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use super::{ConfigError, Secrets, values};
use crate::{
    linking::limits::Limits,
    mail::{Security, SmtpSettings, is_sender},
};

/// How a connection to the mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SmtpSecurity {
    /// It begins in the clear and goes on only with TLS, at port 587.
    #[default]
    Starttls,
    /// TLS from the first byte, at port 465
    Tls,
    /// None, at port 25: only to a server on this machine
    None,
}

/// Mail. Its password comes from the environment: `SMTP_PASSWORD`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub struct Mail {
    /// Mail server that sends codes for linking. No mail is sent when absent
    #[arg(long, env = "SMTP_HOST", value_name = "HOST")]
    pub smtp_host: Option<String>,
    /// Its port; by `--smtp-security` when absent
    #[arg(long, env = "SMTP_PORT", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub smtp_port: Option<u16>,
    /// How the connection is kept from others
    #[arg(
        long,
        env = "SMTP_SECURITY",
        value_enum,
        default_value_t,
        value_name = "HOW",
        hide_possible_values = false
    )]
    pub smtp_security: SmtpSecurity,
    /// Name to log in with. No login when absent
    #[arg(long, env = "SMTP_USERNAME", value_name = "NAME")]
    pub smtp_username: Option<String>,
    /// Who sends, like `VPN <vpn@example.com>`
    #[arg(long, env = "SMTP_FROM", value_name = "ADDRESS")]
    pub smtp_from: Option<String>,
    /// PEM file with authorities that are trusted besides the system's
    #[arg(long, env = "SMTP_CA_FILE", value_name = "PATH", value_parser = values::optional_path())]
    pub smtp_ca_file: Option<PathBuf>,
}

impl Mail {
    pub(super) fn check(self, secrets: &Secrets) -> Result<Option<SmtpSettings>, ConfigError> {
        let wrong = |name, message: &str| ConfigError::Value {
            name,
            message: message.to_owned(),
        };
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let Some(host) = given(self.smtp_host) else {
            return Ok(None);
        };
        let from = given(self.smtp_from).ok_or_else(|| {
            wrong(
                "SMTP_FROM",
                "mail has to come from somebody: give an address, like VPN <vpn@example.com>",
            )
        })?;
        if !is_sender(&from) {
            return Err(wrong(
                "SMTP_FROM",
                "give an address, or a name with one: VPN <vpn@example.com>",
            ));
        }
        let password = secrets.smtp_password.as_ref().map(|secret| secret.value.clone());
        let login = match (given(self.smtp_username), password) {
            (Some(name), Some(password)) => Some((name, password)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(wrong(
                    "SMTP_PASSWORD",
                    "SMTP_USERNAME is set: set this, or SMTP_PASSWORD_FILE, as well",
                ));
            }
            (None, Some(_)) => return Err(wrong("SMTP_USERNAME", "SMTP_PASSWORD is set: set this as well")),
        };
        let (security, port) = match self.smtp_security {
            SmtpSecurity::Starttls => (Security::StartTls, 587),
            SmtpSecurity::Tls => (Security::Tls, 465),
            SmtpSecurity::None if is_here(&host) => (Security::Plain, 25),
            SmtpSecurity::None => {
                return Err(wrong(
                    "SMTP_SECURITY",
                    "none is for a mail server on this machine (localhost) only: codes and passwords would travel unencrypted",
                ));
            }
        };
        Ok(Some(SmtpSettings {
            host,
            port: self.smtp_port.unwrap_or(port),
            security,
            login,
            from,
            trusted: self.smtp_ca_file.filter(|path| !path.as_os_str().is_empty()),
        }))
    }
}

/// Whether a host is this machine, whatever a name server says.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How often somebody may try who links a Telegram account.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Linking Telegram accounts")]
pub struct Linking {
    /// Wrong codes, by corporate ID and by account, that lock
    #[arg(long, env = "LINK_TRIES", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub link_tries: u32,
    /// How long a lock lasts
    #[arg(long, env = "LINK_LOCK", value_name = "TIME", default_value = "30m", value_parser = lock_time)]
    pub link_lock: Duration,
}

fn lock_time(text: &str) -> Result<Duration, String> {
    values::duration(text).and_then(|span| {
        if (Duration::from_secs(60)..=Duration::from_secs(24 * 3600)).contains(&span) {
            Ok(span)
        } else {
            Err("give a time between 1m and 24h".to_owned())
        }
    })
}

impl Linking {
    /// What is let through.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            tries: self.link_tries,
            lock: SignedDuration::try_from(self.link_lock).unwrap_or(usual.lock),
            ..usual
        }
    }
}
