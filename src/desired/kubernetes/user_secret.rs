//! What stands in a user's Secret, and whose a Secret is. Pure.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{Resource as _, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::MANAGED_BY;
use crate::{
    desired::{
        FieldManager,
        connection_secrets::{ConnectionSecret, Profile},
    },
    model::{API_VERSION, user::VpnUser},
};

/// Keys of the Secret. Those of profiles are there where profiles are wanted.
const KEYS: [&str; 6] = [
    "hy2_url",
    "subscription_url",
    USERNAME,
    "password",
    Profile::ALL[0].key(),
    Profile::ALL[1].key(),
];
const USERNAME: &str = "username";

/// What matters of a Secret: its content, and whose it is.
pub(super) type Fingerprint = [u8; 32];

/// Stands for a Secret that is not there.
pub(super) const NOTHING: Fingerprint = [0; 32];

/// Why a Secret is not the user's to write; `None` if it is: the user owns it, or it was made for this account, by what stands
/// in it, and lost its owner to an edit, or to a backup that was put back before its user.
pub(super) fn stranger(user: &VpnUser, account: &str, secret: &Secret) -> Option<String> {
    if let Some(owner) = controller(secret) {
        let is_kind = owner.kind == VpnUser::kind(&()) && owner.api_version == API_VERSION;
        let is_users = user.uid().as_ref() == Some(&owner.uid) || (is_kind && owner.name == user.name_any());
        return (!is_users).then(|| format!("it is owned by the {} {}", owner.kind, owner.name));
    }
    let (label, value) = MANAGED_BY;
    let labelled = secret.labels().get(label).is_some_and(|it| it == value);
    let manager = Some(FieldManager::Operator.as_str());
    let made = secret
        .managed_fields()
        .iter()
        .any(|entry| entry.manager.as_deref() == manager);
    let username = secret.data.as_ref().and_then(|data| data.get(USERNAME));
    let is_made = (labelled || made) && username.is_some_and(|it| it.0 == account.as_bytes());
    (!is_made).then(|| "the operator did not make it".to_owned())
}

pub(super) fn controller(secret: &Secret) -> Option<&OwnerReference> {
    let mut owners = secret.owner_references().iter();
    owners.find(|owner| owner.controller == Some(true))
}

/// The owners of a Secret with the user as the one that controls it. Others that want it to stay are left.
pub(super) fn owners(user: &VpnUser, secret: &Secret) -> Vec<OwnerReference> {
    let uid = user.uid().unwrap_or_default();
    let others = secret.owner_references().iter();
    let others = others.filter(|owner| owner.controller != Some(true) && owner.uid != uid);
    let mut owners: Vec<OwnerReference> = others.cloned().collect();
    owners.push(OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: VpnUser::kind(&()).into_owned(),
        name: user.name_any(),
        uid,
        controller: Some(true),
        block_owner_deletion: None,
    });
    owners
}

/// The Secret as it is made.
pub(super) fn new(user: &VpnUser, name: &str, content: &ConnectionSecret) -> Secret {
    let (label, value) = MANAGED_BY;
    let mut secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(label.to_owned(), value.to_owned())])),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(data(content).collect()),
        ..Secret::default()
    };
    secret.metadata.owner_references = Some(owners(user, &secret));
    secret
}

/// What makes a Secret as it should be. Keys of others go, and those of profiles that are not wanted any more; their labels, annotations and references stay.
pub(super) fn change(user: &VpnUser, content: &ConnectionSecret, there: &Secret) -> serde_json::Value {
    let wanted: BTreeMap<String, ByteString> = data(content).collect();
    let unwanted = |key: &&String| !wanted.contains_key(*key);
    let foreign = there.data.iter().flat_map(BTreeMap::keys).filter(unwanted);
    let mut values: serde_json::Map<_, _> = foreign.map(|key| (key.clone(), serde_json::Value::Null)).collect();
    values.extend(wanted.iter().map(|(key, value)| (key.clone(), json!(value))));
    let (label, value) = MANAGED_BY;
    json!({
        "metadata": {
            "uid": there.uid(),
            "resourceVersion": there.resource_version(),
            "labels": { label: value },
            "ownerReferences": owners(user, there),
        },
        "data": values,
    })
}

fn data(content: &ConnectionSecret) -> impl Iterator<Item = (String, ByteString)> {
    let values = KEYS.into_iter().zip(values(content));
    values.filter_map(|(key, value)| Some((key.to_owned(), ByteString(value?.as_bytes().to_vec()))))
}

fn is_key(key: &str) -> bool {
    KEYS.contains(&key)
}

fn values(content: &ConnectionSecret) -> [Option<&str>; 6] {
    let profile = |wanted| {
        let mut profiles = content.profiles.iter();
        let found = profiles.find(|(profile, _)| *profile == wanted);
        found.map(|(_, document)| document.expose_secret())
    };
    let [sing_box, mihomo] = Profile::ALL.map(profile);
    [
        Some(content.hy2_url.expose_secret()),
        Some(content.subscription_url.expose_secret()),
        Some(&content.username),
        Some(content.password.expose_secret()),
        sing_box,
        mihomo,
    ]
}

/// As it is.
pub(super) fn found(secret: &Secret) -> Fingerprint {
    let data = secret.data.as_ref();
    let value = |key: &str| data.and_then(|data| data.get(key)).map(|value| value.0.as_slice());
    let foreign = data.is_some_and(|data| data.keys().any(|key| !is_key(key)));
    let owner = controller(secret).map_or("", |owner| &owner.uid);
    fingerprint(owner, foreign, KEYS.map(value))
}

/// As it should be.
pub(super) fn wanted(user: &VpnUser, content: &ConnectionSecret) -> Fingerprint {
    let uid = user.uid().unwrap_or_default();
    fingerprint(&uid, false, values(content).map(|value| value.map(str::as_bytes)))
}

/// Of the owner, the values, and whether there are keys of others.
fn fingerprint(owner: &str, foreign: bool, values: [Option<&[u8]>; 6]) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update([u8::from(foreign)]);
    for part in [Some(owner.as_bytes())].into_iter().chain(values) {
        // Lengths keep one value from passing for two.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "corp_ab123456";

    fn user() -> VpnUser {
        serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": "VpnUser", "metadata": { "name": "ab123456", "uid": "u-1" },
            "spec": { "corporateId": "AB123456" },
        }))
        .unwrap()
    }

    fn owner(api: &str, kind: &str, name: &str, uid: &str) -> serde_json::Value {
        json!({ "apiVersion": api, "kind": kind, "name": name, "uid": uid, "controller": true })
    }

    fn secret(metadata: &serde_json::Value, username: &str) -> Secret {
        let data = json!({ "username": ByteString(username.as_bytes().to_vec()), "note": ByteString(b"x".to_vec()) });
        serde_json::from_value(json!({ "metadata": metadata, "data": data })).unwrap()
    }

    #[test]
    fn a_secret_is_the_users_by_its_owner_or_by_who_made_it_and_for_whom() {
        let labels = json!({ "app.kubernetes.io/managed-by": "vpn-operator" });
        let made = json!([{ "manager": "vpn-operator", "operation": "Update" }]);
        let is_users = |metadata: serde_json::Value, username: &str| {
            stranger(&user(), ACCOUNT, &secret(&metadata, username)).is_none()
        };
        let owned = |owner: serde_json::Value| json!({ "ownerReferences": [owner] });
        assert!(is_users(
            owned(owner(API_VERSION, "VpnUser", "ab123456", "u-1")),
            "edited"
        ));
        assert!(
            is_users(owned(owner(API_VERSION, "VpnUser", "ab123456", "u-0")), ACCOUNT),
            "restored"
        );
        assert!(!is_users(
            owned(owner(API_VERSION, "VpnUser", "cd123456", "u-2")),
            ACCOUNT
        ));
        assert!(!is_users(
            owned(owner("apps/v1", "Deployment", "ab123456", "u-3")),
            ACCOUNT
        ));
        assert!(
            is_users(json!({ "labels": labels.clone() }), ACCOUNT),
            "its owner was taken away"
        );
        assert!(is_users(json!({ "managedFields": made }), ACCOUNT), "and its label");
        assert!(!is_users(json!({ "labels": labels }), "of somebody else"));
        assert!(!is_users(json!({}), ACCOUNT), "a copy");
    }

    #[test]
    fn a_change_takes_out_foreign_keys_and_leaves_references_of_others() {
        let mut there = secret(&json!({ "uid": "s-1", "resourceVersion": "7" }), ACCOUNT);
        there.metadata.owner_references = serde_json::from_value(json!([
            owner(API_VERSION, "VpnUser", "ab123456", "u-0"),
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "backup", "uid": "u-9" },
        ]))
        .unwrap();
        let content = ConnectionSecret {
            hy2_url: "link".into(),
            subscription_url: "subscription".into(),
            username: ACCOUNT.to_owned(),
            password: "password".into(),
            profiles: vec![(Profile::SingBox, "{}".into())],
        };
        let kept = ByteString(b"old".to_vec());
        let data = there.data.as_mut().unwrap();
        data.extend(Profile::ALL.map(|profile| (profile.key().to_owned(), kept.clone())));
        let change = change(&user(), &content, &there);
        assert_eq!(
            change["data"]["mihomo.yaml"],
            serde_json::Value::Null,
            "not wanted any more"
        );
        assert_eq!(change["data"]["sing-box.json"], json!(ByteString(b"{}".to_vec())));
        assert_eq!(change["data"]["note"], serde_json::Value::Null);
        assert_eq!(change["data"].as_object().unwrap().len(), 7);
        assert_eq!(
            (&change["metadata"]["uid"], &change["metadata"]["resourceVersion"]),
            (&json!("s-1"), &json!("7"))
        );
        let owners = change["metadata"]["ownerReferences"].as_array().unwrap();
        let uids: Vec<&str> = owners.iter().map(|owner| owner["uid"].as_str().unwrap()).collect();
        assert_eq!(uids, ["u-9", "u-1"]);
    }
}
