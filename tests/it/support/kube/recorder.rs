//! Every call, for tests that count writes or compare verbs with a role.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// One request for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who: what stands in the bearer token.
    pub user: String,
    /// The word of RBAC: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: &'static str,
    pub group: String,
    pub resource: String,
    /// `status`, or nothing.
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// Field manager of a write.
    pub manager: String,
    /// A patch made the object, which needs the verb `create` too.
    pub created: bool,
    /// The stored object is another than before.
    pub changed: bool,
    /// HTTP code; 0 if none was sent.
    pub code: u16,
}

impl Call {
    /// `vpnusers`, `vpnusers/status`.
    pub fn resource_with_subresource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// Whether it asks for a change.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }
}

/// What was asked since the beginning, or since [`Recorder::clear`].
#[derive(Default)]
pub struct Recorder {
    calls: Mutex<Vec<Call>>,
}

impl Recorder {
    pub fn add(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    pub fn clear(&self) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Every call in its order.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls of a user.
    pub fn of(&self, user: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.user == user).collect()
    }

    /// Writes that a user asked for, accepted or not.
    pub fn writes(&self, user: &str) -> Vec<Call> {
        self.of(user).into_iter().filter(Call::is_write).collect()
    }

    /// Writes of a user that changed something.
    pub fn changes(&self, user: &str) -> Vec<Call> {
        self.of(user).into_iter().filter(|call| call.changed).collect()
    }

    /// Requests of a user that are no watches: the numbers at which a fault can be put.
    pub fn requests(&self, user: &str) -> usize {
        self.of(user).iter().filter(|call| call.verb != "watch").count()
    }

    /// Everything that a user needs to be granted: (group, resource or resource/subresource, verb).
    pub fn permissions(&self, user: &str) -> BTreeSet<(String, String, &'static str)> {
        let mut needed = BTreeSet::new();
        for call in self.of(user) {
            let resource = call.resource_with_subresource();
            if call.created {
                needed.insert((call.group.clone(), resource.clone(), "create"));
            }
            needed.insert((call.group, resource, call.verb));
        }
        needed
    }
}
