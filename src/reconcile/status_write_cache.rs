//! Statuses that were written and that the store of objects does not show yet.
//!
//! The store lags behind the source. A reconcile that took an object of the store at its word would plan once more what is
//! done already, and tell of it twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::ResourceExt;

use crate::{
    desired::Version,
    model::user::{VpnUser, VpnUserStatus},
};

struct Write {
    uid: Option<String>,
    version: Version,
    status: VpnUserStatus,
}

#[derive(Default)]
struct State {
    unseen: HashMap<String, Write>,
    failed: HashMap<String, VpnUserStatus>,
}

/// By name of the user: the last reports that the store does not show yet, and those that could not be written.
#[derive(Default)]
pub struct StatusWriteCache(Mutex<State>);

impl StatusWriteCache {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A status was written, and objects from this version on show it.
    pub fn report(&self, user: &VpnUser, version: Version, status: VpnUserStatus) {
        let name = user.name_any();
        let mut state = self.lock();
        state.failed.remove(&name);
        if version > Version::of(user) {
            let uid = user.uid();
            state.unseen.insert(name, Write { uid, version, status });
        }
    }

    /// A status could not be written. What it says was remembered all the same.
    pub fn failed(&self, name: &str, status: VpnUserStatus) {
        self.lock().failed.insert(name.to_owned(), status);
    }

    /// The status that could not be written the last time.
    #[must_use]
    pub fn remembered(&self, name: &str) -> Option<VpnUserStatus> {
        self.lock().failed.get(name).cloned()
    }

    /// The user with the status that was written last.
    #[must_use]
    pub fn newest(&self, user: Arc<VpnUser>) -> Arc<VpnUser> {
        let name = user.metadata.name.as_deref().unwrap_or_default();
        let mut state = self.lock();
        let Some(write) = state.unseen.get(name) else {
            return user;
        };
        if write.uid != user.metadata.uid || write.version <= Version::of(&*user) {
            state.unseen.remove(name);
            return user;
        }
        let mut newest = (*user).clone();
        newest.status = Some(write.status.clone());
        Arc::new(newest)
    }

    /// Whether the status of a user is the one that was written last.
    #[must_use]
    pub fn is_own(&self, user: &VpnUser) -> bool {
        let name = user.metadata.name.as_deref().unwrap_or_default();
        let state = self.lock();
        let write = state.unseen.get(name);
        write.is_some_and(|write| Some(&write.status) == user.status.as_ref())
    }

    /// The user is gone.
    pub fn forget(&self, name: &str) {
        let mut state = self.lock();
        state.unseen.remove(name);
        state.failed.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: &str, version: u64, epoch: i64) -> Arc<VpnUser> {
        let user = serde_json::from_value(serde_json::json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser",
            "metadata": { "name": "ab123456", "uid": uid, "resourceVersion": version.to_string() },
            "spec": { "corporateId": "AB123456" }, "status": { "epoch": epoch },
        }));
        Arc::new(user.unwrap())
    }

    fn epoch(user: &VpnUser) -> Option<i64> {
        user.status.as_ref()?.epoch
    }

    #[test]
    fn an_older_object_has_the_status_that_was_written_and_a_newer_one_its_own() {
        let cache = StatusWriteCache::default();
        cache.report(&user("a", 5, 1), Version(7), user("a", 7, 2).status.clone().unwrap());
        assert_eq!(epoch(&cache.newest(user("a", 5, 1))), Some(2));
        assert_eq!(epoch(&cache.newest(user("a", 6, 1))), Some(2));
        assert_eq!(
            epoch(&cache.newest(user("a", 8, 3))),
            Some(3),
            "somebody else wrote it since"
        );
        assert_eq!(
            epoch(&cache.newest(user("a", 5, 1))),
            Some(1),
            "it was forgotten by then"
        );
    }

    #[test]
    fn another_object_of_the_same_name_has_its_own_status() {
        let cache = StatusWriteCache::default();
        cache.report(&user("a", 5, 1), Version(7), user("a", 7, 2).status.clone().unwrap());
        assert_eq!(epoch(&cache.newest(user("b", 6, 9))), Some(9));
    }

    #[test]
    fn a_write_that_changed_nothing_is_not_waited_for() {
        let cache = StatusWriteCache::default();
        cache.report(&user("a", 5, 1), Version(5), user("a", 5, 2).status.clone().unwrap());
        assert_eq!(epoch(&cache.newest(user("a", 5, 1))), Some(1));
    }
}
