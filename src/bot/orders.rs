//! Orders about one person. Each asks again, and names the person.

use reqwest::Method;

use super::{
    Answered, Bot, Talk,
    action::{Action, Order},
};
use crate::{
    api::{
        access::ReasonBody,
        holds::{HoldsBody, NewHoldBody},
        ids::RevokeIdBody,
        role::Role,
        users::UserDetailBody,
    },
    model::corporate_id::CorporateId,
};

impl Bot {
    /// Asks before an order `/NAME ID REASON`.
    pub(super) async fn ask_order(&self, talk: &Talk, order: Order, name: &str, rest: &str) -> Answered {
        let (id, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let reason: String = reason.trim().chars().take(400).collect();
        let id = CorporateId::parse(id).ok().filter(|_| !reason.is_empty());
        let Some(id) = id else {
            return self.usage(talk, &format!("/{name} AB123456 …")).await;
        };
        let key = match order {
            Order::Hold => "confirm-hold",
            Order::Deactivate => "confirm-deactivate",
            Order::Activate => "confirm-activate",
            Order::Revoke => "confirm-revoke",
        };
        let who = self.who(talk, &id).await;
        let text = talk.html(key, &[("who", who.into()), ("reason", reason.as_str().into())]);
        let id = id.to_string();
        self.confirm(talk, &text, &Action::Order { order, id, reason }).await
    }

    /// The ID with the name of its owner, as far as it is known.
    async fn who(&self, talk: &Talk, id: &CorporateId) -> String {
        let person: Option<UserDetailBody> = self.as_role(talk).get(&["user", id.as_str()], &[]).await.ok();
        person.and_then(|person| person.user.owner).map_or_else(
            || id.to_string(),
            |owner| format!("{id} ({})", owner.chars().take(100).collect::<String>()),
        )
    }

    pub(super) async fn order(&self, talk: &Talk, order: Order, id: &str, reason: &str) -> Answered {
        let api = self.as_role(talk);
        let why = ReasonBody {
            reason: Some(reason.to_owned()),
        };
        let post = Method::POST;
        let answer = match order {
            Order::Hold => {
                let hold = NewHoldBody {
                    reason: reason.into(),
                    ..NewHoldBody::about(id)
                };
                api.send(post, &["holds"], &[], Some(&hold)).await?
            }
            Order::Deactivate => api.send(post, &["user", id, "deactivate"], &[], Some(&why)).await?,
            Order::Activate => api.send(post, &["user", id, "activate"], &[], Some(&why)).await?,
            Order::Revoke => {
                let revoke = RevokeIdBody {
                    id: id.to_owned(),
                    reason: reason.into(),
                };
                api.send(post, &["id", "revoke"], &[], Some(&revoke)).await?
            }
        };
        let key = if answer.status.as_u16() == 202 {
            "done-accepted"
        } else {
            "done"
        };
        self.say(talk, key, &[]).await
    }

    /// Asks before holds of a person are lifted: those that the help desk or the bot placed, as far as one may lift them.
    pub(super) async fn ask_release(&self, talk: &Talk, rest: &str) -> Answered {
        let (id, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let Ok(id) = CorporateId::parse(id) else {
            return self.usage(talk, "/release AB123456 …").await;
        };
        let query = [("corporate_id", id.to_string())];
        let HoldsBody { holds } = self.as_role(talk).get(&["holds"], &query).await?;
        let source = if talk.role == Some(Role::Admin) {
            "bot"
        } else {
            "helpdesk"
        };
        let mine = holds.into_iter().filter(|hold| hold.source == source);
        let names: Vec<String> = mine.map(|hold| hold.name).collect();
        if names.is_empty() {
            return self.say(talk, "no-holds", &[]).await;
        }
        let reason: String = reason.trim().chars().take(400).collect();
        let who = self.who(talk, &id).await;
        let text = talk.html(
            "confirm-release",
            &[("who", who.into()), ("reason", reason.as_str().into())],
        );
        self.confirm(talk, &text, &Action::Release { names, reason }).await
    }

    pub(super) async fn release(&self, talk: &Talk, names: &[String], reason: &str) -> Answered {
        let reason = Some(("reason", reason.to_owned())).filter(|(_, reason)| !reason.is_empty());
        let query: Vec<(&str, String)> = reason.into_iter().collect();
        for name in names {
            let path = ["holds", name.as_str()];
            let lifted = self
                .as_role(talk)
                .send(Method::DELETE, &path, &query, None::<&()>)
                .await;
            match lifted {
                Err(error) if error.is("not-found") => {}
                lifted => drop(lifted?),
            }
        }
        self.say(talk, "done", &[]).await
    }
}
