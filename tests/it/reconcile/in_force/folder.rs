//! The folder as a source: it behaves as an API server would.

use std::collections::BTreeMap;

use vpn_operator::model::{FINALIZER, hold::VpnHoldSpec};

use super::{
    adapter,
    listener::Event,
    stores::{name_of, new_hold, new_user, time},
    world::World,
};

/// What changed in the files since they were read last, and whether something is gone.
pub fn read(world: &mut World) -> (Vec<Event>, bool) {
    let now = world.now();
    let known = world.objects().clone();
    let documents = world.documents.get().clone();
    let mut events = Vec::new();
    let mut gone = false;
    for (who, spec) in documents.users {
        let known = known.users.get(&name_of(who));
        let user = match known {
            Some(user) if user.spec == spec && user.metadata.deletion_timestamp.is_none() => continue,
            Some(user) => {
                let mut user = (**user).clone();
                user.spec = spec;
                user.metadata.deletion_timestamp = None;
                *user.metadata.generation.as_mut().unwrap() += 1;
                user
            }
            None => {
                let mut user = new_user(spec, world.number(), now);
                user.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
                user
            }
        };
        events.push(world.stamped_user(user));
    }
    for user in known.users.values() {
        let declared = world
            .documents
            .get()
            .users
            .values()
            .any(|spec| spec.corporate_id == user.spec.corporate_id);
        if !declared && user.metadata.deletion_timestamp.is_none() {
            let mut user = (**user).clone();
            user.metadata.deletion_timestamp = time(now);
            *user.metadata.generation.as_mut().unwrap() += 1;
            events.push(world.stamped_user(user));
            gone = true;
        }
    }
    let own: BTreeMap<String, VpnHoldSpec> = world.files.get().clone();
    let is_own = |name: &str| own.contains_key(name);
    for (name, spec) in own.iter().chain(&documents.holds) {
        let hold = match known.holds.get(name) {
            Some(hold) if hold.metadata.deletion_timestamp.is_none() => continue,
            Some(hold) => {
                let mut hold = (**hold).clone();
                hold.metadata.deletion_timestamp = None;
                *hold.metadata.generation.as_mut().unwrap() += 1;
                hold
            }
            None => {
                let mut hold = new_hold(name, spec.clone(), world.number(), now);
                hold.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
                if is_own(name) {
                    adapter::mark_own(&mut hold);
                }
                hold
            }
        };
        events.push(world.stamped_hold(hold));
    }
    for (name, hold) in &known.holds {
        let declared = own.contains_key(name) || documents.holds.contains_key(name);
        if !declared && hold.metadata.deletion_timestamp.is_none() {
            let mut hold = (**hold).clone();
            hold.metadata.deletion_timestamp = time(now);
            *hold.metadata.generation.as_mut().unwrap() += 1;
            events.push(world.stamped_hold(hold));
            gone = true;
        }
    }
    (events, gone)
}
