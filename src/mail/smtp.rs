//! A server that is spoken to by SMTP.

use std::{fs, time::Duration};

use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use secrecy::ExposeSecret as _;

use super::{Letter, MailError, Post, Security, SmtpSettings};

/// Longest that the server may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server that sends letters. Cheap to clone.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Whether a text is an address, or a name with one, that mail can come from.
#[must_use]
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}

/// No answer is wanted from machines that answer by themselves.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Smtp {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(settings: &SmtpSettings) -> Result<Self, MailError> {
        let from = settings.from.parse().map_err(|_| {
            MailError::Setting("SMTP_FROM: give an address, or a name with one: VPN <vpn@example.com>".to_owned())
        })?;
        let tls = match settings.security {
            Security::Plain => Tls::None,
            Security::StartTls => Tls::Required(parameters(settings)?),
            Security::Tls => Tls::Wrapper(parameters(settings)?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((name, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(name.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
        })
    }

    /// Connects, with TLS and login as they are set, and leaves again. Nothing is sent.
    ///
    /// # Errors
    /// Mail cannot be sent.
    pub async fn check(&self) -> Result<(), MailError> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(MailError::Unreachable("it did not answer a question".to_owned())),
            Err(error) => Err(why(&error, true)),
        }
    }
}

#[async_trait]
impl Post for Smtp {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let to: Address = letter.to.parse().map_err(|_| MailError::Address)?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.clone())
            .header(AutoSubmitted)
            .message_id(Some(message_id(self.from.email.domain())?))
            .multipart(MultiPart::alternative_plain_html(
                letter.text.clone(),
                letter.html.clone(),
            ))
            .map_err(|_| MailError::Address)?;
        self.transport
            .send(message)
            .await
            .map(drop)
            .map_err(|error| why(&error, false))
    }
}

fn message_id(domain: &str) -> Result<String, MailError> {
    let number = |_| MailError::NotNow("there are no random numbers".to_owned());
    let (one, other) = (getrandom::u64().map_err(number)?, getrandom::u64().map_err(number)?);
    Ok(format!("<{one:016x}{other:016x}@{domain}>"))
}

fn parameters(settings: &SmtpSettings) -> Result<TlsParameters, MailError> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(path) = &settings.trusted {
        let wrong = |why: String| MailError::Setting(format!("SMTP_CA_FILE ({}): {why}", path.display()));
        let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificate =
            Certificate::from_pem(&pem).map_err(|_| wrong("there is no certificate in PEM form in it".to_owned()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder
        .build_rustls()
        .map_err(|error| MailError::Tls(innermost(&error)))
}

/// What went wrong. The words of the server are given only where no letter was spoken of: they like to repeat addresses.
fn why(error: &smtp::Error, with_words: bool) -> MailError {
    let cause = || innermost(error);
    let answer = || match error.status() {
        Some(code) if with_words => format!("{code} {}", cause()),
        Some(code) => format!("{code}"),
        None => "without a number".to_owned(),
    };
    if error.is_permanent() {
        MailError::Refused(answer())
    } else if error.is_transient() {
        MailError::NotNow(answer())
    } else if error.is_timeout() {
        MailError::Slow(TIMEOUT)
    } else if error.is_tls() || is_of_certificate(error) {
        MailError::Tls(cause())
    } else if error.is_client() {
        // What it does not offer: a way to log in, letters beyond ASCII, TLS.
        MailError::Refused(cause())
    } else {
        MailError::Unreachable(cause())
    }
}

/// Whether TLS failed while it was agreed upon, which arrives as an error of the connection.
fn is_of_certificate(error: &smtp::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let carried = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let by_connection = carried.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>);
        if by_connection || inner.is::<rustls::Error>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The innermost cause.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
