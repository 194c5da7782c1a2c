//! Where what is declared came from, for the audit: the file of a folder, or who wrote the object in a cluster last.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use super::core::Core;
use crate::{
    desired::folder::SOURCE_FILE,
    model::{
        Kind, ORDERED_BY,
        access::Reason,
        user::{VpnUser, VpnUserStatus},
    },
};

/// Who wrote the users that nobody has looked at since, by name: nothing else is kept of it.
#[derive(Debug, Default)]
pub struct Origins(Mutex<HashMap<String, String>>);

impl Origins {
    fn all(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where a user came from whose spec is another one than its status speaks of.
    pub(super) fn note(&self, user: &VpnUser) {
        let observed = user.status.as_ref().map(|status| status.observed_generation);
        if observed != user.metadata.generation
            && let Some(origin) = of_object(&user.metadata)
        {
            self.all().insert(user.name_any(), origin);
        }
    }

    /// Where a user came from that changed since the last look.
    pub(super) fn take(&self, name: &str) -> Option<String> {
        self.all().remove(name)
    }
}

/// Where the cause of a status lies: with the hold that denies, or with what was changed of the person's own object.
pub(super) async fn of(changed: Option<String>, user: &VpnUser, status: &VpnUserStatus, ctx: &Core) -> Option<String> {
    if status.reason != Some(Reason::Held) {
        return changed;
    }
    let person = ctx.roster.person(&user.spec.corporate_id)?;
    let name = person.live_holds.into_iter().min()?;
    let ordered_by = ctx
        .hold(&name)
        .and_then(|hold| hold.annotations().get(ORDERED_BY).cloned());
    if let Some(by) = ordered_by {
        return Some(format!("hold {name}, ordered by {by}"));
    }
    let place = ctx.desired.place(Kind::VpnHold, &name).await;
    Some(place.map_or_else(|| format!("hold {name}"), |place| format!("hold {name}, {place}")))
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

    #[test]
    fn a_file_or_the_field_manager_that_wrote_the_spec_last_is_named_once() {
        let entry = |manager: &str, time: &str, sub: Option<&str>, fields: serde_json::Value| json!({ "manager": manager, "time": time, "subresource": sub, "fieldsV1": fields, "operation": "Apply" });
        let spec = || json!({ "f:spec": { "f:active": {} } });
        let managed = json!({ "name": "a", "generation": 2, "managedFields": [
            entry("kubectl", "2026-03-15T12:00:00Z", None, spec()),
            entry("argocd", "2026-03-16T12:00:00Z", None, spec()),
            entry("vpn-operator", "2026-03-17T12:00:00Z", Some("status"), json!({ "f:status": {} })),
            entry("labeller", "2026-03-18T12:00:00Z", None, json!({ "f:metadata": {} })),
        ] });
        let filed = json!({ "name": "a", "generation": 2, "annotations": { SOURCE_FILE: "a.yaml" } });
        let origins = Origins::default();
        for (meta, observed, wanted) in [
            (managed.clone(), 1, Some("field manager argocd")),
            (filed, 1, Some("a.yaml")),
            (managed, 2, None),
            (json!({ "name": "a", "generation": 2 }), 1, None),
        ] {
            let mut user: VpnUser = serde_json::from_value(json!({
                "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": meta,
                "spec": { "corporateId": "AB123456" },
            }))
            .unwrap();
            user.status = Some(VpnUserStatus {
                observed_generation: observed,
                ..VpnUserStatus::default()
            });
            origins.note(&user);
            assert_eq!(origins.take("a").as_deref(), wanted);
            assert_eq!(origins.take("a"), None, "once");
        }
    }
}
