//! The objects and their history.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use serde_json::{Value, json};

/// Where an object is: plural name of the resource, namespace, name.
pub type Key = (&'static str, String, String);

/// One change. An object was created if there is no `old`, and deleted if there is no `new`.
#[derive(Clone)]
pub struct Change {
    pub version: u64,
    pub key: Key,
    pub old: Option<Arc<Value>>,
    pub new: Option<Arc<Value>>,
    pub at: Instant,
}

/// What etcd keeps.
pub struct Store {
    version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    log: Vec<Change>,
    /// Objects that were never updated. They are kept without the default of their status, so that the first update writes
    /// even if it changes nothing.
    without_status: BTreeSet<Key>,
    compacted: u64,
    watchable_from: u64,
    terminating: BTreeMap<String, bool>,
    next_uid: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            version: 100,
            objects: BTreeMap::new(),
            log: Vec::new(),
            without_status: BTreeSet::new(),
            compacted: 0,
            watchable_from: 0,
            terminating: BTreeMap::new(),
            next_uid: 0,
        }
    }
}

impl Store {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub fn objects(&self) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.objects.iter()
    }

    /// Every object as it was at a version; `None` if that is no longer kept.
    pub fn at(&self, version: u64) -> Option<BTreeMap<Key, Arc<Value>>> {
        if version < self.compacted {
            return None;
        }
        let mut objects = self.objects.clone();
        for change in self.log.iter().rev().take_while(|change| change.version > version) {
            match &change.old {
                Some(old) => objects.insert(change.key.clone(), Arc::clone(old)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }

    /// Puts an object, or takes it away, at a new version. Gives the object with its version.
    pub fn write(&mut self, key: Key, new: Option<Value>) -> Arc<Value> {
        self.version += 1;
        let version = self.version.to_string();
        let old = self.objects.get(&key).cloned();
        let stamped = new.map(|mut object| {
            object["metadata"]["resourceVersion"] = json!(version);
            Arc::new(object)
        });
        if old.is_none() && stamped.as_ref().is_some_and(|object| object.get("status").is_some()) {
            self.without_status.insert(key.clone());
        } else {
            self.without_status.remove(&key);
        }
        match &stamped {
            Some(object) => self.objects.insert(key.clone(), Arc::clone(object)),
            None => self.objects.remove(&key),
        };
        let result = stamped.clone().unwrap_or_else(|| {
            let mut last = old.as_deref().cloned().unwrap_or_default();
            last["metadata"]["resourceVersion"] = json!(version);
            Arc::new(last)
        });
        self.log.push(Change {
            version: self.version,
            key,
            old,
            new: stamped,
            at: Instant::now(),
        });
        result
    }

    /// Whether an update writes even if it changes nothing.
    pub fn is_incomplete(&self, key: &Key) -> bool {
        self.without_status.contains(key)
    }

    /// Changes after a version.
    pub fn since(&self, version: u64) -> &[Change] {
        let first = self.log.partition_point(|change| change.version <= version);
        &self.log[first..]
    }

    /// The oldest version from which a watch can start.
    pub fn oldest(&self) -> u64 {
        self.compacted.max(self.watchable_from)
    }

    /// From now on nothing older than the present can be listed, or watched from.
    pub fn compact(&mut self) {
        self.compacted = self.version;
    }

    /// A server that starts knows no change from before.
    pub fn forget_watches(&mut self) {
        self.watchable_from = self.version;
    }

    pub fn uid(&mut self) -> String {
        self.next_uid += 1;
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let random = u64::from_be_bytes(random);
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            random >> 32,
            (random >> 16) & 0xffff,
            random & 0xfff,
            self.next_uid & 0xfff,
            self.next_uid
        )
    }

    pub fn mark_terminating(&mut self, namespace: &str) {
        self.terminating.entry(namespace.to_owned()).or_insert(false);
    }

    /// A namespace that is gone.
    pub fn mark_gone(&mut self, namespace: &str) {
        self.terminating.insert(namespace.to_owned(), true);
    }

    /// Takes a namespace's end back.
    pub fn revive(&mut self, namespace: &str) {
        self.terminating.remove(namespace);
    }

    pub fn is_terminating(&self, namespace: &str) -> bool {
        self.terminating.get(namespace) == Some(&false)
    }

    pub fn is_gone(&self, namespace: &str) -> bool {
        self.terminating.get(namespace) == Some(&true)
    }
}
