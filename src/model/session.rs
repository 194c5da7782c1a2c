//! Session ids: the name under which a Hysteria node knows one login.

use std::fmt;

/// A generation of sessions of one account. Raised by every revocation and rotation, so that a left-over kick can never
/// hit a later, permitted session. Its number is the UTC time of the raise in milliseconds; `Epoch(0)` is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// The `id` of an auth answer: `<account>.<epoch>.<slot>`, the epoch in base 36.
///
/// Account names have no dot, so the text is read back without doubt.
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
    /// Reads an id of ours; `None` for any other text.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let (account, epoch, slot) = (parts.next()?, parts.next()?, parts.next()?);
        if account.is_empty() || parts.next().is_some() || epoch.starts_with('+') || slot.starts_with('+') {
            return None;
        }
        Some(Self {
            account,
            epoch: Epoch(u64::from_str_radix(epoch, 36).ok()?),
            slot: slot.parse().ok()?,
        })
    }
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
