//! A source in memory: no files, no cluster. For tests and experiments; it forgets everything at its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, ResourceExt as _};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::{
    DesiredError, DesiredState, Event, Events, FieldManager, HoldNotes, Result, SourceHealth, UserPatch, Version,
    Watches,
};
use crate::model::{
    FINALIZER,
    gateway::{VpnGateway, VpnGatewaySpec, VpnGatewayStatus},
    hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
    hr::{HR_MARKS, HrMarks},
    user::{VpnUser, VpnUserSpec, VpnUserStatus},
};

/// Desired state in memory, with the manners of an API server.
#[derive(Default)]
pub struct MemorySource(Mutex<State>);

#[derive(Default)]
struct State {
    users: Shelf<VpnUser>,
    holds: Shelf<VpnHold>,
    gateways: Shelf<VpnGateway>,
    version: u64,
    health: SourceHealth,
}

struct Shelf<K> {
    objects: BTreeMap<String, K>,
    watcher: Option<UnboundedSender<Event<K>>>,
}

impl<K> Default for Shelf<K> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            watcher: None,
        }
    }
}

impl<K: Resource<DynamicType = ()> + Clone + Send + 'static> Shelf<K> {
    fn watch(&mut self) -> Events<K> {
        let (sender, mut events) = unbounded_channel();
        let first = [Event::Init]
            .into_iter()
            .chain(self.objects.values().cloned().map(Event::InitApply));
        for event in first.chain([Event::InitDone]) {
            // The receiver is right here.
            drop(sender.send(event));
        }
        self.watcher = Some(sender);
        stream::poll_fn(move |context| events.poll_recv(context)).boxed()
    }

    fn send(&self, event: Event<K>) {
        if let Some(watcher) = &self.watcher {
            // Nobody listens any more: nobody has to know.
            drop(watcher.send(event));
        }
    }

    /// Stores an object under a new resource version; `changed` raises its generation too.
    fn put(&mut self, version: u64, mut object: K, changed: bool) -> K {
        let meta = object.meta_mut();
        meta.resource_version = Some(version.to_string());
        meta.generation = Some(meta.generation.unwrap_or(0) + i64::from(changed));
        self.objects.insert(object.name_any(), object.clone());
        self.send(Event::Apply(object.clone()));
        object
    }

    fn get(&self, name: &str) -> Result<K> {
        self.objects.get(name).cloned().ok_or_else(|| missing::<K>(name))
    }

    fn bury(&mut self, version: u64, name: &str) -> Result<()> {
        let mut object = self.get(name)?;
        if object.meta().deletion_timestamp.is_none() {
            object.meta_mut().deletion_timestamp = Some(Time(Timestamp::now()));
            self.put(version, object, true);
        }
        Ok(())
    }

    fn forget(&mut self, name: &str) -> bool {
        let object = self.objects.remove(name);
        let found = object.is_some();
        if let Some(object) = object {
            self.send(Event::Delete(object));
        }
        found
    }

    /// Lets go of a tombstone; a living object stays.
    fn release(&mut self, name: &str) {
        if self
            .objects
            .get(name)
            .is_some_and(|object| object.meta().deletion_timestamp.is_some())
        {
            self.forget(name);
        }
    }
}

fn missing<K: Resource<DynamicType = ()>>(name: &str) -> DesiredError {
    DesiredError::NotFound {
        kind: match &*K::kind(&()) {
            "VpnUser" => "VpnUser",
            "VpnHold" => "VpnHold",
            _ => "VpnGateway",
        },
        name: name.to_owned(),
    }
}

fn meta(version: u64, name: &str, old: Option<&ObjectMeta>) -> ObjectMeta {
    let mut meta = old.cloned().unwrap_or_else(|| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some("default".to_owned()),
        uid: Some(format!("00000000-0000-4000-8000-{version:012x}")),
        creation_timestamp: Some(Time(Timestamp::now())),
        finalizers: Some(vec![FINALIZER.to_owned()]),
        ..ObjectMeta::default()
    });
    meta.deletion_timestamp = None;
    meta
}

fn set_marks(user: &mut VpnUser, marks: HrMarks) {
    let mut annotations = user.metadata.annotations.take().unwrap_or_default();
    annotations.retain(|name, _| !HR_MARKS.contains(&name.as_str()));
    annotations.extend(marks.annotations());
    user.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
}

impl MemorySource {
    /// An empty source.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> (MutexGuard<'_, State>, u64) {
        let mut state = self.lock();
        state.version += 1;
        let version = state.version;
        (state, version)
    }

    /// Declares a user, or changes it, as a person with an editor would. Cancels a tombstone.
    pub fn put_user(&self, name: &str, spec: VpnUserSpec) -> VpnUser {
        let (mut state, version) = self.next();
        let old = state.users.objects.get(name);
        let mut object = VpnUser {
            metadata: meta(version, name, old.map(|old| &old.metadata)),
            status: old.and_then(|old| old.status.clone()),
            spec,
        };
        let marks = UserPatch::default().marks_on(&object);
        set_marks(&mut object, marks);
        state.users.put(version, object, true)
    }

    /// Declares a hold.
    pub fn put_hold(&self, name: &str, spec: VpnHoldSpec) -> VpnHold {
        self.put_hold_of(name, spec, None)
    }

    fn put_hold_of(&self, name: &str, spec: VpnHoldSpec, notes: Option<HoldNotes<'_>>) -> VpnHold {
        let (mut state, version) = self.next();
        let old = state.holds.objects.get(name);
        let mut metadata = meta(version, name, old.map(|old| &old.metadata));
        if let Some(notes) = notes {
            metadata.annotations = Some(notes.annotations());
        }
        let object = VpnHold {
            metadata,
            status: old.and_then(|old| old.status.clone()),
            spec,
        };
        state.holds.put(version, object, true)
    }

    /// Declares a gateway.
    pub fn put_gateway(&self, name: &str, spec: VpnGatewaySpec) -> VpnGateway {
        let (mut state, version) = self.next();
        let old = state.gateways.objects.get(name);
        let object = VpnGateway {
            metadata: meta(version, name, old.map(|old| &old.metadata)),
            status: old.and_then(|old| old.status.clone()),
            spec,
        };
        state.gateways.put(version, object, true)
    }

    /// Takes a hold's declaration away: it becomes a tombstone, unlike with [`DesiredState::lift_hold`].
    ///
    /// # Errors
    /// There is no such hold.
    pub fn lose_hold(&self, name: &str) -> Result<()> {
        let (mut state, version) = self.next();
        state.holds.bury(version, name)
    }

    /// Takes a gateway's declaration away: it becomes a tombstone.
    ///
    /// # Errors
    /// There is no such gateway.
    pub fn lose_gateway(&self, name: &str) -> Result<()> {
        let (mut state, version) = self.next();
        state.gateways.bury(version, name)
    }

    /// A hold as it stands.
    pub fn hold(&self, name: &str) -> Option<VpnHold> {
        self.lock().holds.objects.get(name).cloned()
    }

    /// A gateway as it stands.
    pub fn gateway(&self, name: &str) -> Option<VpnGateway> {
        self.lock().gateways.objects.get(name).cloned()
    }

    /// Sets what [`DesiredState::health`] answers, apart from `synced`.
    pub fn set_health(&self, health: SourceHealth) {
        self.lock().health = health;
    }
}

#[async_trait]
impl DesiredState for MemorySource {
    fn watch(&self) -> Watches {
        let mut state = self.lock();
        state.health.synced = true;
        Watches {
            users: state.users.watch(),
            holds: state.holds.watch(),
            gateways: state.gateways.watch(),
        }
    }

    fn health(&self) -> SourceHealth {
        let state = self.lock();
        SourceHealth {
            synced: state.users.watcher.is_some(),
            ..state.health.clone()
        }
    }

    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        Ok(self.lock().users.objects.get(name).cloned())
    }

    async fn create_user(&self, name: &str, spec: VpnUserSpec, _: FieldManager) -> Result<VpnUser> {
        let living = self
            .lock()
            .users
            .get(name)
            .ok()
            .filter(|user| user.metadata.deletion_timestamp.is_none());
        match living {
            Some(user) if user.spec == spec => Ok(user),
            Some(_) => Err(DesiredError::AlreadyExists {
                kind: "VpnUser",
                name: name.to_owned(),
            }),
            None => Ok(self.put_user(name, spec)),
        }
    }

    async fn patch_user(&self, name: &str, patch: UserPatch, _: FieldManager) -> Result<VpnUser> {
        let (mut state, version) = self.next();
        let old = state.users.get(name)?;
        let mut user = old.clone();
        user.spec = patch.applied_to(&old.spec);
        set_marks(&mut user, patch.marks_on(&old));
        if user == old {
            Ok(old)
        } else {
            let changed = user.spec != old.spec;
            Ok(state.users.put(version, user, changed))
        }
    }

    async fn delete_user(&self, name: &str, _: FieldManager) -> Result<()> {
        let (mut state, version) = self.next();
        state.users.bury(version, name)
    }

    async fn create_hold(
        &self,
        name: &str,
        spec: VpnHoldSpec,
        notes: HoldNotes<'_>,
        _: FieldManager,
    ) -> Result<VpnHold> {
        let living = self
            .hold(name)
            .filter(|hold| hold.metadata.deletion_timestamp.is_none());
        match living {
            Some(hold) if hold.spec == spec => Ok(hold),
            Some(_) => Err(DesiredError::AlreadyExists {
                kind: "VpnHold",
                name: name.to_owned(),
            }),
            None => Ok(self.put_hold_of(name, spec, Some(notes))),
        }
    }

    async fn lift_hold(&self, name: &str, _: FieldManager) -> Result<()> {
        if self.lock().holds.forget(name) {
            Ok(())
        } else {
            Err(missing::<VpnHold>(name))
        }
    }

    async fn report_user(&self, user: &VpnUser, status: VpnUserStatus) -> Result<Version> {
        let (mut state, version) = self.next();
        let mut user = state.users.get(&user.name_any())?;
        user.status = Some(status);
        state.users.put(version, user, false);
        Ok(Version(version))
    }

    async fn report_hold(&self, hold: &VpnHold, status: VpnHoldStatus) -> Result<()> {
        let (mut state, version) = self.next();
        let mut hold = state.holds.get(&hold.name_any())?;
        hold.status = Some(status);
        state.holds.put(version, hold, false);
        Ok(())
    }

    async fn report_gateway(&self, gateway: &VpnGateway, status: VpnGatewayStatus) -> Result<()> {
        let (mut state, version) = self.next();
        let mut gateway = state.gateways.get(&gateway.name_any())?;
        gateway.status = Some(status);
        state.gateways.put(version, gateway, false);
        Ok(())
    }

    async fn add_user_finalizer(&self, _: &VpnUser) -> Result<()> {
        Ok(())
    }

    async fn add_hold_finalizer(&self, _: &VpnHold) -> Result<()> {
        Ok(())
    }

    async fn add_gateway_finalizer(&self, _: &VpnGateway) -> Result<()> {
        Ok(())
    }

    async fn delete_gateway(&self, name: &str) -> Result<()> {
        self.lose_gateway(name)
    }

    async fn remove_user_finalizer(&self, name: &str) -> Result<()> {
        self.lock().users.release(name);
        Ok(())
    }

    async fn remove_hold_finalizer(&self, name: &str) -> Result<()> {
        self.lock().holds.release(name);
        Ok(())
    }

    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()> {
        self.lock().gateways.release(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::model::hr::HrMarksPatch;

    fn spec() -> VpnUserSpec {
        serde_json::from_str(r#"{"corporateId":"AB123456"}"#).unwrap()
    }

    #[tokio::test]
    async fn it_behaves_as_an_api_server_does() {
        let source = MemorySource::new();
        source.put_user("ab123456", spec());
        let mut users = source.watch().users;
        let mut next = || users.next().now_or_never().flatten();
        assert!(matches!(next(), Some(Event::Init)));
        assert!(matches!(next(), Some(Event::InitApply(_))));
        assert!(matches!(next(), Some(Event::InitDone)));
        let off = UserPatch {
            active: Some(false),
            ..UserPatch::default()
        };
        let patched = source
            .patch_user("ab123456", off.clone(), FieldManager::Api)
            .await
            .unwrap();
        assert_eq!(patched.metadata.generation, Some(2));
        source.patch_user("ab123456", off, FieldManager::Api).await.unwrap();
        assert!(matches!(next(), Some(Event::Apply(user)) if !user.spec.active));
        assert!(next().is_none(), "a patch that changes nothing makes no event");
        source.remove_user_finalizer("ab123456").await.unwrap();
        source.delete_user("ab123456", FieldManager::Api).await.unwrap();
        assert!(matches!(next(), Some(Event::Apply(user)) if user.metadata.deletion_timestamp.is_some()));
        source.remove_user_finalizer("ab123456").await.unwrap();
        assert!(matches!(next(), Some(Event::Delete(_))));
        assert!(source.get_user("ab123456").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn marks_of_hr_stay_beside_the_spec_and_one_ends_with_the_denial() {
        let source = MemorySource::new();
        source.put_user("ab123456", spec());
        let at: Timestamp = "2026-05-01T10:00:00Z".parse().unwrap();
        let patch = UserPatch {
            active: Some(false),
            role: Some("Lead".to_owned()),
            hr: HrMarksPatch {
                event_at: Some(at),
                role_at: None,
                inactive_at: Some(at),
            },
            ..UserPatch::default()
        };
        let user = source
            .patch_user("ab123456", patch.clone(), FieldManager::Hr)
            .await
            .unwrap();
        let marks = |user: &VpnUser| HrMarks::of(user.metadata.annotations.as_ref());
        assert_eq!((user.spec.active, user.spec.role.as_deref()), (false, Some("Lead")));
        assert_eq!(
            marks(&user),
            HrMarks {
                event_at: Some(at),
                role_at: None,
                inactive_at: Some(at)
            }
        );
        let again = source.patch_user("ab123456", patch, FieldManager::Hr).await.unwrap();
        assert_eq!(
            again.metadata.resource_version, user.metadata.resource_version,
            "nothing is written twice"
        );
        let user = source.put_user("ab123456", spec());
        assert_eq!(
            marks(&user),
            HrMarks {
                event_at: Some(at),
                role_at: None,
                inactive_at: None
            }
        );
    }
}
