//! The spellings that fields accept. Each is said twice, as the pattern of the schema and as a plain function for the
//! folder; a test holds the two together.

use serde_json::{Value, json};

/// How a text field may be spelled.
#[derive(Debug, Clone, Copy)]
pub struct Syntax {
    /// Pattern of the text. In the common subset of RE2 and ECMA 262, and anchored where the whole text is meant.
    pub pattern: &'static str,
    /// Most characters (Unicode scalar values, as an API server counts them).
    pub max_len: usize,
    /// The rule for people, after "must be".
    pub rule: &'static str,
    matches: fn(&str) -> bool,
}

impl Syntax {
    /// Whether the schema accepts this text.
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        fits(text, self.max_len) && (self.matches)(text)
    }

    /// The CEL rules by which an API server accepts the same texts. A bare `pattern` would answer with itself; this answers with
    /// the form that is wanted.
    #[must_use]
    pub fn cel(&self) -> Value {
        cel(&format!("self.matches({})", quoted(self.pattern)), self.rule)
    }

    /// The same for every item of a list.
    #[must_use]
    pub fn cel_of_items(&self) -> Value {
        let rule = format!("self.all(item, item.matches({}))", quoted(self.pattern));
        cel(&rule, &format!("a list of which each is {}", self.rule))
    }
}

/// One CEL rule that says, after "must be", what is wanted.
pub(super) fn cel(rule: &str, wanted: &str) -> Value {
    json!([{ "rule": rule, "message": format!("must be {wanted}") }])
}

/// A pattern as CEL writes a text.
pub(super) fn quoted(pattern: &str) -> String {
    format!("'{}'", pattern.replace('\\', "\\\\"))
}

/// Whether a text has at most this many characters.
#[must_use]
pub fn fits(text: &str, max_len: usize) -> bool {
    text.len() <= max_len || text.chars().count() <= max_len
}

macro_rules! port {
    () => {
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}
macro_rules! label {
    () => {
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    };
}

/// An account on a gateway: what Hysteria and Blitz both take unchanged.
pub const USERNAME: Syntax = Syntax {
    pattern: "^[a-z0-9_]{1,64}$",
    max_len: 64,
    rule: "1 to 64 of the characters a-z, 0-9 and '_'",
    matches: |text| !text.is_empty() && text.bytes().all(is_account_byte),
};

/// Who holds. Without a dash, so that `<source>-<cause>-<id>` is read back without doubt.
pub const SOURCE: Syntax = Syntax {
    pattern: "^[a-z][a-z0-9]{0,15}$",
    max_len: 16,
    rule: "a short word of 1 to 16 of the characters a-z and 0-9, beginning with a letter",
    matches: |text| {
        text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(|b| is_label_byte(b) && b != b'-')
    },
};

/// A DNS label (RFC 1123): names of gateways and nodes.
pub const LABEL: Syntax = Syntax {
    pattern: concat!("^", label!(), "$"),
    max_len: 63,
    rule: "at most 63 of the characters a-z, 0-9 and '-', beginning and ending with a letter or digit",
    matches: is_label,
};

/// A DNS subdomain (RFC 1123): the name of any object.
pub const OBJECT_NAME: Syntax = Syntax {
    pattern: concat!("^", label!(), "(\\.", label!(), ")*$"),
    max_len: 253,
    rule: "at most 253 of the characters a-z, 0-9, '-' and '.', each part beginning and ending with a letter or digit",
    matches: |text| text.split('.').all(is_label),
};

/// A key of a Secret.
pub const SECRET_KEY: Syntax = Syntax {
    pattern: "^[-._A-Za-z0-9]+$",
    max_len: 253,
    rule: "1 to 253 of the characters A-Z, a-z, 0-9, '-', '_' and '.'",
    matches: |text| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    },
};

/// Name of an environment variable.
pub const ENV_NAME: Syntax = Syntax {
    pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
    max_len: 128,
    rule: "the name of an environment variable: letters, digits and '_', not beginning with a digit",
    matches: |text| {
        !text.starts_with(|c: char| c.is_ascii_digit())
            && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    },
};

/// A mail address, loosely: one `@` with something before and after it, no white space.
pub const EMAIL: Syntax = Syntax {
    pattern: "^[^@\\x00-\\x20\\x7f]+@[^@\\x00-\\x20\\x7f]+$",
    max_len: 254,
    rule: "a mail address like anna@example.com",
    matches: |text| {
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| !matches!(b, 0..=0x20 | 0x7f | b'@'));
        text.split_once('@')
            .is_some_and(|(user, host)| word(user) && word(host))
    },
};

/// A host name or an address, without port and brackets.
pub const HOST: Syntax = Syntax {
    pattern: "^([A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)$",
    max_len: 253,
    rule: "a host name or an IP address, without a port (ports have a field of their own) and without brackets",
    matches: |text| is_host_name(text) || is_ipv6_shaped(text),
};

/// Name in a TLS handshake.
pub const SERVER_NAME: Syntax = Syntax {
    pattern: "^[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?$",
    max_len: 253,
    rule: "a host name",
    matches: is_host_name,
};

/// Ports and hopping ranges, separated by commas. That a range rises is a rule of its own.
pub const PORTS: Syntax = Syntax {
    pattern: concat!("^", port!(), "(-", port!(), ")?(,", port!(), "(-", port!(), ")?)*$"),
    max_len: 128,
    rule: "a port (443), a range (20000-50000) or a list of both (443,20000-50000), each from 1 to 65535",
    matches: |text| {
        text.split(',').all(|entry| match entry.split_once('-') {
            None => port(entry).is_some(),
            Some((low, high)) => port(low).is_some() && port(high).is_some(),
        })
    },
};

/// SHA-256 of a certificate.
pub const PIN_SHA256: Syntax = Syntax {
    pattern: "^([0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31})$",
    max_len: 95,
    rule: "the SHA-256 of the server certificate: 64 hexadecimal digits, with or without colons between the pairs",
    matches: |text| {
        let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
        (text.len() == 64 && hex(text))
            || (text.len() == 95 && text.split(':').all(|pair| pair.len() == 2 && hex(pair)))
    },
};

/// Base URL of an HTTP interface. Without user information, so that no secret is written into a resource.
pub const BASE_URL: Syntax = Syntax {
    pattern: "^https?://[-.A-Za-z0-9:\\[\\]]+(/[-._~%A-Za-z0-9/]*)?$",
    max_len: 2048,
    rule: "a URL like http://10.0.0.5:9999, without user name, password, query and fragment",
    matches: |text| {
        let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
            return false;
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']');
        let path_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'%' | b'/');
        !host.is_empty() && host.bytes().all(host_byte) && path.bytes().all(path_byte)
    },
};

/// PEM certificates.
pub const CA_BUNDLE: Syntax = Syntax {
    pattern: "-----BEGIN CERTIFICATE-----",
    max_len: 65_536,
    rule: "certificates in PEM, at most 64 KiB of them",
    matches: |text| text.contains("-----BEGIN CERTIFICATE-----"),
};

/// A server's certificate in PEM.
pub const CERTIFICATE: Syntax = Syntax {
    pattern: "-----BEGIN CERTIFICATE-----",
    max_len: 16_384,
    rule: "the server's certificate in PEM, at most 16 KiB of it",
    matches: |text| text.contains("-----BEGIN CERTIFICATE-----"),
};

/// Reads a port as [`PORTS`] spells it: 1 to 65535 without leading zeros.
#[must_use]
pub fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    if digits { text.parse().ok() } else { None }
}

/// Whether a byte may stand in an account on a gateway.
#[must_use]
pub const fn is_account_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

const fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(is_label_byte)
}

fn is_host_name(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(edge)
        && text.ends_with(edge)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

fn is_ipv6_shaped(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    match (parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), Some(rest)) => {
            hex(first) && hex(second) && rest.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};
    use regex::Regex;

    use super::*;

    const ALL: [(&str, Syntax); 12] = [
        ("username", USERNAME),
        ("source", SOURCE),
        ("label", LABEL),
        ("object name", OBJECT_NAME),
        ("secret key", SECRET_KEY),
        ("environment variable", ENV_NAME),
        ("email", EMAIL),
        ("host", HOST),
        ("server name", SERVER_NAME),
        ("ports", PORTS),
        ("pin", PIN_SHA256),
        ("URL", BASE_URL),
    ];

    /// Texts that the pattern accepts, near misses of them, and anything.
    fn texts(syntax: &Syntax) -> BoxedStrategy<String> {
        let unanchored = syntax.pattern.trim_start_matches('^').trim_end_matches('$');
        let good = string_regex(unanchored).unwrap();
        let miss = (good, any::<prop::sample::Index>(), "[ -~\n\u{e9}]{0,2}").prop_map(|(text, at, patch)| {
            let mut chars: Vec<char> = text.chars().collect();
            if !chars.is_empty() {
                chars.splice(at.index(chars.len())..=at.index(chars.len()), patch.chars());
            }
            chars.into_iter().collect::<String>()
        });
        prop_oneof![
            3 => string_regex(unanchored).unwrap(),
            6 => miss,
            1 => "[a-z0-9:.@-]{0,80}",
            1 => any::<String>(),
        ]
        .boxed()
    }

    #[test]
    fn pattern_and_function_agree() {
        for (name, syntax) in ALL {
            let regex = Regex::new(syntax.pattern).unwrap();
            let mut runner = proptest::test_runner::TestRunner::default();
            runner
                .run(&texts(&syntax), |text| {
                    let by_pattern = regex.is_match(&text) && text.chars().count() <= syntax.max_len;
                    prop_assert_eq!(syntax.accepts(&text), by_pattern, "{} {:?}", name, text);
                    Ok(())
                })
                .unwrap();
        }
    }

    #[test]
    fn ports_stay_within_sixteen_bits() {
        for (text, good) in [
            ("1", true),
            ("65535", true),
            ("65536", false),
            ("0", false),
            ("0443", false),
            ("", false),
        ] {
            assert_eq!(PORTS.accepts(text), good, "{text}");
        }
    }

    #[test]
    fn a_host_has_no_port_and_a_url_no_password() {
        assert!(HOST.accepts("vpn.example.com") && HOST.accepts("2001:db8::1") && HOST.accepts("203.0.113.7"));
        assert!(!HOST.accepts("vpn.example.com:443") && !HOST.accepts("[2001:db8::1]"));
        assert!(BASE_URL.accepts("http://10.0.0.5:9999") && BASE_URL.accepts("https://[::1]:8443/panel/"));
        assert!(!BASE_URL.accepts("http://admin:secret@panel") && !BASE_URL.accepts("http://panel/?token=x"));
    }

    #[test]
    fn certificates_are_recognised() {
        let regex = Regex::new(CA_BUNDLE.pattern).unwrap();
        for text in ["-----BEGIN CERTIFICATE-----\nMII\n", "", "-----BEGIN PRIVATE KEY-----"] {
            assert_eq!(CA_BUNDLE.accepts(text), regex.is_match(text));
        }
    }
}
