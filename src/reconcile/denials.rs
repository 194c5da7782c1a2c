//! One line in the log for everybody who loses access, or would without the guard: who, why, and by whose order.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::plan::why;
use crate::{
    model::{access::Reason, hold::VpnHold},
    roster::{Loss, Transition},
};

/// Most lines about one batch. The audit has everybody.
const LINES: usize = 100;

/// Most characters of a text that somebody gave.
const TEXT: usize = 200;

/// Orders that are being given: who gave them, by the name of the hold. A hold itself says only by which way in it came.
#[derive(Default)]
pub struct Orders(Mutex<HashMap<String, String>>);

impl Orders {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody is about to place this hold.
    pub fn begins(&self, hold: &str, by: &str) {
        self.lock().insert(hold.to_owned(), by.to_owned());
    }

    /// The order was carried out, or could not be. Answers whether a line told of it already.
    pub fn ends(&self, hold: &str) -> bool {
        self.lock().remove(hold).is_none()
    }

    /// Who gave this order; asked once, when it is told.
    fn take(&self, hold: &str) -> Option<String> {
        self.lock().remove(hold)
    }
}

/// What is told of one loss.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    id: String,
    reason: &'static str,
    held_back: bool,
    by: String,
    why: String,
}

/// Tells of every loss among the transitions.
pub(super) fn tell(transitions: &[Transition], orders: &Orders, hold: impl Fn(&str) -> Option<Arc<VpnHold>>) {
    let mut losses = transitions
        .iter()
        .filter_map(|it| Some((it.user.as_str(), it.loss.as_deref()?)));
    for (user, loss) in losses.by_ref().take(LINES) {
        let line = line(user, loss, orders, &hold);
        let Line {
            id, reason, by, why, ..
        } = &line;
        if line.held_back {
            tracing::warn!(
                corporate_id = id,
                reason,
                ?by,
                ?why,
                "a denial is held back by the guard: access goes on"
            );
        } else {
            tracing::info!(corporate_id = id, reason, ?by, ?why, "access is denied");
        }
    }
    let (mut denied, mut held_back) = (0usize, 0usize);
    for (_, loss) in losses {
        for name in &loss.holds {
            orders.take(name);
        }
        if loss.held_back {
            held_back += 1;
        } else {
            denied += 1;
        }
    }
    if denied + held_back > 0 {
        tracing::warn!(
            denied,
            held_back,
            "and so many more at the same moment: the audit and `vpn-operator user list` have everybody"
        );
    }
}

fn line(user: &str, loss: &Loss, orders: &Orders, hold: impl Fn(&str) -> Option<Arc<VpnHold>>) -> Line {
    let mut given = Vec::new();
    let mut by = Vec::new();
    for name in &loss.holds {
        let object = hold(name);
        let source = object
            .as_ref()
            .map_or_else(String::new, |it| format!(" of {}", it.spec.source));
        let who = orders
            .take(name)
            .map_or_else(String::new, |who| format!(", by {}", cut(&who)));
        by.push(format!("hold {name}{source}{who}"));
        given.extend(object.and_then(|it| it.spec.reason.as_deref().map(cut)));
    }
    let from_holds = !by.is_empty() && matches!(loss.reason, Reason::Held);
    Line {
        id: loss.corporate_id.to_string(),
        reason: loss.reason.as_str(),
        held_back: loss.held_back,
        by: if from_holds {
            by.join("; ")
        } else {
            match loss.reason {
                Reason::OverQuota => "the traffic limit".to_owned(),
                Reason::Expired | Reason::NotYetValid => format!("the clock, and VpnUser {user}"),
                _ => format!("VpnUser {user}"),
            }
        },
        why: if from_holds && !given.is_empty() {
            given.join("; ")
        } else if loss.reason == Reason::Active {
            "a gateway would be taken away".to_owned()
        } else {
            why(loss.reason, &loss.holds)
        },
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{corporate_id::CorporateId, hold::VpnHoldSpec};

    fn loss(reason: Reason, holds: &[&str], held_back: bool) -> Loss {
        Loss {
            corporate_id: CorporateId::parse("AB123456").unwrap(),
            reason,
            holds: holds.iter().map(ToString::to_string).collect(),
            held_back,
        }
    }

    fn placed(name: &str) -> Arc<VpnHold> {
        let spec = VpnHoldSpec {
            corporate_id: CorporateId::parse("AB123456").unwrap(),
            source: "api".to_owned(),
            reason: Some("laptop lost\nat night".to_owned()),
            from: None,
            until: None,
        };
        Arc::new(VpnHold::new(name, spec))
    }

    #[test]
    fn a_line_says_who_gave_the_order_and_why_and_an_order_is_told_once() {
        let orders = Orders::default();
        orders.begins("api-deactivated-ab123456", "192.0.2.7");
        let held = loss(Reason::Held, &["api-deactivated-ab123456"], false);
        let told = line("ab123456", &held, &orders, |name| Some(placed(name)));
        assert_eq!(told.by, "hold api-deactivated-ab123456 of api, by 192.0.2.7");
        assert_eq!((told.reason, told.why.as_str()), ("Held", "laptop lost\nat night"));
        assert!(orders.ends("api-deactivated-ab123456"), "the line told of it");
        orders.begins("api-deactivated-ab123456", "192.0.2.7");
        assert!(!orders.ends("api-deactivated-ab123456"), "nobody lost anything by it");
        assert_eq!(
            line("ab123456", &held, &orders, |_| None).why,
            "held by api-deactivated-ab123456"
        );
    }

    #[test]
    fn every_other_way_out_is_named_too() {
        let orders = Orders::default();
        let told = |reason, held_back| {
            let line = line("ab123456", &loss(reason, &[], held_back), &orders, |_| None);
            (line.by, line.why)
        };
        for (reason, by, why) in [
            (Reason::Inactive, "VpnUser ab123456", "spec.active is false"),
            (Reason::Deleted, "VpnUser ab123456", "the VpnUser is being deleted"),
            (
                Reason::Expired,
                "the clock, and VpnUser ab123456",
                "spec.validUntil has passed",
            ),
            (
                Reason::OverQuota,
                "the traffic limit",
                "the traffic limit of the period is used up",
            ),
            (Reason::Active, "VpnUser ab123456", "a gateway would be taken away"),
        ] {
            assert_eq!(told(reason, true), (by.to_owned(), why.to_owned()));
        }
    }
}
