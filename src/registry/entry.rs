//! What the registry knows of an ID, and what may be said of its owner.

use jiff::Timestamp;

use super::status::Status;
use crate::model::{
    corporate_id::CorporateId,
    syntax::{self, fits},
    user::{MAX_DEPARTMENT_LEN, MAX_OWNER_LEN},
};

/// Whose ID it is. Personal data: it stands in columns of its own, and in no change and no audit row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// Text that is shown to admins, usually a name.
    pub owner: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Where the person works.
    pub department: Option<String>,
}

/// A value that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Which value.
    pub field: &'static str,
    /// What is wrong with it, and how to do better.
    pub message: String,
}

impl Owner {
    /// Looks at every value.
    ///
    /// # Errors
    /// The first that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        line("owner", self.owner.as_deref(), MAX_OWNER_LEN)?;
        line("department", self.department.as_deref(), MAX_DEPARTMENT_LEN)?;
        match &self.email {
            Some(email) if !syntax::EMAIL.accepts(email) => Err(Invalid {
                field: "email",
                message: format!("must be {}", syntax::EMAIL.rule),
            }),
            _ => Ok(()),
        }
    }

    /// Names of the values that are there, for rows that must not hold the values themselves.
    #[must_use]
    pub fn fields(&self) -> Vec<&'static str> {
        self.differing(&Self::default())
    }

    /// Names of the values that differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        [
            ("owner", self.owner != other.owner),
            ("email", self.email != other.email),
            ("department", self.department != other.department),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }

    /// What a search looks in: in small letters of every script.
    pub(super) fn folded(&self) -> String {
        let all = [&self.owner, &self.email, &self.department];
        let texts: Vec<String> = all.into_iter().flatten().map(|text| text.to_lowercase()).collect();
        texts.join("\n")
    }
}

fn line(field: &'static str, text: Option<&str>, max_len: usize) -> Result<(), Invalid> {
    let Some(text) = text else { return Ok(()) };
    let message = if text.trim().is_empty() {
        "is empty: leave it out instead".to_owned()
    } else if !fits(text, max_len) {
        format!("at most {max_len} characters")
    } else if text.chars().any(char::is_control) {
        "must be one line, without control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Invalid { field, message })
}

/// An ID in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The ID as it was issued.
    pub id: CorporateId,
    /// Where it stands.
    pub status: Status,
    /// Whose it is.
    pub owner: Owner,
    /// When it was issued; `None` where the system that issued it did not say.
    pub issued_at: Option<Timestamp>,
    /// When anything about it was last changed.
    pub updated_at: Timestamp,
}

/// Who changes something, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct By {
    /// Who: a name or an address.
    pub actor: String,
    /// By which way in: `api`, `cli`, `bot`, `import`, …
    pub source: String,
    /// Why.
    pub reason: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
}

/// A change of an ID. Without personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Number of the change.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// What was done: `issue`, `activate`, `revoke`, `reinstate`, `archive`, `import`, `update`, or what the former service called it.
    pub action: String,
    /// Who did it.
    pub by: By,
    /// Status before; `None` if there was none, or the former service did not say.
    pub before: Option<Status>,
    /// Status after.
    pub after: Option<Status>,
}

/// A Telegram account that belongs to an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelegramLink {
    /// The ID.
    pub id: CorporateId,
    /// The account's number at Telegram.
    pub telegram_id: i64,
    /// When they were linked, as far as it is known.
    pub linked_at: Option<Timestamp>,
}

/// To the millisecond, as it is kept and written.
pub(super) fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_rule_is_named_and_what_is_there_is_told_without_its_value() {
        let text = |text: &str| Some(text.to_owned());
        let field = |owner: Owner| owner.check().err().map(|wrong| wrong.field);
        let good = Owner {
            owner: text("Åsa Exempel"),
            email: text("asa@example.com"),
            department: None,
        };
        assert_eq!(field(good.clone()), None);
        assert_eq!(good.fields(), ["owner", "email"]);
        assert_eq!(good.folded(), "åsa exempel\nasa@example.com");
        let with = |edit: fn(&mut Owner)| {
            let mut owner = good.clone();
            edit(&mut owner);
            owner
        };
        assert_eq!(field(with(|it| it.owner = Some("a\nb".to_owned()))), Some("owner"));
        assert_eq!(field(with(|it| it.owner = Some(" ".to_owned()))), Some("owner"));
        assert_eq!(field(with(|it| it.owner = Some("ö".repeat(257)))), Some("owner"));
        assert_eq!(field(with(|it| it.owner = Some("ö".repeat(256)))), None);
        assert_eq!(field(with(|it| it.email = Some("anna".to_owned()))), Some("email"));
        assert_eq!(
            field(with(|it| it.department = Some("d".repeat(129)))),
            Some("department")
        );
    }
}
