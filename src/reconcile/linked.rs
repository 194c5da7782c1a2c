//! People who are linked to a chat, and of whom something changed since somebody looked.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use tokio::sync::Notify;

use crate::{model::corporate_id::CorporateId, roster::Transition};

/// Who is linked, and of whom something changed. Collecting costs one look-up for each transition, and never waits.
#[derive(Debug, Default)]
pub struct LinkedPeople {
    /// IDs of those who are linked, by the name of their object.
    linked: RwLock<HashMap<String, CorporateId>>,
    waiting: Mutex<Changed>,
    news: Notify,
}

/// What changed.
#[derive(Debug, Default)]
pub struct Changed {
    /// Linked people.
    pub people: HashSet<CorporateId>,
    /// People whose denial the guard held back.
    pub held_back: Vec<CorporateId>,
}

impl LinkedPeople {
    /// Somebody is linked: from now on what changes about them is collected. Something did now.
    pub fn link(&self, id: &CorporateId) {
        self.linked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.object_name(), id.clone());
        self.waiting().people.insert(id.clone());
        self.news.notify_one();
    }

    /// Somebody is not linked any more.
    pub fn unlink(&self, id: &CorporateId) {
        self.linked
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id.object_name());
    }

    /// Takes what concerns linked people, and what the guard held back.
    pub fn collect(&self, transitions: &[Transition]) {
        let mut changed = Changed::default();
        {
            let linked = self.linked.read().unwrap_or_else(PoisonError::into_inner);
            for transition in transitions {
                if let Some(id) = linked.get(&transition.user) {
                    changed.people.insert(id.clone());
                }
                if let Some(loss) = transition.loss.as_ref().filter(|loss| loss.held_back) {
                    changed.held_back.push(loss.corporate_id.clone());
                }
            }
        }
        if changed.people.is_empty() && changed.held_back.is_empty() {
            return;
        }
        let mut waiting = self.waiting();
        waiting.people.extend(changed.people);
        waiting.held_back.extend(changed.held_back);
        drop(waiting);
        self.news.notify_one();
    }

    /// Waits until something changed.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// Takes what changed.
    #[must_use]
    pub fn take(&self) -> Changed {
        std::mem::take(&mut self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Changed> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::access::Reason, roster::Loss};

    fn id(text: &str) -> CorporateId {
        CorporateId::parse(text).unwrap()
    }

    fn transition(text: &str, held_back: bool) -> Transition {
        Transition {
            user: id(text).object_name(),
            account: id(text).account(),
            revoke: None,
            loss: held_back.then(|| {
                Box::new(Loss {
                    corporate_id: id(text),
                    reason: Reason::Deleted,
                    holds: Vec::new(),
                    held_back,
                })
            }),
        }
    }

    #[test]
    fn only_what_concerns_linked_people_and_what_is_held_back_is_collected() {
        let people = LinkedPeople::default();
        people.link(&id("AB123456"));
        assert_eq!(people.take().people.len(), 1);
        people.collect(&[
            transition("AB123456", false),
            transition("CD123456", true),
            transition("EF123456", false),
        ]);
        let changed = people.take();
        assert_eq!(changed.people, HashSet::from([id("ab123456")]));
        assert_eq!(changed.held_back, [id("CD123456")]);
        people.unlink(&id("AB123456"));
        people.collect(&[transition("AB123456", false)]);
        assert!(people.take().people.is_empty());
    }
}
