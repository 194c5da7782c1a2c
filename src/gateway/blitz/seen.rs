//! The last list of a panel, with what was acknowledged since. Pure.

use std::{collections::HashMap, time::Instant};

use super::{
    call::Call,
    client::{Change, Entry, NewAccount},
};

/// The last list.
#[derive(Default)]
pub(super) struct Seen {
    /// When it was begun. Nothing: it may not be so any more.
    pub(super) begun: Option<Instant>,
    pub(super) entries: HashMap<String, Entry>,
    /// Devices online, on all accounts.
    pub(super) devices: u32,
}

impl Seen {
    pub(super) fn new(begun: Instant, entries: HashMap<String, Entry>) -> Self {
        Self {
            begun: Some(begun),
            devices: entries.values().map(|entry| entry.online).sum(),
            entries,
        }
    }

    pub(super) fn entry(&self, account: &str) -> Option<&Entry> {
        self.entries.get(account)
    }

    /// Whether it is known what is there.
    pub(super) const fn is_known(&self) -> bool {
        self.begun.is_some()
    }

    /// A write was acknowledged. What was made is not made twice before the next list.
    pub(super) fn wrote(&mut self, call: &Call) {
        match call {
            Call::Block(account) => {
                if let Some(entry) = self.entries.get_mut(&**account) {
                    entry.blocked = true;
                }
            }
            Call::Add(account, new) => {
                self.entries.insert(account.to_string(), made(new));
            }
            Call::Change(account, change) => {
                if let Some(entry) = self.entries.get_mut(&**account) {
                    apply(change, entry);
                }
            }
            Call::Delete(accounts) => self.entries.retain(|name, _| !accounts.iter().any(|it| **it == **name)),
            Call::List | Call::Links(_) => {}
        }
    }
}

/// An account that was made, as a list would show it.
fn made(new: &NewAccount) -> Entry {
    Entry {
        password: new.password.clone(),
        limit: Some(u64::from(new.limit_gb) << 30).filter(|limit| *limit > 0),
        days: Some(new.days).filter(|days| *days > 0),
        created: None,
        blocked: false,
        unlimited: false,
        note: new.note.clone(),
        moved: (0, 0),
        online: 0,
    }
}

/// An account after a change, as a list would show it.
fn apply(change: &Change, entry: &mut Entry) {
    if let Some(blocked) = change.blocked {
        entry.blocked = blocked;
    }
    if let Some(password) = &change.password {
        entry.password = password.clone();
    }
    if let Some(gb) = change.limit_gb {
        entry.limit = Some(u64::from(gb) << 30).filter(|limit| *limit > 0);
    }
    if let Some(days) = change.days {
        entry.days = Some(days).filter(|days| *days > 0);
    }
    if let Some(unlimited) = change.unlimited {
        entry.unlimited = unlimited;
    }
    if let Some(note) = &change.note {
        note.clone_into(&mut entry.note);
    }
}
