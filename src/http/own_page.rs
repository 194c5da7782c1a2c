//! The page that a person gets at the address of their subscription.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;

use super::{
    apps,
    chart::{Bar, Chart},
    page::{Teller, nonce},
    problem::Problem,
    qr,
    user_info::UserInfo,
    visitor::Platform,
};
use crate::{
    access::{Configuration, Overview},
    config::SelfService,
    texts::{self, Language},
};

/// Bytes of QR codes of single links in a page that is sent compressed, and in one that is not. Links that come after have none, so
/// that a page of a company with many servers is sent in at most 40 KB too.
const PICTURES: usize = 64 * 1024;
const PICTURES_PLAIN: usize = 10 * 1024;

/// What the page shows.
pub(super) struct Shown<'a> {
    /// What the person connects with.
    pub(super) configuration: &'a Configuration,
    /// Single links as most apps read them, one a line.
    pub(super) links: &'a str,
    /// Traffic and end of access.
    pub(super) info: &'a UserInfo,
    /// The rest.
    pub(super) overview: &'a Overview,
    /// What was renewed just now.
    pub(super) done: Option<SelfService>,
    /// Now.
    pub(super) now: Timestamp,
}

#[derive(Template)]
#[template(path = "subscription.html")]
struct Page<'a> {
    told: &'a Teller<'a>,
    nonce: &'a str,
    corporate_id: &'a str,
    notice: Option<String>,
    used: String,
    meter: Option<Meter>,
    resets: Option<String>,
    ends: String,
    days_left: Option<String>,
    devices: Option<String>,
    traffic: Option<Traffic>,
    platforms: Vec<ForPlatform>,
    subscription_url: &'a str,
    code: Picture,
    links: Vec<PageLink<'a>>,
    renewals: Vec<RenewButton>,
    questions: Option<String>,
}

/// A button that renews something.
struct RenewButton {
    word: &'static str,
    label: String,
}

/// Used of the limit.
struct Meter {
    /// From 0 to 100.
    width: u64,
    over: Option<String>,
}

struct Traffic {
    heading: String,
    text: String,
    chart: Chart,
    first: String,
    last: String,
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
    name: String,
    url: &'a str,
    code: Option<Picture>,
}

struct Picture {
    width: usize,
    path: String,
    label: String,
}

impl Teller<'_> {
    /// A person's apps and links, with QR codes, and what they have used.
    pub(super) fn page(&self, shown: &Shown<'_>) -> Result<Response, Problem> {
        let (configuration, info, overview) = (shown.configuration, shown.info, shown.overview);
        let address = configuration.subscription_url.expose_secret();
        let used = info.used.0.saturating_add(info.used.1);
        let limit = info.limit.filter(|limit| *limit > 0);
        let offered = self.settings.self_service.iter().copied();
        let renewals: Vec<RenewButton> = offered
            .filter(|what| *what == SelfService::Link || overview.own_password)
            .map(|what| RenewButton {
                word: what.word(),
                label: self.say(&format!("page-renew-{}", what.word())),
            })
            .collect();
        let nonce = nonce()?;
        let page = Page {
            told: self,
            nonce: &nonce,
            corporate_id: configuration.corporate_id.as_str(),
            notice: shown
                .done
                .map(|what| self.say(&format!("page-renewed-{}", what.word()))),
            used: self.used(used, limit),
            meter: limit.map(|limit| self.meter(used, limit)),
            resets: overview
                .resets_at
                .map(|at| self.say_with("page-resets", "date", self.date(at).into())),
            ends: match info.expires {
                Some(at) => self.say_with("page-until", "date", self.date(at).into()),
                None => self.say("page-no-end"),
            },
            days_left: info
                .expires
                .map(|at| self.say_with("page-days-left", "days", days_left(at, shown.now).into())),
            devices: overview
                .devices
                .map(|online| self.devices(online, overview.max_devices)),
            traffic: overview
                .traffic_by_day
                .as_ref()
                .map(|rows| self.traffic(Chart::of(rows, shown.now))),
            platforms: self.platforms(address),
            subscription_url: address,
            code: picture(address, self.say("page-qr")).ok_or_else(Problem::internal)?,
            links: self.links(shown.links),
            questions: self.say_whom("page-questions"),
            renewals,
        };
        let forms = !page.renewals.is_empty();
        self.html(StatusCode::OK, &nonce, forms, page.render())
    }

    /// Where somebody goes on to who renewed something. `slash`: the address that was asked ends with one. Relative, because the
    /// visitor may have come by another name than the public one.
    pub(super) fn on_to(&self, address: &str, slash: bool, what: SelfService) -> Response {
        let page = address.rsplit('/').next().unwrap_or_default();
        let (up, language) = (if slash { "../" } else { "./" }, self.visitor.language.code());
        let location = format!("{up}{page}?format=html&lang={language}&done={}", what.word());
        (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
    }

    fn date(&self, at: Timestamp) -> String {
        texts::date(self.visitor.language, at)
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

    fn meter(&self, used: u64, limit: u64) -> Meter {
        let percent = u64::try_from(u128::from(used) * 100 / u128::from(limit)).unwrap_or(u64::MAX);
        Meter {
            width: percent.min(100),
            over: (used > limit).then(|| self.say_with("page-over", "percent", percent.into())),
        }
    }

    fn devices(&self, online: u32, most: Option<u32>) -> String {
        let online = u64::from(online).into();
        match most {
            None => self.say_with("page-devices", "online", online),
            Some(most) => {
                let args = [("online", online), ("most", u64::from(most).into())];
                texts::plain(self.visitor.language, "page-devices-of", &args)
            }
        }
    }

    fn traffic(&self, chart: Chart) -> Traffic {
        let args = [
            ("total", self.amount(chart.total).into()),
            ("most", self.amount(chart.most).into()),
        ];
        let day = |bar: Option<&Bar>| bar.map(|bar| self.day(bar)).unwrap_or_default();
        Traffic {
            heading: self.say("page-traffic-days"),
            text: texts::plain(self.visitor.language, "page-traffic-text", &args),
            first: day(chart.bars.first()),
            last: day(chart.bars.last()),
            chart,
        }
    }

    /// The day of a bar.
    fn day(&self, bar: &Bar) -> String {
        texts::day(self.visitor.language, bar.day)
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
                    import: app.import(address, self.title()),
                    import_label: self.say_with("page-import-app", "app", app.name.into()),
                })
                .collect(),
        });
        all.collect()
    }

    fn links<'l>(&self, links: &'l str) -> Vec<PageLink<'l>> {
        let logo = self.logo().map_or(0, |logo| logo.address().len());
        let mut left = if self.visitor.gzip {
            PICTURES.saturating_sub(logo)
        } else {
            PICTURES_PLAIN
        };
        let links = links.lines().map(|url| {
            let (_, name) = url.rsplit_once('#').unwrap_or_default();
            let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
            let label = self.say_with("page-qr-link", "name", name.as_str().into());
            let code = picture(url, label).filter(|code| code.path.len() <= left);
            left = code.as_ref().map_or(0, |code| left - code.path.len());
            PageLink { name, url, code }
        });
        links.collect()
    }
}

/// Whole days until access ends.
fn days_left(end: Timestamp, now: Timestamp) -> u64 {
    let seconds = end.as_second().saturating_sub(now.as_second());
    u64::try_from(seconds / 86_400).unwrap_or(0)
}

fn picture(text: &str, label: String) -> Option<Picture> {
    let (width, path) = qr::svg_path(text)?;
    Some(Picture { width, path, label })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;
    use crate::http::{Settings, visitor::Visitor};

    #[test]
    fn days_left_are_whole_days_and_never_less_than_none() {
        let at = |text: &str| text.parse().unwrap();
        for (end, days) in [
            ("2026-05-31T12:00:00Z", 30),
            ("2026-05-31T11:59:59Z", 29),
            ("2026-05-02T12:00:00Z", 1),
            ("2026-05-02T11:59:59Z", 0),
            ("2026-05-01T12:00:00Z", 0),
            ("2026-04-01T12:00:00Z", 0),
        ] {
            assert_eq!(days_left(at(end), at("2026-05-01T12:00:00Z")), days, "{end}");
        }
    }

    #[test]
    fn the_meter_ends_at_the_limit_and_words_say_what_is_beyond() {
        let (settings, visitor) = (Settings::default(), Visitor::of(&HeaderMap::new(), Some("en")));
        let teller = Teller {
            settings: &settings,
            visitor,
        };
        for (used, limit, width, over) in [
            (0, 10, 0, None),
            (10, 10, 100, None),
            (11, 10, 100, Some("110")),
            (u64::MAX, u64::MAX, 100, None),
            (u64::MAX, 1, 100, Some("%")),
        ] {
            let meter = teller.meter(used, limit);
            assert_eq!(
                (meter.width, meter.over.is_some()),
                (width, over.is_some()),
                "{used} of {limit}"
            );
            assert!(meter.over.unwrap_or_default().contains(over.unwrap_or_default()));
        }
    }
}
