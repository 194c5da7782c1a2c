//! Logins with the right password in a form that is not `username:password`: what a person sends who copied the password out
//! of a link, or typed it alone. They are refused as any other; this only says so to whoever looks for the cause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use percent_encoding::percent_decode_str;

use super::password::Digest;

/// What is wrong with a login whose password is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongForm {
    /// Whose password it is.
    pub account: Arc<str>,
    /// What is wrong.
    pub form: Form,
}

/// Forms in which a right password is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Percent-encoded, as it stands in a link.
    Encoded,
    /// Without the user name.
    PasswordAlone,
}

impl Form {
    /// What the client sends, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encoded => "percent-encoded, as it stands in a link",
            Self::PasswordAlone => "without the user name",
        }
    }
}

/// The text as it was before somebody percent-encoded it; `None` if nobody did.
pub(super) fn decoded(auth: &str) -> Option<String> {
    if !auth.contains('%') {
        return None;
    }
    let decoded = percent_decode_str(auth).decode_utf8().ok()?;
    (decoded != auth).then(|| decoded.into_owned())
}

/// Bounds how often every account is compared with a password that came alone: many may be sent, and none of them matters.
pub(super) struct Search {
    began: Instant,
    /// Milliseconds after `began` at which the next search may be made.
    next: AtomicU64,
}

/// Pause between two searches. One among 100,000 accounts takes some milliseconds.
const PAUSE: Duration = Duration::from_millis(500);

impl Search {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            began: now,
            next: AtomicU64::new(0),
        }
    }

    /// Whether a search may be made now.
    pub(super) fn may(&self, now: Instant) -> bool {
        let at = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX);
        let pause = u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        at >= next
            && self
                .next
                .compare_exchange(next, at.saturating_add(pause), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Whose password this is. Looks at every account.
pub(super) fn owner<'a>(
    password: &str,
    accounts: impl Iterator<Item = (&'a Arc<str>, Option<Digest>)>,
) -> Option<Arc<str>> {
    let digest = Digest::of(password);
    let mut found = None;
    for (name, of_account) in accounts {
        if digest.matches(of_account.as_ref()) {
            found = Some(Arc::clone(name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_bounded_however_often_they_are_asked_for() {
        let start = Instant::now();
        let search = Search::new(start);
        let made = (0..10_000u64)
            .filter(|millis| search.may(start + Duration::from_millis(*millis)))
            .count();
        assert_eq!(made, 20);
    }

    #[test]
    fn only_what_was_encoded_is_decoded() {
        assert_eq!(decoded("corp_a%3Apw").as_deref(), Some("corp_a:pw"));
        for plain in ["corp_a:pw", "100%", "%ff%fe"] {
            assert_eq!(decoded(plain), None, "{plain}");
        }
    }
}
