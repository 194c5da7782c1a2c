//! Objects are read even when this version does not understand them: what can be saved of them is, so that a hold denies all
//! the same and a deletion is seen through.

use std::borrow::Cow;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    serde::{Deserialize, Deserializer, de::DeserializeOwned},
};
use kube::Resource;
use serde_json::{Value, json};

use crate::model::{
    corporate_id::CorporateId,
    gateway::{VpnGateway, VpnGatewaySpec},
    hold::{VpnHold, VpnHoldSpec, id_in_name},
    syntax,
    user::VpnUser,
};

/// The source of a hold that does not say who holds: nobody's feed.
const UNKNOWN_SOURCE: &str = "unreadable";

/// An object as it came, and as it was understood.
#[derive(Debug, Clone)]
pub(super) struct Lenient<K> {
    metadata: ObjectMeta,
    pub understood: Result<K, Misunderstood>,
}

/// Why an object was not understood, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Misunderstood {
    pub error: String,
    raw: Value,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let metadata = raw.get("metadata").map(ObjectMeta::deserialize).transpose();
        let metadata = metadata
            .map_err(k8s_openapi::serde::de::Error::custom)?
            .unwrap_or_default();
        let understood = K::deserialize(&raw).map_err(|error| Misunderstood {
            error: error.to_string(),
            raw,
        });
        Ok(Self { metadata, understood })
    }
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }
    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }
    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }
    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A kind of which something can be saved.
pub(super) trait Salvage: Sized {
    /// The object with what must not be lost of it; `None` when there is nothing, and what was known of it stays.
    fn salvage(raw: &Value, leaves: bool) -> Option<Self>;
}

impl Salvage for VpnUser {
    /// One that is being deleted, or was. What else somebody meant by it cannot be told.
    fn salvage(raw: &Value, leaves: bool) -> Option<Self> {
        let deleted = leaves || raw["metadata"].get("deletionTimestamp").is_some();
        let id = id(raw).or_else(|| CorporateId::of_object_name(name(raw)))?;
        let bare = json!({
            "apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": raw["metadata"],
            "spec": { "corporateId": id, "active": false },
        });
        let mut full = bare.clone();
        // Both are looked at one by one: what either says is needed to prove that access ended.
        for (part, field) in [("spec", "username"), ("spec", "gateways")] {
            if let Some(value) = raw[part].get(field) {
                full[part][field] = value.clone();
            }
        }
        let read = serde_json::from_value(full).ok();
        // Of one that is gone the name says enough.
        let read = read.or_else(|| serde_json::from_value(bare).ok().filter(|_| leaves));
        let mut user: Self = read.filter(|_| deleted)?;
        user.status = status(raw);
        Some(user)
    }
}

impl Salvage for VpnHold {
    /// It denies without an end, until it can be read: whoever wrote it meant to keep somebody out.
    fn salvage(raw: &Value, _: bool) -> Option<Self> {
        let source = raw["spec"]["source"].as_str().filter(|it| syntax::SOURCE.accepts(it));
        Some(Self {
            metadata: metadata(raw)?,
            spec: VpnHoldSpec {
                corporate_id: id(raw).or_else(|| id_in_name(name(raw)))?,
                source: source.unwrap_or(UNKNOWN_SOURCE).to_owned(),
                reason: None,
                from: None,
                until: None,
            },
            status: status(raw),
        })
    }
}

impl Salvage for VpnGateway {
    /// One that is gone, of which the name says enough.
    fn salvage(raw: &Value, leaves: bool) -> Option<Self> {
        let spec = VpnGatewaySpec {
            hysteria: None,
            blitz: None,
        };
        let metadata = metadata(raw).filter(|_| leaves)?;
        Some(Self {
            metadata,
            spec,
            status: None,
        })
    }
}

fn name(raw: &Value) -> &str {
    raw["metadata"]["name"].as_str().unwrap_or_default()
}

fn id(raw: &Value) -> Option<CorporateId> {
    CorporateId::deserialize(&raw["spec"]["corporateId"]).ok()
}

fn metadata(raw: &Value) -> Option<ObjectMeta> {
    ObjectMeta::deserialize(&raw["metadata"]).ok()
}

fn status<S: DeserializeOwned>(raw: &Value) -> Option<S> {
    S::deserialize(raw.get("status")?).ok()
}

impl Misunderstood {
    /// What can be saved of the object; `leaves` says that it is gone.
    pub fn salvage<K: Salvage>(&self, leaves: bool) -> Option<K> {
        K::salvage(&self.raw, leaves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{API_VERSION, guard::Feed, hold::HoldPhase};

    fn read<K: DeserializeOwned>(kind: &str, metadata: &Value, spec: &Value) -> Lenient<K> {
        let object = json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_hold_that_cannot_be_read_denies_without_an_end() {
        let spec = json!({ "corporateId": "AB123456", "source": "hr", "until": "the day after", "new": 1 });
        let hold = read::<VpnHold>("VpnHold", &json!({ "name": "hr-x-ab123456", "uid": "u" }), &spec);
        assert_eq!(hold.meta().name.as_deref(), Some("hr-x-ab123456"));
        let saved: VpnHold = hold.understood.unwrap_err().salvage(false).unwrap();
        assert_eq!((saved.spec.source.as_str(), saved.spec.until), ("hr", None));
        assert_eq!(saved.metadata.uid.as_deref(), Some("u"));
        let spec = json!({ "corporateId": "AB123456", "source": ["hr"] });
        let hold = read::<VpnHold>("VpnHold", &json!({ "name": "x" }), &spec);
        let saved: VpnHold = hold.understood.unwrap_err().salvage(false).unwrap();
        assert_eq!(
            Feed::of_source(&saved.spec.source),
            None,
            "nobody knows who holds: an order"
        );
    }

    #[test]
    fn whom_a_hold_denies_is_told_by_its_name_when_nothing_else_does() {
        let spec = json!({ "corporateId": ["AB123456"], "source": "helpdesk" });
        let saved = |name: &str| {
            let hold = read::<VpnHold>("VpnHold", &json!({ "name": name }), &spec);
            hold.understood.unwrap_err().salvage::<VpnHold>(false)
        };
        let hold = saved("helpdesk-lost-ab123456").unwrap();
        assert_eq!(hold.spec.corporate_id, CorporateId::parse("AB123456").unwrap());
        assert_eq!(hold.spec.source, "helpdesk");
        assert!(saved("laptop").is_none());
    }

    #[test]
    fn what_was_reported_of_a_hold_stays_known() {
        let object = |status: &Value| {
            let object = json!({
                "apiVersion": API_VERSION, "kind": "VpnHold", "metadata": { "name": "hr-x-ab123456" },
                "spec": { "corporateId": "AB123456", "source": "hr", "new": 1 }, "status": status,
            });
            let hold: Lenient<VpnHold> = serde_json::from_value(object).unwrap();
            hold.understood.unwrap_err().salvage::<VpnHold>(false).unwrap()
        };
        let status = object(&json!({ "phase": "Live" })).status.unwrap();
        assert_eq!(status.phase, Some(HoldPhase::Live));
        assert!(object(&json!({ "phase": "Sleeping" })).status.is_none());
    }

    #[test]
    fn of_a_user_that_cannot_be_read_only_the_end_is_understood() {
        let spec = json!({ "corporateId": "AB123456", "new": 1, "gateways": ["ams"] });
        let user = read::<VpnUser>("VpnUser", &json!({ "name": "ab123456" }), &spec);
        let misunderstood = user.understood.unwrap_err();
        assert!(misunderstood.salvage::<VpnUser>(false).is_none());
        let gone: VpnUser = misunderstood.salvage(true).unwrap();
        assert!(!gone.spec.active && gone.spec.gateways == Some(vec!["ams".to_owned()]));
        let metadata = json!({ "name": "ab123456", "deletionTimestamp": "2026-01-01T00:00:00Z" });
        let tombstone = read::<VpnUser>("VpnUser", &metadata, &spec);
        assert!(tombstone.understood.unwrap_err().salvage::<VpnUser>(false).is_some());
    }

    #[test]
    fn of_what_is_gone_the_name_is_enough() {
        let spec = json!({ "corporateId": 7, "username": 7 });
        let user = read::<VpnUser>("VpnUser", &json!({ "name": "ab123456" }), &spec);
        let user: VpnUser = user.understood.unwrap_err().salvage(true).unwrap();
        assert_eq!(user.spec.corporate_id.key(), "ab123456");
        let gateway = read::<VpnGateway>("VpnGateway", &json!({ "name": "ams" }), &json!({ "new": 1 }));
        let misunderstood = gateway.understood.unwrap_err();
        assert!(misunderstood.salvage::<VpnGateway>(true).is_some());
        assert!(
            misunderstood.salvage::<VpnGateway>(false).is_none(),
            "what was known of it stays"
        );
    }

    #[test]
    fn what_can_be_read_is_read() {
        let user = read::<VpnUser>(
            "VpnUser",
            &json!({ "name": "ab123456" }),
            &json!({ "corporateId": "AB123456" }),
        );
        assert!(user.understood.unwrap().spec.active);
    }
}
