//! Telegram accounts that belong to people: linking with a second factor, what a person does with their own access from a chat,
//! and what they are told.
//!
//! Before a right code nothing is told of an ID, neither whether there is one nor how it stands. Whatever depends on that happens
//! behind the answer, or after the code.

mod ask;
mod begin;
mod desk;
mod letter;
mod link;
mod notices;
mod person;
mod post;
mod unlink;

pub use self::{
    ask::MadeCode,
    begin::BegunLinks,
    desk::{LinkDesk, LinkSettings, Usages},
    link::NewLink,
    person::{LinkedView, OwnHold},
};
use super::{AccessError, Caller};

/// Source of what the operator does about links by itself.
const SOURCE: &str = "operator";

impl Caller {
    /// The same caller, acting for a Telegram account: the audit always names it.
    fn of_account(&self, account: i64) -> Self {
        let named = format!("telegram:{account}");
        let says_so = self
            .actor
            .split(|c: char| !c.is_ascii_alphanumeric() && c != ':' && c != '-')
            .any(|word| word == named);
        Self {
            actor: if says_so {
                self.actor.clone()
            } else {
                format!("{named}, {}", self.actor)
            },
            ..self.clone()
        }
    }
}

/// The accounts that Telegram has: 1 to 2^52.
const MOST: i64 = 1 << 52;

/// Refuses numbers that no account of a person has.
fn check_account(account: i64) -> Result<i64, AccessError> {
    if (1..MOST).contains(&account) {
        return Ok(account);
    }
    Err(AccessError::Invalid {
        field: "account",
        message: "give the numeric id of a Telegram account, like 123456789".to_owned(),
    })
}

/// A language that texts are in.
fn check_language(language: &str) -> Result<&'static str, AccessError> {
    match language {
        "en" => Ok("en"),
        "ru" => Ok("ru"),
        _ => Err(AccessError::Invalid {
            field: "language",
            message: "must be en or ru".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::FieldManager;

    #[test]
    fn the_audit_names_the_account_once() {
        let caller = |actor: &str| Caller {
            actor: actor.to_owned(),
            source: "bot".to_owned(),
            address: None,
            request_id: None,
            event: None,
            manager: FieldManager::Bot,
        };
        assert_eq!(
            caller("telegram:42 (@anna) (127.0.0.1)").of_account(42).actor,
            "telegram:42 (@anna) (127.0.0.1)"
        );
        assert_eq!(caller("telegram:421").of_account(42).actor, "telegram:42, telegram:421");
        assert_eq!(caller("127.0.0.1").of_account(42).actor, "telegram:42, 127.0.0.1");
    }

    #[test]
    fn numbers_of_groups_and_channels_are_no_accounts() {
        assert!(check_account(1).is_ok() && check_account(7_000_000_000).is_ok());
        assert!(
            [0, -5, -1_001_234_567_890, MOST, i64::MIN]
                .into_iter()
                .all(|number| check_account(number).is_err())
        );
    }
}
