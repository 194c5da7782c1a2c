//! Objects that this version cannot read: what can be saved of them, so that a hold denies all the same and a deletion is
//! seen through.

use std::borrow::Cow;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
    serde::{Deserialize, Deserializer, de::DeserializeOwned},
};
use kube::Resource;
use serde_json::{Value, json};

use crate::model::{gateway::VpnGateway, hold::VpnHold, user::VpnUser};

/// An object as it came, and as it was understood.
#[derive(Debug, Clone)]
pub(super) struct Guarded<K> {
    metadata: ObjectMeta,
    pub understood: Result<K, Misunderstood>,
}

/// Why an object was not understood, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Misunderstood {
    pub error: String,
    raw: Value,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
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

impl<K: Resource> Resource for Guarded<K> {
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
        let mut user = json!({
            "apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": raw["metadata"],
            "spec": { "corporateId": raw["spec"]["corporateId"], "active": false },
        });
        // Both are looked at one by one: what either says is needed to prove that access ended.
        for (part, field) in [("spec", "username"), ("spec", "gateways")] {
            if let Some(value) = raw[part].get(field) {
                user[part][field] = value.clone();
            }
        }
        let mut user: Self = serde_json::from_value(user).ok().filter(|_| deleted)?;
        user.status = raw
            .get("status")
            .and_then(|status| Deserialize::deserialize(status).ok());
        Some(user)
    }
}

impl Salvage for VpnHold {
    /// It denies without an end, until it can be read: whoever wrote it meant to keep somebody out.
    fn salvage(raw: &Value, _: bool) -> Option<Self> {
        let hold = |source: &Value| {
            serde_json::from_value(json!({
                "apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": raw["metadata"],
                "spec": { "corporateId": raw["spec"]["corporateId"], "source": source },
            }))
        };
        hold(&raw["spec"]["source"])
            .or_else(|_| hold(&json!("unreadable")))
            .ok()
    }
}

impl Salvage for VpnGateway {
    fn salvage(_: &Value, _: bool) -> Option<Self> {
        None
    }
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
    use crate::model::API_VERSION;

    fn read<K: DeserializeOwned>(kind: &str, metadata: &Value, spec: &Value) -> Guarded<K> {
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
        assert!(hold.understood.unwrap_err().salvage::<VpnHold>(false).is_some());
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
    fn what_can_be_read_is_read() {
        let user = read::<VpnUser>(
            "VpnUser",
            &json!({ "name": "ab123456" }),
            &json!({ "corporateId": "AB123456" }),
        );
        assert!(user.understood.unwrap().spec.active);
    }
}
