//! How browsers are spoken to at the address of a subscription, and what is said there in place of a person's own page.

use std::io::Write as _;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};

use super::{
    Settings,
    logo::Logo,
    problem::Problem,
    theme::{Theme, themes},
    visitor::Visitor,
};
use crate::{
    access::{Denial, Subscription},
    model::{access::Reason, quantity::Bytes},
    texts::{self, Arg, Language},
};

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    told: &'a Teller<'a>,
    nonce: &'a str,
    heading: &'a str,
    text: &'a str,
    back: Option<Back>,
    ask: &'a str,
}

/// Where a message leads.
pub(super) struct Back {
    /// Address of a page.
    pub(super) address: String,
    /// What the link to it says.
    pub(super) label: String,
}

/// What whoever has such a link is told.
pub(super) const UNKNOWN: &str = "This link is not known, or was replaced by a new one. Ask whoever gave it to you.";

/// What somebody who is denied is told.
pub(super) fn advice(denial: &Denial) -> String {
    let words = Subscription::plain_words(denial.reason);
    format!("{words} Ask whoever gave you this link.")
}

/// Speaks to a visitor.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    /// What can be set.
    pub(super) settings: &'a Settings,
    /// Who is spoken to.
    pub(super) visitor: Visitor,
}

impl<'a> Teller<'a> {
    /// Why there are no links for somebody who is denied. Without the names of holds: whoever has the link need not know who placed
    /// them.
    pub(super) fn refused(&self, denial: &Denial) -> Result<Response, Problem> {
        let text = match denial.reason {
            Reason::NotYetValid => "page-denied-notyet",
            Reason::Expired => "page-denied-expired",
            Reason::OverQuota => "page-denied-quota",
            _ => "page-denied-off",
        };
        self.message(StatusCode::FORBIDDEN, "page-no-access", &self.say(text), None)
    }

    /// For a link that nobody has.
    pub(super) fn unknown(&self) -> Result<Response, Problem> {
        self.message(
            StatusCode::NOT_FOUND,
            "page-unknown",
            &self.say("page-unknown-text"),
            None,
        )
    }

    /// For somebody who opened too many links that nobody has; `seconds` until the next try counts.
    pub(super) fn too_many(&self, seconds: u64) -> Result<Response, Problem> {
        let text = self.say_with("page-too-many-text", "minutes", seconds.div_ceil(60).max(1).into());
        let response = self.message(StatusCode::TOO_MANY_REQUESTS, "page-too-many", &text, None)?;
        Ok(after(response, seconds))
    }

    /// Where there is nothing to connect to.
    pub(super) fn not_now(&self) -> Result<Response, Problem> {
        let text = self.say("page-not-now-text");
        self.message(StatusCode::SERVICE_UNAVAILABLE, "page-not-now", &text, None)
    }

    /// Name of the profile.
    pub(super) fn title(&self) -> &'a str {
        &self.settings.title
    }

    /// The company's logo. A browser that takes no gzip would be sent too much with it.
    pub(super) fn logo(&self) -> Option<&'a Logo> {
        self.settings.logo.as_ref().filter(|_| self.visitor.gzip)
    }

    /// Colours in the light and in the dark.
    pub(super) fn themes(&self) -> (Theme, Theme) {
        themes(self.settings.color)
    }

    /// The address of the person's own page, from where the visitor is.
    pub(super) fn own_page(&self) -> String {
        format!("?format=html&lang={}", self.visitor.language.code())
    }

    /// A text.
    pub(super) fn say(&self, key: &str) -> String {
        texts::plain(self.visitor.language, key, &[])
    }

    /// A text with something in it.
    pub(super) fn say_with(&self, key: &str, name: &str, value: Arg<'_>) -> String {
        texts::plain(self.visitor.language, key, &[(name, value)])
    }

    /// A text that names whom to ask, as HTML; `None` where nobody is named. Words and address are two settings: a room number
    /// cannot be opened, and an address alone is words enough.
    pub(super) fn say_whom(&self, key: &str) -> Option<String> {
        let (words, address) = (&self.settings.support_contact, &self.settings.support_url);
        let whom = match (words, address) {
            (Some(words), None) => Arg::Text(words.into()),
            (words, Some(address)) => {
                let words = words
                    .as_deref()
                    .unwrap_or_else(|| address.strip_prefix("mailto:").unwrap_or(address));
                let (words, address) = (texts::escape(words), texts::escape(address));
                Arg::Html(format!("<a href=\"{address}\" rel=\"noreferrer\">{words}</a>"))
            }
            (None, None) => return None,
        };
        Some(texts::html(self.visitor.language, key, &[("whom", whom)]))
    }

    /// `82 GiB`, `82 ГиБ`
    pub(super) fn amount(&self, bytes: u64) -> String {
        let coarse = Bytes::coarse(bytes).to_string();
        let split = coarse.find(|c: char| !c.is_ascii_digit()).unwrap_or(coarse.len());
        let (number, unit) = coarse.split_at(split);
        match self.visitor.language {
            Language::En => format!("{number} {unit}B"),
            Language::Ru => {
                let russian = |c| match c {
                    'K' => 'К',
                    'M' => 'М',
                    'G' => 'Г',
                    'T' => 'Т',
                    'P' => 'П',
                    'i' => 'и',
                    other => other,
                };
                let unit: String = unit.chars().map(russian).collect();
                format!("{number} {unit}Б")
            }
        }
    }

    /// A page that says one thing, and leads somewhere.
    pub(super) fn message(
        &self,
        status: StatusCode,
        heading: &str,
        text: &str,
        back: Option<Back>,
    ) -> Result<Response, Problem> {
        let nonce = nonce()?;
        let ask = self.say_whom("page-ask-whom").unwrap_or_else(|| self.say("page-ask"));
        let page = Message {
            told: self,
            nonce: &nonce,
            heading: &self.say(heading),
            text,
            back,
            ask: &ask,
        };
        self.html(status, &nonce, false, page.render())
    }

    /// A page of which everything that may be shown or run has this nonce. `forms`: it has forms, which are sent to where it is.
    pub(super) fn html(
        &self,
        status: StatusCode,
        nonce: &str,
        forms: bool,
        page: askama::Result<String>,
    ) -> Result<Response, Problem> {
        let page = page.map_err(|_| Problem::internal())?;
        let pictures = if self.logo().is_some() { "img-src data:; " } else { "" };
        let forms = if forms { "'self'" } else { "'none'" };
        let policy = format!(
            "default-src 'none'; {pictures}style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; \
             form-action {forms}; frame-ancestors 'none'"
        );
        let headers = [
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::CONTENT_LANGUAGE, self.visitor.language.code().to_owned()),
            (
                header::VARY,
                "Accept, Accept-Encoding, Accept-Language, User-Agent".to_owned(),
            ),
        ];
        if !self.visitor.gzip {
            return Ok((status, headers, Html(page)).into_response());
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        let packed = packed.write_all(page.as_bytes()).and_then(|()| packed.finish());
        let packed = packed.map_err(|_| Problem::internal())?;
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        Ok((status, headers, encoding, Html(packed)).into_response())
    }
}

/// The answer with the seconds after which it may be another.
pub(super) fn after(mut response: Response, seconds: u64) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Something that nobody guesses, for one answer.
pub(super) fn nonce() -> Result<String, Problem> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Problem::internal())?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::HeaderMap};

    use super::*;

    #[tokio::test]
    async fn each_reason_has_words_of_its_own_in_both_languages() {
        let reasons = [Reason::NotYetValid, Reason::Expired, Reason::OverQuota, Reason::Held];
        for (language, words) in [
            (
                "en",
                ["not begun yet", "has expired", "used up your traffic", "switched off"],
            ),
            ("ru", ["ещё не начался", "истёк", "израсходован", "выключен"]),
        ] {
            let teller = Teller {
                settings: &Settings::default(),
                visitor: Visitor::of(&HeaderMap::new(), Some(language)),
            };
            for (reason, words) in reasons.into_iter().zip(words) {
                let denial = Denial {
                    corporate_id: "AB123456".parse().unwrap(),
                    reason,
                    holds: vec!["secret-hold".to_owned()],
                };
                let body = teller.refused(&denial).unwrap().into_body();
                let page = String::from_utf8(to_bytes(body, 1 << 16).await.unwrap().to_vec()).unwrap();
                assert!(
                    page.contains(words) && !page.contains("secret-hold"),
                    "{language}: {words}"
                );
            }
        }
    }
}
