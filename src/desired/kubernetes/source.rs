//! The source itself: watches, reads and writes.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt as _, future::ready};
use k8s_openapi::{NamespaceResourceScope, serde::de::DeserializeOwned};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    runtime::watcher,
};
use serde_json::json;

use super::{
    call::{Subject, apply, apply_status, call, create, fenced},
    finalizer,
    lenient::{Lenient, Salvage},
    owned::{is_claimed_by_default, kept_by_others, patched},
    source_status::SourceStatus,
    watching::watch,
};
use crate::{
    clock::SharedClock,
    desired::{
        DesiredError, DesiredState, Event, Events, FieldManager, HoldNotes, Result, SourceHealth, UserPatch, Version,
        Watches,
    },
    fence::Fence,
    model::{
        API_VERSION, FINALIZER, RELEASED,
        gateway::{VpnGateway, VpnGatewayStatus},
        hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
        hr::HrMarks,
        user::{VpnUser, VpnUserSpec, VpnUserStatus},
    },
};

const USER: &str = "VpnUser";
const HOLD: &str = "VpnHold";
const GATEWAY: &str = "VpnGateway";

/// How often a name is looked at before it counts as taken: what is in the way may be the same, or on its way out.
const LOOKS: usize = 2;

/// Desired state in one namespace.
pub struct KubernetesSource {
    users: Api<VpnUser>,
    /// Holds are lifted, and their places are taken, whether or not this version can read them.
    holds: Api<Lenient<VpnHold>>,
    gateways: Api<VpnGateway>,
    client: Client,
    namespace: String,
    source_status: Arc<SourceStatus>,
    fence: Fence,
}

impl KubernetesSource {
    /// The source of a namespace. Nothing is asked yet. What the reconciler writes is written only while the fence is open;
    /// what people ask for may be written by any process.
    #[must_use]
    pub fn new(client: &Client, namespace: &str, fence: &Fence, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self {
            users: Api::namespaced(client.clone(), namespace),
            holds: Api::namespaced(client.clone(), namespace),
            gateways: Api::namespaced(client.clone(), namespace),
            client: client.clone(),
            namespace: namespace.to_owned(),
            source_status: SourceStatus::new(clock),
            fence: fence.clone(),
        })
    }

    fn events<K>(&self, kind: &'static str) -> Events<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Salvage
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let api: Api<Lenient<K>> = Api::namespaced(self.client.clone(), &self.namespace);
        let source_status = Arc::clone(&self.source_status);
        watch(api, None)
            .filter_map(move |event| {
                ready(match event {
                    Ok(event) => {
                        source_status.works(kind);
                        readable(event, kind, &source_status)
                    }
                    Err(error) => {
                        source_status.fails(kind, &error);
                        None
                    }
                })
            })
            .boxed()
    }
}

/// An event with what can be understood of its object. One that cannot be read is noted and said, and stands in the way of no
/// other.
fn readable<K>(event: watcher::Event<Lenient<K>>, kind: &'static str, source_status: &SourceStatus) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Salvage,
{
    let read = |object: Lenient<K>, event: fn(K) -> Event<K>| {
        let name = object.meta().name.clone().unwrap_or_default();
        match object.understood {
            Ok(object) => {
                source_status.readable(kind, &name);
                event(object)
            }
            Err(misunderstood) => {
                source_status.unreadable(kind, &name, &misunderstood.error);
                misunderstood.salvage(false).map_or(Event::Unreadable(name), event)
            }
        }
    };
    match event {
        watcher::Event::Init => {
            source_status.listing(kind);
            Some(Event::Init)
        }
        watcher::Event::InitDone => {
            source_status.listed(kind);
            Some(Event::InitDone)
        }
        watcher::Event::InitApply(object) => Some(read(object, Event::InitApply)),
        watcher::Event::Apply(object) => Some(read(object, Event::Apply)),
        watcher::Event::Delete(object) => {
            source_status.readable(kind, object.meta().name.as_deref().unwrap_or_default());
            // Of one whose name tells nobody nothing was ever in force. What was known of it before is gone with the next list.
            let salvaged = object.understood.or_else(|it| it.salvage(true).ok_or(()));
            salvaged.ok().map(Event::Delete)
        }
    }
}

fn exists(kind: &'static str, name: &str) -> DesiredError {
    let name = name.to_owned();
    DesiredError::AlreadyExists { kind, name }
}

/// What the API server would say of an object whose deletion is under way.
fn being_deleted(kind: &'static str, name: &str) -> DesiredError {
    DesiredError::Conflict {
        kind,
        name: name.to_owned(),
        message: "it is being deleted: try again when it is gone".to_owned(),
    }
}

const fn user(name: &str) -> Subject<'_> {
    Subject { kind: USER, name }
}

const fn hold(name: &str) -> Subject<'_> {
    Subject { kind: HOLD, name }
}

#[async_trait]
impl DesiredState for KubernetesSource {
    fn watch(&self) -> Watches {
        Watches {
            users: self.events(USER),
            holds: self.events(HOLD),
            gateways: self.events(GATEWAY),
        }
    }

    fn health(&self) -> SourceHealth {
        self.source_status.health()
    }

    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        call(user(name), self.users.get_opt(name)).await
    }

    async fn create_user(&self, name: &str, spec: VpnUserSpec, manager: FieldManager) -> Result<VpnUser> {
        let mut refused = None;
        for _ in 0..LOOKS {
            match self.get_user(name).await? {
                Some(there) if there.metadata.deletion_timestamp.is_some() => return Err(being_deleted(USER, name)),
                Some(there) if there.spec == spec => return Ok(there),
                Some(_) => return Err(exists(USER, name)),
                None => {}
            }
            let wanted = VpnUser::new(name, spec.clone());
            match create(&self.users, user(name), &wanted, manager).await {
                // Somebody else declared it at this very moment, maybe otherwise: look again.
                Err(error @ DesiredError::AlreadyExists { .. }) => refused = Some(error),
                other => return other,
            }
        }
        Err(refused.unwrap_or_else(|| exists(USER, name)))
    }

    async fn patch_user(&self, name: &str, patch: UserPatch, manager: FieldManager) -> Result<VpnUser> {
        let present = self.get_user(name).await?.ok_or_else(|| DesiredError::NotFound {
            kind: USER,
            name: name.to_owned(),
        })?;
        let marks = HrMarks::of(present.metadata.annotations.as_ref());
        if patch.applied_to(&present.spec) == present.spec && patch.marks_on(&present) == marks {
            return Ok(present);
        }
        let force = is_claimed_by_default(&present, &patch, manager);
        let body = patched(&present, &patch, manager);
        let written = apply(&self.users, user(name), &body, manager, force).await?;
        match kept_by_others(&written, &patch) {
            Some(message) => Err(DesiredError::NotEditable {
                name: name.to_owned(),
                message,
            }),
            None => Ok(written),
        }
    }

    async fn delete_user(&self, name: &str, _: FieldManager) -> Result<()> {
        call(user(name), self.users.delete(name, &DeleteParams::default()))
            .await
            .map(drop)
    }

    async fn create_hold(
        &self,
        name: &str,
        spec: VpnHoldSpec,
        notes: HoldNotes<'_>,
        manager: FieldManager,
    ) -> Result<VpnHold> {
        let api: Api<VpnHold> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut refused = None;
        for _ in 0..LOOKS {
            match call(hold(name), self.holds.get_opt(name)).await? {
                Some(there) if there.meta().deletion_timestamp.is_some() => return Err(being_deleted(HOLD, name)),
                Some(Lenient {
                    understood: Ok(there), ..
                }) if there.spec == spec => return Ok(there),
                Some(_) => return Err(exists(HOLD, name)),
                None => {}
            }
            let mut wanted = VpnHold::new(name, spec.clone());
            wanted.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
            wanted.metadata.annotations = Some(notes.annotations());
            match create(&api, hold(name), &wanted, manager).await {
                Err(error @ DesiredError::AlreadyExists { .. }) => refused = Some(error),
                other => return other,
            }
        }
        Err(refused.unwrap_or_else(|| exists(HOLD, name)))
    }

    async fn lift_hold(&self, name: &str, manager: FieldManager) -> Result<()> {
        let there = call(hold(name), self.holds.get_metadata(name)).await?;
        let marked = there.annotations().get(RELEASED).is_some_and(|value| value == "true");
        if !marked {
            let params = PatchParams {
                field_manager: Some(manager.as_str().to_owned()),
                ..PatchParams::default()
            };
            let mark = json!({ "metadata": { "uid": there.uid(), "annotations": { RELEASED: "true" } } });
            call(
                hold(name),
                self.holds.patch_metadata(name, &params, &Patch::Merge(mark)),
            )
            .await?;
        }
        let this_one = DeleteParams::default().preconditions(Preconditions {
            uid: there.uid(),
            resource_version: None,
        });
        match call(hold(name), self.holds.delete(name, &this_one)).await {
            Ok(_) | Err(DesiredError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        self.remove_hold_finalizer(name).await
    }

    async fn report_user(&self, of: &VpnUser, status: VpnUserStatus) -> Result<Version> {
        let name = of.name_any();
        let body = json!({
            "apiVersion": API_VERSION, "kind": USER, "metadata": { "name": name, "uid": of.uid() }, "status": status,
        });
        let written = fenced(&self.fence, apply_status(&self.users, user(&name), &body)).await?;
        Ok(Version::of(&written))
    }

    async fn report_hold(&self, of: &VpnHold, status: VpnHoldStatus) -> Result<()> {
        let name = of.name_any();
        let body = json!({
            "apiVersion": API_VERSION, "kind": HOLD, "metadata": { "name": name, "uid": of.uid() }, "status": status,
        });
        fenced(&self.fence, apply_status(&self.holds, hold(&name), &body))
            .await
            .map(drop)
    }

    async fn report_gateway(&self, of: &VpnGateway, status: VpnGatewayStatus) -> Result<()> {
        let name = of.name_any();
        let body = json!({
            "apiVersion": API_VERSION, "kind": GATEWAY, "metadata": { "name": name, "uid": of.uid() }, "status": status,
        });
        let subject = Subject {
            kind: GATEWAY,
            name: &name,
        };
        fenced(&self.fence, apply_status(&self.gateways, subject, &body))
            .await
            .map(drop)
    }

    async fn add_user_finalizer(&self, user: &VpnUser) -> Result<()> {
        fenced(&self.fence, finalizer::put_on(&self.users, USER, user)).await
    }

    async fn add_hold_finalizer(&self, hold: &VpnHold) -> Result<()> {
        fenced(&self.fence, finalizer::put_on(&self.holds, HOLD, hold)).await
    }

    async fn add_gateway_finalizer(&self, gateway: &VpnGateway) -> Result<()> {
        fenced(&self.fence, finalizer::put_on(&self.gateways, GATEWAY, gateway)).await
    }

    async fn delete_gateway(&self, name: &str) -> Result<()> {
        let subject = Subject { kind: GATEWAY, name };
        call(subject, self.gateways.delete(name, &DeleteParams::default()))
            .await
            .map(drop)
    }

    async fn remove_user_finalizer(&self, name: &str) -> Result<()> {
        fenced(&self.fence, finalizer::take_off(&self.users, USER, name)).await
    }

    async fn remove_hold_finalizer(&self, name: &str) -> Result<()> {
        finalizer::take_off(&self.holds, HOLD, name).await
    }

    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()> {
        fenced(&self.fence, finalizer::take_off(&self.gateways, GATEWAY, name)).await
    }
}
