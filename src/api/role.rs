//! What a caller of the API may do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a caller of the API may do. Roles are a closed list: a finer right would be one that nobody can name at 3 a.m.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything. The shared secret has it.
    Admin,
    /// Hold and release, look people up, give out codes by which a person links a chat, and
    /// links that open a person's page: nothing that shows or makes a password or a link.
    Helpdesk,
    /// Only look: people without their credentials, holds, gateways, the audit.
    Auditor,
    /// The Telegram bot: what a person does with their own access (`/telegram/…`), and, with a lower role named in
    /// `X-Vpn-Operator-Role`, what that role may do.
    Bot,
    /// A system of record, such as HR or SCIM: declares and deactivates people. What it denies is a consequence, which the guard counts,
    /// and no order.
    Feed,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Helpdesk, Self::Auditor, Self::Bot, Self::Feed];

    /// The word for it, as in settings and headers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Helpdesk => "helpdesk",
            Self::Auditor => "auditor",
            Self::Bot => "bot",
            Self::Feed => "feed",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Whether a caller of this role may act as one of `other`: an admin as anybody, a bot
    /// in the name of the admins and the help desk that it serves.
    #[must_use]
    pub fn may_act_as(self, other: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Bot => matches!(other, Self::Bot | Self::Admin | Self::Helpdesk),
            Self::Helpdesk | Self::Auditor | Self::Feed => self == other,
        }
    }
}
