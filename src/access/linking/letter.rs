//! The letter with a code.

use askama::Template;

use crate::{
    mail::Letter,
    texts::{self, Language},
};

/// What stands in it.
pub(super) struct Words<'a> {
    pub code: &'a str,
    pub title: &'a str,
    pub id: &'a str,
    pub minutes: u64,
}

#[derive(Template)]
#[template(path = "link_code.html")]
struct Page<'a> {
    language: &'a str,
    subject: &'a str,
    intro: &'a str,
    code: &'a str,
    valid: &'a str,
    warning: &'a str,
}

/// The letter with a code. Its subject does not have the code: others see it on a screen that is locked.
pub(super) fn of_code(to: &str, language: &'static str, words: &Words<'_>) -> Letter {
    let Words {
        code,
        title,
        id,
        minutes,
    } = words;
    // Two groups are easier to read off; spaces do not count when it is typed.
    let code = code
        .split_at_checked(4)
        .map_or_else(|| (*code).to_owned(), |(front, back)| format!("{front} {back}"));
    let spoken = Language::of(language).unwrap_or_default();
    let say = |key: &str| {
        let args = [
            ("title", (*title).into()),
            ("id", (*id).into()),
            ("minutes", (*minutes).into()),
        ];
        texts::plain(spoken, key, &args)
    };
    let [subject, intro, valid, warning] = ["mail-subject", "mail-intro", "mail-valid", "mail-warning"].map(say);
    let page = Page {
        language,
        subject: &subject,
        intro: &intro,
        code: &code,
        valid: &valid,
        warning: &warning,
    };
    let text = format!("{intro}\n\n    {code}\n\n{valid}\n\n{warning}\n");
    Letter {
        to: to.to_owned(),
        // A page that cannot be rendered leaves the plain text.
        html: page.render().unwrap_or_else(|_| String::from("<p></p>")),
        text,
        subject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_stands_in_both_forms_and_not_in_the_subject_and_markup_is_escaped() {
        for language in ["en", "ru"] {
            let words = Words {
                code: "12345678",
                title: "<VPN>",
                id: "AB123456",
                minutes: 10,
            };
            let letter = of_code("anna@example.com", language, &words);
            assert!(
                letter.text.contains("1234 5678") && letter.html.contains("1234 5678"),
                "{}",
                letter.html
            );
            assert!(letter.text.contains("AB123456") && letter.html.contains("AB123456"));
            assert!(!letter.subject.contains("1234") && !letter.html.contains("<VPN>"));
            assert!(!format!("{letter:?}").contains("1234"));
        }
    }
}
