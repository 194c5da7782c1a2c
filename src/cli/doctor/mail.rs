//! The mail server: connected to, with TLS and login as they are set. No mail is sent.

use std::time::Duration;

use super::Finding;
use crate::mail::{MailError, Security, Smtp, SmtpSettings};

const NAME: &str = "mail server";
const TIMEOUT: Duration = Duration::from_secs(25);

/// Nothing is said where no mail is sent.
pub(super) async fn server(settings: Option<&SmtpSettings>) -> Option<Finding> {
    let settings = settings?;
    let looked = async { Smtp::new(settings)?.check().await };
    let looked = tokio::time::timeout(TIMEOUT, looked).await;
    let place = format!("{}:{}", settings.host, settings.port);
    Some(match looked.unwrap_or(Err(MailError::Slow(TIMEOUT))) {
        Ok(()) => {
            let how = match settings.security {
                Security::StartTls => "STARTTLS",
                Security::Tls => "TLS",
                Security::Plain => "without TLS, on this machine",
            };
            let login = if settings.login.is_some() {
                "takes the login"
            } else {
                "asks for no login"
            };
            Finding::ok(NAME, format!("{place} answers ({how}) and {login}; no mail was sent"))
        }
        Err(error) => Finding::failed(NAME, format!("{place}: {error}"), advice(&error)),
    })
}

const fn advice(error: &MailError) -> &'static str {
    match error {
        MailError::Tls(_) => {
            "does SMTP_HOST stand in its certificate, and does SMTP_SECURITY fit its port? Name an authority of your own in SMTP_CA_FILE. \
             Until then no code is sent"
        }
        MailError::Refused(_) => "correct SMTP_USERNAME and SMTP_PASSWORD: until then no code is sent",
        _ => "correct SMTP_HOST, SMTP_PORT and SMTP_SECURITY: until then no code is sent",
    }
}
