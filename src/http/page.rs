//! The page that browsers get at the address of a subscription, and what is said there instead of it.

use std::io::Write as _;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    apps,
    problem::Problem,
    qr,
    user_info::UserInfo,
    visitor::{Platform, Visitor},
};
use crate::{
    access::{Configuration, Denial, Subscription},
    model::{access::Reason, quantity::Bytes},
    texts::{self, Arg, Language},
};

/// Bytes of QR codes of single links in a page that is sent compressed, and in one that is not. Links that come after have none, so
/// that a page of a company with many servers is sent in at most 40 KB too.
const PICTURES: usize = 64 * 1024;
const PICTURES_PLAIN: usize = 12 * 1024;

#[derive(Template)]
#[template(path = "subscription.html")]
struct Page<'a> {
    told: &'a Teller<'a>,
    nonce: &'a str,
    corporate_id: &'a str,
    used: String,
    percent: Option<u64>,
    ends: String,
    days_left: Option<String>,
    platforms: Vec<ForPlatform>,
    subscription_url: &'a str,
    code: Picture,
    links: Vec<PageLink<'a>>,
    questions: Option<String>,
}

struct ForPlatform {
    name: &'static str,
    open: bool,
    apps: Vec<PageApp>,
}

struct PageApp {
    name: &'static str,
    install: &'static str,
    install_label: String,
    import: String,
    import_label: String,
}

struct PageLink<'a> {
    name: &'a str,
    url: &'a str,
    code: Option<Picture>,
}

struct Picture {
    width: usize,
    path: String,
    label: String,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    told: &'a Teller<'a>,
    nonce: &'a str,
    heading: &'a str,
    text: &'a str,
    ask: &'a str,
}

/// What whoever has such a link is told.
pub(super) const UNKNOWN: &str = "This link is not known, or was replaced by a new one. Ask whoever gave it to you.";

/// What somebody who is denied is told.
pub(super) fn advice(denial: &Denial) -> String {
    let words = Subscription::plain_words(denial.reason);
    format!("{words} Ask whoever gave you this link.")
}

/// Speaks to a visitor.
pub(super) struct Teller<'a> {
    /// Name of the profile.
    pub(super) title: &'a str,
    /// Whom people may ask.
    pub(super) support: Option<&'a str>,
    /// Who is spoken to.
    pub(super) visitor: Visitor,
}

impl Teller<'_> {
    /// A person's apps and links, with QR codes.
    pub(super) fn page(
        &self,
        configuration: &Configuration,
        info: &UserInfo,
        now: Timestamp,
    ) -> Result<Response, Problem> {
        let address = configuration.subscription_url.expose_secret();
        let used = info.used.0.saturating_add(info.used.1);
        let limit = info.limit.filter(|limit| *limit > 0);
        let percent = |limit| u64::try_from(u128::from(used) * 100 / u128::from(limit)).unwrap_or(100);
        let nonce = nonce()?;
        let page = Page {
            told: self,
            nonce: &nonce,
            corporate_id: configuration.corporate_id.as_str(),
            used: self.used(used, limit),
            percent: limit.map(|limit| percent(limit).min(100)),
            ends: match info.expires {
                Some(at) => self.say_with("page-until", "date", texts::date(self.visitor.language, at).into()),
                None => self.say("page-no-end"),
            },
            days_left: info.expires.map(|at| {
                let days = at.as_second().saturating_sub(now.as_second()) / 86_400;
                self.say_with("page-days-left", "days", u64::try_from(days).unwrap_or(0).into())
            }),
            platforms: self.platforms(address),
            subscription_url: address,
            code: picture(address, self.say("page-qr")).ok_or_else(Problem::internal)?,
            links: self.links(configuration),
            questions: self
                .support
                .map(|whom| self.say_with("page-questions", "whom", whom.into())),
        };
        self.html(StatusCode::OK, &nonce, false, page.render())
    }

    /// Why there are no links for somebody who is denied. Without the names of holds: whoever has the link need not know who placed
    /// them.
    pub(super) fn refused(&self, denial: &Denial) -> Result<Response, Problem> {
        let text = match denial.reason {
            Reason::NotYetValid => "page-denied-notyet",
            Reason::Expired => "page-denied-expired",
            Reason::OverQuota => "page-denied-quota",
            _ => "page-denied-off",
        };
        self.message(StatusCode::FORBIDDEN, "page-no-access", &self.say(text))
    }

    /// For a link that nobody has.
    pub(super) fn unknown(&self) -> Result<Response, Problem> {
        self.message(StatusCode::NOT_FOUND, "page-unknown", &self.say("page-unknown-text"))
    }

    /// For somebody who opened too many links that nobody has; `seconds` until the next try counts.
    pub(super) fn too_many(&self, seconds: u64) -> Result<Response, Problem> {
        let text = self.say_with("page-too-many-text", "minutes", seconds.div_ceil(60).max(1).into());
        let mut response = self.message(StatusCode::TOO_MANY_REQUESTS, "page-too-many", &text)?;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        Ok(response)
    }

    /// Where there is nothing to connect to.
    pub(super) fn not_now(&self) -> Result<Response, Problem> {
        let text = self.say("page-not-now-text");
        self.message(StatusCode::SERVICE_UNAVAILABLE, "page-not-now", &text)
    }

    /// A text.
    pub(super) fn say(&self, key: &str) -> String {
        texts::plain(self.visitor.language, key, &[])
    }

    fn say_with(&self, key: &str, name: &str, value: Arg<'_>) -> String {
        texts::plain(self.visitor.language, key, &[(name, value)])
    }

    fn used(&self, used: u64, limit: Option<u64>) -> String {
        let used = self.amount(used);
        match limit {
            None => self.say_with("page-used-unlimited", "used", used.into()),
            Some(limit) => {
                let args = [("used", used.into()), ("limit", self.amount(limit).into())];
                texts::plain(self.visitor.language, "page-used", &args)
            }
        }
    }

    /// `82 GiB`, `82 ГиБ`
    fn amount(&self, bytes: u64) -> String {
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

    /// The visitor's own platform first and open.
    fn platforms(&self, address: &str) -> Vec<ForPlatform> {
        let own = self.visitor.platform;
        let others = Platform::ALL.into_iter().filter(|platform| Some(*platform) != own);
        let all = own.into_iter().chain(others).map(|platform| ForPlatform {
            name: platform.name(),
            open: Some(platform) == own,
            apps: apps::of(platform)
                .iter()
                .map(|app| PageApp {
                    name: app.name,
                    install: app.install,
                    install_label: self.say_with("page-install-app", "app", app.name.into()),
                    import: app.import(address, self.title),
                    import_label: self.say_with("page-import-app", "app", app.name.into()),
                })
                .collect(),
        });
        all.collect()
    }

    fn links<'c>(&self, configuration: &'c Configuration) -> Vec<PageLink<'c>> {
        let mut left = if self.visitor.gzip { PICTURES } else { PICTURES_PLAIN };
        let links = configuration.links.iter().map(|link| {
            let url = link.url.expose_secret();
            let label = self.say_with("page-qr-link", "name", link.name.as_str().into());
            let code = picture(url, label).filter(|code| code.path.len() <= left);
            left = code.as_ref().map_or(0, |code| left - code.path.len());
            PageLink {
                name: &link.name,
                url,
                code,
            }
        });
        links.collect()
    }

    /// A page that says one thing.
    pub(super) fn message(&self, status: StatusCode, heading: &str, text: &str) -> Result<Response, Problem> {
        let nonce = nonce()?;
        let ask = match self.support {
            Some(whom) => self.say_with("page-ask-whom", "whom", whom.into()),
            None => self.say("page-ask"),
        };
        let page = Message {
            told: self,
            nonce: &nonce,
            heading: &self.say(heading),
            text,
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
        let forms = if forms { "'self'" } else { "'none'" };
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; \
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

fn picture(text: &str, label: String) -> Option<Picture> {
    let (width, path) = qr::svg_path(text)?;
    Some(Picture { width, path, label })
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
                title: "VPN",
                support: None,
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
