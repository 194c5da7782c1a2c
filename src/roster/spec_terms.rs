//! What a user object says about access, apart from everything else that it says.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::{
    auth::words::Gateways,
    model::{
        access::{Quota, Reason, Terms, Usage, reason_at},
        guard::KeptTerms,
        quantity::Bytes,
        traffic::TrafficLimit,
        user::VpnUser,
    },
};

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
    pub(super) fn of(user: &VpnUser) -> Self {
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
            active: kept.active,
            valid_from: kept.valid_from,
            valid_until: kept.valid_until,
            quota: kept.traffic.as_ref().map(quota_of),
            gateways: Gateways::of(kept.gateways.as_deref()),
        }
    }

    pub(super) fn kept(&self) -> KeptTerms {
        KeptTerms {
            active: self.active,
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
        // A deletion is the same whatever the object said: a record that was put back may have another version.
        if deleted {
            return "deleted".to_owned();
        }
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

    /// Whether this denies at some time from now on, whatever else happens.
    pub(super) fn may_deny(&self, deleted: bool, now: Timestamp) -> bool {
        deleted || !self.active || self.valid_until.is_some() || self.valid_from.is_some_and(|from| now < from)
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
            active: false,
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
