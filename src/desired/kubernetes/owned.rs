//! What a field manager owns of an object: the base of every further apply under its name.
//!
//! Server-side apply takes away what a manager applied earlier and leaves out now. A change of one field therefore has to
//! repeat the others that the manager applied.

use kube::ResourceExt;
use serde_json::{Map, Value, json};

use crate::{
    desired::{FieldManager, UserPatch},
    model::{API_VERSION, user::VpnUser},
};

/// What `kubectl apply` keeps its last manifest in, and its field manager.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const KUBECTL: &str = "kubectl-client-side-apply";

/// The configuration that changes single fields of a user and keeps everything else that `manager` applied.
///
/// `active: true` is what counts where nobody says anything. So a manager that had set it to false only lets go of it: one
/// that insisted on true would be in the way of whoever declares the user.
pub(super) fn patched(user: &VpnUser, patch: &UserPatch, manager: FieldManager) -> Value {
    let present = serde_json::to_value(&user.spec).unwrap_or_default();
    let mut spec: Map<String, Value> = applied_fields(user, manager)
        .filter_map(|field| Some((field.to_owned(), present.get(field)?.clone())))
        .collect();
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            spec.insert(field.to_owned(), value);
        }
    };
    set("active", patch.active.map(Value::from));
    set("role", patch.role.as_deref().map(Value::from));
    set("credentialGeneration", patch.credential_generation.map(Value::from));
    set("subscriptionGeneration", patch.subscription_generation.map(Value::from));
    if patch.active == Some(true) && applied_fields(user, manager).any(|field| field == "active") {
        spec.remove("active");
    }
    let mut metadata = json!({ "name": user.name_any(), "uid": user.uid() });
    // The marks are this manager's alone, and said anew each time.
    if manager == FieldManager::Hr
        && let Value::Object(fields) = &mut metadata
    {
        let marks = patch.marks_on(user).annotations();
        if !marks.is_empty() {
            fields.insert("annotations".to_owned(), json!(marks));
        }
    }
    json!({ "apiVersion": API_VERSION, "kind": "VpnUser", "metadata": metadata, "spec": spec })
}

/// Names of the fields of the spec that a manager applied.
fn applied_fields(user: &VpnUser, manager: FieldManager) -> impl Iterator<Item = &str> {
    user.metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(move |entry| {
            entry.manager.as_deref() == Some(manager.as_str())
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.as_deref().unwrap_or_default().is_empty()
        })
        .filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:spec")?.as_object())
        .flat_map(Map::keys)
        .filter_map(|key| key.strip_prefix("f:"))
}

/// Whether a change may take its fields over from whoever owns them: they only have them because who creates an object, or
/// uses `kubectl apply` without `--server-side`, claims also what the API server filled in. What a manifest itself says is
/// left to its owner; what the operator's own managers want other than that they apply. Events of HR take fields over from the
/// operator's own managers alone.
pub(super) fn is_claimed_by_default(user: &VpnUser, patch: &UserPatch, manager: FieldManager) -> bool {
    if !patch.changes_spec() {
        return false;
    }
    let annotations = user.metadata.annotations.as_ref();
    let applied = annotations.and_then(|all| all.get(LAST_APPLIED));
    let applied: Option<Value> = applied.and_then(|applied| serde_json::from_str(applied).ok());
    let fields = [
        patch.active.map(|_| "active"),
        patch.role.as_ref().map(|_| "role"),
        patch.credential_generation.map(|_| "credentialGeneration"),
        patch.subscription_generation.map(|_| "subscriptionGeneration"),
    ];
    fields.into_iter().flatten().all(|field| {
        let says = |applied: &Value| applied.get("spec").and_then(|spec| spec.get(field)).is_some();
        let said = applied.as_ref().is_none_or(says);
        let claim = format!("f:{field}");
        let mut owners = user.metadata.managed_fields.iter().flatten().filter(|entry| {
            let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.get("f:spec"));
            fields.is_some_and(|fields| fields.get(&claim).is_some())
        });
        owners.all(|entry| match entry.manager.as_deref() {
            Some(KUBECTL) => !said && manager != FieldManager::Hr,
            Some(manager) => entry.operation.as_deref() == Some("Update") && FieldManager::is_one(manager),
            None => false,
        })
    })
}

/// What a change could not change although nothing refused it: who lets go of a value leaves it to the others that want it
/// as well. For people.
pub(super) fn kept_by_others(written: &VpnUser, patch: &UserPatch) -> Option<String> {
    let spec = &written.spec;
    let fields = [
        ("active", patch.active.is_some_and(|it| it != spec.active)),
        ("role", patch.role.is_some() && patch.role != spec.role),
        (
            "credentialGeneration",
            patch
                .credential_generation
                .is_some_and(|it| it != spec.credential_generation),
        ),
        (
            "subscriptionGeneration",
            patch
                .subscription_generation
                .is_some_and(|it| it != spec.subscription_generation),
        ),
    ];
    let (field, _) = fields.into_iter().find(|(_, differs)| *differs)?;
    let claim = format!("f:{field}");
    let owns = |fields: &Value| fields.get("f:spec").is_some_and(|fields| fields.get(&claim).is_some());
    let mut owners: Vec<&str> = written
        .managed_fields()
        .iter()
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| owns(&fields.0)))
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    owners.dedup();
    let owners = owners.join(", ");
    Some(format!(
        "spec.{field} stays as it is, because {owners} set it too: change it there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_repeats_what_the_manager_applied_and_nothing_else() {
        let user: VpnUser = serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": "VpnUser",
            "metadata": { "name": "ab123456", "uid": "u-1", "managedFields": [
                { "manager": "vpn-operator-api", "operation": "Apply", "apiVersion": API_VERSION, "fieldsType": "FieldsV1",
                  "fieldsV1": { "f:spec": { "f:corporateId": {}, "f:active": {} } } },
                { "manager": "vpn-operator-api", "operation": "Update", "apiVersion": API_VERSION, "fieldsType": "FieldsV1",
                  "fieldsV1": { "f:spec": { "f:email": {} } } },
                { "manager": "vpn-operator-api", "operation": "Apply", "subresource": "status", "apiVersion": API_VERSION,
                  "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:role": {} } } },
                { "manager": "git", "operation": "Apply", "apiVersion": API_VERSION, "fieldsType": "FieldsV1",
                  "fieldsV1": { "f:spec": { "f:owner": {} } } } ] },
            "spec": { "corporateId": "AB123456", "owner": "Anna", "email": "anna@example.com", "role": "engineer" },
        }))
        .unwrap();
        let off = UserPatch {
            active: Some(false),
            ..UserPatch::default()
        };
        let body = patched(&user, &off, FieldManager::Api);
        assert_eq!(body["spec"], json!({ "corporateId": "AB123456", "active": false }));
        assert_eq!(body["metadata"], json!({ "name": "ab123456", "uid": "u-1" }));
        assert_eq!(
            patched(&user, &off, FieldManager::Hr)["spec"],
            json!({ "active": false })
        );
        let on = UserPatch {
            active: Some(true),
            ..UserPatch::default()
        };
        assert_eq!(
            patched(&user, &on, FieldManager::Api)["spec"],
            json!({ "corporateId": "AB123456" }),
            "it lets go of what it had set"
        );
        assert_eq!(
            patched(&user, &on, FieldManager::Hr)["spec"],
            json!({ "active": true }),
            "what somebody else had set has to be changed"
        );
    }

    fn applied(manifest: &Value, manager: &str) -> VpnUser {
        serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": "VpnUser",
            "metadata": { "name": "ab123456", "annotations": { LAST_APPLIED: manifest.to_string() }, "managedFields": [
                { "manager": manager, "operation": "Update", "apiVersion": API_VERSION, "fieldsType": "FieldsV1",
                  "fieldsV1": { "f:spec": { "f:corporateId": {}, "f:active": {} } } } ] },
            "spec": { "corporateId": "AB123456" },
        }))
        .unwrap()
    }

    #[test]
    fn what_kubectl_claims_without_saying_it_may_be_taken_over() {
        let off = UserPatch {
            active: Some(false),
            ..UserPatch::default()
        };
        let silent = json!({ "spec": { "corporateId": "AB123456" } });
        let says = json!({ "spec": { "corporateId": "AB123456", "active": true } });
        assert!(is_claimed_by_default(
            &applied(&silent, KUBECTL),
            &off,
            FieldManager::Api
        ));
        assert!(!is_claimed_by_default(
            &applied(&says, KUBECTL),
            &off,
            FieldManager::Api
        ));
        assert!(
            !is_claimed_by_default(&applied(&silent, KUBECTL), &off, FieldManager::Hr),
            "HR takes nothing from people"
        );
        assert!(!is_claimed_by_default(
            &applied(&silent, "kubectl-edit"),
            &off,
            FieldManager::Api
        ));
        let mut created = applied(&says, "vpn-operator-api");
        created.metadata.annotations = None;
        assert!(
            is_claimed_by_default(&created, &off, FieldManager::Hr),
            "whom the API declared, HR may deny"
        );
        for entry in created.metadata.managed_fields.iter_mut().flatten() {
            entry.operation = Some("Apply".to_owned());
        }
        assert!(
            !is_claimed_by_default(&created, &off, FieldManager::Api),
            "what the API wanted so"
        );
    }

    #[test]
    fn a_value_that_others_want_too_is_told_with_their_names() {
        let manifest = json!({});
        let mut user = applied(&manifest, "flux");
        user.spec.active = false;
        let on = UserPatch {
            active: Some(true),
            ..UserPatch::default()
        };
        let told = kept_by_others(&user, &on).unwrap();
        assert!(told.contains("spec.active") && told.contains("flux"), "{told}");
        user.spec.active = true;
        assert_eq!(kept_by_others(&user, &on), None);
    }
}
