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
    /// What was said by the list that is coming in, or by one before it that was broken off, and that the store does not show.
    said: HashSet<String>,
    /// The first list is complete.
    pub(super) done: bool,
}

/// What an event means for names, as soon as the store shows it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Followed {
    /// No longer there, by a list that is complete.
    pub(super) gone: Vec<String>,
    /// New, or other than the store had it. What a list brings is named at its end, because the store has it only then:
    /// whoever was asked for in between would be looked for in vain.
    pub(super) changed: Vec<String>,
}

impl Listing {
    /// Follows an event before the store does.
    pub(super) fn follow<K>(&mut self, event: &Event<K>, store: &Store<K>) -> Followed
    where
        K: Resource + Clone + 'static,
        K::DynamicType: Default + Eq + Hash + Clone,
    {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(object) => {
                let name = object.name_any();
                if !is_same(store, object) {
                    self.said.insert(name.clone());
                }
                if let Some(listed) = &mut self.listed {
                    listed.insert(name);
                }
            }
            Event::Apply(object) => {
                return Followed {
                    changed: vec![object.name_any()],
                    ..Followed::default()
                };
            }
            Event::Delete(_) => {}
            Event::InitDone => {
                self.done = true;
                let listed = self.listed.take().unwrap_or_default();
                let before = store.state().into_iter().map(|object| object.name_any());
                let mut gone: HashSet<String> = before.filter(|name| !listed.contains(name)).collect();
                let mut changed = std::mem::take(&mut self.said);
                gone.extend(changed.extract_if(|name| !listed.contains(name)));
                return Followed {
                    gone: gone.into_iter().collect(),
                    changed: changed.into_iter().collect(),
                };
            }
        }
        Followed::default()
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

/// Whether the store has exactly this version of an object.
fn is_same<K>(store: &Store<K>, object: &K) -> bool
where
    K: Resource + Clone + 'static,
    K::DynamicType: Default + Eq + Hash + Clone,
{
    let known = store.get(&ObjectRef::from_obj(object));
    known.is_some_and(|known| {
        let (known, new) = (known.meta(), object.meta());
        known.resource_version.is_some() && known.resource_version == new.resource_version && known.uid == new.uid
    })
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
        hold.metadata.resource_version = Some("1".to_owned());
        hold
    }

    fn at(name: &str, version: &str) -> VpnHold {
        let mut hold = hold(name);
        hold.metadata.resource_version = Some(version.to_owned());
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

        fn says(&mut self, event: &Event<VpnHold>) -> Followed {
            let mut followed = self.listing.follow(event, &self.store);
            self.writer.apply_watcher_event(event);
            followed.gone.sort_unstable();
            followed.changed.sort_unstable();
            for name in &followed.changed {
                assert!(
                    self.knows().contains(name),
                    "{name} is asked for before it can be found"
                );
            }
            followed
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
            self.says(&Event::InitDone).gone
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

    #[test]
    fn what_a_list_brings_is_named_when_the_store_has_it_and_what_is_as_it_was_is_not() {
        let mut watch = Watch::new();
        watch.lists(&[("a", true), ("b", true)]);
        watch.says(&Event::Init);
        for hold in [at("a", "1"), at("b", "2"), at("c", "3")] {
            assert_eq!(watch.says(&Event::InitApply(hold)), Followed::default());
        }
        assert_eq!(watch.says(&Event::InitDone).changed, ["b", "c"]);
        assert_eq!(watch.says(&Event::Apply(at("a", "4"))).changed, ["a"]);
    }

    #[test]
    fn a_list_that_is_broken_off_forgets_nothing_that_it_said() {
        let mut watch = Watch::new();
        watch.lists(&[("a", true)]);
        watch.says(&Event::Init);
        for hold in [at("a", "2"), at("b", "3"), at("c", "4")] {
            watch.says(&Event::InitApply(hold));
        }
        watch.says(&Event::Init);
        watch.says(&Event::InitApply(at("a", "2")));
        watch.says(&Event::InitApply(at("c", "4")));
        let followed = watch.says(&Event::InitDone);
        assert_eq!(
            (followed.gone, followed.changed),
            (vec!["b".to_owned()], vec!["a".to_owned(), "c".to_owned()])
        );
    }
}
