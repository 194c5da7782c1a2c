//! The last line of defence: links that carry credentials never reach a row, whatever a caller hands in.

use std::borrow::Cow;

use super::entry::AuditEntry;

const SCHEMES: [&str; 2] = ["hysteria2", "hy2"];
const SUBSCRIPTION: [&str; 4] = ["/sub/open/", "%2fsub%2fopen%2f", "/sub/", "%2fsub%2f"];
/// What stands in place of a token where a handed-over link is opened, before its code.
const OPEN: &str = "open";
const SEPARATORS: [&str; 2] = ["://", "%3a%2f%2f"];
const REDACTED: &str = "[redacted]";

/// Replaces what follows the scheme of a client link (credentials, and the obfuscation password in the query), the token of a
/// subscription link, and the code of a handed-over one; all also when they are percent-encoded inside another link.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((start, end)) = next_secret(rest) {
        let (before, tail) = rest.split_at(start);
        kept.push_str(before);
        kept.push_str(REDACTED);
        rest = tail.get(end - start..).unwrap_or_default();
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}

/// The first span of bytes that must go.
fn next_secret(text: &str) -> Option<(usize, usize)> {
    let link = SCHEMES
        .iter()
        .flat_map(|scheme| SEPARATORS.iter().map(move |separator| format!("{scheme}{separator}")))
        .filter_map(|prefix| span(text, &prefix, ends_link));
    let token = SUBSCRIPTION.iter().filter_map(|prefix| span(text, prefix, ends_token));
    link.chain(token).min()
}

/// The span between the first `prefix` (in any case) that is followed by something, and the first character that ends it.
fn span(text: &str, prefix: &str, ends: fn(char) -> bool) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(found) = bytes
        .get(from..)?
        .windows(prefix.len())
        .position(|window| window.eq_ignore_ascii_case(prefix.as_bytes()))
    {
        let start = from + found + prefix.len();
        let rest = text.get(start..)?;
        let end = rest.find(ends).unwrap_or(rest.len());
        let kept = |found: &str| found == REDACTED || found.eq_ignore_ascii_case(OPEN);
        if end > 0 && !rest.get(..end).is_some_and(kept) {
            return Some((start, start + end));
        }
        from = start;
    }
    None
}

fn ends_link(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\')
}

fn ends_token(c: char) -> bool {
    !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~' | '=' | '+'))
}

/// The entry with every text redacted.
pub(super) fn entry(entry: AuditEntry) -> AuditEntry {
    let text = |text: String| match redact(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(changed) => changed,
    };
    AuditEntry {
        actor: text(entry.actor),
        source: text(entry.source),
        action: text(entry.action),
        corporate_id: entry.corporate_id.map(text),
        before: entry.before.map(text),
        after: entry.after.map(text),
        reason: entry.reason.map(text),
        request_id: entry.request_id.map(text),
        address: entry.address.map(text),
        event: entry.event.map(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_link_loses_its_credentials_and_its_query() {
        assert_eq!(
            redact("see hysteria2://corp_a:pa%20ss@vpn.example:443/?obfs-password=s3cret#name, ok"),
            "see hysteria2://[redacted] ok"
        );
        assert_eq!(redact(r#"{"url":"HY2://u:p@h"}"#), r#"{"url":"HY2://[redacted]"}"#);
        assert_eq!(
            redact("app://import?u=hy2%3A%2F%2Fu:p@h x"),
            "app://import?u=hy2%3A%2F%2F[redacted] x"
        );
    }

    #[test]
    fn a_subscription_link_loses_its_token_and_keeps_the_rest() {
        assert_eq!(
            redact("GET https://vpn.example/sub/aB3-_x/qr by /sub/second"),
            "GET https://vpn.example/sub/[redacted]/qr by /sub/[redacted]"
        );
        assert_eq!(
            redact("u=https%3A%2F%2Fh%2Fsub%2FtOken"),
            "u=https%3A%2F%2Fh%2Fsub%2F[redacted]"
        );
    }

    #[test]
    fn a_handed_over_link_loses_its_code() {
        assert_eq!(
            redact("https://vpn.example/sub/open/aB3x and /SUB/OPEN/second?lang=ru"),
            "https://vpn.example/sub/open/[redacted] and /SUB/OPEN/[redacted]?lang=ru"
        );
        assert_eq!(
            redact("u=https%3A%2F%2Fh%2Fsub%2Fopen%2FcOde&x"),
            "u=https%3A%2F%2Fh%2Fsub%2Fopen%2F[redacted]&x"
        );
    }

    #[test]
    fn other_text_is_borrowed_as_it_is() {
        for text in [
            "",
            "dismissed",
            "/sub/",
            "/sub/open",
            "/sub/open/",
            "hy2:// is a scheme",
            "a/submit/x",
            "Ünïcødé ✓",
        ] {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_password_survives_wherever_the_link_stands(before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let text = format!("{before} hysteria2://user:NEEDLE@host {after} https://h/sub/NEEDLE {before} /sub/open/NEEDLE");
            let shown = redact(&text);
            prop_assert!(!shown.contains("NEEDLE"), "{}", shown);
            prop_assert_eq!(redact(&shown).into_owned(), shown.clone().into_owned());
        }
    }
}
