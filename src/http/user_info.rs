//! What clients show of traffic and the end of access.

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
    /// The value of the header `Subscription-Userinfo`.
    pub(super) fn header(&self) -> String {
        let (upload, download) = self.used;
        let total = self.limit.unwrap_or_default();
        let expire = self.expires.map(jiff::Timestamp::as_second).unwrap_or_default();
        format!("upload={upload}; download={download}; total={total}; expire={expire}")
    }
}
