//! Who looks at a page: in which language, and on what.

use axum::http::{HeaderMap, header};

use crate::texts::Language;

/// What somebody looks at a page on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Platform {
    /// iPhone and iPad.
    Ios,
    /// Android.
    Android,
    /// Windows.
    Windows,
    /// macOS; an iPad that asks for pages for computers says the same.
    MacOs,
    /// Linux.
    Linux,
}

impl Platform {
    /// All of them, in the order in which a visitor on none of them sees them.
    pub(super) const ALL: [Self; 5] = [Self::Ios, Self::Android, Self::Windows, Self::MacOs, Self::Linux];

    /// Its name, the same in every language.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ios => "iPhone, iPad",
            Self::Android => "Android",
            Self::Windows => "Windows",
            Self::MacOs => "macOS",
            Self::Linux => "Linux",
        }
    }

    fn of(agent: &str) -> Option<Self> {
        let says = |word: &str| agent.contains(word);
        // Android says Linux too, and an iPhone says Mac OS X.
        match () {
            () if says("iPhone") || says("iPad") || says("iPod") => Some(Self::Ios),
            () if says("Android") => Some(Self::Android),
            () if says("Windows NT") => Some(Self::Windows),
            () if says("Macintosh") => Some(Self::MacOs),
            () if says("Linux") || says("X11") => Some(Self::Linux),
            () => None,
        }
    }
}

/// Who looks at a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitor {
    /// The language that is spoken.
    pub(super) language: Language,
    /// What the page is looked at on; `None` for something else.
    pub(super) platform: Option<Platform>,
    /// The browser takes gzip.
    pub(super) gzip: bool,
}

impl Visitor {
    /// The language that the address names, else the one that the browser likes best of those that are spoken here.
    pub(super) fn of(headers: &HeaderMap, named: Option<&str>) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let language = named.and_then(Language::of);
        Self {
            language: language
                .or_else(|| best(text(header::ACCEPT_LANGUAGE)))
                .unwrap_or_default(),
            platform: Platform::of(text(header::USER_AGENT)),
            gzip: weighed(text(header::ACCEPT_ENCODING)).any(|(name, weight)| name == "gzip" && weight > 0),
        }
    }
}

fn best(accepted: &str) -> Option<Language> {
    let mut best = None;
    for (tag, weight) in weighed(accepted).take(32) {
        if let Some(language) = Language::of(tag)
            && weight > best.map_or(0, |(_, weight)| weight)
        {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// The parts of a header such as `ru, en;q=0.8`, with their weights in thousandths.
fn weighed(header: &str) -> impl Iterator<Item = (&str, u32)> {
    header.split(',').map(|part| {
        let (name, rest) = part.split_once(';').unwrap_or((part, ""));
        let weight = rest.trim().strip_prefix("q=").map_or("1", str::trim);
        let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
        let thousandths = format!("{fraction:0<3}").chars().take(3).collect::<String>();
        let weight = whole.parse::<u32>().unwrap_or(0).min(1) * 1000 + thousandths.parse().unwrap_or(0);
        (name.trim(), weight.min(1000))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn visitor(name: header::HeaderName, value: &'static str, named: Option<&str>) -> Visitor {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        Visitor::of(&headers, named)
    }

    #[test]
    fn the_language_is_the_one_that_the_browser_likes_best_of_those_spoken_here() {
        for (accepted, expected) in [
            ("", Language::En),
            ("ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", Language::Ru),
            ("en-GB,ru;q=0.5", Language::En),
            ("en;q=0.3, ru;q=0.75", Language::Ru),
            ("de-DE,fr;q=0.9,ru;q=0.1", Language::Ru),
            ("ru;q=0, en;q=0.1", Language::En),
            ("*, ;;q=x,ru;q=", Language::En),
            ("de", Language::En),
        ] {
            assert_eq!(
                visitor(header::ACCEPT_LANGUAGE, accepted, None).language,
                expected,
                "{accepted}"
            );
        }
        assert_eq!(
            visitor(header::ACCEPT_LANGUAGE, "ru", Some("en")).language,
            Language::En
        );
        assert_eq!(
            visitor(header::ACCEPT_LANGUAGE, "ru", Some("xx")).language,
            Language::Ru
        );
    }

    #[test]
    fn browsers_say_what_they_run_on() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
                Some(Platform::Ios),
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36",
                Some(Platform::Android),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36",
                Some(Platform::Windows),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15",
                Some(Platform::MacOs),
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                Some(Platform::Linux),
            ),
            ("curl/8.5.0", None),
        ] {
            assert_eq!(visitor(header::USER_AGENT, agent, None).platform, expected, "{agent}");
        }
    }

    #[test]
    fn gzip_is_taken_only_where_it_is_said() {
        for (accepted, expected) in [
            ("", false),
            ("gzip, br", true),
            ("br;q=1, gzip;q=0.5", true),
            ("gzip;q=0", false),
        ] {
            assert_eq!(
                visitor(header::ACCEPT_ENCODING, accepted, None).gzip,
                expected,
                "{accepted}"
            );
        }
    }
}
