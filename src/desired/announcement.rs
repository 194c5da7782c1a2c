//! What a source can do besides keeping desired state: tell what happened.

use std::borrow::Cow;

use crate::model::user::VpnUser;

/// Whether an announcement is good or bad news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Something that happened to a user, for people who look at the object. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Whether it is good or bad news.
    pub tone: Tone,
    /// A constant in `CamelCase`.
    pub reason: Cow<'static, str>,
    /// What was done, as a constant in `CamelCase`.
    pub action: &'static str,
    /// For people.
    pub note: String,
}

/// Tells what happened. In Kubernetes with Events.
pub trait Announcer: Send + Sync + 'static {
    /// Tells it soon, or not at all when there is too much to tell. Never waits.
    fn announce(&self, user: &VpnUser, announcement: Announcement);
}
