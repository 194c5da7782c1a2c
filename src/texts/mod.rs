//! Texts for people, in their language, from Fluent files in this folder. Both languages have every text.
//!
//! Whatever is put into an HTML text is escaped here, so that nobody's name can be markup.

mod words;

use std::{borrow::Cow, sync::LazyLock};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

pub use self::words::{bytes, date, day};

/// A language that people are spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Ru];

    /// Its code: `en` or `ru`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ru => "ru",
        }
    }

    /// The language of a tag such as `ru-RU`; `None` for one that is not spoken here.
    #[must_use]
    pub fn of(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|language| language.code().eq_ignore_ascii_case(primary))
    }
}

/// What is put into a text.
#[derive(Debug, Clone)]
pub enum Arg<'a> {
    /// Words of anybody: escaped in HTML.
    Text(Cow<'a, str>),
    /// A number, by which the plural form is chosen.
    Number(u64),
    /// HTML that was made of texts of this room.
    Html(String),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

const FILES: [(Language, &[&str]); 2] = [
    (
        Language::En,
        &[
            include_str!("en/bot.ftl"),
            include_str!("en/desk.ftl"),
            include_str!("en/mail.ftl"),
            include_str!("en/open.ftl"),
            include_str!("en/page.ftl"),
        ],
    ),
    (
        Language::Ru,
        &[
            include_str!("ru/bot.ftl"),
            include_str!("ru/desk.ftl"),
            include_str!("ru/mail.ftl"),
            include_str!("ru/open.ftl"),
            include_str!("ru/page.ftl"),
        ],
    ),
];

static BUNDLES: LazyLock<[FluentBundle<FluentResource>; 2]> =
    LazyLock::new(|| FILES.map(|(language, files)| bundle(language, files)));

fn bundle(language: Language, files: &[&str]) -> FluentBundle<FluentResource> {
    let tag: LanguageIdentifier = language.code().parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    // The marks around what is put in would stand in links and IDs that people copy.
    bundle.set_use_isolating(false);
    for file in files {
        // What cannot be read is found by a test.
        let read = FluentResource::try_new((*file).to_owned()).unwrap_or_else(|(read, _)| read);
        bundle.add_resource_overriding(read);
    }
    bundle
}

/// A text as HTML: every [`Arg::Text`] is escaped.
#[must_use]
pub fn html(language: Language, key: &str, args: &[(&str, Arg<'_>)]) -> String {
    format(language, key, args, |text| escape(text).into_owned())
}

/// A text as it is, for places that know no markup, such as buttons.
#[must_use]
pub fn plain(language: Language, key: &str, args: &[(&str, Arg<'_>)]) -> String {
    format(language, key, args, str::to_owned)
}

fn format(language: Language, key: &str, args: &[(&str, Arg<'_>)], treat: impl Fn(&str) -> String) -> String {
    let [english, russian] = &*BUNDLES;
    let bundle = match language {
        Language::En => english,
        Language::Ru => russian,
    };
    let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
        return key.to_owned();
    };
    let mut values = FluentArgs::new();
    for (name, arg) in args {
        let value: FluentValue<'_> = match arg {
            Arg::Text(text) => treat(text).into(),
            Arg::Html(html) => html.clone().into(),
            Arg::Number(number) => (*number).into(),
        };
        values.set(*name, value);
    }
    let mut errors = Vec::new();
    bundle.format_pattern(pattern, Some(&values), &mut errors).into_owned()
}

/// Words of anybody as HTML text that means those words.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '>', '&', '"']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    Cow::Owned(text.replace('>', "&gt;").replace('"', "&quot;"))
}

#[cfg(test)]
mod tests;
