//! What clients show of traffic and the end of access.

use std::fmt::Write as _;

/// Traffic and end of access, as clients show them.
pub(super) struct UserInfo {
    /// Bytes from the user and to the user.
    pub(super) used: (u64, u64),
    /// Bytes allowed in the period.
    pub(super) limit: Option<u64>,
    /// When access ends.
    pub(super) expires: Option<jiff::Timestamp>,
}

impl UserInfo {
    /// The value of the header `Subscription-Userinfo`. An end that does not come is left out, because many show 0 as January 1970;
    /// with `all_four` it is 0, for clients that read nothing otherwise.
    pub(super) fn header(&self, all_four: bool) -> String {
        let (upload, download) = self.used;
        let total = self.limit.unwrap_or_default();
        let mut header = format!("upload={upload}; download={download}; total={total}");
        let end = self.expires.map(jiff::Timestamp::as_second);
        if let Some(end) = end.or(all_four.then_some(0)) {
            // Writing to a string cannot fail.
            let _ = write!(header, "; expire={end}");
        }
        header
    }
}
