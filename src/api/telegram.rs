//! What a person does with their own access from a chat, and what the bot has to tell.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /telegram/accounts/{account}/code` [`CodeRequest`] | 202 [`CodeAnswer`], the same whether or not the ID exists; 429 `locked` |
//! | `POST /telegram/accounts/{account}/link` [`LinkRequest`] | 200 [`Linked`]; 403 `wrong-code`; 429 `locked` |
//! | `DELETE /telegram/accounts/{account}/link` | 204; 404 `not-linked` |
//! | `GET /telegram/accounts/{account}` | 200 [`LinkedPerson`]; 404 `not-linked` |
//! | `PUT /telegram/accounts/{account}/language` [`LanguageRequest`] | 204; 404 `not-linked` |
//! | `GET /telegram/accounts/{account}/config` | as `GET /user/{id}/config`; 403 with `reason` for who is denied; 404 `not-linked` |
//! | `POST /telegram/accounts/{account}/rotate` | as `POST /user/{id}/rotate`; 403; 404 `not-linked` |
//! | `GET /telegram/notices?wait=SECONDS` | 200 [`Notices`]: what nobody has told yet, oldest first; waits for the first one |
//! | `POST /telegram/notices/{id}/done` [`NoticeDone`] | 204, also when it was done before |
//! | `POST /user/{id}/link-codes` [`NewLinkCode`] | 201 [`LinkCode`] |
//! | `GET /user/{id}/telegram` | 200 [`TelegramLink`]; 404 `not-linked` |
//! | `DELETE /user/{id}/telegram` | 204; 404 `not-linked` |
//!
//! `{account}` is the numeric id of a Telegram account. Refusals are problem documents whose `type` ends with the word that is named here.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// A person begins to link a chat: a code is sent to the address that is known of this corporate ID.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// The ID as the person wrote it; its format is checked here, and nothing else about it is told.
    pub corporate_id: String,
    /// The chat that asked. The code is good in this chat only.
    pub chat: i64,
    /// Language of the message with the code: `en` or `ru`.
    pub language: String,
}

/// What is said to whoever asked for a code: the same for every ID.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CodeAnswer {
    /// How long a code that was sent is good, in seconds.
    pub valid_seconds: u64,
    /// Whether codes are sent by mail at all. Where they are not, only an admin or the help desk gives one out.
    pub by_mail: bool,
}

/// The code that the person received, by mail or from the help desk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// The chat in which it was written.
    pub chat: i64,
    /// The code as the person wrote it; spaces and dashes in it do not count.
    pub code: String,
    /// What Telegram calls this person (`@name`, or first and last name), for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The account is linked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Linked {
    /// The ID that it is linked to.
    pub corporate_id: String,
    /// Another account was linked to this ID before, and is not any more: it has a notice.
    pub replaced: bool,
}

/// A person, as they may see themselves.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkedPerson {
    /// The ID that the account is linked to.
    pub corporate_id: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub linked_at: Timestamp,
    /// Language that was chosen; null where none was.
    pub language: Option<String>,
    /// Whether logins are let in now.
    pub granted: bool,
    /// Why not, or `Granted`: `Held`, `Inactive`, `NotYetValid`, `Expired`, `OverQuota`, `Deleted`, `Conflict`, `Undeclared`.
    pub reason: String,
    /// First moment of access.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_from: Option<Timestamp>,
    /// First moment after access.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Timestamp>,
    /// Devices online at the last poll; null while no node has said anything.
    pub devices: Option<u32>,
    /// How many devices may be connected at a time; null without a limit.
    pub max_devices: Option<u32>,
    /// Bytes moved in the present period; null while history cannot be read.
    pub used_bytes: Option<u64>,
    /// Bytes that may be moved in a period; null without a limit.
    pub limit_bytes: Option<u64>,
    /// When the count begins anew; null where it never does.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resets_at: Option<Timestamp>,
    /// Holds that deny access now.
    pub holds: Vec<PersonsHold>,
}

/// A hold, as the person who is held may see it: not who placed it, and no free text.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PersonsHold {
    /// By which way in it was placed: `hr`, `registry`, `helpdesk`, `bot`, …
    pub source: String,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// A language.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageRequest {
    /// `en` or `ru`.
    pub language: String,
}

/// What has to be told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notices {
    /// What nobody has told yet, oldest first; at most 100.
    pub notices: Vec<Notice>,
    /// How many more there were that a reader of this version does not know.
    #[serde(skip)]
    pub unknown: usize,
}

/// A notice that this version does not know keeps nobody from hearing the others.
impl<'de> Deserialize<'de> for Notices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct All {
            notices: Vec<serde_json::Value>,
        }
        let All { notices: all } = All::deserialize(deserializer)?;
        let notices: Vec<Notice> = all.iter().filter_map(|one| Notice::deserialize(one).ok()).collect();
        Ok(Self {
            unknown: all.len() - notices.len(),
            notices,
        })
    }
}

/// Something that has to be told to a person once, or to the admins.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Number of the notice.
    pub id: i64,
    /// Whom to tell; null for the admins.
    pub account: Option<i64>,
    /// The chat of that person; null for the admins.
    pub chat: Option<i64>,
    /// Language of the person; null where none was chosen.
    pub language: Option<String>,
    /// What it is about.
    #[serde(flatten)]
    pub what: NoticeKind,
    /// When it came about.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Telling it later than this would mislead.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NoticeKind {
    /// Access was granted for the first time.
    Granted,
    /// Access is denied from now on.
    Suspended {
        /// Why, as in [`LinkedPerson::reason`].
        reason: String,
    },
    /// Access is there again.
    Restored,
    /// Access ends soon.
    Expiring {
        /// When.
        #[schema(value_type = String, format = DateTime)]
        valid_until: Timestamp,
        /// In how many days, 7 or 1.
        days: u32,
    },
    /// Much of the traffic is used.
    Quota {
        /// How much, 80 or 95.
        percent: u32,
        /// When the count begins anew; null where it never does.
        #[schema(value_type = Option<String>, format = DateTime)]
        resets_at: Option<Timestamp>,
    },
    /// The ID of this account was linked to another Telegram account.
    Replaced,
    /// An admin took the link away.
    Unlinked,
    /// The guard holds denials back: for the admins.
    HeldBack {
        /// How many people.
        people: usize,
        /// Some of their IDs.
        some: Vec<String>,
    },
}

/// What became of a notice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeDone {
    /// Whether it was told, and if not, why.
    pub outcome: NoticeOutcome,
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticeOutcome {
    /// Telegram took it.
    Told,
    /// The person has blocked the bot, or the chat is gone.
    Blocked,
    /// It was too late to tell it.
    Late,
}

/// A code is given out by an admin or the help desk, in place of one that is sent by mail.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLinkCode {
    /// How long it is good, in minutes: 1 to 1,440; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Why, for the audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A code that links one Telegram account to one person, once. It is shown here and nowhere else.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkCode {
    /// The code.
    pub code: String,
    /// The person.
    pub corporate_id: String,
    /// First moment at which it is good no more.
    #[schema(value_type = String, format = DateTime)]
    pub valid_until: Timestamp,
}

impl std::fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkCode")
            .field("corporate_id", &self.corporate_id)
            .field("valid_until", &self.valid_until)
            .finish_non_exhaustive()
    }
}

/// Which account a person has linked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TelegramLink {
    /// The person.
    pub corporate_id: String,
    /// The Telegram account.
    pub account: i64,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub linked_at: Timestamp,
}
