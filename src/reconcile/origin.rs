//! Where what is declared came from, for the audit: the file of a folder, or who wrote the object in a cluster last.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use super::core::Core;
use crate::{
    desired::folder::SOURCE_FILE,
    model::{
        ORDERED_BY,
        access::Reason,
        user::{VpnUser, VpnUserStatus},
    },
};

/// Where the cause of a status lies: with the hold that denies, or with the person's own object.
pub(super) fn of(user: &VpnUser, status: &VpnUserStatus, ctx: &Core) -> Option<String> {
    if status.reason == Some(Reason::Held) {
        let person = ctx.roster.person(&user.spec.corporate_id);
        let name = person.and_then(|person| person.live_holds.into_iter().min());
        if let Some(hold) = name.and_then(|name| ctx.hold(&name)) {
            return of_hold(&hold.metadata);
        }
    }
    of_object(&user.metadata)
}

fn of_hold(meta: &ObjectMeta) -> Option<String> {
    let ordered_by = meta.annotations.as_ref().and_then(|all| all.get(ORDERED_BY));
    let name = meta.name.as_deref().unwrap_or_default();
    let by = ordered_by.map(|by| format!("hold {name}, ordered by {by}"));
    by.or_else(|| of_object(meta).map(|place| format!("hold {name}, {place}")))
}

fn of_object(meta: &ObjectMeta) -> Option<String> {
    if let Some(file) = meta.annotations.as_ref().and_then(|all| all.get(SOURCE_FILE)) {
        return Some(file.clone());
    }
    let fields = meta.managed_fields.iter().flatten();
    let of_spec = fields.filter(|entry| {
        let owned = entry.fields_v1.as_ref().map(|fields| &fields.0);
        entry.subresource.is_none() && owned.is_some_and(|owned| owned.get("f:spec").is_some())
    });
    let last = of_spec.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    last.manager.as_ref().map(|manager| format!("field manager {manager}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origin(meta: serde_json::Value) -> Option<String> {
        of_hold(&serde_json::from_value(meta).unwrap())
    }

    #[test]
    fn a_file_an_order_and_a_field_manager_are_named() {
        let annotated = |key: &str, value: &str| json!({ "name": "h", "annotations": { key: value } });
        assert_eq!(
            origin(annotated(SOURCE_FILE, "a.yaml:3")).as_deref(),
            Some("hold h, a.yaml:3")
        );
        assert_eq!(
            origin(annotated(ORDERED_BY, "anna (192.0.2.7)")).as_deref(),
            Some("hold h, ordered by anna (192.0.2.7)")
        );
        let entry = |manager: &str, time: &str, sub: Option<&str>, fields: serde_json::Value| json!({ "manager": manager, "time": time, "subresource": sub, "fieldsV1": fields, "operation": "Apply" });
        let spec = || json!({ "f:spec": { "f:active": {} } });
        let managed = json!({ "name": "h", "managedFields": [
            entry("kubectl", "2026-03-15T12:00:00Z", None, spec()),
            entry("argocd", "2026-03-16T12:00:00Z", None, spec()),
            entry("vpn-operator", "2026-03-17T12:00:00Z", Some("status"), json!({ "f:status": {} })),
            entry("labeller", "2026-03-18T12:00:00Z", None, json!({ "f:metadata": {} })),
        ] });
        assert_eq!(origin(managed).as_deref(), Some("hold h, field manager argocd"));
        assert_eq!(origin(json!({ "name": "h" })), None);
    }
}
