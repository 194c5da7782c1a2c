//! The guard: what it holds back, and what an admin says to it.

use reqwest::Method;
use serde_json::Value;

use super::{Answered, Bot, Talk, action::Action, desk::line, say};
use crate::{
    api::{
        guard::{GuardBody, WordBody},
        role::Role,
    },
    texts::{self, Language},
};

/// Most people that one word is about: those who were shown.
const PEOPLE: usize = 100;

/// Buttons about the guard: `look`, `confirm`, `cancel`. What they say is no secret, since each only shows or asks.
pub(super) fn buttons(language: Language, words: &[&str]) -> Value {
    let row: Vec<(String, String)> = words
        .iter()
        .map(|word| {
            (
                texts::plain(language, &format!("button-{word}"), &[]),
                format!("g:{word}"),
            )
        })
        .collect();
    say::buttons(&row)
}

impl Bot {
    /// Answers a button about the guard that everybody may press who is an admin, however old it is: it shows or asks, and does nothing.
    pub(super) async fn guard_button(&self, talk: &Talk, word: &str) -> Answered {
        if talk.role != Some(Role::Admin) {
            return self.not_allowed(talk, Role::Admin).await;
        }
        match word {
            "look" => self.guard(talk).await,
            "confirm" => self.ask_guard(talk, true).await,
            "cancel" => self.ask_guard(talk, false).await,
            _ => self.say(talk, "button-old", &[]).await,
        }
    }

    /// Shows what is held back, with buttons to confirm and to cancel; each of them asks again.
    pub(super) async fn guard(&self, talk: &Talk) -> Answered {
        let guard: GuardBody = self.as_role(talk).get(&["guard"], &[]).await?;
        if guard.pending.is_empty() {
            return self.say(talk, "guard-none", &[]).await;
        }
        let total = u64::try_from(guard.pending_total).unwrap_or(u64::MAX);
        let mut lines = vec![talk.html("guard-head", &[("people", total.into())])];
        let shown = guard.pending.into_iter().take(30);
        lines.extend(shown.map(|one| line([Some(one.corporate_id), one.owner, Some(one.reason), Some(one.budget)])));
        let text = say::fit(lines, &talk.html("more", &[]));
        let markup = buttons(talk.language, &["confirm", "cancel"]);
        self.send(talk.account(), &text, &markup, false).await?;
        Ok(())
    }

    /// Asks once more, naming the people; what comes to be held back later is not among them.
    pub(super) async fn ask_guard(&self, talk: &Talk, confirm: bool) -> Answered {
        let GuardBody { pending, .. } = self.as_role(talk).get(&["guard"], &[]).await?;
        let ids = pending.into_iter().take(PEOPLE).map(|one| one.corporate_id);
        let ids: Vec<String> = ids.collect();
        if ids.is_empty() {
            return self.say(talk, "guard-none", &[]).await;
        }
        let key = if confirm {
            "confirm-guard-confirm"
        } else {
            "confirm-guard-cancel"
        };
        let people = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let text = talk.html(key, &[("people", people.into()), ("some", ids.join(", ").into())]);
        self.confirm(talk, &text, &Action::Guard { confirm, ids }).await
    }

    pub(super) async fn decide(&self, talk: &Talk, confirm: bool, ids: &[String]) -> Answered {
        let word = if confirm { "confirm" } else { "cancel" };
        let body = WordBody {
            ids: Some(ids.to_vec()),
            all: false,
        };
        self.as_role(talk)
            .send(Method::POST, &["guard", word], &[], Some(&body))
            .await?;
        self.say(talk, "done", &[]).await
    }
}
