//! Who calls the API: one with the shared secret, or one of the clients that have tokens of their own.

use std::{fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

use super::role::Role;
use crate::model::{guard::Feed, syntax::SOURCE};

/// Fewest characters of a token.
const MIN_TOKEN: usize = 24;
/// Most characters of a name.
const MAX_NAME: usize = 32;

/// A caller of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its name, for the audit; `None` for whoever knows the shared secret.
    pub name: Option<Arc<str>>,
    /// What it may do.
    pub role: Role,
}

impl Principal {
    /// Whoever knows the shared secret.
    pub const SHARED: Self = Self {
        name: None,
        role: Role::Admin,
    };

    /// The source that it always acts as in this role; `None` where it may say one.
    #[must_use]
    pub fn source(&self, role: Role) -> Option<&str> {
        match (role, self.role) {
            (Role::Helpdesk, _) => Some("helpdesk"),
            (Role::Feed, _) => self.name.as_deref(),
            (_, Role::Bot) => Some("bot"),
            (Role::Admin | Role::Auditor | Role::Bot, _) => None,
        }
    }
}

/// A client that has a token of its own.
#[derive(Clone)]
pub struct ApiClient {
    /// Its name: a short word.
    pub name: Arc<str>,
    /// What it may do.
    pub role: Role,
    /// What it sends as `X-Corporate-Secret`, or behind `Authorization: Bearer`.
    pub token: SecretString,
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiClient({}, {})", self.name, self.role.word())
    }
}

/// Why a client in the settings cannot be used. Never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Not three parts.
    #[error("client {0} is no name:role:token: write them so, separated by commas or line breaks")]
    Shape(usize),
    /// A name that breaks the rule.
    #[error("client {0}: its name must be 1 to 32 of the characters a-z, 0-9 and '-', beginning with a letter")]
    Name(usize),
    /// A role that does not exist.
    #[error("client {0} ('{1}') has a role that does not exist: give one of admin, helpdesk, auditor, bot, feed")]
    Role(usize, String),
    /// A feed that the guard does not know.
    #[error("client {0} ('{1}') is a feed, and a feed is called hr or scim: the guard counts what each denies")]
    Feed(usize, String),
    /// A token that can be guessed.
    #[error(
        "client {0} ('{1}') has a token of fewer than 24 characters, or one with spaces: make one with `openssl rand -hex 32`"
    )]
    Token(usize, String),
    /// A token that two have.
    #[error(
        "clients '{0}' and '{1}' have the same token: give each one of its own, so that the audit can tell them apart"
    )]
    Twice(String, String),
}

impl ApiClient {
    /// Reads a list of `name:role:token`, separated by commas or line breaks. Two of one name are a rotation; lines that begin with `#`
    /// are comments.
    ///
    /// # Errors
    /// Says which client cannot be used, and what one looks like.
    pub fn read(list: &SecretString) -> Result<Vec<Self>, ClientError> {
        let lines = list
            .expose_secret()
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        let given = lines
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let mut clients: Vec<Self> = Vec::new();
        for (at, text) in given.enumerate() {
            let client = Self::one(at + 1, text)?;
            let same = |other: &&Self| other.token.expose_secret() == client.token.expose_secret();
            if let Some(other) = clients.iter().find(same) {
                return Err(ClientError::Twice(other.name.to_string(), client.name.to_string()));
            }
            clients.push(client);
        }
        Ok(clients)
    }

    fn one(number: usize, text: &str) -> Result<Self, ClientError> {
        let mut parts = text.splitn(3, ':').map(str::trim);
        let (Some(name), Some(role), Some(token)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ClientError::Shape(number));
        };
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.len() > MAX_NAME || !name.bytes().all(good) {
            return Err(ClientError::Name(number));
        }
        let role = Role::from_word(role).ok_or_else(|| ClientError::Role(number, name.to_owned()))?;
        if role == Role::Feed && !(SOURCE.accepts(name) && Feed::of_source(name).is_some()) {
            return Err(ClientError::Feed(number, name.to_owned()));
        }
        if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientError::Token(number, name.to_owned()));
        }
        Ok(Self {
            name: name.into(),
            role,
            token: token.into(),
        })
    }

    /// As whom it calls.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            name: Some(Arc::clone(&self.name)),
            role: self.role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef01234567";

    fn read(text: &str) -> Result<Vec<ApiClient>, ClientError> {
        ApiClient::read(&text.into())
    }

    #[test]
    fn clients_are_read_from_one_line_or_many() {
        let clients = read(&format!(
            "portal:helpdesk:{TOKEN}, siem:auditor:a{TOKEN}\n# old\n\nhr:feed:b{TOKEN}:c\n"
        ))
        .unwrap();
        let known: Vec<_> = clients.iter().map(|client| (&*client.name, client.role)).collect();
        assert_eq!(
            known,
            [("portal", Role::Helpdesk), ("siem", Role::Auditor), ("hr", Role::Feed)]
        );
        assert_eq!(clients[2].token.expose_secret(), format!("b{TOKEN}:c"));
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_client_is_said_without_its_token() {
        for (text, error) in [
            (format!("portal:{TOKEN}"), ClientError::Shape(1)),
            (format!("Portal:admin:{TOKEN}"), ClientError::Name(1)),
            (format!(":admin:{TOKEN}"), ClientError::Name(1)),
            (
                format!("a:admin:{TOKEN},b:root:x{TOKEN}"),
                ClientError::Role(2, "b".to_owned()),
            ),
            (
                format!("payroll:feed:{TOKEN}"),
                ClientError::Feed(1, "payroll".to_owned()),
            ),
            ("a:admin:short".to_owned(), ClientError::Token(1, "a".to_owned())),
            (
                format!("a:admin:{TOKEN} {TOKEN}"),
                ClientError::Token(1, "a".to_owned()),
            ),
            (
                format!("a:admin:{TOKEN},b:bot:{TOKEN}"),
                ClientError::Twice("a".to_owned(), "b".to_owned()),
            ),
        ] {
            let said = read(&text).unwrap_err();
            assert_eq!(said, error);
            assert!(!said.to_string().contains(TOKEN), "{said}");
        }
        assert!(!format!("{:?}", read(&format!("a:admin:{TOKEN}")).unwrap()).contains(TOKEN));
    }

    #[test]
    fn the_help_desk_a_feed_and_a_bot_act_as_themselves_only() {
        let named = |name: &str, role| Principal {
            name: Some(name.into()),
            role,
        };
        assert_eq!(Principal::SHARED.source(Role::Admin), None);
        assert_eq!(Principal::SHARED.source(Role::Helpdesk), Some("helpdesk"));
        assert_eq!(named("portal", Role::Helpdesk).source(Role::Helpdesk), Some("helpdesk"));
        assert_eq!(named("hr", Role::Feed).source(Role::Feed), Some("hr"));
        assert_eq!(named("telegram", Role::Bot).source(Role::Admin), Some("bot"));
        assert_eq!(named("telegram", Role::Bot).source(Role::Helpdesk), Some("helpdesk"));
    }
}
