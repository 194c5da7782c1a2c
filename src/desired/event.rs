//! What a watch says.

use kube::runtime::watcher;

/// What a watch says about the objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<K> {
    /// A list begins that replaces everything.
    Init,
    /// An object of that list.
    InitApply(K),
    /// An object is new, changed, or has become a tombstone.
    Apply(K),
    /// An object is gone for good.
    Delete(K),
    /// The list is complete: what was not in it is gone.
    InitDone,
    /// The object of this name is there and cannot be read, within a list or not. What was known of it stays.
    Unreadable(String),
}

/// Name of an object that is there and of which nothing can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// As a reflector's store takes it.
impl<K> TryFrom<Event<K>> for watcher::Event<K> {
    type Error = Unreadable;

    fn try_from(event: Event<K>) -> Result<Self, Unreadable> {
        Ok(match event {
            Event::Init => Self::Init,
            Event::InitApply(object) => Self::InitApply(object),
            Event::Apply(object) => Self::Apply(object),
            Event::Delete(object) => Self::Delete(object),
            Event::InitDone => Self::InitDone,
            Event::Unreadable(name) => return Err(Unreadable(name)),
        })
    }
}
