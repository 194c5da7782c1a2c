//! What outlives a process: stores with their earlier versions, and the objects in them.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use vpn_operator::model::{
    corporate_id::CorporateId,
    hold::{VpnHold, VpnHoldSpec},
    user::{VpnUser, VpnUserSpec},
};

/// How many people there are.
pub const PEOPLE: usize = 14;

/// Versions of a store that can be put back.
const VERSIONS: usize = 60;

/// The gateways on which everybody has an account at first.
pub const GATEWAYS: [&str; 2] = ["default", "paris"];

/// A store, and what it held before each of the latest writes.
#[derive(Debug, Default)]
pub struct Store<T> {
    present: T,
    past: Vec<T>,
}

impl<T: Clone + Default> Store<T> {
    pub fn get(&self) -> &T {
        &self.present
    }

    /// One write: it is in the store as a whole, or not at all.
    pub fn write(&mut self, change: impl FnOnce(&mut T)) {
        if self.past.len() == VERSIONS {
            self.past.remove(0);
        }
        self.past.push(self.present.clone());
        change(&mut self.present);
    }

    /// Puts back what was there so many writes ago, or as long ago as is known.
    pub fn put_back(&mut self, writes: usize) {
        let at = self.past.len().saturating_sub(writes.max(1));
        if let Some(version) = self.past.get(at).cloned() {
            self.write(|present| *present = version);
        }
    }

    pub fn lose(&mut self) {
        self.write(|present| *present = T::default());
    }
}

/// Users and holds by name, as an API server has them, or as the record of the folder remembers them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Objects {
    pub users: BTreeMap<String, Arc<VpnUser>>,
    pub holds: BTreeMap<String, Arc<VpnHold>>,
}

pub fn id(who: usize) -> CorporateId {
    CorporateId::parse(&format!("AB{who:06}")).unwrap()
}

pub fn name_of(who: usize) -> String {
    id(who).object_name()
}

/// The person that a name or an ID speaks of.
pub fn person_of(id: &CorporateId) -> usize {
    id.key()[2..].parse().unwrap()
}

/// What is declared of a person at first.
pub fn first_spec(who: usize) -> VpnUserSpec {
    let spec = serde_json::json!({ "corporateId": id(who), "gateways": GATEWAYS });
    serde_json::from_value(spec).unwrap()
}

/// A new object.
pub fn new_user(spec: VpnUserSpec, uid: u64, now: Timestamp) -> VpnUser {
    let name = spec.corporate_id.object_name();
    let mut user = VpnUser::new(&name, spec);
    user.metadata.uid = Some(format!("uid-{uid}"));
    user.metadata.generation = Some(1);
    user.metadata.creation_timestamp = time(now);
    user
}

/// A new object.
pub fn new_hold(name: &str, spec: VpnHoldSpec, uid: u64, now: Timestamp) -> VpnHold {
    let mut hold = VpnHold::new(name, spec);
    hold.metadata.uid = Some(format!("uid-{uid}"));
    hold.metadata.generation = Some(1);
    hold.metadata.creation_timestamp = time(now);
    hold
}

/// A moment as objects have it.
pub fn time<T: serde::de::DeserializeOwned>(at: Timestamp) -> Option<T> {
    serde_json::from_value(serde_json::json!(at)).unwrap()
}

/// The number of the write that brought an object.
pub fn version(of: &kube::api::ObjectMeta) -> u64 {
    of.resource_version.as_deref().map_or(0, |text| text.parse().unwrap())
}

/// Holds on a person.
pub fn holds_of(objects: &Objects, who: usize) -> impl Iterator<Item = &Arc<VpnHold>> {
    objects
        .holds
        .values()
        .filter(move |hold| person_of(&hold.spec.corporate_id) == who)
}
