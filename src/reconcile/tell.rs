//! What is told about a user when its status changes.

use crate::{
    desired::announcement::{Announcement, Tone},
    model::{
        access::Access,
        condition::{Condition, types},
        user::VpnUserStatus,
    },
};

/// What to tell after a status changed from one to the other. Pure, and without secrets: it says what the status says.
pub(super) fn announcements(before: &VpnUserStatus, after: &VpnUserStatus) -> Vec<Announcement> {
    let mut announcements = Vec::new();
    let said = |status: &VpnUserStatus| {
        let granted = condition(status, types::GRANTED).map(|it| it.status.to_string());
        (status.access, status.reason, granted)
    };
    if said(before) != said(after) {
        let granted = condition(after, types::GRANTED);
        let why = granted.map_or("", |condition| &condition.message);
        match after.access {
            // Who cannot log in all the same is told so by the condition that says why.
            Some(Access::Granted) if granted.is_some_and(|it| it.status != "True") => {}
            Some(Access::Granted) => {
                announcements.push(normal("AccessGranted", "Grant", format!("access is granted: {why}")));
            }
            Some(Access::Denied) => {
                announcements.push(normal("AccessDenied", "Deny", format!("access is denied: {why}")));
            }
            None => {}
        }
    }
    if let Some(revocation) = &after.revocation
        && let Some(contained_at) = revocation.contained_at
    {
        let known = before
            .revocation
            .as_ref()
            .filter(|known| known.denied_at == revocation.denied_at);
        if known.is_none_or(|known| known.contained_at.is_none()) {
            let after = contained_at.duration_since(revocation.denied_at).as_secs_f64();
            let note = format!("no session can pass another byte since {after:.3} s after the denial");
            announcements.push(normal("RevocationContained", "Revoke", note));
        }
    }
    if let Some(stalled) = condition(after, types::STALLED)
        && condition(before, types::STALLED).is_none_or(|known| known.reason != stalled.reason)
    {
        announcements.push(Announcement {
            tone: Tone::Warning,
            reason: stalled.reason.clone(),
            action: "Reconcile",
            note: stalled.message.to_string(),
        });
    }
    announcements
}

/// Somebody edited or deleted what the user is handed out, and it was put back.
pub(super) fn restored(name: &str) -> Announcement {
    Announcement {
        tone: Tone::Warning,
        reason: "SecretRestored".into(),
        action: "Restore",
        note: format!("Secret {name} was edited or deleted by somebody else, and was restored"),
    }
}

fn normal(reason: &'static str, action: &'static str, note: String) -> Announcement {
    Announcement {
        tone: Tone::Normal,
        reason: reason.into(),
        action,
        note,
    }
}

fn condition<'a>(status: &'a VpnUserStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}
