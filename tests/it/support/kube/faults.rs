//! What goes wrong, and when.

use std::sync::{Arc, Mutex, PoisonError};

use super::recorder::Call;

/// What becomes of a request.
#[derive(Clone)]
pub enum Fault {
    /// It is performed; the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks before it is performed.
    Dropped,
    /// It is not performed, and answered with this code: 409, 429 (to be tried after a second), 500, 503 or another.
    Status(u16),
    /// It is not performed and never answered.
    Hang,
    /// It is performed and never answered.
    HangAfter,
    /// It is performed; then this runs, and the connection breaks.
    Crash(Arc<dyn Fn() + Send + Sync>),
    /// This runs, and the connection breaks before it is performed.
    CrashBefore(Arc<dyn Fn() + Send + Sync>),
    /// This runs; then it is performed and answered as ever.
    Beside(Arc<dyn Fn() + Send + Sync>),
}

impl Fault {
    /// [`Fault::Crash`] with a closure.
    pub fn crash(then: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Crash(Arc::new(then))
    }
}

/// Which request, counted from when the fault was added. Without more: the first request that is no watch, of anybody.
#[derive(Debug, Clone)]
pub struct When {
    user: Option<String>,
    verb: Option<&'static str>,
    resource: Option<String>,
    except: Option<&'static str>,
    name: Option<String>,
    nth: Option<usize>,
    watches: bool,
}

impl When {
    /// The request of this number, from 1 on.
    pub fn request(nth: usize) -> Self {
        Self {
            user: None,
            verb: None,
            resource: None,
            except: None,
            name: None,
            nth: Some(nth),
            watches: false,
        }
    }

    /// Every request.
    pub fn every() -> Self {
        Self {
            nth: None,
            ..Self::request(1)
        }
    }

    /// Only requests of this user count.
    pub fn by(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Only requests with this verb count.
    pub fn verb(mut self, verb: &'static str) -> Self {
        self.watches |= verb == "watch";
        self.verb = Some(verb);
        self
    }

    /// Only requests for this resource, like `vpnusers` or `vpnusers/status`, count.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Requests for this resource do not count.
    pub fn except(mut self, resource: &'static str) -> Self {
        self.except = Some(resource);
        self
    }

    /// Only requests for the object of this name count.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Watches count too.
    pub fn or_watch(mut self) -> Self {
        self.watches = true;
        self
    }

    fn counts(&self, call: &Call) -> bool {
        (self.watches || call.verb != "watch")
            && self.user.as_ref().is_none_or(|user| *user == call.user)
            && self.verb.is_none_or(|verb| verb == call.verb)
            && self.except.is_none_or(|resource| *resource != *call.resource)
            && self.name.as_ref().is_none_or(|name| *name == call.name)
            && self
                .resource
                .as_ref()
                .is_none_or(|resource| *resource == call.resource_with_subresource())
    }
}

struct Planned {
    when: When,
    fault: Fault,
    seen: usize,
    fired: usize,
}

/// The faults that are still to come.
#[derive(Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
}

impl Faults {
    pub fn add(&self, when: When, fault: Fault) {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.push(Planned {
            when,
            fault,
            seen: 0,
            fired: 0,
        });
    }

    pub fn clear(&self) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How often a fault struck.
    pub fn fired(&self) -> usize {
        let planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.iter().map(|planned| planned.fired).sum()
    }

    /// What becomes of this request. Counts it.
    pub fn strike(&self, call: &Call) -> Option<Fault> {
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for planned in planned.iter_mut().filter(|planned| planned.when.counts(call)) {
            planned.seen += 1;
            if struck.is_none() && planned.when.nth.is_none_or(|nth| nth == planned.seen) {
                planned.fired += 1;
                struck = Some(planned.fault.clone());
            }
        }
        struck
    }
}
