//! The holds of HR that stand against a person, and when HR activated one last.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{HrDesk, SOURCE};
use crate::{
    access::{Dependencies, Result},
    inbox::order::Standing,
    model::{
        access::HoldSpan,
        corporate_id::CorporateId,
        hold::VpnHold,
        hr::{HR_EVENT_AT, HrMarks, hr_moment},
        user::VpnUser,
    },
};

/// Where a hold stands, as the roster sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Auth refuses because of it.
    Live,
    /// The guard holds it back.
    HeldBack,
    /// A person decided that it is not to deny.
    Rejected,
    /// It is there, and begins later.
    Later,
}

impl Dependencies {
    /// Holds of HR about a person, in the order of their names.
    pub(super) fn standing(&self, id: &CorporateId) -> Vec<Standing> {
        let person = self.people.person(id);
        let names = person
            .iter()
            .flat_map(|it| [&it.live_holds, &it.held_back_holds, &it.other_holds])
            .flatten();
        let holds = names.filter_map(|name| self.directory.hold(name));
        let of_hr = |hold: &Arc<VpnHold>| hold.spec.source == SOURCE && hold.metadata.deletion_timestamp.is_none();
        let standing = holds.filter(of_hr).filter_map(|hold| {
            Some(Standing {
                name: hold.metadata.name.clone()?,
                at: said_at(&hold),
                span: HoldSpan {
                    from: hold.spec.from,
                    until: hold.spec.until,
                },
            })
        });
        let mut standing: Vec<Standing> = standing.collect();
        standing.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        standing
    }

    /// Whether a person rejected this hold.
    pub(super) fn is_rejected(&self, id: &CorporateId, hold: &str) -> bool {
        self.seen_now(id, hold) == Some(Seen::Rejected)
    }

    /// Where a hold stands now.
    pub(super) fn seen_now(&self, id: &CorporateId, hold: &str) -> Option<Seen> {
        let person = self.people.person(id)?;
        let among = |names: &[String]| names.iter().any(|name| name == hold);
        if among(&person.live_holds) {
            Some(Seen::Live)
        } else if among(&person.rejected_holds) {
            Some(Seen::Rejected)
        } else if among(&person.held_back_holds) {
            Some(Seen::HeldBack)
        } else {
            None
        }
    }

    /// Waits, for a bounded time, until the roster has taken a hold in.
    pub(super) async fn hold_seen(&self, id: &CorporateId, hold: &str, later: bool) -> Option<Seen> {
        let wait = self.settings.denial_wait;
        let look = || {
            let others = || {
                self.people
                    .person(id)
                    .map(|person| person.other_holds)
                    .unwrap_or_default()
            };
            let is_there = || later && self.directory.hold(hold).is_some() && others().iter().any(|name| name == hold);
            self.seen_now(id, hold).or_else(|| is_there().then_some(Seen::Later))
        };
        self.until(wait, look).await
    }

    /// When HR activated the person last: as the inbox has it, or as the person's own object does.
    pub(super) async fn activated_at(
        &self,
        desk: &HrDesk,
        id: &CorporateId,
        user: Option<&VpnUser>,
    ) -> Result<Option<Timestamp>> {
        let kept = desk.inbox.activated_at(id.key().to_owned()).await?;
        let marked = user.and_then(|user| HrMarks::of(user.metadata.annotations.as_ref()).event_at);
        Ok(kept.max(marked))
    }
}

/// The moment by which the event is ordered that placed a hold. One that nobody noted it of was placed through the API: it is as
/// old as the object, of which only the second is known.
pub(super) fn said_at(hold: &VpnHold) -> Timestamp {
    let created = || {
        let created = hold.metadata.creation_timestamp.as_ref().map(|at| at.0)?;
        created.checked_add(SignedDuration::from_micros(999_999)).ok()
    };
    hr_moment(hold.metadata.annotations.as_ref(), HR_EVENT_AT)
        .or_else(created)
        .unwrap_or(Timestamp::MAX)
}
