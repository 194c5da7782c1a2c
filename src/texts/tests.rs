use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Most characters of a message of Telegram.
const MESSAGE: usize = 4096;

/// Every text of a language, and what is put into it.
fn texts(files: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        FluentResource::try_new((*file).to_owned()).unwrap_or_else(|(_, errors)| panic!("{errors:?}"));
        let mut key = String::new();
        for line in file.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, _)) = line.split_once(" = ")
                && !line.starts_with([' ', '}'])
            {
                name.clone_into(&mut key);
                assert!(
                    texts.insert(key.clone(), BTreeSet::new()).is_none(),
                    "{key} is there twice"
                );
            }
            for part in line.split('$').skip(1) {
                let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
                texts.entry(key.clone()).or_default().insert(name);
            }
        }
    }
    texts
}

#[test]
fn both_languages_have_the_same_texts_with_the_same_variables() {
    let [(_, english), (_, russian)] = FILES;
    assert_eq!(texts(english), texts(russian));
}

#[test]
fn every_text_can_be_said_and_fits_a_message_with_what_is_put_into_it() {
    for (language, files) in FILES {
        for (key, names) in texts(files) {
            let long = "x".repeat(700);
            let args: Vec<(&str, Arg<'_>)> = names
                .iter()
                .map(|name| match name.as_str() {
                    "minutes" | "days" | "people" | "count" | "max" | "percent" => (name.as_str(), Arg::Number(5)),
                    _ => (name.as_str(), Arg::from(long.as_str())),
                })
                .collect();
            let said = html(language, &key, &args);
            assert!(!said.contains("{$") && said != key, "{key}: {said}");
            assert!(said.chars().count() < MESSAGE, "{key}");
            assert_eq!(said.matches("<b>").count(), said.matches("</b>").count(), "{key}");
            assert_eq!(said.matches("<code>").count(), said.matches("</code>").count(), "{key}");
            if key.starts_with("command-") {
                assert!((3..=256).contains(&said.chars().count()), "{key}");
            }
        }
    }
}

#[test]
fn numbers_have_the_plural_form_of_the_language() {
    let days = |language, days: u64| {
        html(
            language,
            "notice-expiring",
            &[("days", days.into()), ("date", "d".into())],
        )
    };
    for (number, word) in [(1, "1 день"), (2, "2 дня"), (7, "7 дней"), (21, "21 день")] {
        assert!(days(Language::Ru, number).contains(&format!("{word}:")));
    }
    assert!(days(Language::En, 1).contains("1 day:") && days(Language::En, 7).contains("7 days:"));
}

#[test]
fn a_name_is_never_markup() {
    let said = html(
        Language::En,
        "issued",
        &[("id", "AB123456".into()), ("who", "<a href=\"x\">&".into())],
    );
    assert_eq!(
        said,
        "Issued: <code>AB123456</code> (&lt;a href=&quot;x&quot;&gt;&amp;)"
    );
}

#[test]
fn times_and_amounts_are_written_as_people_write_them() {
    let at: Timestamp = "2026-03-05T07:08:09Z".parse().unwrap();
    assert_eq!(date(Language::En, at), "5 March 2026, 07:08 UTC");
    assert_eq!(date(Language::Ru, at), "5 марта 2026, 07:08 UTC");
    assert_eq!(bytes(Language::En, 1_500_000_000), "1.5 GB");
    assert_eq!(bytes(Language::Ru, 1_500_000_000), "1,5 ГБ");
    assert_eq!(bytes(Language::En, 999), "999 B");
}
