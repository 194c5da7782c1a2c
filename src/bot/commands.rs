//! The commands that Telegram offers, by language and role.

use serde_json::{Value, json};

use super::{Answered, Bot};
use crate::{
    api::role::Role,
    texts::{self, Language},
};

const OWN: &[&str] = &["start", "get_config", "status", "rotate", "unlink", "language", "help"];
const DESK: &[&str] = &["show", "search", "code", "link", "hold", "release"];
const ADMIN: &[&str] = &[
    "issue",
    "revoke",
    "grant",
    "deactivate",
    "activate",
    "online",
    "story",
    "events",
    "guard",
];

fn commands(language: Language, role: Option<Role>) -> Value {
    let (desk, admin) = (role.is_some(), role == Some(Role::Admin));
    let names = OWN
        .iter()
        .chain(DESK.iter().filter(|_| desk))
        .chain(ADMIN.iter().filter(|_| admin));
    let one = |name: &&str| {
        let text = texts::plain(language, &format!("command-{}", name.replace('_', "-")), &[]);
        json!({ "command": name, "description": text })
    };
    names.map(one).collect()
}

/// Registers them: for everybody in private chats, and for each admin and each of the help desk in their own.
pub async fn register(bot: &Bot) -> Answered {
    let (admins, helpdesk) = (&bot.settings.admins, &bot.settings.helpdesk);
    let scopes = admins.iter().chain(helpdesk).map(|account| {
        let scope = json!({ "type": "chat", "chat_id": account });
        (scope, bot.settings.role(*account))
    });
    let everybody = (json!({ "type": "all_private_chats" }), None);
    for (scope, role) in std::iter::once(everybody).chain(scopes) {
        // Without a language: for all that are not spoken here.
        for (tag, language) in [("", Language::En), ("ru", Language::Ru)] {
            let set = bot.telegram.set_commands(&commands(language, role), &scope, tag).await;
            if let Err(error) = set {
                // Somebody who never wrote to the bot has no chat yet.
                tracing::debug!(%error, %scope, "commands are not registered there");
                if scope["type"] == "all_private_chats" {
                    return Err(error.into());
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_description_in_both_languages_and_each_role_is_offered_its_own() {
        for language in Language::ALL {
            let all = commands(language, Some(Role::Admin));
            let all = all.as_array().unwrap();
            assert_eq!(all.len(), OWN.len() + DESK.len() + ADMIN.len());
            for command in all {
                assert!(
                    !command["description"].as_str().unwrap().starts_with("command-"),
                    "{command}"
                );
            }
        }
        assert_eq!(commands(Language::En, None).as_array().unwrap().len(), OWN.len());
        assert_eq!(
            commands(Language::En, Some(Role::Helpdesk)).as_array().unwrap().len(),
            OWN.len() + DESK.len()
        );
    }
}
