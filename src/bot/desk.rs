//! What admins and the help desk ask for. Never shows a password or a link to anybody's access.

use reqwest::Method;
use serde_json::Value;

use super::{
    Answered, Bot, Talk,
    action::{Action, Order},
    say,
};
use crate::{
    api::{
        access::GrantBody,
        client::ApiError,
        events::EventsBody,
        ids::{IdBody, IdDetailBody, IdsBody, NewIdBody},
        records::StoryBody,
        role::Role,
        telegram::{LinkCode, NewLinkCode},
        users::{UserDetailBody, UsersBody},
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
        let entry: Option<IdDetailBody> = known(api.get(&["id", "show"], &[("id", id.to_string())]).await)?;
        let person: Option<UserDetailBody> = known(api.get(&["user", id.as_str()], &[]).await)?;
        let mut lines = Vec::new();
        let holds = match (entry, person) {
            (None, None) => return self.say(talk, "nobody", &[]).await,
            (entry, person) => {
                let mut holds = Vec::new();
                let mut head = String::new();
                if let Some(IdDetailBody { id, holds: of_id, .. }) = entry {
                    head = line([id.owner, Some(id.status), id.department]);
                    holds = of_id;
                }
                lines.push(format!("<b>{id}</b> {head}"));
                if let Some(UserDetailBody { user, holds: all, .. }) = person {
                    let sessions = user.sessions.map(|sessions| sessions.to_string());
                    lines.push(line([user.owner, Some(user.access), Some(user.reason), sessions]));
                    holds = all;
                }
                holds
            }
        };
        lines.extend(holds.into_iter().map(|hold| {
            let until = hold.until.map(|until| until.to_string());
            let parts = [Some(hold.name), Some(hold.source), Some(hold.phase), hold.reason, until];
            format!("• {}", line(parts))
        }));
        self.list(talk, lines).await
    }

    async fn search(&self, talk: &Talk, rest: &str) -> Answered {
        if rest.is_empty() {
            return self.usage(talk, "/search Anna").await;
        }
        let words: String = rest.chars().take(100).collect();
        let query = [("q", words), ("limit", LIST.to_string())];
        let IdsBody { ids, .. } = self.as_role(talk).get(&["id", "search"], &query).await?;
        let lines = ids
            .into_iter()
            .map(|id| line([Some(id.id), id.owner, Some(id.status), id.department]));
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
        let body = NewIdBody {
            owner: rest.chars().take(200).collect(),
            email: None,
            department: None,
            reason: None,
        };
        let issued: IdBody = self
            .as_role(talk)
            .post_once(&["id", "issue"], &body, &talk.request())
            .await?;
        let who = issued.owner.unwrap_or_default();
        self.say(talk, "issued", &[("id", issued.id.into()), ("who", who.into())])
            .await
    }

    async fn grant(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/grant AB123456").await;
        };
        let body = GrantBody::about(id.as_str());
        // Its answer holds the person's link, which is shown to that person alone.
        self.as_role(talk)
            .send(Method::POST, &["access", "grant"], &[], Some(&body))
            .await?;
        self.say(talk, "granted", &[("id", id.to_string().into())]).await
    }

    async fn online(&self, talk: &Talk) -> Answered {
        // One more than is shown, to know whether there are more.
        let query = [("online", "true".to_owned()), ("limit", (LIST + 1).to_string())];
        let UsersBody { users, .. } = self.as_role(talk).get(&["users"], &query).await?;
        let lines = users.into_iter().map(|user| {
            let sessions = user.sessions.map(|sessions| sessions.to_string());
            line([Some(user.corporate_id), user.owner, sessions])
        });
        self.list(talk, lines.collect()).await
    }

    async fn story(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/story AB123456").await;
        };
        let StoryBody { rows, .. } = self.as_role(talk).get(&["audit", "user", id.as_str()], &[]).await?;
        let lines = rows.into_iter().take(LIST).map(|row| {
            let at = Some(row.at.to_string());
            line([at, Some(row.action), Some(row.actor), Some(row.source), row.reason])
        });
        self.list(talk, lines.collect()).await
    }

    async fn events(&self, talk: &Talk) -> Answered {
        let mut lines = Vec::new();
        for state in ["pending", "failed"] {
            let query = [("state", state.to_owned()), ("limit", LIST.to_string())];
            let EventsBody { events, .. } = self.as_role(talk).get(&["webhooks", "events"], &query).await?;
            lines.extend(events.into_iter().map(|event| {
                line([
                    Some(event.event_id.to_string()),
                    Some(event.status),
                    event.event_type,
                    event.corporate_id,
                    Some(event.received_at.to_string()),
                    event.detail,
                ])
            }));
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

/// What was found; nothing where the operator knows nothing of it.
fn known<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.refusal().is_some_and(|refusal| refusal.status.as_u16() == 404) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is known of something in one line of HTML.
pub(super) fn line(parts: impl IntoIterator<Item = Option<String>>) -> String {
    let word = |text: String| escape(&text.chars().take(200).collect::<String>()).into_owned();
    let words = parts.into_iter().flatten().map(word);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_escapes_what_it_shows_and_leaves_out_what_is_missing() {
        let parts = [
            Some("<b>Anna".to_owned()),
            Some(String::new()),
            None,
            Some("2".to_owned()),
        ];
        assert_eq!(line(parts), "&lt;b&gt;Anna · 2");
    }

    #[test]
    fn the_help_desk_may_do_what_needs_the_help_desk_and_nobody_else_may() {
        assert!(may(Some(Role::Admin), Role::Helpdesk) && may(Some(Role::Helpdesk), Role::Helpdesk));
        assert!(!may(Some(Role::Helpdesk), Role::Admin) && !may(None, Role::Helpdesk));
    }
}
