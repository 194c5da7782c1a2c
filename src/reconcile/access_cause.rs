//! Who stands behind a change of access, as far as desired state tells: which hold of whom, which file, which field manager.
//!
//! Taken from objects as they were last seen, for each change alone: never by looking at anybody else.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{ResourceExt as _, api::ObjectMeta, runtime::reflector::ObjectRef};

use super::core::Core;
use crate::{
    model::{Kind, ORDERED_BY, access::Reason, hold::VpnHold, hr::HR_EVENT_AT},
    roster::AccessChange,
};

/// Most holds of which it is told who placed them; the names of all are told anyway.
const MOST_HOLDS: usize = 5;

/// Most characters of a text that somebody gave.
const MOST_TEXT: usize = 200;

/// Who stands behind a change, for people; `None` where it was time, traffic, or nobody that is known here.
pub(super) async fn cause(ctx: &Core, change: &AccessChange) -> Option<String> {
    match change.reason {
        Reason::Held => {
            let mut told = Vec::new();
            for name in change.holds.iter().take(MOST_HOLDS) {
                if let Some(hold) = ctx.holds.get(&ObjectRef::new(name).within(&ctx.namespace)) {
                    told.push(of_hold(ctx, &hold).await);
                }
            }
            (!told.is_empty()).then(|| told.join("; "))
        }
        Reason::OverQuota => None,
        // A hold that is gone, or traffic, stood in the way: the object says nothing about that.
        Reason::Active | Reason::GuardHeldBack if matches!(change.before, Some(Reason::Held | Reason::OverQuota)) => {
            None
        }
        _ => of_user(ctx, &change.user).await,
    }
}

async fn of_hold(ctx: &Core, hold: &VpnHold) -> String {
    let name = hold.name_any();
    let note = |key: &str| hold.annotations().get(key).map(|text| cut(text));
    let by = match note(ORDERED_BY) {
        Some(by) => format!(", ordered by {by}"),
        None => match ctx.desired.place(Kind::VpnHold, &name).await {
            Some(file) => format!(", in {file}"),
            None => String::new(),
        },
    };
    let event = note(HR_EVENT_AT).map_or_else(String::new, |at| format!(", by the HR event of {at}"));
    format!("{name} is of {}{by}{event}", hold.spec.source)
}

async fn of_user(ctx: &Core, name: &str) -> Option<String> {
    if let Some(file) = ctx.desired.place(Kind::VpnUser, name).await {
        return Some(format!("declared in {file}"));
    }
    let user = ctx.user(name)?;
    let last = user.metadata.managed_fields.as_ref()?.first()?;
    let manager = cut(last.manager.as_deref()?);
    let at = last
        .time
        .as_ref()
        .map_or_else(String::new, |at| format!(" at {}", at.0));
    Some(format!("the spec was last written by {manager}{at}"))
}

fn cut(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

/// Leaves of the managed fields who wrote the spec last, and when.
pub(super) fn keep_last_writer(meta: &mut ObjectMeta) {
    let of_spec = |entry: &ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0.get("f:spec").is_some())
    };
    let entries = meta.managed_fields.take().unwrap_or_default().into_iter();
    let last = entries
        .filter(of_spec)
        .max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    meta.managed_fields = last.map(|entry| {
        vec![ManagedFieldsEntry {
            manager: entry.manager,
            time: entry.time,
            ..ManagedFieldsEntry::default()
        }]
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_the_managed_fields_the_last_writer_of_the_spec_is_kept() {
        let mut meta: ObjectMeta = serde_json::from_value(json!({ "name": "ab123456", "managedFields": [
            { "manager": "argocd", "operation": "Apply", "time": "2026-03-15T10:00:00Z", "fieldsV1": { "f:spec": { "f:active": {} } } },
            { "manager": "kubectl-edit", "operation": "Update", "time": "2026-03-15T11:00:00Z", "fieldsV1": { "f:spec": { "f:active": {} } } },
            { "manager": "vpn-operator", "operation": "Apply", "time": "2026-03-15T12:00:00Z", "fieldsV1": { "f:status": {} } },
        ] }))
        .unwrap();
        keep_last_writer(&mut meta);
        let kept = meta.managed_fields.clone().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].manager.as_deref(), Some("kubectl-edit"));
        assert_eq!(kept[0].fields_v1, None, "the fields are larger than the object");
        meta.managed_fields = None;
        keep_last_writer(&mut meta);
        assert_eq!(meta.managed_fields, None);
    }
}
