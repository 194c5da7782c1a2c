//! The controllers of the control plane that matter here: garbage collection and the end of a namespace.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    resource,
    shared::Shared,
    store::{Key, Store},
    write::Write,
};

/// How long a collection comes after its cause.
const LATER: Duration = Duration::from_millis(20);

/// Collects garbage for ever.
pub async fn run(shared: Arc<Shared>) {
    let mut tick = shared.subscribe();
    let mut seen = 0;
    loop {
        tokio::time::sleep(LATER).await;
        tick.borrow_and_update();
        let version = shared.read(Store::version);
        if version != seen {
            seen = version;
            if shared.read(has_work) {
                shared.change(collect);
                continue;
            }
        }
        if tick.changed().await.is_err() {
            return;
        }
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    let list = object["metadata"]["ownerReferences"].as_array();
    list.into_iter().flatten().filter_map(|owner| owner["uid"].as_str())
}

fn living(store: &Store) -> HashSet<String> {
    store
        .objects()
        .filter_map(|(_, object)| object["metadata"]["uid"].as_str().map(str::to_owned))
        .collect()
}

fn waits(object: &Value, finalizer: &str) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
        && object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|finalizers| finalizers.contains(&json!(finalizer)))
}

fn orphans(store: &Store) -> Vec<Key> {
    let living = living(store);
    store
        .objects()
        .filter(|(_, object)| owners(object).next().is_some() && owners(object).all(|uid| !living.contains(uid)))
        .filter(|(_, object)| object["metadata"]["deletionTimestamp"].is_null())
        .map(|(key, _)| key.clone())
        .collect()
}

fn waiting(store: &Store) -> Vec<(Key, Arc<Value>)> {
    store
        .objects()
        .filter(|(_, object)| waits(object, "foregroundDeletion") || waits(object, "orphan"))
        .map(|(key, object)| (key.clone(), Arc::clone(object)))
        .collect()
}

fn has_work(store: &Store) -> bool {
    !orphans(store).is_empty() || !waiting(store).is_empty()
}

fn collect(store: &mut Store) {
    for key in orphans(store) {
        delete(store, &key);
    }
    for (key, owner) in waiting(store) {
        let uid = owner["metadata"]["uid"].as_str().unwrap_or_default();
        let dependents: Vec<Key> = store
            .objects()
            .filter(|(_, object)| owners(object).any(|owner| owner == uid))
            .map(|(key, _)| key.clone())
            .collect();
        if waits(&owner, "orphan") {
            for dependent in &dependents {
                patch(store, dependent, |meta| {
                    meta["ownerReferences"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|owner| owner["uid"] != uid);
                });
            }
            finish(store, &key, "orphan");
        } else if dependents.is_empty() {
            finish(store, &key, "foregroundDeletion");
        } else {
            for dependent in &dependents {
                delete(store, dependent);
            }
        }
    }
}

fn finish(store: &mut Store, key: &Key, finalizer: &str) {
    patch(store, key, |meta| {
        meta["finalizers"]
            .as_array_mut()
            .unwrap()
            .retain(|name| name != finalizer);
    });
}

fn writer(key: &Key) -> Write {
    Write {
        resource: resource::named(key.0),
        namespace: key.1.clone(),
        name: key.2.clone(),
        status: false,
        manager: "kube-controller-manager".to_owned(),
        force: false,
        strict: false,
        dry_run: false,
        may_create: Ok(()),
    }
}

fn patch(store: &mut Store, key: &Key, change: impl FnOnce(&mut Value)) {
    if let Some(object) = store.get(key) {
        let mut object = (**object).clone();
        change(&mut object["metadata"]);
        let done = writer(key).merge_patch(
            store,
            &json!({ "metadata": {
            "finalizers": object["metadata"]["finalizers"], "ownerReferences": object["metadata"]["ownerReferences"],
        } }),
        );
        drop(done);
    }
}

fn delete(store: &mut Store, key: &Key) {
    drop(writer(key).delete(store, &Value::Null));
}

/// Deletes everything in a namespace, as often as it takes, then the namespace.
pub async fn end_namespace(shared: &Shared, namespace: &str) {
    let mut tick = shared.subscribe();
    shared.change(|store| store.mark_terminating(namespace));
    loop {
        tick.borrow_and_update();
        let open: Vec<(Key, bool)> = shared.read(|store| {
            let here = store.objects().filter(|(key, _)| key.1 == namespace);
            here.map(|(key, object)| (key.clone(), object["metadata"]["deletionTimestamp"].is_null()))
                .collect()
        });
        if open.is_empty() {
            shared.change(|store| store.mark_gone(namespace));
            return;
        }
        let alive: Vec<&Key> = open.iter().filter(|(_, alive)| *alive).map(|(key, _)| key).collect();
        if alive.is_empty() {
            drop(tick.changed().await);
        } else {
            shared.change(|store| {
                for key in alive {
                    delete(store, key);
                }
            });
        }
    }
}
