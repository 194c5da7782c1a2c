//! Links that admins and the help desk hand over, each of which opens one person's page.

use serde_json::{Value, json};

use super::{Answered, Bot, Talk};
use crate::{
    api::handover::{HandedOver, NewHandover},
    model::corporate_id::CorporateId,
    texts::{self, date},
};

/// Most characters that a button copies.
const COPIED: usize = 256;

impl Bot {
    /// Makes a link for a person, and says it once: whoever asked hands it over.
    pub(super) async fn hand_over(&self, talk: &Talk, rest: &str) -> Answered {
        let Ok(id) = CorporateId::parse(rest) else {
            return self.usage(talk, "/link AB123456").await;
        };
        let path = ["user", id.as_str(), "links"];
        // Answered again after a kill, it is the same link: the first answer may have gone out.
        let link: HandedOver = self
            .as_role(talk)
            .post_once(&path, &NewHandover::default(), &talk.request())
            .await?;
        let args = [
            ("id", link.corporate_id.into()),
            ("link", link.url.as_str().into()),
            ("until", date(talk.language, link.valid_until).into()),
        ];
        let mut text = talk.html("handover", &args);
        if link.denied.is_some() {
            text.push_str("\n\n");
            text.push_str(&talk.html("handover-denied", &[]));
        }
        let message = self
            .send(talk.account(), &text, &copy_button(talk, &link.url), true)
            .await?;
        self.forget_later(talk.account(), message).await
    }
}

/// A button that copies the link: nothing can be marked in a protected message. Longer ones have to be read off.
fn copy_button(talk: &Talk, url: &str) -> Value {
    if url.chars().count() > COPIED {
        return Value::Null;
    }
    let label = texts::plain(talk.language, "button-copy-link", &[]);
    json!({ "inline_keyboard": [[{ "text": label, "copy_text": { "text": url } }]] })
}
