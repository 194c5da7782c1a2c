//! What a source listed, so that what vanished from a list is noticed.

use std::{collections::HashSet, hash::Hash};

use kube::{
    Resource, ResourceExt,
    runtime::{
        reflector::{ObjectRef, Store, store::Writer},
        watcher::Event,
    },
};

use crate::desired::Unreadable;

/// Which objects a source listed since its last `Init`.
#[derive(Default)]
pub(super) struct Listing {
    listed: Option<HashSet<String>>,
    /// The first list is complete.
    pub(super) done: bool,
}

impl Listing {
    /// Follows an event before the store does; at the end of a list, answers the names that are no longer there.
    pub(super) fn follow<K>(&mut self, event: &Event<K>, store: &Store<K>) -> Vec<String>
    where
        K: Resource + Clone + 'static,
        K::DynamicType: Eq + Hash + Clone,
    {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(object.name_any());
                }
            }
            Event::Apply(_) | Event::Delete(_) => {}
            Event::InitDone => {
                self.done = true;
                let listed = self.listed.take().unwrap_or_default();
                let before = store.state().into_iter().map(|object| object.name_any());
                return before.filter(|name| !listed.contains(name)).collect();
            }
        }
        Vec::new()
    }

    /// An object is there and cannot be read: it is listed, and the store keeps it as it was known last.
    pub(super) fn unreadable<K>(
        &mut self,
        Unreadable(name): Unreadable,
        namespace: &str,
        store: &Store<K>,
        writer: &mut Writer<K>,
    ) where
        K: Resource<DynamicType = ()> + Clone + 'static,
    {
        let Some(listed) = &mut self.listed else { return };
        if let Some(known) = store.get(&ObjectRef::new(&name).within(namespace)) {
            writer.apply_watcher_event(&Event::InitApply((*known).clone()));
        }
        listed.insert(name);
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;

    use super::*;
    use crate::model::{
        corporate_id::CorporateId,
        hold::{VpnHold, VpnHoldSpec},
    };

    struct Watch {
        listing: Listing,
        store: Store<VpnHold>,
        writer: Writer<VpnHold>,
    }

    fn hold(name: &str) -> VpnHold {
        let spec = VpnHoldSpec {
            corporate_id: CorporateId::parse("AB123456").unwrap(),
            source: "hr".to_owned(),
            reason: None,
            from: None,
            until: None,
        };
        let mut hold = VpnHold::new(name, spec);
        hold.metadata.namespace = Some("vpn".to_owned());
        hold
    }

    impl Watch {
        fn new() -> Self {
            let (store, writer) = reflector::store();
            Self {
                listing: Listing::default(),
                store,
                writer,
            }
        }

        fn says(&mut self, event: &Event<VpnHold>) -> Vec<String> {
            let gone = self.listing.follow(event, &self.store);
            self.writer.apply_watcher_event(event);
            gone
        }

        fn cannot_read(&mut self, name: &str) {
            let name = Unreadable(name.to_owned());
            self.listing.unreadable(name, "vpn", &self.store, &mut self.writer);
        }

        /// A list of these names, behind each of which stands whether it can be read. Answers what is gone by it.
        fn lists(&mut self, names: &[(&str, bool)]) -> Vec<String> {
            self.says(&Event::Init);
            for (name, readable) in names {
                if *readable {
                    self.says(&Event::InitApply(hold(name)));
                } else {
                    self.cannot_read(name);
                }
            }
            self.says(&Event::InitDone)
        }

        fn knows(&self) -> Vec<String> {
            let mut names: Vec<String> = self.store.state().iter().map(|it| it.name_any()).collect();
            names.sort_unstable();
            names
        }
    }

    #[test]
    fn what_is_left_out_of_a_list_is_gone_and_what_cannot_be_read_is_not() {
        let mut watch = Watch::new();
        assert!(watch.lists(&[("a", true), ("b", true), ("c", true)]).is_empty());
        assert_eq!(watch.lists(&[("a", false), ("c", true)]), ["b"]);
        assert_eq!(watch.knows(), ["a", "c"]);
        assert!(watch.lists(&[("a", false), ("c", false)]).is_empty(), "however often");
        assert_eq!(watch.knows(), ["a", "c"]);
        assert_eq!(watch.lists(&[("c", true)]), ["a"]);
        assert_eq!(watch.knows(), ["c"]);
    }

    #[test]
    fn what_cannot_be_read_between_lists_stays_as_it_was_known() {
        let mut watch = Watch::new();
        watch.lists(&[("a", true)]);
        watch.cannot_read("a");
        assert_eq!(watch.knows(), ["a"]);
        assert_eq!(watch.lists(&[]), ["a"]);
    }

    #[test]
    fn what_was_never_read_is_not_known_and_not_gone() {
        let mut watch = Watch::new();
        assert!(watch.lists(&[("a", false)]).is_empty() && watch.listing.done);
        assert!(watch.knows().is_empty());
        assert!(watch.lists(&[]).is_empty());
    }
}
