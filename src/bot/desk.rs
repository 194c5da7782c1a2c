//! What admins and the help desk ask for. Never shows a password or a link to anybody's access.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Answered, Bot, Talk,
    action::{Action, Order},
    say,
};
use crate::{
    api::{
        role::Role,
        telegram::{LinkCode, NewLinkCode},
    },
    model::corporate_id::CorporateId,
    texts::{date, escape},
};

/// Most lines of a list.
const LIST: usize = 30;

impl Bot {
    /// Answers a command that acts for others.
    pub(super) async fn desk(&self, talk: &Talk, name: &str, rest: &str) -> Answered {
        let needed = match name {
            "show" | "search" | "code" | "link" | "hold" | "release" => Role::Helpdesk,
            "issue" | "revoke" | "grant" | "deactivate" | "activate" | "online" | "story" | "events" | "guard" => {
                Role::Admin
            }
            _ => return self.say(talk, "unknown", &[]).await,
        };
        if !may(talk.role, needed) {
            return self.not_allowed(talk, needed).await;
        }
        let order = |order| self.ask_order(talk, order, name, rest);
        match name {
            "show" => self.show(talk, rest).await,
            "search" => self.search(talk, rest).await,
            "code" => self.link_code(talk, rest).await,
            "link" => self.hand_over(talk, rest).await,
            "hold" => order(Order::Hold).await,
            "release" => self.ask_release(talk, rest).await,
            "issue" => self.issue(talk, rest).await,
            "revoke" => order(Order::Revoke).await,
            "deactivate" => order(Order::Deactivate).await,
            "activate" => order(Order::Activate).await,
            "grant" => self.grant(talk, rest).await,
            "online" => self.online(talk).await,
            "story" => self.story(talk, rest).await,
            "events" => self.events(talk).await,
            _ => self.guard(talk).await,
        }
    }

    pub(super) async fn not_allowed(&self, talk: &Talk, needed: Role) -> Answered {
        let who = if needed == Role::Admin { "admins" } else { "helpdesk" };
        self.say(talk, "not-allowed", &[("who", who.into())]).await
    }

    pub(super) async fn usage(&self, talk: &Talk, how: &str) -> Answered {
        self.say(talk, "usage", &[("how", how.into())]).await
    }

    /// The API with the role of whoever wrote.
    pub(super) fn as_role(&self, talk: &Talk) -> crate::api::client::Client {
        self.api(talk, talk.role.unwrap_or(Role::Bot))
    }

    async fn show(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/show AB123456").await;
        };
        let api = self.as_role(talk);
        let entry: Value = match api.get(&["id", "show"], &[("id", id.to_string())]).await {
            Ok(entry) => entry,
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status.as_u16() == 404) => Value::Null,
            Err(error) => return Err(error.into()),
        };
        let person: Value = match api.get(&["user", id.as_str()], &[]).await {
            Ok(person) => person,
            Err(error) if error.refusal().is_some_and(|refusal| refusal.status.as_u16() == 404) => Value::Null,
            Err(error) => return Err(error.into()),
        };
        if entry.is_null() && person.is_null() {
            return self.say(talk, "nobody", &[]).await;
        }
        let mut lines = vec![format!(
            "<b>{id}</b> {}",
            line(&entry, &["owner", "status", "department"])
        )];
        lines.push(line(&person, &["owner", "access", "reason", "sessions"]));
        for hold in list(&person, "holds")
            .iter()
            .chain(list(&entry, "holds").iter().filter(|_| person.is_null()))
        {
            lines.push(format!(
                "• {}",
                line(hold, &["name", "source", "phase", "reason", "until"])
            ));
        }
        self.list(talk, lines).await
    }

    async fn search(&self, talk: &Talk, rest: &str) -> Answered {
        if rest.is_empty() {
            return self.usage(talk, "/search Anna").await;
        }
        let words: String = rest.chars().take(100).collect();
        let query = [("q", words), ("limit", LIST.to_string())];
        let found: Value = self.as_role(talk).get(&["id", "search"], &query).await?;
        let lines = list(&found, "ids")
            .iter()
            .map(|id| line(id, &["id", "owner", "status", "department"]));
        self.list(talk, lines.collect()).await
    }

    async fn link_code(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/code AB123456").await;
        };
        let path = ["user", id.as_str(), "link-codes"];
        // Answered again after a kill, it is the same code: the first answer may have gone out.
        let code: LinkCode = self
            .as_role(talk)
            .post_once(&path, &NewLinkCode::default(), &talk.request())
            .await?;
        let until = date(talk.language, code.valid_until);
        let args = [
            ("id", code.corporate_id.into()),
            ("code", code.code.into()),
            ("until", until.into()),
        ];
        let message = self
            .send(talk.account(), &talk.html("link-code", &args), &Value::Null, true)
            .await?;
        self.forget_later(talk.account(), message).await
    }

    async fn issue(&self, talk: &Talk, rest: &str) -> Answered {
        if rest.is_empty() {
            return self.usage(talk, "/issue Anna Example").await;
        }
        // The number of the update makes it one order, however often it is carried out.
        let body = json!({ "owner": rest.chars().take(200).collect::<String>() });
        let issued = self
            .as_role(talk)
            .post_once::<Value>(&["id", "issue"], &body, &talk.request())
            .await?;
        let word = |name: &str| issued.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        self.say(
            talk,
            "issued",
            &[("id", word("id").into()), ("who", word("owner").into())],
        )
        .await
    }

    async fn grant(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/grant AB123456").await;
        };
        let body = json!({ "corporate_id": id.as_str() });
        // Its answer holds the person's link, which is shown to that person alone.
        self.as_role(talk)
            .send(Method::POST, &["access", "grant"], &[], Some(&body))
            .await?;
        self.say(talk, "granted", &[("id", id.to_string().into())]).await
    }

    async fn online(&self, talk: &Talk) -> Answered {
        // One more than is shown, to know whether there are more.
        let query = [("online", "true".to_owned()), ("limit", (LIST + 1).to_string())];
        let page: Value = self.as_role(talk).get(&["users"], &query).await?;
        let online = list(&page, "users").iter();
        let lines = online.map(|user| line(user, &["corporate_id", "owner", "sessions"]));
        self.list(talk, lines.collect()).await
    }

    async fn story(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/story AB123456").await;
        };
        let story: Value = self.as_role(talk).get(&["audit", "user", id.as_str()], &[]).await?;
        let rows = list(&story, "rows").iter().take(LIST);
        let lines = rows.map(|row| line(row, &["at", "action", "actor", "source", "reason"]));
        self.list(talk, lines.collect()).await
    }

    async fn events(&self, talk: &Talk) -> Answered {
        let mut lines = Vec::new();
        for state in ["pending", "failed"] {
            let query = [("state", state.to_owned()), ("limit", LIST.to_string())];
            let events: Value = self.as_role(talk).get(&["webhooks", "events"], &query).await?;
            let fields = [
                "event_id",
                "status",
                "event_type",
                "corporate_id",
                "received_at",
                "detail",
            ];
            lines.extend(list(&events, "events").iter().map(|event| line(event, &fields)));
        }
        self.list(talk, lines).await
    }

    async fn list(&self, talk: &Talk, mut lines: Vec<String>) -> Answered {
        lines.retain(|line| !line.is_empty());
        if lines.is_empty() {
            return self.say(talk, "nobody", &[]).await;
        }
        let more = talk.html("more", &[]);
        let long = lines.len() > LIST;
        lines.truncate(LIST);
        lines.extend(long.then(|| more.clone()));
        self.say_html(talk, &say::fit(lines, &more)).await
    }

    /// Carries out what a button stands for. The role is looked at now, and not only when the button was made.
    pub(super) async fn act(&self, talk: &Talk, action: Action) -> Answered {
        if let Some(needed) = action.needs().filter(|needed| !may(talk.role, *needed)) {
            return self.not_allowed(talk, needed).await;
        }
        match action {
            Action::Rotate => self.rotate(talk).await,
            Action::Unlink => self.unlink(talk).await,
            Action::Order { order, id, reason } => self.order(talk, order, &id, &reason).await,
            Action::Release { names, reason } => self.release(talk, &names, &reason).await,
            Action::Guard { confirm, ids } => self.decide(talk, confirm, &ids).await,
        }
    }
}

/// Whether somebody of this role may do what needs another one.
fn may(role: Option<Role>, needed: Role) -> bool {
    role == Some(Role::Admin) || role == Some(needed)
}

/// The items of a list in an answer.
pub(super) fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Some fields of an answer in one line of HTML, those that are there.
pub(super) fn line(answer: &Value, fields: &[&str]) -> String {
    let word = |name: &&str| match answer.get(*name)? {
        Value::String(text) => Some(escape(&text.chars().take(200).collect::<String>()).into_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    fields
        .iter()
        .filter_map(word)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_escapes_what_it_shows_and_leaves_out_what_is_missing() {
        let row = json!({ "owner": "<b>Anna", "sessions": 2, "until": null });
        assert_eq!(
            line(&row, &["owner", "sessions", "until", "other"]),
            "&lt;b&gt;Anna · 2"
        );
    }

    #[test]
    fn the_help_desk_may_do_what_needs_the_help_desk_and_nobody_else_may() {
        assert!(may(Some(Role::Admin), Role::Helpdesk) && may(Some(Role::Helpdesk), Role::Helpdesk));
        assert!(!may(Some(Role::Helpdesk), Role::Admin) && !may(None, Role::Helpdesk));
    }
}
