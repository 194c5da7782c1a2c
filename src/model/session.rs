//! Session ids: the name under which a Hysteria node knows one login.

use std::fmt;

use super::syntax::is_account_byte;

/// A generation of sessions of one account. Raised by every revocation and rotation, so that a left-over kick can never
/// hit a later, permitted session. Its number is the UTC time of the raise in milliseconds; `Epoch(0)` is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// The `id` of an auth answer: `<account>.<epoch>.<slot>`, the epoch in base 36.
///
/// Account names are of `[a-z0-9_]`, without a dot, so the text is read back without doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId<'a> {
    /// Account on the gateway.
    pub account: &'a str,
    /// Generation of sessions.
    pub epoch: Epoch,
    /// Number of the session within account and epoch, from 0.
    pub slot: u32,
}

impl<'a> SessionId<'a> {
    /// Reads an id of ours; `None` for any other text, also for one that means the same in another spelling.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (account, epoch, slot) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = !account.is_empty() && account.bytes().all(is_account_byte) && parts.next().is_none();
        if !ours || !is_number(epoch, 36) || !is_number(slot, 10) {
            return None;
        }
        Some(Self {
            account,
            epoch: Epoch(u64::from_str_radix(epoch, 36).ok()?),
            slot: slot.parse().ok()?,
        })
    }
}

/// Whether a text is a number as it is written here: lower-case, without sign and leading zeros.
fn is_number(text: &str, radix: u32) -> bool {
    (text == "0" || !text.starts_with('0')) && text.chars().all(|c| c.is_digit(radix) && !c.is_ascii_uppercase())
}

impl fmt::Display for SessionId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0u8; 13];
        let mut at = digits.len();
        let mut rest = self.epoch.0;
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
            if rest == 0 {
                break;
            }
        }
        let epoch = std::str::from_utf8(&digits[at..]).map_err(|_| fmt::Error)?;
        write!(f, "{}.{epoch}.{}", self.account, self.slot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_read_back(account in "[a-z0-9_]{1,64}", epoch in any::<u64>(), slot in any::<u32>()) {
            for epoch in [Epoch(epoch), Epoch(epoch % 40), Epoch(u64::MAX)] {
                let id = SessionId { account: &account, epoch, slot };
                let text = id.to_string();
                prop_assert_eq!(SessionId::parse(&text), Some(id));
            }
        }

        #[test]
        fn what_is_read_is_written_the_same(text in prop_oneof![
            "[a-zA-Z0-9_.+-]{0,12}", "[a-c_]{0,2}\\.[0-9a-zA-Z+-]{0,14}\\.[0-9a+-]{0,11}(\\.[0-9]?)?", any::<String>(),
        ]) {
            if let Some(id) = SessionId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn foreign_ids_are_not_ours() {
        for text in [
            "",
            "anna",
            "anna.1",
            "anna.1.2.3",
            ".1.2",
            "anna..2",
            "anna.1.",
            "anna.+1.2",
            "anna.1.+2",
            "anna.1.-2",
            "anna.A.2",
            "anna.01.2",
            "anna.1.02",
            "Anna.1.2",
            "an-na.1.2",
            "anna.3w5e11264sgsg.0",
            "anna.1.4294967296",
            "anna.1.a",
            "user@example.com",
            "anna.\u{e9}.1",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
        assert_eq!(
            SessionId::parse("anna.0.0").map(|id| (id.epoch, id.slot)),
            Some((Epoch(0), 0))
        );
    }
}
