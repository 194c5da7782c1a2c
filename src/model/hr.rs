//! What events of the HR system leave on objects: the moment that orders them, so that an older event never undoes a newer one,
//! and who cleared `spec.active`.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Annotation with the moment by which an event of HR is ordered. Of a hold: of the event that placed it. Of a user: of the
/// newest activation.
pub const HR_EVENT_AT: &str = "vpn-operator.io/hr-event-at";
/// Annotation of a user with the moment of the newest change of the role by HR.
pub const HR_ROLE_AT: &str = "vpn-operator.io/hr-role-at";
/// Annotation of a user whose `spec.active` was cleared by an event of HR, with the moment of the newest deactivation, so that a
/// later activation by HR may set it back.
pub const HR_INACTIVE_AT: &str = "vpn-operator.io/hr-inactive-at";

/// Every annotation of a user that HR's events leave.
pub const HR_MARKS: [&str; 3] = [HR_EVENT_AT, HR_ROLE_AT, HR_INACTIVE_AT];

/// What HR's events left on a user beside its spec.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HrMarks {
    /// See [`HR_EVENT_AT`].
    pub event_at: Option<Timestamp>,
    /// See [`HR_ROLE_AT`].
    pub role_at: Option<Timestamp>,
    /// See [`HR_INACTIVE_AT`].
    pub inactive_at: Option<Timestamp>,
}

/// A change of [`HrMarks`]. A moment that is older than the one that is there changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HrMarksPatch {
    /// New [`HrMarks::event_at`].
    pub event_at: Option<Timestamp>,
    /// New [`HrMarks::role_at`].
    pub role_at: Option<Timestamp>,
    /// New [`HrMarks::inactive_at`].
    pub inactive_at: Option<Timestamp>,
}

impl HrMarks {
    /// The marks in annotations. What cannot be read is none.
    #[must_use]
    pub fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let moment = |name| hr_moment(annotations, name);
        Self {
            event_at: moment(HR_EVENT_AT),
            role_at: moment(HR_ROLE_AT),
            inactive_at: moment(HR_INACTIVE_AT),
        }
    }

    /// The annotations that say this.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let moments = [
            (HR_EVENT_AT, self.event_at),
            (HR_ROLE_AT, self.role_at),
            (HR_INACTIVE_AT, self.inactive_at),
        ];
        let moments = moments.into_iter();
        moments
            .filter_map(|(name, at)| Some((name.to_owned(), at?.to_string())))
            .collect()
    }

    /// The marks after a change of a user that is active, or not, from then on. Whoever is active was not made inactive by HR.
    #[must_use]
    pub fn patched(self, patch: HrMarksPatch, active: bool) -> Self {
        Self {
            event_at: self.event_at.max(patch.event_at),
            role_at: self.role_at.max(patch.role_at),
            inactive_at: self.inactive_at.max(patch.inactive_at).filter(|_| !active),
        }
    }
}

/// The moment in an annotation of this name.
#[must_use]
pub fn hr_moment(annotations: Option<&BTreeMap<String, String>>, name: &str) -> Option<Timestamp> {
    annotations?.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_moments_only_rise() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let patch = HrMarksPatch {
            event_at: at("2026-05-01T10:00:00.25Z"),
            inactive_at: at("2026-05-01T10:00:00.25Z"),
            ..HrMarksPatch::default()
        };
        let marks = HrMarks::default().patched(patch, false);
        assert_eq!(HrMarks::of(Some(&marks.annotations())), marks);
        let older = HrMarksPatch {
            event_at: at("2026-05-01T09:00:00Z"),
            role_at: at("2026-05-01T09:00:00Z"),
            ..HrMarksPatch::default()
        };
        let later = marks.patched(older, false);
        assert_eq!(
            (later.event_at, later.role_at, later.inactive_at),
            (marks.event_at, older.role_at, marks.inactive_at)
        );
        assert!(
            later.patched(HrMarksPatch::default(), true).inactive_at.is_none(),
            "somebody set it back"
        );
        assert_eq!(HrMarks::default().annotations(), BTreeMap::new());
        let odd = [
            (HR_EVENT_AT.to_owned(), "yesterday".to_owned()),
            (HR_INACTIVE_AT.to_owned(), "yes".to_owned()),
        ];
        assert_eq!(HrMarks::of(Some(&odd.into())), HrMarks::default());
    }
}
