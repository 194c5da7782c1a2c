//! What the roster keeps of an object: the few facts that decide, not the object.

use std::{fmt::Write as _, sync::Arc};

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use sha2::{Digest as _, Sha256};

use super::reported::Reported;
use crate::{
    auth::words::Gateways,
    model::{
        LET_GO, OWN, RELEASED,
        access::{HoldSpan, Quota, Reason, Terms, Usage, reason_at},
        corporate_id::{CorporateId, MAX_ACCOUNT_LEN},
        guard::{Feed, KeptTerms, WaitingHold},
        hold::{HoldPhase, VpnHold},
        quantity::Bytes,
        user::{TrafficLimit, VpnUser},
    },
};

/// The account of a user: as declared, or derived from the ID. Lower case, as panels store it and as logins are compared.
#[must_use]
pub fn account_of(user: &VpnUser) -> String {
    match &user.spec.username {
        Some(name) => name.to_ascii_lowercase(),
        None => user.spec.corporate_id.account(),
    }
}

/// What a user object says about access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpecTerms {
    pub(super) active: bool,
    pub(super) valid_from: Option<Timestamp>,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) quota: Option<Quota>,
    pub(super) gateways: Gateways,
}

impl SpecTerms {
    fn of(user: &VpnUser) -> Self {
        let spec = &user.spec;
        Self {
            active: spec.active,
            valid_from: spec.valid_from,
            valid_until: spec.valid_until,
            quota: spec.traffic.as_ref().map(quota_of),
            gateways: Gateways::of(spec.gateways.as_deref()),
        }
    }

    /// What stays in force while a later version is held back.
    pub(super) fn of_kept(kept: &KeptTerms) -> Self {
        Self {
            active: true,
            valid_from: kept.valid_from,
            valid_until: kept.valid_until,
            quota: kept.traffic.as_ref().map(quota_of),
            gateways: Gateways::of(kept.gateways.as_deref()),
        }
    }

    pub(super) fn kept(&self) -> KeptTerms {
        KeptTerms {
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            traffic: self.quota.map(|quota| TrafficLimit {
                limit: Bytes::exact(quota.limit),
                period: quota.period,
            }),
            gateways: self.gateways.names(),
        }
    }

    /// Terms of an object that says this, without holds.
    pub(super) fn alone(&self, deleted: bool, usage: Usage) -> Terms {
        Terms {
            active: self.active,
            deleted,
            conflict: false,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            quota: self.quota,
            usage: if self.quota.is_some() { usage } else { Usage::default() },
            holds: Vec::new(),
        }
    }

    /// Names what the object says about access: the same for the same, whatever else is edited, in every process.
    pub(super) fn key(&self, deleted: bool) -> String {
        let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let quota = self.quota.map(|quota| format!("{}/{:?}", quota.limit, quota.period));
        let gateways = self.gateways.names().map(|mut names| {
            names.sort_unstable();
            names.join(",")
        });
        digest(&format!(
            "{}|{deleted}|{}|{}|{}|{}",
            self.active,
            time(self.valid_from),
            time(self.valid_until),
            quota.unwrap_or_default(),
            gateways.unwrap_or_default(),
        ))
    }

    /// Whether this denies by what it says, where `before` did not. A limit that is used up counts if the limit is another one.
    pub(super) fn denies_unlike(&self, deleted: bool, before: &Self, usage: Usage, now: Timestamp) -> bool {
        match reason_at(&self.alone(deleted, usage), now) {
            Reason::Active => false,
            Reason::OverQuota => self.quota != before.quota,
            _ => true,
        }
    }

    /// Whether a gateway of `before` is none of these.
    pub(super) fn narrows(&self, before: &Self) -> bool {
        !self.gateways.cover(&before.gateways)
    }
}

fn quota_of(traffic: &TrafficLimit) -> Quota {
    Quota {
        limit: traffic.limit.get(),
        period: traffic.period,
    }
}

/// Names a limit and the period in which it is used up.
pub(super) fn usage_key(quota: Quota, now: Timestamp) -> String {
    let start = quota.period.start(now).map(|at| at.to_string());
    digest(&format!(
        "{}|{:?}|{}",
        quota.limit,
        quota.period,
        start.unwrap_or_default()
    ))
}

fn digest(text: &str) -> String {
    let mut hex = String::with_capacity(16);
    for byte in Sha256::digest(text.as_bytes()).iter().take(8) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

pub(super) struct UserFacts {
    pub(super) name: Arc<str>,
    pub(super) id: CorporateId,
    pub(super) account: Arc<str>,
    pub(super) uid: Box<str>,
    pub(super) generation: i64,
    /// Far in the future when the source says nothing: such an object claims last.
    pub(super) created: Timestamp,
    pub(super) deleted: bool,
    /// It carries [`LET_GO`].
    pub(super) let_go: bool,
    pub(super) spec: SpecTerms,
    pub(super) max_devices: Option<u32>,
    pub(super) credential_generation: i64,
    pub(super) imported: bool,
    /// From the status, as it was written last.
    pub(super) reported: Reported,
}

impl UserFacts {
    pub(super) fn of(user: &VpnUser) -> Self {
        let (meta, spec) = (&user.metadata, &user.spec);
        let terms = SpecTerms::of(user);
        Self {
            name: user.name_any().into(),
            id: spec.corporate_id.clone(),
            account: account_of(user).into(),
            uid: uid_of(user),
            generation: meta.generation.unwrap_or(0),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
            deleted: meta.deletion_timestamp.is_some(),
            let_go: user.annotations().get(LET_GO).is_some_and(|value| value == "true"),
            max_devices: spec.max_devices,
            credential_generation: spec.credential_generation,
            imported: spec.credentials_from.is_some(),
            reported: Reported::of(user, &terms.gateways),
            spec: terms,
        }
    }

    /// Whether session ids and client links can carry the account's name.
    pub(super) fn has_usable_account(&self) -> bool {
        (1..=MAX_ACCOUNT_LEN).contains(&self.account.len())
            && self
                .account
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'@' | b'+'))
    }

    /// Who comes first of those that claim the same account or ID.
    pub(super) fn claim(&self) -> (Timestamp, &str) {
        (self.created, &self.name)
    }
}

/// The uid of an object, or its name where the source gives out none.
fn uid_of<K: Resource>(object: &K) -> Box<str> {
    object.meta().uid.clone().unwrap_or_else(|| object.name_any()).into()
}

pub(super) struct HoldFacts {
    pub(super) name: Box<str>,
    pub(super) id: CorporateId,
    pub(super) uid: Box<str>,
    pub(super) span: HoldSpan,
    pub(super) deleted: bool,
    pub(super) released: bool,
    /// The feed that placed it; `None`: it is an order.
    pub(super) feed: Option<Feed>,
    pub(super) source: Box<str>,
    /// The operator keeps the file itself, so that nobody lifts the hold by removing it.
    pub(super) own: bool,
    /// What its status says; `None` before the first report.
    pub(super) reported: Option<Box<ReportedHold>>,
}

/// What the status of a hold says.
pub(super) struct ReportedHold {
    pub(super) phase: HoldPhase,
    pub(super) held_back: Option<WaitingHold>,
    pub(super) lost: Option<WaitingHold>,
}

impl HoldFacts {
    pub(super) fn of(hold: &VpnHold) -> Self {
        let reported = hold.status.as_ref().and_then(|status| {
            Some(Box::new(ReportedHold {
                phase: status.phase?,
                held_back: status.held_back.clone(),
                lost: status.lost.clone(),
            }))
        });
        Self {
            name: hold.name_any().into(),
            id: hold.spec.corporate_id.clone(),
            uid: uid_of(hold),
            span: HoldSpan {
                from: hold.spec.from,
                until: hold.spec.until,
            },
            deleted: hold.metadata.deletion_timestamp.is_some(),
            released: hold.annotations().contains_key(RELEASED),
            feed: Feed::of_source(&hold.spec.source),
            source: hold.spec.source.as_str().into(),
            own: hold.annotations().contains_key(OWN),
            reported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::access::Period;

    fn terms() -> SpecTerms {
        SpecTerms {
            active: true,
            valid_from: None,
            valid_until: None,
            quota: None,
            gateways: Gateways::default(),
        }
    }

    #[test]
    fn the_key_tells_what_is_said_about_access_and_nothing_else() {
        let at = Timestamp::from_second(1_800_000_000).ok();
        let quota = |limit| {
            Some(Quota {
                limit,
                period: Period::Month,
            })
        };
        let names = |names: &[&str]| Gateways::of(Some(&names.iter().map(ToString::to_string).collect::<Vec<_>>()));
        let variants = [
            terms(),
            SpecTerms {
                active: false,
                ..terms()
            },
            SpecTerms {
                valid_from: at,
                ..terms()
            },
            SpecTerms {
                valid_until: at,
                ..terms()
            },
            SpecTerms {
                quota: quota(1),
                ..terms()
            },
            SpecTerms {
                quota: quota(2),
                ..terms()
            },
            SpecTerms {
                gateways: names(&["a", "b"]),
                ..terms()
            },
            SpecTerms {
                gateways: names(&["a"]),
                ..terms()
            },
        ];
        for (at, one) in variants.iter().enumerate() {
            for deleted in [false, true] {
                for (other_at, other) in variants.iter().enumerate() {
                    assert_eq!(one.key(deleted) == other.key(false), at == other_at && !deleted);
                }
            }
        }
        assert_eq!(
            SpecTerms {
                gateways: names(&["b", "a"]),
                ..terms()
            }
            .key(false),
            SpecTerms {
                gateways: names(&["a", "b"]),
                ..terms()
            }
            .key(false)
        );
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let at = Timestamp::from_second(1_800_000_000).ok();
        let one = SpecTerms {
            valid_until: at,
            quota: Some(Quota {
                limit: 5 << 30,
                period: Period::Lifetime,
            }),
            gateways: Gateways::of(Some(&["paris".to_owned()])),
            ..terms()
        };
        assert_eq!(SpecTerms::of_kept(&one.kept()), one);
    }
}
