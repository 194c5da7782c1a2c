//! What conditions say to people.

use crate::{
    model::{access::Reason, condition::texts},
    roster::Person,
};

/// A password that is not known yet.
pub(super) const PENDING: &str = "the password in spec.credentialsFrom is being read";

/// A gateway that keeps accounts itself has not shown the account yet.
pub(super) const AWAITED: &str = "waiting for the gateways to show the account";

/// A password that cannot be read.
pub(super) fn unreadable(why: &str) -> String {
    format!("the password in spec.credentialsFrom cannot be read: {why}")
}

/// Whether logins are accepted.
pub(super) fn granted(person: &Person) -> String {
    why(person.effective.reason, &person.live_holds)
}

/// A decision in words.
pub(in crate::reconcile) fn why(reason: Reason, holds: &[String]) -> String {
    match reason {
        Reason::Active | Reason::GuardHeldBack => texts::ACCEPTED.into(),
        Reason::Held => texts::held_by(holds),
        Reason::Inactive => texts::INACTIVE.into(),
        Reason::NotYetValid => "spec.validFrom is still to come".to_owned(),
        Reason::Expired => texts::EXPIRED.into(),
        Reason::OverQuota => "the traffic limit of the period is used up".to_owned(),
        Reason::Deleted => "the VpnUser is being deleted".to_owned(),
        Reason::Conflict => "another VpnUser had the account first".to_owned(),
    }
}
